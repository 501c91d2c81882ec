/*
 * uring.c - the engine over liburing.  Owns the ring, the provided buffers and the timer heap;
 * never owns operations, which live in their owners.
 *
 * A turn copies the completions out of the ring first.  Sends are settled from that copy before any
 * other callback runs: a send that posted nothing was taken whole (MSG_WAITALL makes a short one
 * post), so owners may reuse their buffers from then on.
 */
#include "uring/uring.h"

#include "uring/dgram.h"
#include "uring/provided.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Newer than the distribution's header: wait without being counted as waiting for a disk. */
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif

enum {
	BUFFER_GROUP = 0,
	DGRAM_GROUP = 1,
	ENTRIES_MIN = 64,
	CQ_FACTOR = 4, /* completions per submission slot before the kernel has to allocate */
	SUBMIT_RETRIES = 1000,
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* user_data: the address of an op, its lowest bit set for sends; 0 = nobody cares. */
#define TAG_SEND 1ULL

enum op_kind {
	OP_NONE,
	OP_ACCEPT,
	OP_RECV,
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

static void
pointers_add(struct pointers *list, void *pointer)
{
	if (list->count == list->cap) {
		size_t cap = list->cap == 0 ? 256 : list->cap * 2;
		void **at = realloc(list->at, cap * sizeof *at);
		if (at == NULL)
			abort(); /* eight bytes per operation in flight: the machine has nothing
				    left */
		list->at = at;
		list->cap = cap;
	}
	list->at[list->count++] = pointer;
}

static uint64_t
clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- set-up ----------------------------------------------------------------------------------- */

static int
make_ring(struct uring *u, unsigned entries)
{
	for (;; entries /= 2) {
		struct io_uring_params params = {
			.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
				 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
				 IORING_SETUP_R_DISABLED,
			.cq_entries = entries * CQ_FACTOR,
		};
		int error = io_uring_queue_init_params(entries, &u->ring, &params);
		if (error == 0) {
			u->stats.entries = params.sq_entries;
			u->enter_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
			if (params.features & IORING_FEAT_NO_IOWAIT)
				u->enter_flags |= IORING_ENTER_NO_IOWAIT;
			return 0;
		}
		if (error != -ENOMEM || entries / 2 < ENTRIES_MIN)
			return error;
	}
}

/*
 * A seccomp filter does not see what is issued through a ring, so the ring itself is bound to the
 * operations of this file.  All registering is over: none is allowed.
 */
static int
restrict_and_enable(struct io_uring *ring)
{
	static const uint8_t ops[] = { IORING_OP_ACCEPT,   IORING_OP_RECV,
				       IORING_OP_SEND,     IORING_OP_CONNECT,
				       IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
				       IORING_OP_CLOSE,    IORING_OP_RECVMSG };
	struct io_uring_restriction all[COUNT_OF(ops) + 1];

	memset(all, 0, sizeof all);
	for (size_t i = 0; i < COUNT_OF(ops); i++) {
		all[i].opcode = IORING_RESTRICTION_SQE_OP;
		all[i].sqe_op = ops[i];
	}
	all[COUNT_OF(ops)].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
	all[COUNT_OF(ops)].sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
	/* Debian's liburing declares functions for these two, but does not export them. */
	int error = io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, all,
				      COUNT_OF(all));
	return error != 0 ? error
			  : io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS,
					      NULL, 0);
}

/* All of the ring's: registering ends before it is enabled. */
static int
make_buffers(struct uring *u, const struct uring_options *options)
{
	size_t head = sizeof(struct io_uring_recvmsg_out) + DGRAM_NAME + DGRAM_CONTROL;
	int error = provided_init(&u->buffers, &u->ring, BUFFER_GROUP, options->buffers,
				  options->buffer_size);

	if (error != 0 || options->dgram_buffers == 0)
		return error;
	u->dgram_size = options->dgram_size;
	return provided_init(&u->datagrams, &u->ring, DGRAM_GROUP, options->dgram_buffers,
			     (unsigned)((options->dgram_size + head + 7) & ~(size_t)7));
}

int
uring_new(struct uring **ring, const struct uring_options *options)
{
	assert(options->buffers != 0);
	struct uring *u = calloc(1, sizeof *u);
	if (u == NULL)
		return -ENOMEM;
	u->ring.ring_fd = -1;
	int error = make_ring(u, options->entries);
	if (error == 0)
		error = make_buffers(u, options);
	if (error == 0)
		error = restrict_and_enable(&u->ring);
	if (error != 0) {
		uring_free(u);
		return error;
	}
	/* The submission array maps slot to slot for ever: publishing is then one store of the
	 * tail. */
	for (unsigned i = 0; i < u->ring.sq.ring_entries; i++)
		u->ring.sq.array[i] = i;
	u->now = clock_now();
	*ring = u;
	return 0;
}

void
uring_free(struct uring *u)
{
	if (u == NULL)
		return;
	if (u->ring.ring_fd >= 0)
		io_uring_queue_exit(&u->ring);
	provided_fini(&u->buffers);
	provided_fini(&u->datagrams);
	timer_heap_fini(&u->timers);
	free(u->batch);
	free(u->sends.at);
	free(u->settling.at);
	free(u->rearm.at);
	free(u);
}

uint64_t
uring_now(const struct uring *u)
{
	return u->now;
}

bool
uring_iowait(const struct uring *u)
{
	return (u->enter_flags & IORING_ENTER_NO_IOWAIT) == 0;
}

uint64_t
uring_clock(const struct uring *u)
{
	(void)u;
	return clock_now();
}

const struct uring_stats *
uring_stats(const struct uring *u)
{
	return &u->stats;
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

/* Hands everything filled so far to the kernel, without waiting. */
static int
submit_all(struct uring *u)
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

static struct io_uring_sqe *
next_sqe(struct uring *u)
{
	struct io_uring_sq *sq = &u->ring.sq;

	if (sq->sqe_tail - io_uring_smp_load_acquire(sq->khead) == sq->ring_entries &&
	    submit_all(u) != 0)
		abort(); /* the kernel takes nothing any more: only a restart mends that */
	struct io_uring_sqe *sqe = &sq->sqes[sq->sqe_tail & sq->ring_mask];
	sq->sqe_tail++;
	u->stats.sqes++;
	return sqe;
}

static struct io_uring_sqe *
start(struct uring *u, struct uring_op *op, enum op_kind kind, int fd)
{
	assert(!op->in_flight && op->done != NULL);
	op->fd = fd;
	op->kind = (uint8_t)kind;
	op->flags = 0;
	op->in_flight = true;
	return next_sqe(u);
}

void
uring_accept(struct uring *u, struct uring_op *op, int listener)
{
	struct io_uring_sqe *sqe = start(u, op, OP_ACCEPT, listener);

	io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = (uintptr_t)op;
}

static bool
is_dgram(const struct uring_op *op)
{
	return op->kind == OP_DGRAM || op->kind == OP_DGRAM_LOCAL;
}

/* Only its shape is looked at, and the kernel keeps a copy. */
static struct msghdr *
shape_of(const struct uring_op *op)
{
	static struct msghdr plain = { .msg_namelen = DGRAM_NAME };
	static struct msghdr local = { .msg_namelen = DGRAM_NAME, .msg_controllen = DGRAM_CONTROL };

	return op->kind == OP_DGRAM_LOCAL ? &local : &plain;
}

static void
submit_recv(struct uring *u, struct uring_op *op)
{
	struct io_uring_sqe *sqe = next_sqe(u);

	if (is_dgram(op)) {
		io_uring_prep_recvmsg_multishot(sqe, op->fd, shape_of(op), 0);
	} else {
		io_uring_prep_recv(sqe, op->fd, NULL, 0, 0);
		sqe->ioprio |= IORING_RECV_MULTISHOT;
	}
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = is_dgram(op) ? DGRAM_GROUP : BUFFER_GROUP;
	sqe->user_data = (uintptr_t)op;
}

static void
start_recv(struct uring *u, struct uring_op *op, enum op_kind kind, int fd)
{
	assert(!op->in_flight && op->done != NULL);
	op->fd = fd;
	op->kind = (uint8_t)kind;
	op->flags = 0;
	op->in_flight = true;
	submit_recv(u, op);
}

void
uring_recv(struct uring *u, struct uring_op *op, int fd)
{
	start_recv(u, op, OP_RECV, fd);
}

unsigned
uring_dgram_size(const struct uring *u)
{
	return u->dgram_size;
}

void
uring_dgram_recv(struct uring *u, struct uring_op *op, int fd, bool local)
{
	start_recv(u, op, local ? OP_DGRAM_LOCAL : OP_DGRAM, fd);
}

void
uring_send(struct uring *u, struct uring_send *send, int fd, const void *data, size_t len)
{
	assert(len > 0 && len <= INT32_MAX);
	struct io_uring_sqe *sqe = start(u, &send->op, OP_SEND, fd);

	/*
	 * All three belong together.  DONTWAIT: the send runs inside the submit or not at all, so
	 * the buffer is free afterwards.  WAITALL: a short send posts its count.  SKIP_SUCCESS: a
	 * whole one posts nothing.
	 */
	io_uring_prep_send(sqe, fd, data, len, MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = (uintptr_t)send | TAG_SEND;
	send->len = (uint32_t)len;
	send->res = (int32_t)len;
	pointers_add(&u->sends, send);
	u->stats.sends++;
}

void
uring_connect(struct uring *u, struct uring_op *op, int fd, const struct sockaddr *address,
	      socklen_t address_len)
{
	struct io_uring_sqe *sqe = start(u, op, OP_CONNECT, fd);

	io_uring_prep_connect(sqe, fd, address, address_len);
	sqe->user_data = (uintptr_t)op;
}

void
uring_poll(struct uring *u, struct uring_op *op, int fd, unsigned events)
{
	struct io_uring_sqe *sqe = start(u, op, OP_POLL, fd);

	io_uring_prep_poll_add(sqe, fd, events);
	sqe->user_data = (uintptr_t)op;
}

void
uring_cancel(struct uring *u, struct uring_op *op)
{
	assert(op->in_flight && op->kind != OP_SEND);
	if (op->flags & FLAG_CANCELLED)
		return;
	op->flags |= FLAG_CANCELLED;
	if (op->flags & FLAG_REARM)
		return; /* the kernel does not hold it at the moment; rearm_all() ends it */
	struct io_uring_sqe *sqe = next_sqe(u);
	io_uring_prep_cancel64(sqe, (uintptr_t)op, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = 0;
}

void
uring_close(struct uring *u, int fd)
{
	struct io_uring_sqe *sqe = next_sqe(u);

	io_uring_prep_close(sqe, fd);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = 0;
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
	struct provided *buffers = is_dgram(op) ? &u->datagrams : &u->buffers;

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
		if (op->kind == OP_RECV || is_dgram(op))
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
			submit_recv(u, op);
	}
	u->rearm.count = 0;
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
	return submit_all(u); /* usually nothing is left: then this makes no system call */
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
	u->now = clock_now();
	settle_sends(u);
	complete_all(u);
	rearm_all(u);
	timer_heap_expire(&u->timers, u->now);
	return 0;
}

/* --- sockets and timers ----------------------------------------------------------------------- */

int
uring_tcp_socket(struct uring *u, int family)
{
	(void)u;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Requests leave whole, once per turn: waiting for more would only add delay. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return fd;
}

bool
uring_hung_up(struct uring *u, int fd)
{
	(void)u;
	struct pollfd poll_fd = { .fd = fd, .events = 0 };
	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

void
uring_shutdown(struct uring *u, int fd)
{
	(void)u;
	shutdown(fd, SHUT_WR); /* of one that is gone by now: that shows in its receive */
}

void
uring_reset(struct uring *u, int fd)
{
	const struct linger none = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	uring_close(u, fd);
}

void
uring_peer(struct uring *u, int fd, uint32_t *uid, uint32_t *pid)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	(void)u;
	*uid = UINT32_MAX;
	*pid = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return;
	/* Somebody of another container has a user, but no pid that could be told here. */
	*uid = peer.uid;
	*pid = peer.pid > 0 ? (uint32_t)peer.pid : 0;
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
