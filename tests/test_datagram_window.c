/*
 * test_datagram_window.c - the window against a list of all numbers, and requests at most once.
 */
#include <criterion/criterion.h>

#include "tests/fake_random.h"
#include "wire/datagram_window.h"

static struct datagram_window window;
static struct datagram_once once;

static enum datagram_age
mark(uint64_t number)
{
	enum datagram_age judged = datagram_window_judge(&window, number);

	cr_assert_eq(datagram_window_mark(&window, number), judged);
	return judged;
}

Test(datagram_window, zero_is_no_number)
{
	cr_assert_eq(mark(0), DATAGRAM_TOO_OLD);
	cr_assert_eq(window.top, 0);
	cr_assert_eq(mark(1), DATAGRAM_NEWEST);
	cr_assert_eq(mark(0), DATAGRAM_TOO_OLD);
	cr_assert_eq(mark(1), DATAGRAM_SEEN);
}

Test(datagram_window, edge_of_what_is_remembered)
{
	cr_assert_eq(mark(5000), DATAGRAM_NEWEST);
	cr_assert_eq(mark(5000 - DATAGRAM_WINDOW), DATAGRAM_TOO_OLD);
	cr_assert_eq(mark(5000 - DATAGRAM_WINDOW + 1), DATAGRAM_FRESH);
	cr_assert_eq(mark(5000 - DATAGRAM_WINDOW + 1), DATAGRAM_SEEN);
	cr_assert_eq(mark(5001), DATAGRAM_NEWEST);
	cr_assert_eq(mark(5000 - DATAGRAM_WINDOW + 1), DATAGRAM_TOO_OLD);
	/* The place of the one that left is that of the one that came. */
	cr_assert_eq(mark(5002), DATAGRAM_NEWEST);
	cr_assert_eq(mark(5001), DATAGRAM_SEEN);
}

Test(datagram_window, last_number_there_is)
{
	cr_assert_eq(mark(UINT64_MAX), DATAGRAM_NEWEST);
	cr_assert_eq(mark(UINT64_MAX), DATAGRAM_SEEN);
	cr_assert_eq(mark(UINT64_MAX - 1), DATAGRAM_FRESH);
	cr_assert_eq(mark(1), DATAGRAM_TOO_OLD);
}

/* All numbers that came, as they are: the slow truth. */
#define NUMBERS 20000

static bool came[NUMBERS];

static enum datagram_age
truth(uint64_t number, uint64_t top)
{
	if (number == 0 || number + DATAGRAM_WINDOW <= top)
		return DATAGRAM_TOO_OLD;
	if (number > top)
		return DATAGRAM_NEWEST;
	return came[number] ? DATAGRAM_SEEN : DATAGRAM_FRESH;
}

static void
check_show(uint64_t number, uint64_t top)
{
	struct datagram_seen seen = datagram_window_show(&window, number);

	cr_assert_eq(seen.top, number != 0 ? number : top);
	cr_assert(datagram_seen_valid(&seen));
	for (uint64_t n = seen.top > 70 ? seen.top - 70 : 0; n < seen.top; n++)
		cr_assert_eq(datagram_seen_has(&seen, n),
			     seen.top - n <= 64 && truth(n, top) == DATAGRAM_SEEN);
}

Test(datagram_window, is_a_list_of_all_numbers)
{
	struct fake_random random = { .state = 20 };
	uint64_t top = 0;

	for (unsigned i = 0; i < 30000; i++) {
		uint64_t reach = i % 100 == 0 ? 3000 : 1500;
		uint64_t from = top > 1300 ? top - 1300 : 0;
		uint64_t number = from + fake_below(&random, reach);

		if (number >= NUMBERS)
			break;
		cr_assert_eq(mark(number), truth(number, top), "number %zu, top %zu",
			     (size_t)number, (size_t)top);
		if (truth(number, top) != DATAGRAM_TOO_OLD)
			came[number] = true;
		top = number > top ? number : top;
		if (i % 16 == 0)
			check_show(i % 32 == 0 ? 0 : number, top);
	}
	cr_assert_gt(top, 5000);
}

/* --- at most once */

static enum datagram_turn
begin(uint64_t number, unsigned *slot)
{
	return datagram_once_begin(&once, number, DATAGRAM_OPEN_MAX, slot);
}

Test(datagram_once, is_run_once)
{
	unsigned slot, again = 99;

	cr_assert_eq(begin(1, &slot), DATAGRAM_RUN);
	cr_assert_eq(begin(1, &again), DATAGRAM_RUNNING);
	cr_assert_eq(again, slot);
	datagram_once_answer(&once, slot);
	again = 99;
	cr_assert_eq(begin(1, &again), DATAGRAM_ANSWERED);
	cr_assert_eq(again, slot);
	datagram_once_forget(&once, slot);
	cr_assert_eq(begin(1, &again), DATAGRAM_GONE);
	cr_assert_eq(begin(0, &again), DATAGRAM_GONE);
}

Test(datagram_once, abandoned_is_not_run_again)
{
	unsigned slot;

	cr_assert_eq(begin(1, &slot), DATAGRAM_RUN);
	datagram_once_forget(&once, slot);
	cr_assert_eq(begin(1, &slot), DATAGRAM_GONE);
}

Test(datagram_once, without_a_slot_it_may_come_again)
{
	unsigned slots[DATAGRAM_OPEN_MAX], slot;

	for (unsigned open_max = 1; open_max <= DATAGRAM_OPEN_MAX; open_max++) {
		memset(&once, 0, sizeof once);
		for (unsigned i = 0; i < open_max; i++) {
			cr_assert_eq(datagram_once_begin(&once, i + 1, open_max, &slots[i]),
				     DATAGRAM_RUN);
			cr_assert_lt(slots[i], open_max);
			for (unsigned j = 0; j < i; j++)
				cr_assert_neq(slots[i], slots[j]);
		}
		cr_assert_eq(datagram_once_begin(&once, 100, open_max, &slot), DATAGRAM_NO_SLOT);
		cr_assert_eq(datagram_once_begin(&once, 1, open_max, &slot), DATAGRAM_RUNNING);
		/* An answer that is not confirmed holds its slot. */
		datagram_once_answer(&once, slots[0]);
		cr_assert_eq(datagram_once_begin(&once, 100, open_max, &slot), DATAGRAM_NO_SLOT);
		datagram_once_forget(&once, slots[0]);
		cr_assert_eq(datagram_once_begin(&once, 100, open_max, &slot), DATAGRAM_RUN);
	}
}

Test(datagram_once, open_ones_are_known_below_the_window)
{
	unsigned slot, other;

	cr_assert_eq(begin(1, &slot), DATAGRAM_RUN);
	cr_assert_eq(begin(5000, &other), DATAGRAM_RUN);
	cr_assert_eq(begin(1, &other), DATAGRAM_RUNNING);
	cr_assert_eq(other, slot);
	datagram_once_answer(&once, slot);
	cr_assert_eq(begin(1, &other), DATAGRAM_ANSWERED);
	cr_assert_eq(begin(2, &other), DATAGRAM_GONE);
}

Test(datagram_once, numbers_of_other_kinds_are_not_run)
{
	unsigned slot;

	(void)datagram_window_mark(&once.window, 7);
	cr_assert_eq(begin(7, &slot), DATAGRAM_GONE);
	cr_assert_eq(begin(6, &slot), DATAGRAM_RUN);
}
