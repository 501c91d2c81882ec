/*
 * uring_internal.h - what the files of the engine share; nobody else includes it.
 *
 *   uring.c         the turn: submit, wait, settle sends, call back
 *   uring_ops.c     operations, each one entry of the submission queue
 *   uring_setup.c   making the ring: its buffers, its restrictions
 *   uring_socket.c  what is asked of a socket without the ring
 */
#ifndef URING_URING_INTERNAL_H
#define URING_URING_INTERNAL_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uring/provided.h"
#include "uring/timer.h"
#include "uring/uring.h"

/* Groups of provided buffers. */
enum {
	BUFFER_GROUP = 0,
	DGRAM_GROUP = 1,
};

/* user_data: the address of an op, its lowest bit set for sends; 0 = nobody cares. */
#define TAG_SEND 1ULL

enum op_kind {
	OP_NONE,
	OP_ACCEPT,
	OP_RECV,
	OP_RECV_INTO,
	OP_SEND,
	OP_CONNECT,
	OP_POLL,
	OP_DGRAM,
	OP_DGRAM_LOCAL
};

enum op_flag {
	FLAG_CANCELLED = 1,
	FLAG_REARM = 2
};

struct completion {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

/* A list of pointers that keeps its memory. */
struct pointers {
	void **at;
	size_t count;
	size_t cap;
};

struct uring {
	struct io_uring ring; /* first: the test of its restrictions gets at it so */
	unsigned enter_flags;
	uint64_t now;
	struct timer_heap timers;
	struct uring_stats stats;

	struct provided buffers;
	struct provided datagrams; /* of datagram sockets; none if it was not asked for */
	unsigned dgram_size;       /* the longest of them */

	struct completion *batch; /* completions of this turn, copied out */
	size_t batch_count;
	size_t batch_cap;
	struct pointers sends;    /* submitted since the last settling */
	struct pointers settling; /* the same, while it is being walked */
	struct pointers rearm;    /* receives to start again */
};

/* Makes room for one more; a machine that has none left ends here. */
void uring_pointers_grow(struct pointers *list);

static inline void
pointers_add(struct pointers *list, void *pointer)
{
	if (list->count == list->cap)
		uring_pointers_grow(list);
	list->at[list->count++] = pointer;
}

static inline bool
uring_op_is_dgram(const struct uring_op *op)
{
	return op->kind == OP_DGRAM || op->kind == OP_DGRAM_LOCAL;
}

/* --- uring.c */

/* Hands everything filled so far to the kernel, without waiting.  0 or a negative errno. */
int uring_submit_all(struct uring *u);

/* --- uring_ops.c */

/* Starts a receive (op->kind says of what) that is marked as in flight, or goes on with it. */
void uring_submit_recv(struct uring *u, struct uring_op *op);

#endif
