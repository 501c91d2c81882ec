/*
 * timer.h - timers of one ring: a binary heap, one entry per armed timer, no allocation per
 * operation.
 *
 * The ring waits for the earliest one; the fake ring of the tests uses the same heap on virtual
 * time.
 */
#ifndef URING_TIMER_H
#define URING_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uring_timer {
	void (*due)(struct uring_timer *timer); /* called once, disarmed before the call */
	uint64_t at;                            /* nanoseconds; meaningful while armed */
	uint32_t slot;                          /* place in the heap + 1; 0 = not armed */
};

struct timer_heap {
	struct uring_timer **timers;
	uint32_t count;
	uint32_t cap;
	uint64_t floor; /* what callbacks of timer_heap_expire arm is due at this time at the
			   earliest, 0 outside */
};

void timer_heap_fini(struct timer_heap *heap);

/* Arms the timer, or moves it if it was armed. */
void timer_heap_set(struct timer_heap *heap, struct uring_timer *timer, uint64_t at);

/* Disarms it; nothing happens if it was not armed. */
void timer_heap_clear(struct timer_heap *heap, struct uring_timer *timer);

/* The earliest deadline, UINT64_MAX if none. */
uint64_t timer_heap_next(const struct timer_heap *heap);

/*
 * Runs every timer due at `now`.  What a callback arms for `now` or before is due just after `now`:
 * it waits for a later call.
 */
void timer_heap_expire(struct timer_heap *heap, uint64_t now);

static inline bool
uring_timer_armed(const struct uring_timer *timer)
{
	return timer->slot != 0;
}

#endif
