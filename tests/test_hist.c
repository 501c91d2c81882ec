/*
 * test_hist.c - the histogram behind every published latency: buckets, error bound, quantiles
 * against a sorted array, merging.
 */
#include "bench/hist.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* A repeatable spread over all magnitudes from 0 to about 2^43. */
static uint64_t
sample(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	uint64_t x = *state >> 20;
	return x >> (*state >> 8) % 44;
}

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

Test(hist, small_values_have_their_own_bucket)
{
	for (uint64_t v = 0; v < 2 * HIST_SUB; v++) {
		cr_assert_eq(hist_bucket(v), (size_t)v);
		cr_assert_eq(hist_bucket_low((size_t)v), v);
		cr_assert_eq(hist_bucket_high((size_t)v), v);
	}
}

Test(hist, buckets_tile_the_range)
{
	cr_assert_eq(hist_bucket_low(0), 0);
	for (size_t b = 0; b < HIST_BUCKETS; b++) {
		uint64_t low = hist_bucket_low(b), high = hist_bucket_high(b);
		cr_assert_leq(low, high);
		cr_assert_eq(hist_bucket(low), b);
		cr_assert_eq(hist_bucket(high), b);
		if (b + 1 < HIST_BUCKETS)
			cr_assert_eq(hist_bucket(high + 1), b + 1);
	}
	cr_assert_eq(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
	cr_assert_eq(hist_bucket((UINT64_C(1) << HIST_MAX_BITS) - 1), HIST_BUCKETS - 1);
}

Test(hist, buckets_are_narrower_than_one_percent)
{
	for (size_t b = 2 * HIST_SUB; b < HIST_BUCKETS - 1; b++) {
		uint64_t low = hist_bucket_low(b), high = hist_bucket_high(b);
		cr_assert_lt((high - low) * 100, low, "bucket %zu: %lu..%lu", b, low, high);
	}
}

Test(hist, empty)
{
	struct hist h;

	hist_init(&h);
	cr_assert_eq(hist_quantile(&h, 50000), 0);
	cr_assert_eq(hist_quantile(&h, 100000), 0);
	cr_assert_eq(hist_mean(&h), 0.0);
}

Test(hist, one_value_is_every_quantile)
{
	struct hist h;

	hist_init(&h);
	hist_add(&h, 123457);
	for (uint32_t q = 0; q <= 100000; q += 12500)
		cr_assert_eq(hist_quantile(&h, q), 123457);
	cr_assert_eq(h.min, 123457);
	cr_assert_eq(h.max, 123457);
}

Test(hist, quantiles_of_one_to_hundred_are_exact)
{
	struct hist h;

	hist_init(&h);
	for (uint64_t v = 100; v >= 1; v--)
		hist_add(&h, v);
	cr_assert_eq(hist_quantile(&h, 0), 1);
	cr_assert_eq(hist_quantile(&h, 1), 1);
	cr_assert_eq(hist_quantile(&h, 50000), 50);
	cr_assert_eq(hist_quantile(&h, 50001), 51);
	cr_assert_eq(hist_quantile(&h, 90000), 90);
	cr_assert_eq(hist_quantile(&h, 99000), 99);
	cr_assert_eq(hist_quantile(&h, 99900), 100);
	cr_assert_eq(hist_quantile(&h, 100000), 100);
	cr_assert_eq(hist_mean(&h), 50.5);
}

Test(hist, one_slow_value_in_a_thousand_is_above_p99_and_is_the_max)
{
	struct hist h;

	hist_init(&h);
	for (int i = 0; i < 999; i++)
		hist_add(&h, 10);
	hist_add(&h, 5000000);
	cr_assert_eq(hist_quantile(&h, 99000), 10);
	cr_assert_eq(hist_quantile(&h, 99900), 10);
	cr_assert_eq(hist_quantile(&h, 99901), 5000000);
	cr_assert_eq(h.max, 5000000);
}

Test(hist, quantiles_follow_a_sorted_array_and_never_flatter)
{
	enum {
		N = 20000
	};

	static uint64_t values[N];
	static const uint32_t parts[] = {
		1, 1000, 25000, 50000, 90000, 99000, 99900, 99990, 100000
	};
	struct hist h;
	uint64_t state = 42;

	hist_init(&h);
	for (size_t i = 0; i < N; i++) {
		values[i] = sample(&state);
		hist_add(&h, values[i]);
	}
	qsort(values, N, sizeof values[0], compare);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		size_t rank = ((size_t)N * parts[i] + 99999) / 100000;
		uint64_t truth = values[rank - 1];
		uint64_t got = hist_quantile(&h, parts[i]);
		cr_assert_geq(got, truth, "part %u: %lu < %lu", parts[i], got, truth);
		if (truth >> HIST_MAX_BITS == 0)
			cr_assert_leq(got, truth + truth / 100);
	}
	cr_assert_eq(h.min, values[0]);
	cr_assert_eq(h.max, values[N - 1]);
	cr_assert_eq(hist_quantile(&h, 100000), values[N - 1]);
}

Test(hist, values_beyond_the_range_keep_the_exact_maximum)
{
	struct hist h;

	hist_init(&h);
	hist_add(&h, 1);
	hist_add(&h, UINT64_C(1) << 50);
	cr_assert_eq(hist_quantile(&h, 100000), UINT64_C(1) << 50);
	cr_assert_eq(hist_quantile(&h, 50000), 1);
}

Test(hist, merging_equals_adding_to_one)
{
	struct hist a, b, all;
	uint64_t state = 7;

	hist_init(&a);
	hist_init(&b);
	hist_init(&all);
	for (int i = 0; i < 5000; i++) {
		uint64_t v = sample(&state);
		hist_add(i % 3 == 0 ? &a : &b, v);
		hist_add(&all, v);
	}
	hist_merge(&a, &b);
	cr_assert_eq(memcmp(&a, &all, sizeof a), 0);

	struct hist none;
	hist_init(&none);
	hist_merge(&a, &none);
	cr_assert_eq(memcmp(&a, &all, sizeof a), 0);
	hist_merge(&none, &a);
	cr_assert_eq(memcmp(&none, &all, sizeof all), 0);
}
