/*
 * test_metrics_services.c - metrics by service: each end a series, labels once and escaped, times
 * of one shape, and nothing where there are no services.
 */
#include "relay/metrics_services.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/call_end.h"
#include "relay/metrics_table.h"

#define MANY (METRICS_TABLE_MAX + 10)

static uint64_t bounds[] = { 64, 1000000 };
static uint64_t counts[] = { 4, 2, 1 };

static struct one {
	char name[200];
	Relay__Control__ServiceStats stats;
	Relay__Control__CallCounters counters;
	Relay__Control__Histogram times;
	Relay__Control__Reason reasons[2];
	Relay__Control__Reason *failures[2];
} site[MANY];

static char up[] = "up";
static char broken[] = "broken";
static char unheard_of[] = "un\"heard_of";
static Relay__Control__ServiceStats *list[MANY];
static Relay__Control__Stats stats;
static struct metrics_text text;

static void
fill(struct one *one, const char *name)
{
	snprintf(one->name, sizeof one->name, "%s", name);
	relay__control__service_stats__init(&one->stats);
	relay__control__call_counters__init(&one->counters);
	relay__control__histogram__init(&one->times);
	one->times.bound_us = bounds;
	one->times.n_bound_us = 2;
	one->times.count = counts;
	one->times.n_count = 3;
	one->times.sum_us = 2500000;
	for (int i = 0; i < 2; i++) {
		relay__control__reason__init(&one->reasons[i]);
		one->reasons[i].reason = i == 0 ? broken : unheard_of;
		one->reasons[i].count = (uint64_t)i + 2;
		one->failures[i] = &one->reasons[i];
	}
	one->counters.answered = 7;
	one->counters.failures = one->failures;
	one->counters.n_failures = 2;
	one->counters.duration = &one->times;
	one->counters.queue_wait = &one->times;
	one->stats.name = one->name;
	one->stats.state = up;
	one->stats.counters = &one->counters;
	one->stats.waiting = 5;
	one->stats.generation = 3;
	one->stats.starts = 9;
}

static void
write_them(size_t count)
{
	relay__control__stats__init(&stats);
	for (size_t i = 0; i < count; i++)
		list[i] = &site[i].stats;
	stats.service = list;
	stats.n_service = count;
	metrics_text_init(&text, 16 << 20);
	metrics_services_write(&text, &stats);
	metrics_text_put_bytes(&text, "", 1);
	cr_assert_not(text.full);
}

static size_t
count_of(const char *part)
{
	size_t n = 0;

	for (const char *at = text.bytes; (at = strstr(at, part)) != NULL; at++)
		n++;
	return n;
}

#define HAS(line) cr_assert_eq(count_of(line "\n"), 1u, "%s\n%s", line, text.bytes)

Test(metrics_services, one)
{
	fill(&site[0], "hello");
	write_them(1);
	HAS("relay_calls_total{service=\"hello\",result=\"answered\"} 7");
	HAS("relay_calls_total{service=\"hello\",result=\"broken\"} 2");
	HAS("relay_calls_total{service=\"hello\",result=\"killed\"} 0");
	HAS("relay_calls_total{service=\"hello\",result=\"other\"} 3");
	cr_assert_eq(count_of("relay_calls_total{"), CALL_END_COUNT + 1u);
	cr_assert_eq(count_of("heard_of"), 0u, "only names of ours are labels");
	HAS("relay_call_duration_seconds_bucket{service=\"hello\",le=\"0.000064\"} 4");
	HAS("relay_call_duration_seconds_bucket{service=\"hello\",le=\"+Inf\"} 7");
	HAS("relay_call_duration_seconds_sum{service=\"hello\"} 2.5");
	HAS("relay_call_queue_wait_seconds_count{service=\"hello\"} 7");
	HAS("relay_services_up{service=\"hello\"} 1");
	HAS("relay_services_generation{service=\"hello\"} 3");
	HAS("relay_services_calls{service=\"hello\",state=\"waiting\"} 5");
	HAS("relay_services_starts_total{service=\"hello\"} 9");
	metrics_text_fini(&text);
}

Test(metrics_services, none)
{
	write_them(0);
	cr_assert_str_empty(text.bytes);
	metrics_text_fini(&text);
}

/* No label comes twice, none is longer than a name may be, and there is an end to them. */
Test(metrics_services, hostile)
{
	char name[200];

	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "s%d", i);
		fill(&site[i], name);
	}
	fill(&site[1], "s0");
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	fill(&site[2], name);
	fill(&site[3], "a\"\n\\");
	site[4].stats.counters = NULL;
	site[5].counters.duration = NULL;
	site[6].times.n_count = 2;
	write_them(MANY);
	HAS("relay_services_up{service=\"s0\"} 1");
	cr_assert_eq(count_of("xxx"), 0u);
	HAS("relay_services_up{service=\"a\\\"\\n\\\\\"} 1");
	HAS("relay_services_up{service=\"s4\"} 1");
	cr_assert_eq(count_of("relay_calls_total{service=\"s4\""), 0u);
	cr_assert_eq(count_of("relay_call_duration_seconds_sum{service=\"s5\""), 0u);
	HAS("relay_call_duration_seconds_sum{service=\"s6\"} 0");
	cr_assert_eq(count_of("\nrelay_services_up{"), METRICS_TABLE_MAX);
	metrics_text_fini(&text);
}
