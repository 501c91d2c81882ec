/*
 * test_metrics_table.c - things with a label: each label once and whole, families of a member,
 * closed sets with a place for what is none of them.
 */
#include "relay/metrics_table.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <string.h>

struct thing {
	uint64_t count;
	uint64_t age_us;
};

static const struct metrics_member members[] = {
	{ "things_total", "counter", "Things.", offsetof(struct thing, count), false },
	{ "things_age_seconds", "gauge", "Their age.", offsetof(struct thing, age_us), true },
};

static struct metrics_text text;
static struct metrics_table table;

static void
begin(void)
{
	metrics_text_init(&text, 1 << 20);
	metrics_table_init(&table);
}

static void
end(void)
{
	metrics_text_fini(&text);
	metrics_table_fini(&table);
}

TestSuite(metrics_table, .init = begin, .fini = end);

static void
expect(const char *wanted)
{
	cr_assert_eq(text.len, strlen(wanted), "%.*s", (int)text.len, text.bytes);
	cr_assert_eq(memcmp(text.bytes, wanted, text.len), 0, "%.*s", (int)text.len, text.bytes);
}

Test(metrics_table, writes_a_family_for_all)
{
	const struct thing a = { .count = 3, .age_us = 1500000 };
	const struct thing b = { .count = 4, .age_us = 0 };

	metrics_table_add(&table, "thing", "a\"b", &a);
	metrics_table_add_worker(&table, 7, &b);
	metrics_table_write(&text, &table, members, 2);
	expect("# HELP things_total Things.\n# TYPE things_total counter\n"
	       "things_total{thing=\"a\\\"b\"} 3\nthings_total{worker=\"7\"} 4\n"
	       "# HELP things_age_seconds Their age.\n# TYPE things_age_seconds gauge\n"
	       "things_age_seconds{thing=\"a\\\"b\"} 1.5\nthings_age_seconds{worker=\"7\"} 0\n");
}

Test(metrics_table, writes_the_only_one_without_a_label)
{
	const struct thing only = { .count = 1 };

	metrics_table_add(&table, NULL, NULL, &only);
	metrics_table_sample(&text, &table, &table.row[0], "only", NULL, NULL, only.count);
	metrics_table_sample(&text, &table, &table.row[0], "only", "reason", "x", 2);
	expect("only 1\nonly{reason=\"x\"} 2\n");
}

Test(metrics_table, has_a_label_once_and_whole)
{
	const struct thing first = { .count = 1 };
	const struct thing second = { .count = 2 };
	char name[METRICS_TABLE_NAME + 2];

	metrics_table_add(&table, "thing", "a", &first);
	metrics_table_add(&table, "thing", "a", &second);
	memset(name, 'n', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	metrics_table_add(&table, "thing", name, &second);
	cr_assert_eq(table.count, 1u);
	cr_assert_eq(table.row[0].of, &first);
	name[sizeof name - 2] = '\0';
	metrics_table_add(&table, "thing", name, &second);
	cr_assert_eq(table.count, 2u);
	cr_assert_eq(table.row[1].label_len, strlen("thing=\"\"") + METRICS_TABLE_NAME);
}

/* The longest names of which every byte is escaped find room. */
Test(metrics_table, is_bounded)
{
	const struct thing one = { .count = 1 };
	char name[METRICS_TABLE_NAME + 1] = { 0 };

	for (int i = 0; i < METRICS_TABLE_MAX + 5; i++) {
		memset(name, '"', METRICS_TABLE_NAME);
		for (int bit = 0; bit < 9; bit++)
			name[bit] = i >> bit & 1 ? '"' : '\\';
		metrics_table_add(&table, "thing", name, &one);
	}
	cr_assert_eq(table.count, METRICS_TABLE_MAX);
	cr_assert_not(table.labels.full);
}

Test(metrics_table, tells_all_of_a_closed_set)
{
	static const char *const words[] = { "left", "broken", "slow" };
	const struct thing one = { .count = 1 };
	Relay__Control__Reason reasons[4];
	Relay__Control__Reason *list[4];
	static char *const said[] = { "slow", "strange", "slow", "odd" };

	for (size_t i = 0; i < 4; i++) {
		relay__control__reason__init(&reasons[i]);
		reasons[i].reason = said[i];
		reasons[i].count = i + 1;
		list[i] = &reasons[i];
	}
	metrics_table_add(&table, "thing", "a", &one);
	metrics_table_set(&text, &table, &table.row[0], "ends", "reason", words, 3, list, 4);
	expect("ends{thing=\"a\",reason=\"left\"} 0\nends{thing=\"a\",reason=\"broken\"} 0\n"
	       "ends{thing=\"a\",reason=\"slow\"} 4\nends{thing=\"a\",reason=\"other\"} 6\n");
}
