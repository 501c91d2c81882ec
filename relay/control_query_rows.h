/*
 * control_query_rows.h - what workers told of links, clients and calls, as messages of the control
 * socket.
 */
#ifndef RELAY_CONTROL_QUERY_ROWS_H
#define RELAY_CONTROL_QUERY_ROWS_H

#include "relay/channel.h"
#include "relay/control_call.h"

struct control_row {
	uint32_t worker;
	struct channel_row row;
};

/* "link": one of them. */
const char *control_kind_text(uint32_t kind);

/* Into the body of the reply; false: no memory. */
bool control_rows_fill(struct control_call *call, enum channel_kind kind,
		       const struct control_row *rows, uint32_t count,
		       Relay__Control__Reply *reply);

/* Whose rows are missing: bit N of `silent` is worker N.  false: no memory. */
bool control_rows_tell_silent(struct control_call *call, enum channel_kind kind, uint64_t silent,
			      Relay__Control__Reply *reply);

#endif
