/*
 * uring.c - the turn of the engine over liburing: submit, wait, call back.  The ring owns its
 * provided buffers and the timer heap; never operations, which live in their owners.
 *
 * A turn copies the completions out of the ring first.  Sends are settled from that copy before any
 * other callback runs: a send that posted nothing was taken whole (MSG_WAITALL makes a short one
 * post), so owners may reuse their buffers from then on.
 */
#include "uring/uring_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
	SUBMIT_RETRIES = 1000,
};

void
uring_pointers_grow(struct pointers *list)
{
	size_t cap = list->cap == 0 ? 256 : list->cap * 2;
	void **at = realloc(list->at, cap * sizeof *at);

	if (at == NULL)
		abort(); /* eight bytes per operation in flight: the machine has nothing left */
	list->at = at;
	list->cap = cap;
}

/* --- clock and timers ------------------------------------------------------------------------- */

uint64_t
uring_now(const struct uring *u)
{
	return u->now;
}

uint64_t
uring_clock(const struct uring *u)
{
	struct timespec t;

	(void)u;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void
uring_timer_set(struct uring *u, struct uring_timer *timer, uint64_t at)
{
	timer_heap_set(&u->timers, timer, at);
}

void
uring_timer_clear(struct uring *u, struct uring_timer *timer)
{
	timer_heap_clear(&u->timers, timer);
}

/* --- submission ------------------------------------------------------------------------------- */

/* Makes the filled entries visible to the kernel; returns how many it has not taken yet. */
static unsigned
publish(struct uring *u)
{
	struct io_uring_sq *sq = &u->ring.sq;

	sq->sqe_head = sq->sqe_tail;
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	return sq->sqe_tail - io_uring_smp_load_acquire(sq->khead);
}

static int
enter(struct uring *u, unsigned to_submit, unsigned wait, uint64_t timeout_ns)
{
	struct __kernel_timespec timeout = {
		.tv_sec = (long long)(timeout_ns / 1000000000u),
		.tv_nsec = (long long)(timeout_ns % 1000000000u),
	};
	struct io_uring_getevents_arg arg = {
		.ts = timeout_ns == UINT64_MAX ? 0 : (uintptr_t)&timeout,
	};
	u->stats.enters++;
	return io_uring_enter2((unsigned)u->ring.enter_ring_fd, to_submit, wait, u->enter_flags,
			       (sigset_t *)(void *)&arg, sizeof arg);
}

static bool
passing(int error)
{
	return error == -EINTR || error == -ETIME || error == -EAGAIN || error == -EBUSY;
}

int
uring_submit_all(struct uring *u)
{
	for (unsigned tries = 0; tries < SUBMIT_RETRIES; tries++) {
		unsigned left = publish(u);
		if (left == 0)
			return 0;
		int result = enter(u, left, 0, 0);
		if (result < 0 && !passing(result))
			return result;
	}
	return -EBUSY;
}

static int
submit_and_wait(struct uring *u)
{
	uint64_t next = timer_heap_next(&u->timers);
	uint64_t timeout = UINT64_MAX;
	if (next != UINT64_MAX)
		timeout = next > u->now ? next - u->now : 0;
	int result = enter(u, publish(u), timeout == 0 ? 0 : 1, timeout);
	if (result < 0 && !passing(result))
		return result;
	return uring_submit_all(u); /* usually nothing is left: then this makes no system call */
}

/* --- completion ------------------------------------------------------------------------------- */

static void
copy_completions(struct uring *u)
{
	struct io_uring_cq *cq = &u->ring.cq;
	unsigned head = *cq->khead;
	unsigned tail = io_uring_smp_load_acquire(cq->ktail);

	if (u->batch_count + (tail - head) > u->batch_cap) {
		size_t cap = u->batch_count + cq->ring_entries;
		struct completion *batch = realloc(u->batch, cap * sizeof *batch);
		if (batch == NULL)
			abort(); /* losing a completion would lose its owner */
		u->batch = batch;
		u->batch_cap = cap;
	}
	for (; head != tail; head++) {
		const struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];
		u->batch[u->batch_count++] = (struct completion){
			.user_data = cqe->user_data,
			.res = cqe->res,
			.flags = cqe->flags,
		};
	}
	io_uring_smp_store_release(cq->khead, head);
}

static bool
overflowed(const struct uring *u)
{
	return (IO_URING_READ_ONCE(*u->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
}

/* Copies out all there is, also what the kernel had to keep aside: a failed send may be among it.
 */
static int
collect(struct uring *u)
{
	u->batch_count = 0;
	copy_completions(u);
	if (overflowed(u))
		u->stats.overflows++;
	while (overflowed(u)) {
		int result = enter(u, 0, 0, 0);
		if (result < 0 && !passing(result))
			return result;
		copy_completions(u);
	}
	return 0;
}

static void
settle_sends(struct uring *u)
{
	if (u->sends.count == 0)
		return;
	for (size_t i = 0; i < u->batch_count; i++) {
		const struct completion *c = &u->batch[i];
		if (c->user_data & TAG_SEND)
			((struct uring_send *)(uintptr_t)(c->user_data & ~TAG_SEND))->res = c->res;
	}
	/* Callbacks may send again: they do so into the other list. */
	struct pointers done = u->sends;
	u->sends = u->settling;
	u->settling = done;
	for (size_t i = 0; i < done.count; i++) {
		struct uring_send *send = done.at[i];
		send->op.in_flight = false;
		if (send->res != (int32_t)send->len)
			u->stats.short_sends++;
		send->op.done(&send->op, send->res, NULL);
	}
	u->settling.count = 0;
}

static void
finish(struct uring_op *op, int res)
{
	op->in_flight = false;
	op->done(op, res, NULL);
}

static void
rearm_later(struct uring *u, struct uring_op *op)
{
	op->flags |= FLAG_REARM;
	pointers_add(&u->rearm, op);
}

static void
complete_recv(struct uring *u, struct uring_op *op, const struct completion *c)
{
	bool more = (c->flags & IORING_CQE_F_MORE) != 0;
	struct provided *buffers = uring_op_is_dgram(op) ? &u->datagrams : &u->buffers;

	if (c->res > 0) {
		assert(c->flags & IORING_CQE_F_BUFFER);
		unsigned id = c->flags >> IORING_CQE_BUFFER_SHIFT;
		/* Before the callback, so that a cancel from inside it knows that the kernel let
		 * go. */
		if (!more)
			rearm_later(u, op);
		op->done(op, c->res, provided_at(buffers, id));
		provided_give(buffers, id);
		return;
	}
	if (c->flags & IORING_CQE_F_BUFFER)
		provided_give(buffers, c->flags >> IORING_CQE_BUFFER_SHIFT);
	if (more)
		return;
	if (c->res == -ENOBUFS) {
		u->stats.no_buffers++;
		rearm_later(u, op);
		return;
	}
	finish(op, c->res);
}

static void
complete_all(struct uring *u)
{
	for (size_t i = 0; i < u->batch_count; i++) {
		const struct completion *c = &u->batch[i];
		if (c->user_data == 0 || (c->user_data & TAG_SEND))
			continue;
		struct uring_op *op = (struct uring_op *)(uintptr_t)c->user_data;
		assert(op->in_flight);
		if (op->kind == OP_RECV || uring_op_is_dgram(op))
			complete_recv(u, op, c);
		else
			finish(op, c->res);
	}
}

static void
rearm_all(struct uring *u)
{
	for (size_t i = 0; i < u->rearm.count; i++) {
		struct uring_op *op = u->rearm.at[i];
		op->flags &= (uint8_t)~FLAG_REARM;
		if (op->flags & FLAG_CANCELLED)
			finish(op, -ECANCELED);
		else
			uring_submit_recv(u, op);
	}
	u->rearm.count = 0;
}

int
uring_turn(struct uring *u)
{
	u->stats.turns++;
	int error = submit_and_wait(u);
	if (error == 0)
		error = collect(u);
	if (error != 0)
		return error;
	u->now = uring_clock(u);
	settle_sends(u);
	complete_all(u);
	rearm_all(u);
	timer_heap_expire(&u->timers, u->now);
	return 0;
}

const struct uring_stats *
uring_stats(const struct uring *u)
{
	return &u->stats;
}
