/*
 * gather.h - how the rest of a long line is received.
 *
 * Most lines lie whole in a buffer that the ring provides and are never copied.  What is longer
 * than a turn's share of those is received straight into the buffer in which it is gathered, until
 * its end is there.
 */
#ifndef RELAY_GATHER_H
#define RELAY_GATHER_H

#include "relay/buffer.h"
#include "uring/uring.h"

/* A line whose beginning is so long makes its rest worth a receive of its own.  Shorter ones mostly
 * come in one turn: changing over would only cost.  The worker's gather_min. */
#define GATHER_MIN (128u * 1024)

/* Asked for at a time, as far as there is room; and the least room that is made for it.  What lies
 * behind the line comes along, so it bounds how far a client gets ahead. */
#define GATHER_MAX  (256u * 1024)
#define GATHER_ROOM (64u * 1024)

/*
 * Starts a receive that ends by itself and writes behind the tail of `line`; its callback gets no
 * data and calls buffer_grow().  Until then the buffer may neither grow nor go.  false: there is no
 * memory for it, nothing happened.
 */
bool gather_recv(struct uring *ring, struct uring_op *recv, int fd, struct buffer *line,
		 struct memory *memory);

#endif
