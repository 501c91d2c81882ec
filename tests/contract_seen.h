/*
 * contract_seen.h - operations that remember what came of them, and turns until something did; for
 * test_uring_contract.c.
 */
#ifndef TESTS_CONTRACT_SEEN_H
#define TESTS_CONTRACT_SEEN_H

#include <criterion/criterion.h>

#include "tests/contract_outside.h"

enum {
	BUFFERS = 8,
	BUFFER_SIZE = 256,
	BIG = 400000,
	STEPS_MAX = 20000,
	SEEN_MAX = 64
};

/* An operation that remembers what came of it. */
struct seen {
	struct uring_op op;
	struct uring_send send;
	int results[SEEN_MAX];
	unsigned count;
	uint8_t *bytes;
	size_t len;
	unsigned finals; /* callbacks that found in_flight false */
	bool cancel_self;
	struct seen *again; /* at the end: receive on this one's descriptor */
};

static struct uring *ring;
static char order[SEEN_MAX]; /* S, R, T ...: the order of callbacks */
static size_t order_len;

static void
mark(char what)
{
	cr_assert_lt(order_len, sizeof order - 1);
	order[order_len++] = what;
}

static void
on_done(struct uring_op *op, int res, const uint8_t *data)
{
	struct seen *seen = uring_container_of(op, struct seen, op);

	cr_assert_eq(seen->finals, 0, "a callback after the last one");
	cr_assert_eq(data != NULL, data != NULL && res > 0, "data without bytes");
	if (seen->count < SEEN_MAX)
		seen->results[seen->count] = res;
	seen->count++;
	if (data != NULL) {
		memcpy(seen->bytes + seen->len, data, (size_t)res);
		seen->len += (size_t)res;
		if (order_len < 4)
			mark('R');
	}
	if (seen->cancel_self && op->in_flight) {
		seen->cancel_self = false;
		uring_cancel(ring, op);
	}
	if (op->in_flight)
		return;
	seen->finals++;
	if (seen->again != NULL)
		uring_recv(ring, &seen->again->op, op->fd);
}

static void
on_sent(struct uring_op *op, int res, const uint8_t *data)
{
	struct seen *seen = uring_container_of(op, struct seen, send.op);

	cr_assert_null(data);
	cr_assert_not(op->in_flight);
	seen->results[seen->count++ % SEEN_MAX] = res;
	mark('S');
}

static struct seen *
seen_new(void)
{
	struct seen *seen = calloc(1, sizeof *seen);

	seen->bytes = malloc(BIG);
	seen->op.done = on_done;
	seen->send.op.done = on_sent;
	return seen;
}

static void
seen_free(struct seen *seen)
{
	free(seen->bytes);
	free(seen);
}

/* A clock that ends waits, so that what does not happen shows. */
struct clock {
	struct uring_timer timer;
	bool rang;
	char name;
};

static void
on_clock(struct uring_timer *timer)
{
	struct clock *clock = uring_container_of(timer, struct clock, timer);

	clock->rang = true;
	if (clock->name != 0)
		mark(clock->name);
}

static void
set_up(void)
{
	ring = far_ring(BUFFERS, BUFFER_SIZE);
	cr_assert_not_null(ring);
	order_len = 0;
	memset(order, 0, sizeof order);
}

static void
tear_down(void)
{
	far_ring_free(ring);
}

/* Turns until `count` is at least `want`. */
static void
turn_until(const unsigned *count, unsigned want)
{
	struct clock limit = { .timer.due = on_clock };

	uring_timer_set(ring, &limit.timer, uring_now(ring) + 20000000000u);
	for (unsigned i = 0; *count < want; i++) {
		cr_assert_lt(i, STEPS_MAX);
		cr_assert_not(limit.rang, "nothing happens any more");
		cr_assert_eq(uring_turn(ring), 0);
	}
	uring_timer_clear(ring, &limit.timer);
}

/* Turns for some milliseconds, for what must not happen. */
static void
turn_for(unsigned ms)
{
	struct clock limit = { .timer.due = on_clock };

	uring_timer_set(ring, &limit.timer, uring_now(ring) + ms * 1000000u);
	while (!limit.rang)
		cr_assert_eq(uring_turn(ring), 0);
}

static uint8_t *
pattern(size_t len)
{
	uint8_t *bytes = malloc(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	return bytes;
}

/* Reads all there is. */
static size_t
drain(far_end end, uint8_t *at)
{
	size_t len = 0;
	ssize_t got;

	while ((got = far_read(end, at + len, BIG - len)) > 0)
		len += (size_t)got;
	return len;
}

#endif
