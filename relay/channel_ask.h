/*
 * channel_ask.h - what control asks of a worker for an operator, and the answers: parts of the
 * messages of channel.h.
 *
 * Every question has a token of control's that comes back with its answer.  The worker keeps
 * nothing of a question but a `request`: each is answered from what it is at that moment, with a
 * bounded number of rows, so that the next page is a question of its own.
 */
#ifndef RELAY_CHANNEL_ASK_H
#define RELAY_CHANNEL_ASK_H

#include <stdint.h>

#include "relay/host_settings.h"
#include "relay/limits.h"

/* Whether the requests of a host are kept from its peer: an operator's wish, kept by control. */
#define HOST_HOLDS(X)                                                                       \
	X(HOST_HOLD_KEEP, "unknown") /* C -> W: a new control process leaves it as it is */ \
	X(HOST_HOLD_NONE, "none")                                                           \
	X(HOST_HOLD_PAUSED, "paused")     /* requests wait; links stay */                   \
	X(HOST_HOLD_DRAINING, "draining") /* likewise, and what links are left finish and go */

enum host_hold {
#define X(name, text) name,
	HOST_HOLDS(X)
#undef X
};

/* What rows are about, and what a kill ends. */
enum channel_kind {
	CHANNEL_LINKS,
	CHANNEL_CLIENTS,
	CHANNEL_CALLS, /* of services: every `index` is that of a service */
	/* Clients of the message plane, by their ids: not killed; `index` is a place of the
	 * worker's. `requests` and out_bytes are the outbox, wait_us is how long it was silent. */
	CHANNEL_SESSIONS,
};

#define CHANNEL_HOSTS_ALL UINT32_MAX
#define CHANNEL_ROWS_MAX  16 /* of one message */

#define CHANNEL_CIPHER_SIZE 40

struct channel_ask {
	uint64_t token;
	uint32_t index;
};

struct channel_host_is {
	uint64_t token;
	uint32_t index;
	uint32_t known; /* 0: the worker has no such host; then all the rest is 0 too */
	uint32_t hold;  /* enum host_hold */
	uint32_t reachable;
	uint32_t links;     /* every one, closing ones too */
	uint32_t fresh;     /* usable ones made since the last reconnect or move */
	uint32_t in_flight; /* requests */
	uint32_t queued;
};

/*
 * Rows from this place on: hosts (services) in the order of their indexes; of one host links, of a
 * service calls in that of their numbers, clients the other way round, `number` the last one that
 * was told (0 = from the start).
 */
struct channel_query {
	uint64_t token;
	uint64_t number;
	uint32_t kind;
	uint32_t index;
	uint32_t all; /* go on with the hosts behind this one */
	uint32_t max; /* rows, at most; never more than CHANNEL_ROWS_MAX */
};

struct channel_row {
	uint64_t number; /* the worker's, never used again while it lives */
	uint64_t in_flight;
	uint64_t requests;
	uint64_t age_us;
	uint64_t wait_us; /* of a call: in the queue, until the service took it or until now */
	uint64_t in_bytes;
	uint64_t out_bytes;
	uint32_t state; /* enum link_state, client_state or call_state */
	uint32_t uid;   /* of a client or caller; UINT32_MAX = not known */
	uint32_t pid;
	uint32_t port;       /* of a link's peer */
	uint32_t generation; /* that has a call; 0 = none */
	uint8_t address[16];
	uint32_t address_len;       /* 4 or 16; 0 = none */
	char host[HOST_ID_MAX + 1]; /* of a call: its service's name */
	/* Of a link inside TLS, once that is ready: */
	uint32_t tls_resumed;
	uint64_t tls_expiry;                  /* of the peer's certificate, seconds since 1970 */
	char tls_cipher[CHANNEL_CIPHER_SIZE]; /* "" = not inside TLS */
	char tls_name[HOST_TLS_NAME_SIZE];    /* of the peer */
};

struct channel_rows {
	uint64_t token;
	uint64_t number; /* the place to go on from */
	uint32_t index;  /* CHANNEL_HOSTS_ALL: that was the end */
	uint32_t count;
	struct channel_row rows[CHANNEL_ROWS_MAX];
};

struct channel_kill {
	uint64_t token;
	uint64_t number;
	uint32_t kind;
	uint32_t dry_run; /* only looks */
	uint32_t found;   /* in the answer */
};

/*
 * A line for a host's peer, in a memfd, without LF.  The reply, without LF too, is written over it
 * from the start by the worker, which then sends the same message without the memfd.
 */
struct channel_request {
	uint64_t token;
	uint64_t length;    /* of the line, then of the reply */
	uint64_t reply_max; /* a longer reply is not written; `length` still says how long it was */
	uint32_t index;
	uint32_t result; /* enum request_result */
	/* W -> W: whom it is for.  Control tells each worker for itself what an index means. */
	char host[HOST_ID_MAX + 1];
};

#endif
