/*
 * histogram.h - how often a time fell between two bounds, and the sum of all.
 *
 * The bounds are the same everywhere: 64 us, doubled up to about nine minutes, and the rest.  It
 * lives in memory that another process reads: one writer, plain 64-bit loads and stores that are
 * never torn. A reader may see a count without its sum, never half a number.  No lock, no clock.
 */
#ifndef RELAY_HISTOGRAM_H
#define RELAY_HISTOGRAM_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_FIRST_NS UINT64_C(64000)
#define HISTOGRAM_BOUNDS   24u
#define HISTOGRAM_BUCKETS  (HISTOGRAM_BOUNDS + 1) /* the last is the rest */

static_assert((HISTOGRAM_FIRST_NS << (HISTOGRAM_BOUNDS - 1)) >= UINT64_C(300000000000),
	      "the longest reply clock fits");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "counters are shared by processes");

/* Nothing but 64-bit counters: it is added up word by word. */
struct histogram {
	_Atomic uint64_t count[HISTOGRAM_BUCKETS];
	_Atomic uint64_t sum_ns; /* 100 at a time, all the time, take six years to fill it */
};

/* The only writer's way to add: a load, an add and a store, not a locked instruction. */
static inline void
histogram_bump(_Atomic uint64_t *number, uint64_t by)
{
	uint64_t old = atomic_load_explicit(number, memory_order_relaxed);

	atomic_store_explicit(number, old + by, memory_order_relaxed);
}

/* The bucket with the least bound above `ns`: the nanosecond that has begun counts in full. */
static inline uint32_t
histogram_bucket(uint64_t ns)
{
	/* One more bit at the end: zero has a highest bit too. */
	uint32_t at = 63u ^ (uint32_t)__builtin_clzll(ns / HISTOGRAM_FIRST_NS << 1 | 1);

	return at < HISTOGRAM_BOUNDS ? at : HISTOGRAM_BOUNDS;
}

static inline void
histogram_add(struct histogram *histogram, uint64_t ns)
{
	histogram_bump(&histogram->count[histogram_bucket(ns)], 1);
	histogram_bump(&histogram->sum_ns, ns);
}

/* The upper bound of a bucket; UINT64_MAX for the rest. */
uint64_t histogram_bound_us(size_t bucket);

/* Of all buckets. */
uint64_t histogram_total(const struct histogram *histogram);

#endif
