/*
 * fake_submit.c - the fake ring's first half: its life, what the worker asks of it, and the
 * execution of that.
 *
 * It asserts what the real ring cannot: an operation reused or its memory gone while in flight, a
 * buffer changed under a send, a descriptor closed under an operation.
 */
#include "tests/fake_ring.h"
#include "uring/dgram.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- services --------------------------------------------------------------------------------- */

struct fake_base *
fake_base(struct uring *u)
{
	return &u->base;
}

void
fake_count(struct uring *u, enum fake_event event)
{
	u->base.events[event]++;
}

uint64_t
fake_events(const struct uring *u, enum fake_event event)
{
	return u->base.events[event];
}

const char *
fake_event_text(enum fake_event event)
{
	switch (event) {
#define X(name, text) \
	case name:    \
		return text;
		FAKE_EVENTS(X)
#undef X
	case FAKE_EVENT_COUNT:
		break;
	}
	return "unknown";
}

void
fake_trace(struct uring *u, const char *format, ...)
{
	char text[256];
	va_list args;

	if (u->base.options.trace == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	u->base.options.trace(u->base.options.context, text);
}

_Noreturn void
fake_fault(struct uring *u, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (u->base.options.fault != NULL)
		u->base.options.fault(u->base.options.context, text);
	fprintf(stderr, "fake ring: %s\n", text);
	abort();
}

bool
fake_happens(struct uring *u, unsigned permille)
{
	return fake_chance(&u->base.random, permille);
}

void *
fake_grown(void *list, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return list;
	*cap = *cap == 0 ? 64 : *cap * 2;
	list = realloc(list, *cap * size);
	if (list == NULL)
		abort();
	return list;
}

/* Eight bytes at a time: every byte that is sent goes through here. */
static uint64_t
sum_of(const uint8_t *data, size_t len)
{
	uint64_t sum = len;
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		uint64_t eight;
		memcpy(&eight, data + i, 8);
		sum = (sum ^ eight) * 0x9e3779b97f4a7c15u;
		sum ^= sum >> 29;
	}
	for (; i < len; i++)
		sum = (sum ^ data[i]) * 0x100000001b3u;
	return sum;
}

uint64_t
fake_late(struct uring *u, unsigned permille)
{
	if (!fake_happens(u, permille))
		return u->now;
	fake_count(u, FAKE_DELAYED);
	return u->now + fake_below(&u->base.random, u->base.options.delay_ns);
}

/* --- life ------------------------------------------------------------------------------------- */

struct uring *
fake_new(const struct uring_options *ring, const struct fake_options *options)
{
	struct uring *u = calloc(1, sizeof *u);

	if (u == NULL)
		abort();
	u->base.options = *options;
	u->base.random.state = options->seed;
	u->kept = true;
	u->now = 1000000000u; /* not 0: "never" and "at the start" must not look alike */
	u->buffers = ring->buffers;
	u->buffer_size = ring->buffer_size;
	u->stats.entries = ring->entries;
	TAILQ_INIT(&u->flights);
	return u;
}

int
uring_new(struct uring **ring, const struct uring_options *options)
{
	struct fake_options calm = { .room_min = 4096, .room_max = 4096 };

	*ring = fake_new(options, &calm);
	(*ring)->kept = false;
	return 0;
}

/* What is still queued to be closed counts as closed: so it is when the process ends. */
static void
close_queued(struct uring *u)
{
	for (size_t i = 0; i < u->queue_count; i++) {
		if (u->queue[i].kind == ENTRY_CLOSE)
			fake_file_close(u, u->queue[i].fd);
	}
	u->queue_count = 0;
}

void
uring_free(struct uring *u)
{
	close_queued(u);
	if (!u->kept)
		fake_free(u);
}

void
fake_free(struct uring *u)
{
	struct fake_flight *flight;

	while ((flight = TAILQ_FIRST(&u->flights)) != NULL) {
		TAILQ_REMOVE(&u->flights, flight, entry);
		free(flight);
	}
	fake_net_fini(u);
	timer_heap_fini(&u->timers);
	timer_heap_fini(&u->outside);
	for (size_t i = 0; i < u->batch_count; i++)
		free(u->batch[i].data);
	free(u->batch);
	free(u->queue);
	free(u->sends.at);
	free(u->settling.at);
	free(u);
}

unsigned
fake_in_flight(const struct uring *u)
{
	return u->flights_count + (unsigned)u->sends.count;
}

unsigned
fake_armed_timers(const struct uring *u)
{
	return u->timers.count;
}

uint64_t
uring_now(const struct uring *u)
{
	return u->now;
}

/* Callbacks take no time here. */
uint64_t
uring_clock(const struct uring *u)
{
	return u->now;
}

const struct uring_stats *
uring_stats(const struct uring *u)
{
	return &u->stats;
}

bool
uring_iowait(const struct uring *u)
{
	(void)u;
	return false;
}

/* --- rules ------------------------------------------------------------------------------------ */

static struct fake_flight *
flight_of(struct uring *u, const struct uring_op *op)
{
	struct fake_flight *flight;

	TAILQ_FOREACH(flight, &u->flights, entry) {
		if (flight->op == op)
			return flight;
	}
	return NULL;
}

/* The operation's memory must still be what it was when it was started. */
void
fake_check_flight(struct uring *u, const struct fake_flight *flight)
{
	const struct uring_op *op = flight->op;

	if (!op->in_flight || op->done != flight->done || op->fd != flight->fd ||
	    op->kind != flight->kind)
		fake_fault(u, "an operation (kind %d, descriptor %d) was overwritten in flight",
			   (int)flight->kind, flight->fd);
	if (flight->kind == OP_CONNECT &&
	    memcmp(flight->address, &flight->address_copy, flight->address_len) != 0)
		fake_fault(u, "the address of a connect changed in flight");
}

void
fake_check_flights(struct uring *u)
{
	struct fake_flight *flight;

	TAILQ_FOREACH(flight, &u->flights, entry)
		fake_check_flight(u, flight);
}

void
fake_check_sending(struct uring *u, const struct fake_sending *sending)
{
	const struct uring_send *send = sending->send;

	if (!send->op.in_flight || send->op.done != sending->done || send->op.kind != OP_SEND ||
	    send->op.fd != sending->fd)
		fake_fault(u, "a send on descriptor %d was overwritten before it settled",
			   sending->fd);
	if (sum_of(sending->data, send->len) != sending->sum)
		fake_fault(u, "the bytes of a send on descriptor %d changed before it settled",
			   sending->fd);
}

/* --- submission ------------------------------------------------------------------------------- */

struct fake_entry *
fake_queue_add(struct uring *u, enum fake_entry_kind kind)
{
	/* As when the submission queue is full: what is in it goes to the kernel now. */
	if (u->queue_count > 0 && fake_happens(u, u->base.options.early_submit)) {
		fake_count(u, FAKE_EARLY_SUBMIT);
		fake_execute_all(u);
	}
	u->queue = fake_grown(u->queue, u->queue_count, &u->queue_cap, sizeof *u->queue);
	struct fake_entry *entry = &u->queue[u->queue_count++];
	*entry = (struct fake_entry){ .kind = kind };
	u->stats.sqes++;
	return entry;
}

static void
start(struct uring *u, struct uring_op *op, enum fake_op_kind kind, int fd)
{
	if (op->done == NULL)
		fake_fault(u, "an operation on descriptor %d has no callback", fd);
	if (op->in_flight)
		fake_fault(u, "an operation (kind %d, descriptor %d) is used twice", op->kind, fd);
	op->fd = fd;
	op->kind = (uint8_t)kind;
	op->flags = 0;
	op->in_flight = true;
}

static struct fake_flight *
flight_new(struct uring *u, struct uring_op *op, enum fake_op_kind kind, int fd)
{
	start(u, op, kind, fd);
	if (flight_of(u, op) != NULL)
		fake_fault(u, "an operation on descriptor %d is still held", fd);
	struct fake_flight *flight = calloc(1, sizeof *flight);
	if (flight == NULL)
		abort();
	flight->op = op;
	flight->done = op->done;
	flight->fd = fd;
	flight->kind = kind;
	flight->cancel_at = FAKE_NEVER;
	flight->ready_at = FAKE_NEVER;
	TAILQ_INSERT_TAIL(&u->flights, flight, entry);
	u->flights_count++;
	fake_queue_add(u, ENTRY_START)->flight = flight;
	return flight;
}

void
uring_accept(struct uring *u, struct uring_op *op, int listener)
{
	flight_new(u, op, OP_ACCEPT, listener);
}

void
uring_recv(struct uring *u, struct uring_op *op, int fd)
{
	flight_new(u, op, OP_RECV, fd);
}

void
uring_recv_into(struct uring *u, struct uring_op *op, int fd, void *at, size_t len)
{
	if (len == 0 || len > INT32_MAX)
		fake_fault(u, "a receive of %zu bytes", len);
	struct fake_flight *flight = flight_new(u, op, OP_RECV_INTO, fd);
	flight->into = at;
	flight->room = len;
	memset(at, 0xdd, len); /* what was there is gone */
}

void
uring_poll(struct uring *u, struct uring_op *op, int fd, unsigned events)
{
	flight_new(u, op, OP_POLL, fd)->events = events;
}

void
uring_connect(struct uring *u, struct uring_op *op, int fd, const struct sockaddr *address,
	      socklen_t address_len)
{
	struct fake_flight *flight = flight_new(u, op, OP_CONNECT, fd);

	flight->address = address;
	flight->address_len = address_len;
	memcpy(&flight->address_copy, address, address_len);
	flight->answer = (struct fake_answer){ .result = -ECONNREFUSED };
	if (u->base.options.connect != NULL)
		u->base.options.connect(u->base.options.context, address, &flight->answer);
	if (flight->answer.never)
		fake_count(u, FAKE_CONNECT_NEVER);
}

void
uring_send(struct uring *u, struct uring_send *send, int fd, const void *data, size_t len)
{
	if (len == 0 || len > INT32_MAX)
		fake_fault(u, "a send of %zu bytes", len);
	start(u, &send->op, OP_SEND, fd);
	send->len = (uint32_t)len;
	send->res = (int32_t)len;
	struct fake_sending_list *list = &u->sends;
	list->at = fake_grown(list->at, list->count, &list->cap, sizeof *list->at);
	list->at[list->count] = (struct fake_sending){
		.send = send,
		.done = send->op.done,
		.data = data,
		.sum = sum_of(data, len),
		.fd = fd,
	};
	size_t index = list->count++;
	fake_queue_add(u, ENTRY_SEND)->send = index;
	u->stats.sends++;
}

void
uring_cancel(struct uring *u, struct uring_op *op)
{
	if (!op->in_flight || op->kind == OP_SEND)
		fake_fault(u, "a cancel of what is not in flight, descriptor %d", op->fd);
	struct fake_flight *flight = flight_of(u, op);
	if (flight == NULL)
		fake_fault(u, "a cancel of an unknown operation");
	if (flight->cancelled)
		return;
	flight->cancelled = true;
	if (!flight->rearm)
		fake_queue_add(u, ENTRY_CANCEL)->flight = flight;
}

void
uring_close(struct uring *u, int fd)
{
	fake_file(u, fd, "close");
	fake_queue_add(u, ENTRY_CLOSE)->fd = fd;
}

/* Datagrams are not played. */
unsigned
uring_dgram_size(const struct uring *u)
{
	(void)u;
	return 0;
}

void
uring_dgram_recv(struct uring *u, struct uring_op *op, int fd, bool local)
{
	(void)local;
	fake_fault(u, "a receive of datagrams (%d), descriptor %d", op->in_flight, fd);
}

/* --- execution -------------------------------------------------------------------------------- */

static void
execute_send(struct uring *u, struct fake_sending *sending)
{
	struct uring_send *send = sending->send;

	fake_check_sending(u, sending);
	struct fake_file *file = fake_file(u, sending->fd, "send");
	if (file->kind != FAKE_STREAM)
		fake_fault(u, "a send on descriptor %d, which is no stream", sending->fd);
	send->res = (int32_t)fake_transmit(file->end, sending->data, send->len);
	/* Only what was not taken whole posts something that ends the wait. */
	u->posted |= send->res != (int32_t)send->len;
}

static void
execute_close(struct uring *u, int fd)
{
	struct fake_flight *flight;

	TAILQ_FOREACH(flight, &u->flights, entry) {
		if (flight->fd == fd && (!flight->final || flight->rearm))
			fake_fault(u, "descriptor %d closed under an operation (kind %d)", fd,
				   (int)flight->kind);
	}
	fake_file_close(u, fd);
}

static void
execute(struct uring *u, const struct fake_entry *entry)
{
	switch (entry->kind) {
	case ENTRY_START:
		fake_file(u, entry->flight->fd, "an operation");
		entry->flight->executed = true;
		break;
	case ENTRY_SEND:
		execute_send(u, &u->sends.at[entry->send]);
		break;
	case ENTRY_CANCEL:
		if (entry->flight != NULL) /* else it ended by itself */
			entry->flight->cancel_at = fake_late(u, u->base.options.late_cancel);
		break;
	case ENTRY_CLOSE:
		execute_close(u, entry->fd);
		break;
	}
}

void
fake_execute_all(struct uring *u)
{
	for (size_t i = 0; i < u->queue_count; i++)
		execute(u, &u->queue[i]);
	u->queue_count = 0;
}
