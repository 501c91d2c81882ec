/*
 * test_ctl_rates.c - the rows of top: differences of counters by host, whatever order the hosts are
 * in, and the order for the eye.
 */
#include "relay/ctl_rates.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOSTS 3

struct site {
	Relay__Control__Stats stats;
	Relay__Control__HostStats host[HOSTS];
	Relay__Control__HostStats *rows[HOSTS];
	Relay__Control__Counters counters[HOSTS];
	Relay__Control__Counters total;
	Relay__Control__Reason failure[HOSTS];
	Relay__Control__Reason *failures[HOSTS];
};

static char ids[HOSTS][8] = { "b", "a", "c" };
static char states[HOSTS][8] = { "up", "down", "asleep" };
static Relay__Control__Hosts hosts;
static Relay__Control__Host host[HOSTS];
static Relay__Control__Host *rows[HOSTS];
static Relay__Control__Gauges gauges[HOSTS];

static void
make_stats(struct site *site, const uint64_t requests[HOSTS], const uint64_t failed[HOSTS],
	   bool reversed)
{
	relay__control__stats__init(&site->stats);
	relay__control__counters__init(&site->total);
	for (size_t i = 0; i < HOSTS; i++) {
		relay__control__host_stats__init(&site->host[i]);
		relay__control__counters__init(&site->counters[i]);
		relay__control__reason__init(&site->failure[i]);
		site->failure[i].count = failed[i];
		site->failures[i] = &site->failure[i];
		site->counters[i].requests = requests[i];
		site->counters[i].n_failures = 1;
		site->counters[i].failures = &site->failures[i];
		site->host[i].id = ids[i];
		site->host[i].counters = &site->counters[i];
		site->rows[reversed ? HOSTS - 1 - i : i] = &site->host[i];
		site->total.requests += requests[i];
	}
	site->stats.n_host = HOSTS;
	site->stats.host = site->rows;
	site->stats.total = &site->total;
}

static void
make_hosts(void)
{
	relay__control__hosts__init(&hosts);
	for (size_t i = 0; i < HOSTS; i++) {
		relay__control__host__init(&host[i]);
		relay__control__gauges__init(&gauges[i]);
		host[i].id = ids[i];
		host[i].state = states[i];
		host[i].gauges = &gauges[i];
		gauges[i].queue_length = i;
		rows[i] = &host[i];
	}
	hosts.n_host = HOSTS;
	hosts.host = rows;
}

static const char *
order(struct ctl_rates *rates, enum ctl_order by)
{
	static char text[HOSTS + 1];

	ctl_rates_sort(rates, by);
	for (size_t i = 0; i < HOSTS; i++)
		text[i] = rates->host[i].id[0];
	return text;
}

Test(ctl_rates, are_differences_by_host)
{
	static const uint64_t first[HOSTS] = { 100, 50, 7000 };
	static const uint64_t second[HOSTS] = { 300, 70, 10 };
	static const uint64_t failed[HOSTS] = { 0, 1, 0 };
	static const uint64_t failed_later[HOSTS] = { 0, 5, 0 };
	struct site before;
	struct site now;
	struct ctl_rates rates;

	make_hosts();
	make_stats(&before, first, failed, false);
	make_stats(&now, second, failed_later, true);
	cr_assert(ctl_rates_make(&rates, &hosts, &now.stats, &before.stats, 2000000));
	cr_assert_eq(rates.len, HOSTS);
	cr_assert_float_eq(rates.host[0].requests, 100, 1e-9);
	cr_assert_float_eq(rates.host[1].requests, 10, 1e-9);
	cr_assert_float_eq(rates.host[1].failures, 2, 1e-9);
	/* Began anew. */
	cr_assert_float_eq(rates.host[2].requests, 5, 1e-9);
	cr_assert_eq(rates.total.queue, 3);
	cr_assert_str_eq(order(&rates, CTL_ORDER_HOST), "abc");
	cr_assert_str_eq(order(&rates, CTL_ORDER_RATE), "bac");
	cr_assert_str_eq(order(&rates, CTL_ORDER_QUEUE), "cab");
	cr_assert_str_eq(order(&rates, CTL_ORDER_ERRORS), "abc");
	cr_assert_str_eq(order(&rates, CTL_ORDER_STATE), "acb");
	ctl_rates_fini(&rates);
}

Test(ctl_rates, are_none_without_a_sample_before_or_a_host_in_it)
{
	static const uint64_t requests[HOSTS] = { 1, 2, 3 };
	struct site before;
	struct site now;
	struct ctl_rates rates;

	make_hosts();
	make_stats(&now, requests, requests, false);
	cr_assert(ctl_rates_make(&rates, &hosts, &now.stats, NULL, 0));
	cr_assert_float_eq(rates.host[0].requests, 0, 1e-9);
	ctl_rates_fini(&rates);
	make_stats(&before, requests, requests, false);
	before.stats.n_host = 1;
	now.counters[0].requests = 11;
	now.counters[1].requests = 12;
	cr_assert(ctl_rates_make(&rates, &hosts, &now.stats, &before.stats, 1000000));
	cr_assert_float_eq(rates.host[0].requests, 10, 1e-9);
	cr_assert_float_eq(rates.host[1].requests, 0, 1e-9);
	ctl_rates_fini(&rates);
	hosts.n_host = 0;
	cr_assert(ctl_rates_make(&rates, &hosts, &now.stats, &before.stats, 1000000));
	cr_assert_eq(rates.len, 0);
	ctl_rates_sort(&rates, CTL_ORDER_RATE);
	ctl_rates_fini(&rates);
}

Test(ctl_rates, know_what_a_worker_takes)
{
	Relay__Control__WorkerStats before;
	Relay__Control__WorkerStats now;
	Relay__Control__WorkerStats *workers[] = { &now };
	Relay__Control__Stats stats;

	relay__control__worker_stats__init(&before);
	relay__control__worker_stats__init(&now);
	relay__control__stats__init(&stats);
	now.number = 3;
	before.cpu_us = 1000000;
	now.cpu_us = 1500000;
	cr_assert_float_eq(ctl_rates_cpu(&now, &before, 1000000), 50, 1e-9);
	cr_assert_float_eq(ctl_rates_cpu(&now, NULL, 1000000), 0, 1e-9);
	stats.n_worker = 1;
	stats.worker = workers;
	cr_assert_eq(ctl_rates_worker(&stats, 3), &now);
	cr_assert_null(ctl_rates_worker(&stats, 0));
	cr_assert_null(ctl_rates_worker(NULL, 3));
}
