/*
 * wakes.c - the heap of things to happen later.  Reads no clock; owns the array, never an entry.
 */
#include "bench/wakes.h"

#include <assert.h>
#include <err.h>
#include <stdlib.h>

static void
put(struct wakes *w, size_t i, struct wake *wake)
{
	w->heap[i] = wake;
	wake->place = i + 1;
}

static void
sift_up(struct wakes *w, size_t i)
{
	struct wake *wake = w->heap[i];

	while (i > 0 && w->heap[(i - 1) / 2]->at_ns > wake->at_ns) {
		put(w, i, w->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(w, i, wake);
}

static void
sift_down(struct wakes *w, size_t i)
{
	struct wake *wake = w->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;
		if (child >= w->count)
			break;
		if (child + 1 < w->count && w->heap[child + 1]->at_ns < w->heap[child]->at_ns)
			child++;
		if (w->heap[child]->at_ns >= wake->at_ns)
			break;
		put(w, i, w->heap[child]);
		i = child;
	}
	put(w, i, wake);
}

static void
append(struct wakes *w, struct wake *wake)
{
	if (w->count == w->cap) {
		size_t cap = w->cap == 0 ? 64 : w->cap * 2;
		struct wake **heap = realloc(w->heap, cap * sizeof *heap);
		if (heap == NULL)
			err(1, "no memory for %zu timers", cap);
		w->heap = heap;
		w->cap = cap;
	}
	put(w, w->count++, wake);
}

void
wakes_set(struct wakes *w, struct wake *wake, uint64_t at_ns)
{
	wake->at_ns = at_ns;
	if (!wake_armed(wake))
		append(w, wake);
	sift_up(w, wake->place - 1);
	sift_down(w, wake->place - 1);
}

void
wakes_clear(struct wakes *w, struct wake *wake)
{
	if (!wake_armed(wake))
		return;
	size_t i = wake->place - 1;
	assert(i < w->count && w->heap[i] == wake);
	struct wake *last = w->heap[--w->count];
	wake->place = 0;
	if (last == wake)
		return;
	put(w, i, last);
	sift_up(w, i);
	sift_down(w, last->place - 1);
}

struct wake *
wakes_take_due(struct wakes *w, uint64_t now_ns)
{
	if (w->count == 0 || w->heap[0]->at_ns > now_ns)
		return NULL;
	struct wake *wake = w->heap[0];
	wakes_clear(w, wake);
	return wake;
}

uint64_t
wakes_next_ns(const struct wakes *w)
{
	return w->count == 0 ? UINT64_MAX : w->heap[0]->at_ns;
}

void
wakes_fini(struct wakes *w)
{
	free(w->heap);
	*w = (struct wakes){ 0 };
}
