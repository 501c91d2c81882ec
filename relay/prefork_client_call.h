/*
 * prefork_client_call.h - one call of relay-prefork: connect, greeting, request, status, and
 * signals passed on meanwhile.
 */
#ifndef RELAY_PREFORK_CLIENT_CALL_H
#define RELAY_PREFORK_CLIENT_CALL_H

#include "relay/prefork_client_place.h"
#include "relay/prefork_client_signals.h"
#include "wire/pfi.h"

enum prefork_end_kind {
	PREFORK_END_STATUS, /* `status` came */
	PREFORK_END_SIGNAL, /* this process is to die of `signal` */
	PREFORK_END_NOBODY, /* nobody serves there */
	PREFORK_END_FAULT,  /* `text` */
};

struct prefork_end {
	enum prefork_end_kind kind;
	uint32_t status;
	int signal;
	char text[256];
};

/*
 * Calls the service of `place` with this environment and these arguments, both ended by NULL, and
 * with descriptors 0, 1 and 2.
 *
 * A signal that usually ends a program (HUP, INT, QUIT, TERM) is passed on, and the status awaited:
 * the service says how it ends.  The same one again, 0.1 to 2 s later, ends the call, and so does
 * every one that cannot be passed on; sooner it counts as the same one, told twice (timeout(1) does
 * that).  TSTP is passed on, then this process stops; when it goes on, CONT is passed on.  A
 * service of version 1 is told of the first group by a half close, of the others not.
 */
struct prefork_end prefork_call(const struct prefork_place *place, struct prefork_signals *signals,
				char *const *environment, char *const *arguments);

#endif
