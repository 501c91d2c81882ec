/*
 * histogram.c - see histogram.h.  The readers' side; adding is inline.
 */
#include "relay/histogram.h"

uint64_t
histogram_bound_us(size_t bucket)
{
	if (bucket >= HISTOGRAM_BOUNDS)
		return UINT64_MAX;
	return UINT64_C(1) << (HISTOGRAM_FIRST_SHIFT + bucket);
}

void
histogram_read(const struct histogram *histogram, struct histogram_copy *sum)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		sum->count[i] += atomic_load_explicit(&histogram->count[i], memory_order_relaxed);
	sum->sum_us += atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
}

uint64_t
histogram_total(const struct histogram_copy *copy)
{
	uint64_t total = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += copy->count[i];
	return total;
}
