/*
 * histogram.c - see histogram.h.  The readers' side; adding is inline.
 */
#include "relay/histogram.h"

uint64_t
histogram_bound_us(size_t bucket)
{
	if (bucket >= HISTOGRAM_BOUNDS)
		return UINT64_MAX;
	return HISTOGRAM_FIRST_NS / 1000 << bucket;
}

uint64_t
histogram_total(const struct histogram *histogram)
{
	uint64_t total = 0;

	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += atomic_load_explicit(&histogram->count[i], memory_order_relaxed);
	return total;
}
