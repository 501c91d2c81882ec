/*
 * test_schedule.c - the rhythm of the open loop: every request has its moment, none is forgotten.
 */
#include "bench/schedule.h"

#include "bench/clock.h"

#include <criterion/criterion.h>

static struct schedule
make(uint64_t begin_ns, uint64_t rate)
{
	struct schedule s;

	schedule_init(&s, begin_ns, rate);
	return s;
}

Test(schedule, first_is_due_at_the_beginning)
{
	struct schedule s = make(5000, 10);
	uint64_t meant;

	cr_assert_eq(schedule_next_ns(&s), 5000);
	cr_assert_not(schedule_take(&s, 4999, &meant));
	cr_assert(schedule_take(&s, 5000, &meant));
	cr_assert_eq(meant, 5000);
	cr_assert_eq(schedule_next_ns(&s), 5000 + NS_PER_S / 10);
}

Test(schedule, late_taking_keeps_the_moment_it_was_meant_for)
{
	struct schedule s = make(0, 1000);
	uint64_t meant;

	for (uint64_t i = 0; i < 100; i++) {
		cr_assert(schedule_take(&s, NS_PER_S, &meant));
		cr_assert_eq(meant, i * NS_PER_MS);
	}
}

Test(schedule, rounding_never_adds_up)
{
	static const uint64_t rates[] = { 1, 3, 7, 999, 10007, 333333, 9999999 };

	for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
		struct schedule s = make(123, rates[r]);
		cr_assert_eq(schedule_at_ns(&s, rates[r] * 86400), 123 + 86400 * NS_PER_S);
		cr_assert_eq(schedule_at_ns(&s, rates[r] * 2), 123 + 2 * NS_PER_S);
		cr_assert_lt(schedule_at_ns(&s, rates[r] - 1), 123 + NS_PER_S);
	}
}

Test(schedule, moments_never_go_back)
{
	struct schedule s = make(77, 30001);

	for (uint64_t i = 0; i < 100000; i++)
		cr_assert_leq(schedule_at_ns(&s, i), schedule_at_ns(&s, i + 1));
}

/* What is behind is what could be taken: counted one by one, it must be the same number. */
Test(schedule, behind_is_the_number_that_could_be_taken)
{
	static const uint64_t rates[] = { 1, 3, 1000, 30001 };

	for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
		for (uint64_t now = 1; now < 3 * NS_PER_S; now += 97 * NS_PER_MS + 13) {
			struct schedule s = make(1000, rates[r]);
			uint64_t meant, taken = 0, behind = schedule_behind(&s, now);
			while (schedule_next_ns(&s) < now) {
				cr_assert(schedule_take(&s, now, &meant));
				taken++;
			}
			cr_assert_eq(behind, taken, "rate %lu at %lu: %lu, not %lu", rates[r], now,
				     behind, taken);
			cr_assert_eq(schedule_behind(&s, now), 0);
		}
	}
}

Test(schedule, nothing_is_behind_before_the_beginning)
{
	struct schedule s = make(NS_PER_S, 1000000);

	cr_assert_eq(schedule_behind(&s, 0), 0);
	cr_assert_eq(schedule_behind(&s, NS_PER_S), 0);
	cr_assert_eq(schedule_behind(&s, NS_PER_S + 1), 1);
}
