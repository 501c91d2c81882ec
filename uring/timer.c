/*
 * timer.c - the binary heap behind uring_timer.  Knows no clock: the caller says what time it is.
 */
#include "uring/timer.h"

#include <assert.h>
#include <stdlib.h>

static void
place(struct timer_heap *heap, uint32_t i, struct uring_timer *timer)
{
	heap->timers[i] = timer;
	timer->slot = i + 1;
}

static void
sift_up(struct timer_heap *heap, uint32_t i)
{
	struct uring_timer *timer = heap->timers[i];

	while (i > 0) {
		uint32_t parent = (i - 1) / 2;
		if (heap->timers[parent]->at <= timer->at)
			break;
		place(heap, i, heap->timers[parent]);
		i = parent;
	}
	place(heap, i, timer);
}

static void
sift_down(struct timer_heap *heap, uint32_t i)
{
	struct uring_timer *timer = heap->timers[i];

	for (;;) {
		uint32_t child = 2 * i + 1;
		if (child >= heap->count)
			break;
		if (child + 1 < heap->count &&
		    heap->timers[child + 1]->at < heap->timers[child]->at)
			child++;
		if (timer->at <= heap->timers[child]->at)
			break;
		place(heap, i, heap->timers[child]);
		i = child;
	}
	place(heap, i, timer);
}

void
timer_heap_fini(struct timer_heap *heap)
{
	free(heap->timers);
	*heap = (struct timer_heap){ 0 };
}

static void
grow(struct timer_heap *heap)
{
	uint32_t cap = heap->cap == 0 ? 64 : heap->cap * 2;
	struct uring_timer **timers = realloc(heap->timers, cap * sizeof *timers);

	if (timers == NULL)
		abort(); /* a few bytes per link: nothing sensible is left to do */
	heap->timers = timers;
	heap->cap = cap;
}

void
timer_heap_set(struct timer_heap *heap, struct uring_timer *timer, uint64_t at)
{
	assert(timer->due != NULL);
	if (at < heap->floor)
		at = heap->floor;
	if (timer->slot == 0) {
		if (heap->count == heap->cap)
			grow(heap);
		timer->at = at;
		place(heap, heap->count++, timer);
		sift_up(heap, heap->count - 1);
		return;
	}
	uint64_t was = timer->at;
	timer->at = at;
	if (at < was)
		sift_up(heap, timer->slot - 1);
	else
		sift_down(heap, timer->slot - 1);
}

void
timer_heap_clear(struct timer_heap *heap, struct uring_timer *timer)
{
	if (timer->slot == 0)
		return;
	uint32_t i = timer->slot - 1;
	assert(heap->timers[i] == timer);
	struct uring_timer *last = heap->timers[--heap->count];
	timer->slot = 0;
	if (last == timer)
		return;
	place(heap, i, last);
	sift_up(heap, i);
	sift_down(heap, last->slot - 1);
}

uint64_t
timer_heap_next(const struct timer_heap *heap)
{
	return heap->count == 0 ? UINT64_MAX : heap->timers[0]->at;
}

void
timer_heap_expire(struct timer_heap *heap, uint64_t now)
{
	/* What callbacks arm comes after `now`: none can spin by arming itself, or keep the others
	 * from their turn. */
	heap->floor = now + 1;
	while (heap->count > 0 && heap->timers[0]->at <= now) {
		struct uring_timer *timer = heap->timers[0];
		timer_heap_clear(heap, timer);
		timer->due(timer);
	}
	heap->floor = 0;
}
