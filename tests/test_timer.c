/*
 * test_timer.c - the heap of timers against a naive model, and what callbacks may do to it.
 */
#include "uring/timer.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define SEED   UINT64_C(20240229)
#define TIMERS 200
#define STEPS  20000

/* A timer, what the model knows of it, and what its callback shall do. */
struct entry {
	struct uring_timer timer;
	bool armed;
	uint64_t at;
	int calls;
	uint64_t again; /* arm again for this time */
	struct entry *clear;
	struct entry *move;
};

static struct timer_heap heap;
static struct entry entries[TIMERS];
static struct entry *order[TIMERS];
static size_t order_count;

static uint64_t
random_below(uint64_t *state, uint64_t below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % below;
}

static void
on_due(struct uring_timer *timer)
{
	struct entry *entry = (struct entry *)(void *)timer;

	cr_assert_not(uring_timer_armed(timer));
	entry->calls++;
	if (order_count < TIMERS)
		order[order_count++] = entry;
	if (entry->clear != NULL)
		timer_heap_clear(&heap, &entry->clear->timer);
	if (entry->move != NULL)
		timer_heap_set(&heap, &entry->move->timer, entry->move->at);
	if (entry->again != 0)
		timer_heap_set(&heap, timer, entry->again);
}

static void
set_up(void)
{
	for (int i = 0; i < TIMERS; i++)
		entries[i].timer.due = on_due;
}

static void
tear_down(void)
{
	timer_heap_fini(&heap);
	cr_assert_eq(heap.count, 0);
	cr_assert_null(heap.timers);
}

static void
arm(struct entry *entry, uint64_t at)
{
	entry->armed = true;
	entry->at = at;
	timer_heap_set(&heap, &entry->timer, at);
}

static uint64_t
model_next(void)
{
	uint64_t next = UINT64_MAX;

	for (int i = 0; i < TIMERS; i++)
		if (entries[i].armed && entries[i].at < next)
			next = entries[i].at;
	return next;
}

/* Everything due was called once, in the order of time, and nothing else was. */
static void
check_expired(uint64_t now)
{
	for (size_t i = 1; i < order_count; i++)
		cr_assert_leq(order[i - 1]->at, order[i]->at);
	for (int i = 0; i < TIMERS; i++) {
		bool due = entries[i].armed && entries[i].at <= now;
		cr_assert_eq(entries[i].calls, due ? 1 : 0);
		entries[i].calls = 0;
		if (due)
			entries[i].armed = false;
	}
}

TestSuite(timer, .init = set_up, .fini = tear_down);

Test(timer, random_operations)
{
	uint64_t state = SEED, now = 1000;

	cr_log_info("seed %lu", SEED);
	for (int step = 0; step < STEPS; step++) {
		struct entry *entry = &entries[random_below(&state, TIMERS)];
		switch (random_below(&state, 8)) {
		case 0:
			now += random_below(&state, 30);
			order_count = 0;
			timer_heap_expire(&heap, now);
			check_expired(now);
			break;
		case 1:
		case 2:
			entry->armed = false;
			timer_heap_clear(&heap, &entry->timer);
			break;
		default:
			arm(entry, now - 20 + random_below(&state, 500));
		}
		cr_assert_eq(timer_heap_next(&heap), model_next(), "seed %lu, step %d", SEED, step);
		cr_assert_eq(uring_timer_armed(&entry->timer), entry->armed);
	}
	order_count = 0;
	timer_heap_expire(&heap, UINT64_MAX - 1);
	check_expired(UINT64_MAX - 1);
	cr_assert_eq(timer_heap_next(&heap), UINT64_MAX);
}

Test(timer, nothing_armed)
{
	cr_assert_eq(timer_heap_next(&heap), UINT64_MAX);
	timer_heap_clear(&heap, &entries[0].timer);
	timer_heap_expire(&heap, 1000);
	cr_assert_eq(entries[0].calls, 0);
}

Test(timer, due_at_its_time_and_not_before)
{
	arm(&entries[0], 100);
	timer_heap_expire(&heap, 99);
	cr_assert_eq(entries[0].calls, 0);
	timer_heap_expire(&heap, 100);
	cr_assert_eq(entries[0].calls, 1);
	timer_heap_expire(&heap, 1000);
	cr_assert_eq(entries[0].calls, 1);
}

Test(timer, armed_again_later_by_its_callback)
{
	entries[0].again = 200;
	arm(&entries[0], 100);
	timer_heap_expire(&heap, 150);
	cr_assert_eq(entries[0].calls, 1);
	cr_assert(uring_timer_armed(&entries[0].timer));
	cr_assert_eq(timer_heap_next(&heap), 200);
	entries[0].again = 0;
	timer_heap_expire(&heap, 200);
	cr_assert_eq(entries[0].calls, 2);
	cr_assert_not(uring_timer_armed(&entries[0].timer));
}

/* One that always arms itself for the past neither spins nor keeps another from being called. */
Test(timer, armed_again_for_the_past_waits_for_a_later_call)
{
	for (int others = 0; others < 10; others++) {
		entries[0].again = 1;
		entries[0].calls = 0;
		arm(&entries[0], 1);
		for (int i = 1; i <= others; i++)
			arm(&entries[i], i % 2 == 0 ? 1000000 : 50);
		for (int call = 1; call <= 5; call++) {
			timer_heap_expire(&heap, 100 + (uint64_t)call);
			cr_assert_eq(entries[0].calls, call);
		}
		for (int i = 1; i <= others; i++) {
			cr_assert_eq(entries[i].calls, i % 2 == 0 ? 0 : 1);
			timer_heap_clear(&heap, &entries[i].timer);
			entries[i].calls = 0;
		}
		cr_assert_eq(timer_heap_next(&heap), 106, "due right after the last call");
		timer_heap_clear(&heap, &entries[0].timer);
	}
}

Test(timer, cleared_by_another_callback_is_not_called)
{
	arm(&entries[0], 1);
	arm(&entries[1], 2);
	arm(&entries[2], 3);
	entries[0].clear = &entries[1];
	timer_heap_expire(&heap, 10);
	cr_assert_eq(entries[0].calls, 1);
	cr_assert_eq(entries[1].calls, 0);
	cr_assert_eq(entries[2].calls, 1);
}

Test(timer, moved_by_another_callback)
{
	arm(&entries[0], 1);
	arm(&entries[1], 2);
	entries[0].move = &entries[1];
	entries[1].at = 50;
	timer_heap_expire(&heap, 10);
	cr_assert_eq(entries[1].calls, 0);
	cr_assert_eq(timer_heap_next(&heap), 50);
}

Test(timer, many_at_the_same_time)
{
	for (int i = 0; i < TIMERS; i++)
		arm(&entries[i], 7);
	timer_heap_expire(&heap, 6);
	check_expired(6);
	timer_heap_expire(&heap, 7);
	check_expired(7);
	cr_assert_eq(heap.count, 0);
}
