/*
 * link.h - one TCP connection to a peer's lond: connect, handshake, requests in flight, replies in
 * order.
 *
 *   CONNECTING -> HANDSHAKE -> READY <-> FULL
 *        \            \          \       /
 *         \            \        RETIRING        takes nothing new, ends when empty
 *          `------------`---------`-----> CLOSING -> (freed)
 *
 * A link on which anything timed out, broke or came out of order is closed and never used again.
 */
#ifndef RELAY_LINK_H
#define RELAY_LINK_H

#include "relay/buffer.h"
#include "relay/host.h"
#include "relay/link_reason.h"
#include "relay/request.h"
#include "relay/tls.h"
#include "uring/uring.h"
#include "wire/idea.h"
#include "wire/lond.h"

#define LINK_STATES(X)                                                            \
	X(LINK_CONNECTING, "connecting")                                          \
	X(LINK_HANDSHAKE, "handshake")                                            \
	X(LINK_READY, "ready")       /* has room for a request; in host->ready */ \
	X(LINK_FULL, "full")         /* usable, but no room now */                \
	X(LINK_RETIRING, "retiring") /* finishes what is in flight */             \
	X(LINK_CLOSING, "closing")   /* waits for its operations to end */

enum link_state {
#define X(name, text) name,
	LINK_STATES(X)
#undef X
};

struct link {
	TAILQ_ENTRY(link) entry; /* of host->ready (READY) or host->others (all else) */
	TAILQ_ENTRY(link) dirty_entry;
	struct host *host;
	struct courier *courier; /* set: a link for delayed messages alone, not in the pool */
	enum link_state state;
	bool dirty; /* in worker->dirty_links */
	int fd;
	uint32_t generation;
	uint64_t number;               /* of the worker's; for the operator */
	union resolve_address address; /* of its own: the host's may change while it connects */
	uint64_t round_since; /* its part of the time of this round of attempts is 1 / round_left */
	uint32_t round_left;
	struct uring_op connect;
	struct uring_op recv;
	struct uring_op writable;
	struct uring_send send;
	struct uring_timer timer;

	struct lond lond;
	struct idea_key key;
	struct buffer in;   /* an incomplete line */
	size_t scanned;     /* of it known to hold no LF */
	bool gathering;     /* recv, while in flight, writes into `in` */
	struct buffer out;  /* not yet given to the socket */
	uint64_t out_given; /* stream offset of out's head: bytes that the socket took */

	struct tls_session *tls; /* NULL = there is none; in link_tls.c: */
	size_t sealed;           /* of out, from its head: waits as ciphertext */
	bool sealed_given;       /* of that the socket took some */

	struct request_list in_flight; /* oldest first */
	uint32_t in_flight_count;
	uint64_t opened_at;
	uint64_t ready_at; /* 0 = never was */
	uint64_t used_at;  /* last reply, or when it became ready */
	uint64_t answered;
};

/*
 * Begins to connect; for the pool, or for `courier` if that is not NULL; as a part of its round of
 * attempts.  NULL: nothing was opened; errno says why.
 */
struct link *link_open(struct host *host, struct courier *courier, struct host_round *round);

/*
 * Writes a request (line without LF) into the output and puts it in flight.  The link must be
 * READY. false = no memory; nothing happened.  `whole`: the buffer that holds this line and nothing
 * else, which may be taken over (then it is empty afterwards); or NULL.
 */
bool link_take(struct link *link, struct request *request, struct wire_span line,
	       struct buffer *whole);

/* Sends what is in the output; called at the end of the turn for dirty links. */
void link_flush(struct link *link);

/* The settings of its host have changed. */
void link_on_settings(struct link *link);

/* Takes no new requests; closes now or when the last reply is in. */
void link_retire(struct link *link);

/*
 * Closes a link that failed.  What is in flight ends as lost (or with its own clock's result)
 * unless none of its bytes were given to the socket: that goes back to the head of the queue.
 * `why` has more words than the reason.
 */
void link_close(struct link *link, enum link_reason reason, const char *why);

/* Closes a link that is not needed (idle, retired, stopped); nothing is held against the peer. */
void link_dismiss(struct link *link, enum link_reason reason);

const char *link_state_text(enum link_state state);

#endif
