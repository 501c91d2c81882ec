/*
 * stats_words.h - what all statistics of a worker are made of: 64-bit words in memory that one
 * process writes and others read.
 *
 * A word is never torn, so most of them need no more than relaxed loads and stores.  What must be
 * seen together (a block changes hands) is a change: readers that meet one read again.
 */
#ifndef RELAY_STATS_WORDS_H
#define RELAY_STATS_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/histogram.h"

static inline uint64_t
stats_get(const _Atomic uint64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

/* --- the writer ------------------------------------------------------------------------------- */

static inline void
stats_set(_Atomic uint64_t *number, uint64_t value)
{
	atomic_store_explicit(number, value, memory_order_relaxed);
}

static inline void
stats_count(_Atomic uint64_t *number)
{
	histogram_bump(number, 1);
}

static inline void
stats_uncount(_Atomic uint64_t *number)
{
	histogram_bump(number, (uint64_t)-1);
}

void stats_words_clear(_Atomic uint64_t *words, size_t count);

/* Of `count` ways to end: what began and has not ended did so in the way of ends[at]. */
void stats_words_bury(_Atomic uint64_t *ends, size_t count, size_t at, uint64_t began);

/* Until stats_change_end() readers try again.  One that a crash left open goes on. */
void stats_change_begin(_Atomic uint64_t *sequence);
void stats_change_end(_Atomic uint64_t *sequence);

/* --- readers ---------------------------------------------------------------------------------- */

uint64_t stats_words_sum(const _Atomic uint64_t *words, size_t count);

/* Word by word, in their order; `to` is the caller's own. */
void stats_words_add(_Atomic uint64_t *to, const _Atomic uint64_t *from, size_t count);

/*
 * To read what changes hold together, a bounded number of times:
 *
 *   struct stats_reading reading = { .sequence = ... };
 *   while (stats_read(&reading))
 *           copy it anew;
 */
struct stats_reading {
	const _Atomic uint64_t *sequence;
	uint64_t began;
	unsigned tries;
	bool whole; /* afterwards; false: there was a change each time, the last copy may be half */
};

bool stats_read(struct stats_reading *reading);

#endif
