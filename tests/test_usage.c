/*
 * test_usage.c - what processes used, and what of it lies between two readings.
 */
#include "bench/usage.h"

#include <criterion/criterion.h>
#include <unistd.h>

Test(usage, own_process_is_read)
{
	struct usage u;

	cr_assert(usage_read(getpid(), &u));
	cr_assert_gt(u.rss, 0);
	cr_assert_gt(u.start, 0);
}

Test(usage, no_process_is_told)
{
	struct usage u;

	cr_assert_not(usage_read(-1, &u));
}

/* Three readings: 100 in the window, 1000 between its parts, 10 in the next part. */
Test(usage, what_was_used_between_parts_does_not_count)
{
	struct usage begin = {
		.run_ns = 5, .user_ns = 6, .system_ns = 7, .voluntary = 8, .involuntary = 9
	};
	struct usage end = { .run_ns = 105,
			     .user_ns = 106,
			     .system_ns = 107,
			     .voluntary = 108,
			     .involuntary = 109 };
	struct usage resumed = { .run_ns = 1105,
				 .user_ns = 1106,
				 .system_ns = 1107,
				 .voluntary = 1108,
				 .involuntary = 1109 };
	const struct usage last = { .run_ns = 1115,
				    .user_ns = 1116,
				    .system_ns = 1117,
				    .voluntary = 1118,
				    .involuntary = 1119 };

	usage_skip(&begin, &end, &resumed);
	cr_assert_eq(usage_cpu_ns(&begin, &last), 110);
	cr_assert_eq(last.user_ns - begin.user_ns, 110);
	cr_assert_eq(last.system_ns - begin.system_ns, 110);
	cr_assert_eq(last.voluntary - begin.voluntary, 110);
	cr_assert_eq(last.involuntary - begin.involuntary, 110);
}

Test(usage, thread_that_ended_moves_nothing_back)
{
	struct usage begin = { .run_ns = 50 };
	const struct usage end = { .run_ns = 100 }, resumed = { .run_ns = 70 };

	usage_skip(&begin, &end, &resumed);
	cr_assert_eq(begin.run_ns, 50);
}
