/*
 * test_metrics_datagrams.c - metrics of the message plane: by worker, kind and reason, no series
 * twice whatever the daemon says, and nothing of what is off.
 */
#include "relay/metrics_datagrams.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/metrics.h"

#define MANY (METRICS_WORKERS_MAX + 3)

static char forged[] = "forged", odd[] = "o\"dd", trouble[] = "no space left";
static Relay__Control__Reason reasons[3];
static Relay__Control__Reason *list[3];
static Relay__Control__DatagramStats rows[MANY];
static Relay__Control__DatagramStats *workers[MANY];
static Relay__Control__WebpagerStats webpager;
static Relay__Control__StoreStats store;
static Relay__Control__Stats stats;
static struct metrics_text text;

static void
up(void)
{
	char *const names[] = { forged, odd, forged };

	relay__control__stats__init(&stats);
	for (unsigned i = 0; i < 3; i++) {
		relay__control__reason__init(&reasons[i]);
		reasons[i].reason = names[i];
		reasons[i].count = i + 7;
		list[i] = &reasons[i];
	}
	for (unsigned i = 0; i < MANY; i++) {
		relay__control__datagram_stats__init(&rows[i]);
		rows[i].worker = i;
		rows[i].online = 100 + i;
		rows[i].busy = 3;
		rows[i].dropped = list;
		rows[i].n_dropped = 3;
		workers[i] = &rows[i];
	}
	relay__control__webpager_stats__init(&webpager);
	relay__control__store_stats__init(&store);
	metrics_text_init(&text, 1u << 20);
}

static void
down(void)
{
	metrics_text_fini(&text);
}

TestSuite(metrics_datagrams, .init = up, .fini = down);

static const char *
write_all(void)
{
	static char all[1u << 20];

	metrics_datagrams_write(&text, &stats);
	cr_assert_not(text.full);
	cr_assert_lt(text.len, sizeof all);
	memcpy(all, text.bytes, text.len);
	all[text.len] = '\0';
	return all;
}

static unsigned
times_in(const char *all, const char *what)
{
	unsigned count = 0;

	for (const char *at = all; (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

Test(metrics_datagrams, what_is_off_is_not_told)
{
	metrics_datagrams_write(&text, &stats);
	cr_assert_eq(text.len, 0u);
}

Test(metrics_datagrams, by_worker_and_reason)
{
	stats.datagram = workers;
	stats.n_datagram = 2;
	const char *all = write_all();
	cr_assert_eq(times_in(all, "\nrelay_datagram_clients{worker=\"1\"} 101\n"), 1u, "%s", all);
	cr_assert_eq(times_in(all, "\nrelay_datagram_busy_total{worker=\"0\"} 3\n"), 1u);
	cr_assert_eq(
	    times_in(all, "relay_datagrams_dropped_total{worker=\"1\",reason=\"forged\"} 7\n"), 1u);
	cr_assert_eq(
	    times_in(all, "relay_datagrams_dropped_total{worker=\"1\",reason=\"o\\\"dd\"} 8\n"),
	    1u);
	cr_assert_eq(times_in(all, "reason=\"forged\""), 2u, "no series twice");
	cr_assert_eq(times_in(all, "relay_store_"), 0u);
}

Test(metrics_datagrams, workers_are_bounded_and_told_once)
{
	stats.datagram = workers;
	stats.n_datagram = MANY;
	rows[1].worker = 0;
	const char *all = write_all();
	cr_assert_eq(times_in(all, "\nrelay_datagram_clients{"), METRICS_WORKERS_MAX - 1u);
	cr_assert_eq(times_in(all, "\nrelay_datagram_clients{worker=\"0\"} 100\n"), 1u);
}

Test(metrics_datagrams, webpager_and_store)
{
	stats.webpager = &webpager;
	stats.store = &store;
	webpager.taken = 5;
	webpager.refused = store.refused = list;
	webpager.n_refused = store.n_refused = 2;
	store.waiting = 12;
	const char *all = write_all();
	cr_assert_eq(times_in(all, "\nrelay_webpager_taken_total 5\n"), 1u, "%s", all);
	cr_assert_eq(times_in(all, "\nrelay_webpager_refused_total{reason=\"forged\"} 7\n"), 1u);
	cr_assert_eq(times_in(all, "\nrelay_store_messages 12\n"), 1u);
	cr_assert_eq(times_in(all, "\nrelay_store_refused_total{reason=\"forged\"} 7\n"), 1u);
	cr_assert_eq(times_in(all, "\nrelay_store_usable 1\n"), 1u);
	cr_assert_eq(times_in(all, "relay_datagram"), 0u);
}

Test(metrics_datagrams, a_store_in_trouble)
{
	stats.store = &store;
	store.trouble = trouble;
	cr_assert_eq(times_in(write_all(), "\nrelay_store_usable 0\n"), 1u);
}
