/*
 * uring_setup.c - making the ring and ending it: its size, its provided buffers, what it may do.
 */
#include "uring/uring_internal.h"

#include "uring/dgram.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Newer than the distribution's header: wait without being counted as waiting for a disk. */
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif

enum {
	ENTRIES_MIN = 64,
	CQ_FACTOR = 4, /* completions per submission slot before the kernel has to allocate */
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

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
 * operations of uring_ops.c.  All registering is over: none is allowed.
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
	u->now = uring_clock(u);
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

bool
uring_iowait(const struct uring *u)
{
	return (u->enter_flags & IORING_ENTER_NO_IOWAIT) == 0;
}
