/*
 * datagram_list.h - the clients with a session, as rows for control.
 */
#ifndef RELAY_DATAGRAM_LIST_H
#define RELAY_DATAGRAM_LIST_H

#include "relay/worker.h"

/*
 * Rows from the place in the query on; fills in the place to go on from, CHANNEL_HOSTS_ALL behind
 * the last one.  In no order that means anything: sessions that begin or end meanwhile may be
 * missing, none is there twice.
 */
void datagram_list(const struct worker *worker, const struct channel_query *query,
		   struct channel_rows *rows);

#endif
