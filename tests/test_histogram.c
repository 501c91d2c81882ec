/*
 * test_histogram.c - the bucket that is computed is the one that a search over the bounds finds;
 * what was added is what is read.
 */
#include "relay/histogram.h"

#include <criterion/criterion.h>

static size_t
search(uint64_t ns)
{
	size_t at = 0;

	while (at < HISTOGRAM_BOUNDS && ns >= histogram_bound_us(at) * 1000)
		at++;
	return at;
}

Test(histogram, bounds_grow_and_span_the_clocks)
{
	cr_assert_eq(histogram_bound_us(0), 64);
	for (size_t i = 1; i < HISTOGRAM_BOUNDS; i++)
		cr_assert_eq(histogram_bound_us(i), 2 * histogram_bound_us(i - 1));
	cr_assert_geq(histogram_bound_us(HISTOGRAM_BOUNDS - 1), UINT64_C(300000000));
	cr_assert_eq(histogram_bound_us(HISTOGRAM_BOUNDS), UINT64_MAX);
}

Test(histogram, bucket_is_the_searched_one)
{
	for (uint64_t us = 0; us < 5000; us++)
		cr_assert_eq(histogram_bucket(us * 1000), search(us * 1000), "%lu us",
			     (unsigned long)us);
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		uint64_t bound = histogram_bound_us(i) * 1000;
		cr_assert_eq(histogram_bucket(bound - 1), i);
		cr_assert_eq(histogram_bucket(bound), i + 1);
		cr_assert_eq(histogram_bucket(bound + 1), search(bound + 1));
	}
	cr_assert_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BOUNDS);
}

Test(histogram, what_is_added_is_counted)
{
	static struct histogram one;

	histogram_add(&one, 0);
	histogram_add(&one, 63999);
	histogram_add(&one, 64000);
	histogram_add(&one, UINT64_C(1) << 40);
	cr_assert_eq(one.count[0], 2);
	cr_assert_eq(one.count[1], 1);
	cr_assert_eq(one.count[2], 0);
	cr_assert_eq(one.count[HISTOGRAM_BOUNDS], 1);
	cr_assert_eq(histogram_total(&one), 4);
	cr_assert_eq(one.sum_ns, 63999 + 64000 + (UINT64_C(1) << 40));
}
