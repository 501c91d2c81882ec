/*
 * fake_uring.c - uring/uring.h in memory, on virtual time: the same contract as the engine, plus
 * everything that a kernel may do and seldom does.
 *
 * A turn: what was submitted is executed in order; the outside runs until something completes;
 * sends are settled; all other callbacks follow, in random order between operations; then timers.
 */
#include "tests/fake_ring.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* --- what can complete ------------------------------------------------------------------------ */

static struct fake_completion *
complete(struct uring *u, struct fake_flight *flight, int res)
{
	u->batch = fake_grown(u->batch, u->batch_count, &u->batch_cap, sizeof *u->batch);
	struct fake_completion *c = &u->batch[u->batch_count++];
	*c = (struct fake_completion){ .flight = flight, .res = res };
	return c;
}

static void
complete_final(struct uring *u, struct fake_flight *flight, int res)
{
	flight->final = true;
	complete(u, flight, res)->final = true;
}

static void
complete_rearm(struct fake_flight *flight, struct fake_completion *c)
{
	flight->final = true; /* for this turn */
	c->rearm = true;
}

/* One piece of data, or how the stream ended. */
static void
produce_recv_once(struct uring *u, struct fake_flight *flight, struct fake_end *end)
{
	const struct fake_options *options = &u->base.options;
	bool data = end->to_worker.len > 0;

	if (data && (u->buffers_left == 0 || fake_happens(u, options->no_buffers))) {
		fake_count(u, FAKE_NO_BUFFERS);
		complete_rearm(flight, complete(u, flight, -ENOBUFS));
		return;
	}
	size_t cap = u->buffer_size;
	if (end->to_worker.len > 1 && fake_happens(u, options->short_read)) {
		cap = (size_t)fake_between(&u->base.random, 1, end->to_worker.len - 1);
		cap = cap > u->buffer_size ? u->buffer_size : cap;
		fake_count(u, FAKE_SHORT_READ);
	}
	uint8_t *bytes = malloc(cap);
	if (bytes == NULL)
		abort();
	ssize_t got = fake_receive(end, bytes, cap);
	if (got <= 0) {
		free(bytes);
		if (got < 0)
			fake_count(u, FAKE_RECV_RESET);
		if (flight->cancelled)
			fake_count(u, FAKE_LATE_END);
		complete_final(u, flight, (int)got);
		return;
	}
	if (flight->cancelled)
		fake_count(u, FAKE_LATE_DATA);
	u->buffers_left--;
	struct fake_completion *c = complete(u, flight, (int)got);
	/* In a block of its exact size. */
	c->data = realloc(bytes, (size_t)got);
	if (c->data == NULL)
		abort();
	if (fake_happens(u, options->recv_stopped)) {
		fake_count(u, FAKE_RECV_STOPPED);
		complete_rearm(flight, c);
	}
}

static void
produce_recv(struct uring *u, struct fake_flight *flight)
{
	struct fake_end *end = fake_file(u, flight->fd, "receive")->end;

	do {
		produce_recv_once(u, flight, end);
	} while (!flight->final && fake_receivable(end) && fake_happens(u, 600));
}

/* What is there, or how the stream ended. */
static void
produce_recv_into(struct uring *u, struct fake_flight *flight)
{
	struct fake_end *end = fake_file(u, flight->fd, "receive")->end;
	size_t cap = flight->room;

	if (end->to_worker.len > 1 && fake_happens(u, u->base.options.short_read)) {
		cap = (size_t)fake_between(&u->base.random, 1, end->to_worker.len - 1);
		cap = cap > flight->room ? flight->room : cap;
		fake_count(u, FAKE_SHORT_READ);
	}
	ssize_t got = fake_receive(end, flight->into, cap);
	if (got < 0)
		fake_count(u, FAKE_RECV_RESET);
	if (flight->cancelled)
		fake_count(u, got > 0 ? FAKE_LATE_DATA : FAKE_LATE_END);
	fake_count(u, FAKE_RECV_INTO);
	complete_final(u, flight, (int)got);
}

static void
produce_accept(struct uring *u, struct fake_flight *flight)
{
	const struct fake_options *options = &u->base.options;

	if (fake_happens(u, options->accept_emfile)) {
		fake_count(u, FAKE_ACCEPT_EMFILE);
		complete_final(u, flight, -EMFILE);
		return;
	}
	if (fake_happens(u, options->accept_aborted)) {
		fake_count(u, FAKE_ACCEPT_ABORTED);
		complete_final(u, flight, -ECONNABORTED);
		return;
	}
	if (flight->cancelled)
		fake_count(u, FAKE_LATE_ACCEPT);
	complete_final(u, flight, fake_accept(u, flight->fd));
}

static void
produce_connect(struct uring *u, struct fake_flight *flight)
{
	int result = flight->answer.result;

	if (flight->cancelled)
		fake_count(u, FAKE_LATE_CONNECT);
	if (result < 0)
		fake_count(u, FAKE_CONNECT_REFUSED);
	else
		flight->answer.connected(flight->answer.context,
					 fake_socket_connected(u, flight->fd, flight->answer.room));
	complete_final(u, flight, result);
}

static void
produce_poll(struct uring *u, struct fake_flight *flight)
{
	if (flight->cancelled)
		fake_count(u, FAKE_LATE_POLL);
	unsigned events = fake_ready(u, flight->fd) & (flight->events | POLLHUP | POLLERR);
	complete_final(u, flight, (int)events);
}

static void
produce(struct uring *u, struct fake_flight *flight)
{
	flight->ready_at = FAKE_NEVER;
	switch (flight->kind) {
	case OP_ACCEPT:
		produce_accept(u, flight);
		break;
	case OP_RECV:
		produce_recv(u, flight);
		break;
	case OP_RECV_INTO:
		produce_recv_into(u, flight);
		break;
	case OP_CONNECT:
		produce_connect(u, flight);
		break;
	case OP_POLL:
		produce_poll(u, flight);
		break;
	case OP_NONE:
	case OP_SEND:
		fake_fault(u, "an operation of no kind");
	}
}

/* Whether the operation would complete now if nothing held it up. */
static bool
has_result(struct uring *u, struct fake_flight *flight)
{
	switch (flight->kind) {
	case OP_RECV:
	case OP_RECV_INTO: {
		struct fake_file *file = fake_file(u, flight->fd, "receive");
		if (file->kind != FAKE_STREAM)
			fake_fault(u, "a receive on descriptor %d, which is no stream", flight->fd);
		return fake_receivable(file->end);
	}
	case OP_ACCEPT:
		return (fake_ready(u, flight->fd) & POLLIN) != 0;
	case OP_POLL:
		return (fake_ready(u, flight->fd) & (flight->events | POLLHUP | POLLERR)) != 0;
	case OP_CONNECT:
		return !flight->answer.never;
	case OP_NONE:
	case OP_SEND:
		break;
	}
	return false;
}

static void
gather_one(struct uring *u, struct fake_flight *flight)
{
	if (!flight->executed || flight->final || flight->rearm)
		return;
	if (!has_result(u, flight)) {
		flight->ready_at = FAKE_NEVER;
	} else if (flight->ready_at == FAKE_NEVER) {
		flight->ready_at = fake_late(u, u->base.options.delay);
		if (flight->kind == OP_CONNECT)
			flight->ready_at += flight->answer.delay_ns;
	}
	if (flight->ready_at <= u->now)
		produce(u, flight);
	if (!flight->final && flight->cancel_at <= u->now) {
		fake_count(u, FAKE_CANCELLED);
		complete_final(u, flight, -ECANCELED);
	}
}

/* Starts at a random one, so that no descriptor always comes first; reversed now and then. */
static void
gather(struct uring *u)
{
	struct fake_flight *flight = TAILQ_FIRST(&u->flights);

	for (uint64_t skip = fake_below(&u->base.random, u->flights_count); skip > 0; skip--)
		flight = TAILQ_NEXT(flight, entry);
	bool back = fake_happens(u, 300) && u->base.options.delay > 0;
	for (unsigned i = 0; i < u->flights_count; i++) {
		gather_one(u, flight);
		flight =
		    back ? TAILQ_PREV(flight, fake_flight_list, entry) : TAILQ_NEXT(flight, entry);
		if (flight == NULL)
			flight = back ? TAILQ_LAST(&u->flights, fake_flight_list)
				      : TAILQ_FIRST(&u->flights);
	}
}

/* The next moment at which a held-up completion is due. */
static uint64_t
next_due(const struct uring *u)
{
	const struct fake_flight *flight;
	uint64_t next = FAKE_NEVER;

	TAILQ_FOREACH(flight, &u->flights, entry) {
		if (flight->ready_at < next)
			next = flight->ready_at;
		if (flight->cancel_at < next)
			next = flight->cancel_at;
	}
	return next;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Lets the outside act and time pass until something completes or a timer is due. */
static void
wait(struct uring *u)
{
	for (;;) {
		while (timer_heap_next(&u->outside) <= u->now)
			timer_heap_expire(&u->outside, u->now);
		gather(u);
		if (u->batch_count > 0 || u->posted || timer_heap_next(&u->timers) <= u->now)
			break;
		uint64_t next = least(timer_heap_next(&u->outside), timer_heap_next(&u->timers));
		next = least(next, next_due(u));
		if (next == FAKE_NEVER)
			fake_fault(u, "the ring waits for ever");
		u->now = next > u->now ? next : u->now;
	}
}

/* --- callbacks -------------------------------------------------------------------------------- */

static void
settle_sends(struct uring *u)
{
	/* Callbacks may send again: they do so into the other list. */
	struct fake_sending_list done = u->sends;

	u->sends = u->settling;
	u->sends.count = 0;
	u->settling = done;
	for (size_t i = 0; i < done.count; i++)
		fake_check_sending(u, &done.at[i]);
	for (size_t i = 0; i < done.count; i++) {
		struct uring_send *send = done.at[i].send;
		if (!send->op.in_flight || send->op.done != done.at[i].done)
			fake_fault(u, "a send was overwritten before it settled");
		send->op.in_flight = false;
		if (send->res != (int32_t)send->len)
			u->stats.short_sends++;
		send->op.done(&send->op, send->res, NULL);
	}
	u->settling.count = 0;
}

static void
finish(struct uring *u, struct fake_flight *flight, int res)
{
	struct uring_op *op = flight->op;

	fake_check_flight(u, flight);
	for (size_t i = 0; i < u->queue_count; i++) {
		if (u->queue[i].flight == flight)
			u->queue[i].flight = NULL;
	}
	TAILQ_REMOVE(&u->flights, flight, entry);
	u->flights_count--;
	free(flight);
	op->in_flight = false;
	op->done(op, res, NULL);
}

static void
deliver(struct uring *u, const struct fake_completion *c)
{
	struct fake_flight *flight = c->flight;

	if (c->final) {
		finish(u, flight, c->res);
		return;
	}
	/* Before the callback, so that a cancel from inside it knows that the kernel let go. */
	flight->rearm |= c->rearm;
	if (c->res == -ENOBUFS) {
		u->stats.no_buffers++;
		return;
	}
	fake_check_flight(u, flight);
	flight->op->done(flight->op, c->res, c->data);
}

static void
complete_all(struct uring *u)
{
	for (size_t i = 0; i < u->batch_count; i++) {
		struct fake_completion c = u->batch[i];
		deliver(u, &c);
		/* The data is gone now; nobody may look at it again. */
		if (c.data != NULL)
			memset(c.data, 0xdd, (size_t)c.res);
		free(c.data);
		u->batch[i].data = NULL;
	}
	u->batch_count = 0;
}

static void
rearm_all(struct uring *u)
{
	struct fake_flight *flight;
	struct fake_flight *next;

	for (flight = TAILQ_FIRST(&u->flights); flight != NULL; flight = next) {
		next = TAILQ_NEXT(flight, entry);
		if (!flight->rearm)
			continue;
		fake_check_flight(u, flight);
		flight->rearm = false;
		flight->final = false;
		flight->executed = false;
		/* A cancel that the kernel met with nothing to cancel is over: it ends here. */
		if (flight->cancelled) {
			fake_count(u, FAKE_CANCELLED);
			finish(u, flight, -ECANCELED);
			/* The callback may have started or ended others. */
			next = TAILQ_FIRST(&u->flights);
		} else {
			fake_queue_add(u, ENTRY_START)->flight = flight;
		}
	}
}

int
uring_turn(struct uring *u)
{
	u->stats.turns++;
	u->stats.enters++;
	fake_check_flights(u);
	fake_execute_all(u);
	u->buffers_left = u->buffers;
	u->now += fake_between(&u->base.random, 1000, 20000); /* what the turn itself costs */
	wait(u);
	u->posted = false;
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
	if (family != AF_INET)
		return -EAFNOSUPPORT; /* as on a machine without IPv6 */
	if (fake_happens(u, u->base.options.socket_emfile)) {
		fake_count(u, FAKE_SOCKET_EMFILE);
		return -EMFILE;
	}
	return fake_socket(u);
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

void
fake_timer_set(struct uring *u, struct uring_timer *timer, uint64_t at)
{
	timer_heap_set(&u->outside, timer, at);
}

void
fake_timer_clear(struct uring *u, struct uring_timer *timer)
{
	timer_heap_clear(&u->outside, timer);
}
