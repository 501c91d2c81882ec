/*
 * uring_ops.c - operations: each fills one entry of the submission queue, which the turn hands to
 * the kernel.  Owns nothing.
 */
#include "uring/uring_internal.h"

#include "uring/dgram.h"

#include <assert.h>
#include <stdlib.h>

static struct io_uring_sqe *
next_sqe(struct uring *u)
{
	struct io_uring_sq *sq = &u->ring.sq;

	if (sq->sqe_tail - io_uring_smp_load_acquire(sq->khead) == sq->ring_entries &&
	    uring_submit_all(u) != 0)
		abort(); /* the kernel takes nothing any more: only a restart mends that */
	struct io_uring_sqe *sqe = &sq->sqes[sq->sqe_tail & sq->ring_mask];
	sq->sqe_tail++;
	u->stats.sqes++;
	return sqe;
}

static void
mark(struct uring_op *op, enum op_kind kind, int fd)
{
	assert(!op->in_flight && op->done != NULL);
	op->fd = fd;
	op->kind = (uint8_t)kind;
	op->flags = 0;
	op->in_flight = true;
}

static struct io_uring_sqe *
start(struct uring *u, struct uring_op *op, enum op_kind kind, int fd)
{
	mark(op, kind, fd);
	return next_sqe(u);
}

void
uring_accept(struct uring *u, struct uring_op *op, int listener)
{
	struct io_uring_sqe *sqe = start(u, op, OP_ACCEPT, listener);

	io_uring_prep_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
	sqe->user_data = (uintptr_t)op;
}

/* Only its shape is looked at, and the kernel keeps a copy. */
static struct msghdr *
shape_of(const struct uring_op *op)
{
	static struct msghdr plain = { .msg_namelen = DGRAM_NAME };
	static struct msghdr local = { .msg_namelen = DGRAM_NAME, .msg_controllen = DGRAM_CONTROL };

	return op->kind == OP_DGRAM_LOCAL ? &local : &plain;
}

void
uring_submit_recv(struct uring *u, struct uring_op *op)
{
	struct io_uring_sqe *sqe = next_sqe(u);

	if (uring_op_is_dgram(op)) {
		io_uring_prep_recvmsg_multishot(sqe, op->fd, shape_of(op), 0);
	} else {
		io_uring_prep_recv(sqe, op->fd, NULL, 0, 0);
		sqe->ioprio |= IORING_RECV_MULTISHOT;
	}
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = uring_op_is_dgram(op) ? DGRAM_GROUP : BUFFER_GROUP;
	sqe->user_data = (uintptr_t)op;
}

void
uring_recv(struct uring *u, struct uring_op *op, int fd)
{
	mark(op, OP_RECV, fd);
	uring_submit_recv(u, op);
}

void
uring_recv_into(struct uring *u, struct uring_op *op, int fd, void *at, size_t len)
{
	assert(len > 0 && len <= INT32_MAX);
	struct io_uring_sqe *sqe = start(u, op, OP_RECV_INTO, fd);

	io_uring_prep_recv(sqe, fd, at, len, 0);
	sqe->user_data = (uintptr_t)op;
}

unsigned
uring_dgram_size(const struct uring *u)
{
	return u->dgram_size;
}

void
uring_dgram_recv(struct uring *u, struct uring_op *op, int fd, bool local)
{
	mark(op, local ? OP_DGRAM_LOCAL : OP_DGRAM, fd);
	uring_submit_recv(u, op);
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
