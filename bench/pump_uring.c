/*
 * pump_uring.c - the 1:1 byte pump on io_uring: receive, send, receive ... in each direction.
 *
 *     client -> flow -> peer
 *     client <- flow <- peer
 *
 * It has a ring of its own and knows nothing of uring/: a yardstick that shared the engine would
 * hide what the engine costs.  A flow always has exactly one operation in flight, until it is over.
 */
#include "bench/pump.h"

#include <err.h>
#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES 4096

enum kind {
	KIND_ACCEPT,
	KIND_CONNECT,
	KIND_RECV,
	KIND_SEND
};

/* The first member of all that the ring knows by address. */
struct op {
	enum kind kind;
};

struct acceptor {
	struct op op;
	const struct pump_route *route;
};

struct pair;

struct flow {
	struct op op;
	struct pair *pair;
	int from;
	int to;
	uint8_t *buffer;
};

struct pair {
	struct flow request;
	struct flow reply;
	unsigned over; /* flows that have ended */
};

static struct io_uring ring;

static struct io_uring_sqe *
get_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (sqe == NULL) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
	}
	if (sqe == NULL)
		errx(1, "the ring is full");
	return sqe;
}

static void
arm_accept(struct acceptor *a)
{
	struct io_uring_sqe *sqe = get_sqe();

	io_uring_prep_accept(sqe, a->route->listener, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(sqe, a);
}

static void
arm_recv(struct flow *f)
{
	struct io_uring_sqe *sqe = get_sqe();

	f->op.kind = KIND_RECV;
	io_uring_prep_recv(sqe, f->from, f->buffer, PUMP_BYTES, 0);
	/* Nothing can be there yet: a first try would be lost work. */
	sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	io_uring_sqe_set_data(sqe, f);
}

static void
arm_send(struct flow *f, size_t n)
{
	struct io_uring_sqe *sqe = get_sqe();

	f->op.kind = KIND_SEND;
	io_uring_prep_send(sqe, f->to, f->buffer, n, MSG_WAITALL | MSG_NOSIGNAL);
	io_uring_sqe_set_data(sqe, f);
}

/* An end on either side ends both flows; the last one closes. */
static void
flow_over(struct flow *f)
{
	struct pair *p = f->pair;

	if (++p->over < 2) {
		shutdown(f->from, SHUT_RDWR);
		shutdown(f->to, SHUT_RDWR);
		return;
	}
	close(f->from);
	close(f->to);
	free(p->request.buffer);
	free(p->reply.buffer);
	free(p);
}

static void
flow_init(struct flow *f, struct pair *p, int from, int to)
{
	*f = (struct flow){ .pair = p, .from = from, .to = to, .buffer = malloc(PUMP_BYTES) };
	if (f->buffer == NULL)
		err(1, "no memory");
}

static void
on_accept(struct acceptor *a, int client)
{
	struct pair *p = calloc(1, sizeof *p);
	int peer = pump_socket(a->route);

	arm_accept(a);
	if (client < 0 || p == NULL || peer < 0)
		errx(1, "a connection: %s", strerror(client < 0 ? -client : errno));
	flow_init(&p->request, p, client, peer);
	flow_init(&p->reply, p, peer, client);
	struct io_uring_sqe *sqe = get_sqe();
	p->request.op.kind = KIND_CONNECT;
	io_uring_prep_connect(sqe, peer, (const struct sockaddr *)&a->route->to, a->route->to_len);
	io_uring_sqe_set_data(sqe, &p->request);
}

static void
on_connect(struct flow *f, int res)
{
	struct pair *p = f->pair;

	if (res < 0) {
		p->over = 1; /* the other flow never began */
		flow_over(f);
		return;
	}
	arm_recv(&p->request);
	arm_recv(&p->reply);
}

static void
on_completion(struct op *op, int res)
{
	switch (op->kind) {
	case KIND_ACCEPT:
		on_accept((struct acceptor *)op, res);
		return;
	case KIND_CONNECT:
		on_connect((struct flow *)op, res);
		return;
	case KIND_RECV:
		if (res > 0)
			arm_send((struct flow *)op, (size_t)res);
		else
			flow_over((struct flow *)op);
		return;
	case KIND_SEND:
		if (res > 0)
			arm_recv((struct flow *)op);
		else
			flow_over((struct flow *)op);
		return;
	}
}

int
main(int argc, char **argv)
{
	static struct pump_route routes[PUMP_ROUTES_MAX];
	static struct acceptor acceptors[PUMP_ROUTES_MAX];
	struct io_uring_params params = {
		.flags =
		    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = 8 * ENTRIES,
	};
	struct io_uring_cqe *cqe;
	unsigned head;
	size_t count = pump_open(routes, argc, argv);
	int error = io_uring_queue_init_params(ENTRIES, &ring, &params);

	if (error != 0)
		errx(1, "io_uring: %s", strerror(-error));
	for (size_t i = 0; i < count; i++) {
		acceptors[i] = (struct acceptor){ { KIND_ACCEPT }, &routes[i] };
		arm_accept(&acceptors[i]);
	}
	for (;;) {
		unsigned seen = 0;
		error = io_uring_submit_and_wait(&ring, 1);
		if (error < 0 && error != -EINTR)
			errx(1, "io_uring: %s", strerror(-error));
		io_uring_for_each_cqe(&ring, head, cqe) {
			on_completion(io_uring_cqe_get_data(cqe), cqe->res);
			seen++;
		}
		io_uring_cq_advance(&ring, seen);
	}
}
