/* test_metrics_text.c - numbers, labels and the bound of Prometheus text. */
#include <criterion/criterion.h>
#include <string.h>

#include "relay/metrics_text.h"

static void
expect(struct metrics_text *text, const char *expected)
{
	cr_assert_eq(text->len, strlen(expected));
	cr_assert_arr_eq(text->bytes, expected, text->len);
	metrics_text_fini(text);
}

Test(metrics_text, numbers)
{
	struct metrics_text text;

	metrics_text_init(&text, 100);
	metrics_text_put_number(&text, 0);
	metrics_text_put(&text, " ");
	metrics_text_put_number(&text, UINT64_MAX);
	expect(&text, "0 18446744073709551615");
}

Test(metrics_text, seconds)
{
	struct metrics_text text;

	metrics_text_init(&text, 100);
	metrics_text_put_seconds(&text, 1500000);
	metrics_text_put(&text, " ");
	metrics_text_put_seconds(&text, 1);
	metrics_text_put(&text, " ");
	metrics_text_put_seconds(&text, 10000000);
	expect(&text, "1.5 0.000001 10");
}

Test(metrics_text, labels_are_escaped)
{
	struct metrics_text text;

	metrics_text_init(&text, 100);
	metrics_text_put_label(&text, "host", "a\"b\\c\nd");
	expect(&text, "host=\"a\\\"b\\\\c\\nd\"");
}

Test(metrics_text, bound_sticks)
{
	struct metrics_text text;

	metrics_text_init(&text, 5);
	metrics_text_put(&text, "12345");
	cr_assert_not(text.full);
	metrics_text_put(&text, "6");
	cr_assert(text.full);
	expect(&text, "12345");
}
