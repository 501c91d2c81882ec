/*
 * link_internal.h - what the files of a link share; nobody else includes it.
 *
 *   link.c          states, clocks
 *   link_open.c     connect, lond's handshake
 *   link_traffic.c  requests and replies
 *   link_close.c    its end
 *   link_tls.c      what stands between its socket and all that, if it is inside TLS
 */
#ifndef RELAY_LINK_INTERNAL_H
#define RELAY_LINK_INTERNAL_H

#include "relay/host.h"
#include "relay/link.h"

static inline struct worker *
link_worker(const struct link *link)
{
	return link->host->worker;
}

static inline struct memory *
link_memory(const struct link *link)
{
	return &link->host->worker->memory;
}

/* The stream offset up to which bytes may have left, in plain or as a part of ciphertext. */
static inline uint64_t
link_touched(const struct link *link)
{
	return link->out_given + (link->sealed_given ? link->sealed : 0);
}

static inline bool
link_usable(enum link_state state)
{
	return state == LINK_READY || state == LINK_FULL;
}

/* Why a link that retires ends. */
static inline enum link_reason
link_retired(const struct link *link)
{
	return link->host->hold == HOST_HOLD_DRAINING ? LINK_REASON_DRAINED : LINK_REASON_RETIRED;
}

/* --- link.c */

/* The only writer of link->state: checks the change, moves the link between its host's lists. */
void link_set_state(struct link *link, enum link_state next);

/* A new one, whose host, courier and generation are set: CONNECTING, one of its host's links. */
void link_enter(struct link *link);

/* READY or FULL, whichever is true now. */
void link_update_room(struct link *link);

/* Makes sure that the clock rings in time. */
void link_arm(struct link *link);

/* The clock rang. */
void link_on_due(struct uring_timer *timer);

/* --- link_close.c */

/* CLOSING: frees the link if none of its operations is in flight any more. */
void link_finish(struct link *link);

/* --- link_open.c */

/* Begins lond's handshake.  false = no memory. */
bool link_greet(struct link *link);
void link_on_handshake_line(struct link *link, struct wire_span line);

/* --- link_traffic.c */
void link_mark_dirty(struct link *link);
void link_on_sent(struct uring_op *op, int res, const uint8_t *data);
void link_on_writable(struct uring_op *op, int res, const uint8_t *data);
void link_on_recv(struct uring_op *op, int res, const uint8_t *data);

/* What the peer said, without TLS. */
void link_on_input(struct link *link, const uint8_t *data, size_t len);

/* --- link_tls.c, of links that have a session; each may end the link */

/* Begins it, on a link that has just connected.  false = no memory, or nothing to begin it with. */
bool link_tls_begin(struct link *link);

/* Whether it is inside the handshake of TLS: lond's has not begun. */
bool link_tls_is_beginning(const struct link *link);
void link_tls_on_input(struct link *link, const uint8_t *data, size_t len);
void link_tls_on_end(struct link *link);

/* Seals what there is and sends it; no send or wait for room is under way.  Never ends the link:
 * that is the next turn's, by its clock. */
void link_tls_flush(struct link *link);

/* Its clock is due: whether that was to end it. */
bool link_tls_on_due(struct link *link);

/* The socket took n bytes of ciphertext; whether that was all. */
bool link_tls_on_taken(struct link *link, size_t n);

/* Of a link that closes: its last words, if they would arrive. */
void link_tls_say_goodbye(struct link *link);

#endif
