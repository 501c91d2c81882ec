/*
 * wakes.h - what is to happen later: a binary heap of intrusive entries, earliest first.
 *
 * `struct wake` lives inside its owner; the heap holds pointers only.  An entry knows its place, so
 * that it can be moved or taken out at the cost of a logarithm.
 */
#ifndef BENCH_WAKES_H
#define BENCH_WAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wake {
	uint64_t at_ns;
	size_t place; /* 1 + index in the heap; 0 = not armed */
};

struct wakes {
	struct wake **heap;
	size_t count;
	size_t cap;
};

static inline bool
wake_armed(const struct wake *wake)
{
	return wake->place != 0;
}

/* Arms, or moves, an entry. */
void wakes_set(struct wakes *wakes, struct wake *wake, uint64_t at_ns);

/* Disarms; harmless if it is not armed. */
void wakes_clear(struct wakes *wakes, struct wake *wake);

/* The earliest entry if it is due, disarmed, or NULL. */
struct wake *wakes_take_due(struct wakes *wakes, uint64_t now_ns);

/* When the next one is due, UINT64_MAX if none is armed. */
uint64_t wakes_next_ns(const struct wakes *wakes);

/* Frees the heap; entries still armed are forgotten. */
void wakes_fini(struct wakes *wakes);

#endif
