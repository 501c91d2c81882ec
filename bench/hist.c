/*
 * hist.c - the log-linear histogram.
 *
 *     value      0 .. 255          exact, bucket = value
 *     2^k ..     2^(k+1) - 1       128 buckets of 2^(k-7) values each, k = 8 .. 41
 */
#include "bench/hist.h"

#include <assert.h>
#include <string.h>

static_assert(HIST_SUB_BITS >= 1 && HIST_MAX_BITS < 64, "the shifts below are defined");

void
hist_init(struct hist *hist)
{
	memset(hist, 0, sizeof *hist);
	hist->min = UINT64_MAX;
}

size_t
hist_bucket(uint64_t value)
{
	if (value >> HIST_MAX_BITS != 0)
		return HIST_BUCKETS - 1;
	if (value < 2 * HIST_SUB)
		return (size_t)value;
	unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HIST_SUB_BITS;
	/* value >> shift lies in [HIST_SUB, 2 * HIST_SUB). */
	return shift * (size_t)HIST_SUB + (size_t)(value >> shift);
}

uint64_t
hist_bucket_low(size_t bucket)
{
	assert(bucket < HIST_BUCKETS);
	if (bucket < 2 * HIST_SUB)
		return bucket;
	unsigned shift = (unsigned)(bucket / HIST_SUB) - 1;
	return (uint64_t)(bucket - shift * (size_t)HIST_SUB) << shift;
}

uint64_t
hist_bucket_high(size_t bucket)
{
	if (bucket == HIST_BUCKETS - 1)
		return UINT64_MAX;
	return hist_bucket_low(bucket + 1) - 1;
}

void
hist_add(struct hist *hist, uint64_t value)
{
	hist->buckets[hist_bucket(value)]++;
	hist->count++;
	hist->sum += value;
	if (value < hist->min)
		hist->min = value;
	if (value > hist->max)
		hist->max = value;
}

void
hist_merge(struct hist *to, const struct hist *from)
{
	for (size_t i = 0; i < HIST_BUCKETS; i++)
		to->buckets[i] += from->buckets[i];
	to->count += from->count;
	to->sum += from->sum;
	if (from->min < to->min)
		to->min = from->min;
	if (from->max > to->max)
		to->max = from->max;
}

uint64_t
hist_quantile(const struct hist *hist, uint32_t parts)
{
	assert(parts <= 100000);
	if (hist->count == 0)
		return 0;
	/* Rank of the wanted value, rounded up and split so that no count overflows. */
	uint64_t rank = hist->count / 100000 * parts;
	rank += (hist->count % 100000 * parts + 99999) / 100000;
	if (rank == 0)
		return hist->min;
	uint64_t seen = 0;
	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		seen += hist->buckets[i];
		if (seen >= rank) {
			uint64_t high = hist_bucket_high(i);
			return high < hist->max ? high : hist->max;
		}
	}
	return hist->max;
}

double
hist_mean(const struct hist *hist)
{
	return hist->count == 0 ? 0.0 : (double)hist->sum / (double)hist->count;
}
