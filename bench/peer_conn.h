/*
 * peer_conn.h - one connection of relay-peer: handshake, requests in, replies out in order.
 */
#ifndef BENCH_PEER_CONN_H
#define BENCH_PEER_CONN_H

#include "bench/bytes.h"
#include "bench/peer_options.h"
#include "bench/peer_reply.h"
#include "bench/transcript.h"
#include "bench/wakes.h"

#include <sys/queue.h>

#define CONN_STATES(X)                                                             \
	X(CONN_INIT, "init") /* waits for init */                                  \
	X(CONN_ECHO, "echo") /* waits for its challenge */                         \
	X(CONN_OPEN, "open") /* `ok` was said, ekey not yet asked */               \
	X(CONN_READY, "ready")                                                     \
	X(CONN_MUTE, "mute")     /* reads everything, answers nothing more */      \
	X(CONN_ENDING, "ending") /* what is queued still leaves, then it closes */ \
	X(CONN_LINGER, "linger") /* shut for writing, waits for the other side */  \
	X(CONN_DEAD, "dead")     /* freed at the end of the turn */

enum conn_state {
#define X(name, text) name,
	CONN_STATES(X)
#undef X
};

/* A reply that is not to leave yet. */
struct pending {
	STAILQ_ENTRY(pending) next;
	uint64_t due_ns;
	uint64_t dribble_ns; /* 0: in one piece */
	enum ending ending;
	size_t sent;
	size_t len;
	uint8_t data[];
};

STAILQ_HEAD(pending_queue, pending);
LIST_HEAD(conn_list, conn);

/* Random bytes that nobody has had yet. */
struct random_pool {
	uint8_t bytes[4096];
	size_t left;
};

/* What all connections share. */
struct peer {
	const struct peer_options *options;
	int epoll_fd;
	uint64_t now_ns;  /* the time of this turn */
	uint64_t rate_ns; /* when the next request may be served */
	uint64_t connections;
	uint64_t requests;
	struct wakes wakes;
	struct transcript transcript;
	struct reply_scratch scratch;
	struct bytes line;    /* a reply that still goes into a redis reply */
	struct bytes reply;   /* a reply on its way to its connection */
	struct bytes receive; /* what one read brought */
	struct random_pool random;
	struct conn_list conns;
	struct conn_list dead;
};

struct conn {
	struct peer *peer;
	LIST_ENTRY(conn) link;
	int fd;
	uint32_t events; /* what epoll watches */
	enum conn_state state;
	enum refusal refusal;
	enum ending ending; /* due as soon as `out` is empty */
	bool input_ended;   /* the other side sends no more */
	uint64_t number;
	uint64_t answered;
	uint64_t busy_ns;   /* until when `work` keeps it busy */
	uint64_t active_ns; /* the last traffic */
	struct wake wake;
	struct bytes in; /* what could not be handled yet; usually empty */
	size_t scanned;  /* bytes of it known to hold no LF */
	struct bytes out;
	struct pending_queue queue;
	size_t queued_bytes;
	struct transcript_sides sides;
	struct wire_span challenge;
	struct wire_span build_key;
	char random_challenge[32];
	char random_key[32];
	struct idea_key key;
};

/* Takes the descriptor over. */
void conn_new(struct peer *peer, int fd);

/* epoll reported `events`. */
void conn_on_events(struct conn *conn, uint32_t events);

/* Its wake is due. */
void conn_on_wake(struct conn *conn);

/* Ends a connection; its memory stays until conn_bury. */
void conn_kill(struct conn *conn, const char *event);

/* Frees the connections that died in this turn; the number of them. */
size_t conn_bury(struct peer *peer);

/* For peer_send.c and peer_conn.c. */
void conn_set_state(struct conn *conn, enum conn_state next);

/* Queues, or appends to `out`, what answers a request; no tricks (NULL) for a step of the
 * handshake. */
void conn_send(struct conn *conn, struct wire_span bytes, const struct tricks *tricks,
	       enum ending ending);

/* Whether so much waits to be sent that no more requests should be taken. */
bool conn_congested(const struct conn *conn);

/* Moves what is due into `out`, gives `out` to the socket, and ends the connection if that is due.
 */
void conn_flush(struct conn *conn);

/* Forgets all that was to be sent. */
void conn_drop_output(struct conn *conn);

#endif
