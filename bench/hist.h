/*
 * hist.h - a log-linear histogram: exact below 256, above that 128 buckets per power of two, so
 * that a value is known to better than 1 % over the whole range, in fixed memory and at a fixed
 * cost per value.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stddef.h>
#include <stdint.h>

#define HIST_SUB_BITS 7
#define HIST_SUB      (1u << HIST_SUB_BITS)
/* Values of 2^HIST_MAX_BITS and more share the last bucket (in ns: over 73 minutes). */
#define HIST_MAX_BITS 42
#define HIST_BUCKETS  ((HIST_MAX_BITS - HIST_SUB_BITS + 1) * HIST_SUB)

struct hist {
	uint64_t count;
	uint64_t sum;
	uint64_t min; /* exact; UINT64_MAX while empty */
	uint64_t max; /* exact */
	uint64_t buckets[HIST_BUCKETS];
};

void hist_init(struct hist *hist);
void hist_add(struct hist *hist, uint64_t value);

/* Adds all of `from` to `to`. */
void hist_merge(struct hist *to, const struct hist *from);

/* The bucket of a value, and the smallest and largest value of a bucket. */
size_t hist_bucket(uint64_t value);
uint64_t hist_bucket_low(size_t bucket);
uint64_t hist_bucket_high(size_t bucket);

/*
 * The value that at least parts / 100,000 of all values do not exceed: 50000 is the median, 99900
 * is p99.9.  Answers the upper end of the bucket, never more than the true maximum, so that it
 * never flatters.  0 if the histogram is empty.
 */
uint64_t hist_quantile(const struct hist *hist, uint32_t parts);

/* The mean, 0 if empty. */
double hist_mean(const struct hist *hist);

#endif
