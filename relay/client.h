/*
 * client.h - a legacy client's connection, and the exchange that exists only while it has something
 * going on.
 *
 * An idle client is a struct client and an armed receive: no buffer.  Requests of one client are
 * served one after the other, in order.
 *
 *   OPEN -> FINISHING -> CLOSING -> (freed)
 */
#ifndef RELAY_CLIENT_H
#define RELAY_CLIENT_H

#include "relay/host.h"

#define CLIENT_STATES(X)                                                                        \
	X(CLIENT_OPEN, "open")                                                                  \
	X(CLIENT_FINISHING,                                                                     \
	  "finishing")               /* reads no more; answers what is complete, then closes */ \
	X(CLIENT_CLOSING, "closing") /* waits for its operations to end */

enum client_state {
#define X(name, text) name,
	CLIENT_STATES(X)
#undef X
};

/* Kept small: tens of thousands of them may be idle. */
struct client {
	struct uring_op recv; /* recv.fd is the connection */
	struct host *host;
	struct exchange *exchange; /* NULL = idle */
	LIST_ENTRY(client) entry;
	enum client_state state;
	uint32_t requests;
	uint64_t number; /* of the worker's; for the operator */
	uint64_t accepted_at;
};

struct exchange {
	TAILQ_ENTRY(exchange) dirty_entry;
	struct client *client; /* NULL: it left while the request was in flight */
	struct worker *worker;
	struct request request;
	struct buffer in;  /* read, not yet requested */
	size_t scanned;    /* of it known to hold no LF */
	struct buffer out; /* replies not yet sent */
	struct uring_send send;
	struct uring_op writable;
	struct uring_timer stalled; /* armed while the client does not read */
	bool dirty;                 /* in worker->dirty_exchanges */
	bool gathering;             /* client->recv, while in flight, writes into `in` */
};

/* Takes over the connection; closes it if there is no memory. */
void client_accept(struct host *host, int fd);

/* Sends replies; called at the end of the turn for dirty exchanges. */
void client_flush(struct exchange *exchange);

/* Reads no more; closes when what is under way is answered.  A leaving host starts no further
 * request. */
void client_finish(struct client *client);

/* Closes at once. */
void client_close(struct client *client);

const char *client_state_text(enum client_state state);

#endif
