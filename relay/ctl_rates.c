/*
 * ctl_rates.c - differences of counters.
 *
 * Never asks, never prints.  A counter that went back began anew, and counts from zero.  Owns the
 * array of rows.
 */
#include "relay/ctl_rates.h"

#include <stdlib.h>
#include <string.h>

#include "relay/ctl_units.h"

/* Answers of a daemon in order of their hosts' names. */
struct index {
	const Relay__Control__HostStats **host;
	size_t len;
};

static int
by_id(const void *a, const void *b)
{
	const Relay__Control__HostStats *const *x = a;
	const Relay__Control__HostStats *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

static int
id_against(const void *key, const void *b)
{
	const Relay__Control__HostStats *const *y = b;

	return strcmp(key, (*y)->id);
}

static bool
index_make(struct index *index, const Relay__Control__Stats *stats)
{
	index->len = stats ? stats->n_host : 0;
	index->host = calloc(index->len + 1, sizeof *index->host);
	if (!index->host)
		return false;
	for (size_t i = 0; i < index->len; i++)
		index->host[i] = stats->host[i];
	if (index->len > 0)
		qsort(index->host, index->len, sizeof *index->host, by_id);
	return true;
}

static const Relay__Control__Counters *
counters_of(const struct index *index, const char *id)
{
	const Relay__Control__HostStats *const *found = NULL;

	if (index->len > 0)
		found = bsearch(id, index->host, index->len, sizeof *index->host, id_against);
	return found ? (*found)->counters : NULL;
}

static double
per_second(uint64_t now, uint64_t before, uint64_t interval_us)
{
	uint64_t more = now >= before ? now - before : now;

	return interval_us ? (double)more * 1e6 / (double)interval_us : 0;
}

static uint64_t
failures_of(const Relay__Control__Counters *counters)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < counters->n_failures; i++)
		sum += counters->failures[i]->count;
	return sum;
}

static void
fill_counters(struct ctl_rate *rate, const Relay__Control__Counters *now,
	      const Relay__Control__Counters *before, uint64_t interval_us)
{
	if (!now || !before)
		return;
	rate->requests = per_second(now->requests, before->requests, interval_us);
	rate->failures = per_second(failures_of(now), failures_of(before), interval_us);
	rate->duration = now->duration;
	rate->before = before->duration;
	rate->p50_us = ctl_quantile_us(now->duration, before->duration, 50);
	rate->p99_us = ctl_quantile_us(now->duration, before->duration, 99);
}

static void
fill_gauges(struct ctl_rate *rate, const Relay__Control__Gauges *gauges)
{
	if (!gauges)
		return;
	rate->clients += gauges->clients;
	rate->links += gauges->links;
	rate->queue += gauges->queue_length;
	rate->in_flight += gauges->in_flight;
	rate->delayed += gauges->delayed;
}

static void
fill(struct ctl_rates *rates, const Relay__Control__Hosts *hosts, const struct index *now,
     const struct index *before, uint64_t interval_us)
{
	for (size_t i = 0; i < hosts->n_host; i++) {
		const Relay__Control__Host *host = hosts->host[i];
		struct ctl_rate *rate = &rates->host[i];

		rate->id = host->id;
		rate->state = host->state;
		fill_gauges(rate, host->gauges);
		fill_gauges(&rates->total, host->gauges);
		fill_counters(rate, counters_of(now, host->id), counters_of(before, host->id),
			      interval_us);
	}
}

bool
ctl_rates_make(struct ctl_rates *rates, const Relay__Control__Hosts *hosts,
	       const Relay__Control__Stats *stats, const Relay__Control__Stats *before,
	       uint64_t interval_us)
{
	struct index now_index = { NULL, 0 };
	struct index before_index = { NULL, 0 };
	bool good;

	memset(rates, 0, sizeof *rates);
	rates->host = calloc(hosts->n_host + 1, sizeof *rates->host);
	good = rates->host && index_make(&now_index, stats) && index_make(&before_index, before);
	if (good) {
		rates->len = hosts->n_host;
		fill(rates, hosts, &now_index, &before_index, interval_us);
		fill_counters(&rates->total, stats->total, before ? before->total : NULL,
			      interval_us);
	}
	free(now_index.host);
	free(before_index.host);
	return good;
}

void
ctl_rates_fini(struct ctl_rates *rates)
{
	free(rates->host);
	memset(rates, 0, sizeof *rates);
}

/* --- order */

static int
greater_first(double x, double y)
{
	return (x < y) - (x > y);
}

/* Trouble first. */
static int
rank_of(const char *state)
{
	static const char *const ranked[] = { "down",     "paused",     "draining",
					      "starting", "connecting", "asleep" };
	size_t i = 0;

	while (i < sizeof ranked / sizeof ranked[0] && strcmp(state, ranked[i]) != 0)
		i++;
	return (int)i;
}

static int
order_of(const struct ctl_rate *x, const struct ctl_rate *y, enum ctl_order order)
{
	switch (order) {
	case CTL_ORDER_HOST:
		return 0;
	case CTL_ORDER_STATE:
		return rank_of(x->state) - rank_of(y->state);
	case CTL_ORDER_RATE:
		return greater_first(x->requests, y->requests);
	case CTL_ORDER_QUEUE:
		return greater_first((double)x->queue, (double)y->queue);
	case CTL_ORDER_IN_FLIGHT:
		return greater_first((double)x->in_flight, (double)y->in_flight);
	case CTL_ORDER_P99:
		return greater_first((double)x->p99_us, (double)y->p99_us);
	case CTL_ORDER_ERRORS:
		return greater_first(x->failures, y->failures);
	}
	return 0;
}

static int
compare(const void *a, const void *b, void *order)
{
	const struct ctl_rate *x = a;
	const struct ctl_rate *y = b;
	int differs = order_of(x, y, *(const enum ctl_order *)order);

	return differs ? differs : strcmp(x->id, y->id);
}

void
ctl_rates_sort(struct ctl_rates *rates, enum ctl_order order)
{
	if (rates->len > 0)
		qsort_r(rates->host, rates->len, sizeof *rates->host, compare, &order);
}

/* --- workers */

const Relay__Control__WorkerStats *
ctl_rates_worker(const Relay__Control__Stats *stats, uint32_t number)
{
	for (size_t i = 0; stats && i < stats->n_worker; i++)
		if (stats->worker[i]->number == number)
			return stats->worker[i];
	return NULL;
}

double
ctl_rates_cpu(const Relay__Control__WorkerStats *worker, const Relay__Control__WorkerStats *before,
	      uint64_t interval_us)
{
	return before ? per_second(worker->cpu_us, before->cpu_us, interval_us) / 1e4 : 0;
}
