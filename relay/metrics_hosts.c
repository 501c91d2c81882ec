/*
 * metrics_hosts.c - picks the busiest hosts, sums the others; see metrics_hosts.h.
 *
 * Never allocates but for labels, which have a bound.  Owns the rows and their labels.
 */
#include "relay/metrics_hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/limits.h"
#include "relay/request.h"

#define OTHER "other"
/* Each byte of an id may be escaped. */
#define LABEL_MAX (sizeof "host=\"\"" + 2 * (size_t)HOST_ID_MAX)

void
metrics_hosts_init(struct metrics_hosts *hosts)
{
	memset(hosts, 0, sizeof *hosts);
	metrics_text_init(&hosts->labels, (METRICS_HOSTS_SHOWN + 1) * LABEL_MAX);
}

void
metrics_hosts_fini(struct metrics_hosts *hosts)
{
	metrics_text_fini(&hosts->labels);
}

/* --- histograms */

/* False: they are none. */
static bool
bounds_take(struct metrics_bounds *bounds, const Relay__Control__Histogram *histogram)
{
	if (histogram->n_bound_us == 0 || histogram->n_bound_us > METRICS_BOUNDS_MAX)
		return false;
	for (size_t i = 1; i < histogram->n_bound_us; i++) {
		if (histogram->bound_us[i] <= histogram->bound_us[i - 1])
			return false;
	}
	bounds->count = histogram->n_bound_us;
	memcpy(bounds->us, histogram->bound_us, bounds->count * sizeof bounds->us[0]);
	return true;
}

void
metrics_times_add(struct metrics_times *times, struct metrics_bounds *bounds,
		  const Relay__Control__Histogram *histogram)
{
	if (histogram == NULL || (bounds->count == 0 && !bounds_take(bounds, histogram)))
		return;
	if (histogram->n_bound_us != bounds->count || histogram->n_count != bounds->count + 1 ||
	    memcmp(histogram->bound_us, bounds->us, bounds->count * sizeof bounds->us[0]) != 0)
		return;
	for (size_t i = 0; i < histogram->n_count; i++)
		times->count[i] += histogram->count[i];
	times->sum_us += histogram->sum_us;
}

/* --- reasons */

static bool
is_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789");

	return len > 0 && len <= METRICS_REASON_MAX && text[len] == '\0';
}

static size_t
reason_find(const struct metrics_reasons *reasons, const char *name)
{
	size_t i = 0;

	while (i < reasons->count && strcmp(reasons->name[i], name) != 0)
		i++;
	return i;
}

static void
reason_append(struct metrics_reasons *reasons, const char *name)
{
	snprintf(reasons->name[reasons->count++], sizeof reasons->name[0], "%s", name);
}

/* The last place is for "other". */
static void
reason_learn(struct metrics_reasons *reasons, const char *name)
{
	if (!is_name(name) || strcmp(name, OTHER) == 0 ||
	    reasons->count >= METRICS_REASONS_MAX - 1 ||
	    reason_find(reasons, name) < reasons->count)
		return;
	reason_append(reasons, name);
}

static void
reasons_learn(struct metrics_reasons *reasons, Relay__Control__Reason *const *list, size_t len)
{
	for (size_t i = 0; i < len; i++)
		reason_learn(reasons, list[i]->reason);
}

/* What every relay knows is there from the beginning, so that no series starts with a jump. */
static void
learn_all(struct metrics_hosts *hosts, const Relay__Control__Counters *total)
{
	for (int result = REQUEST_ANSWERED + 1; result < REQUEST_RESULT_COUNT; result++)
		reason_learn(&hosts->failures, request_result_text((enum request_result)result));
	if (total != NULL) {
		reasons_learn(&hosts->failures, total->failures, total->n_failures);
		reasons_learn(&hosts->closes, total->closes, total->n_closes);
		if (total->duration != NULL)
			(void)bounds_take(&hosts->bounds, total->duration);
	}
	reason_append(&hosts->failures, OTHER);
	reason_append(&hosts->closes, OTHER);
}

/* Returns the sum. */
static uint64_t
reasons_add(uint64_t *counts, const struct metrics_reasons *reasons,
	    Relay__Control__Reason *const *list, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		/* All hosts name them in the order of the totals, which is ours. */
		size_t at = i < reasons->count && strcmp(reasons->name[i], list[i]->reason) == 0
				? i
				: reason_find(reasons, list[i]->reason);

		counts[at < reasons->count ? at : reasons->count - 1] += list[i]->count;
		sum += list[i]->count;
	}
	return sum;
}

/* --- rows */

static void
add_counters(struct metrics_hosts *hosts, struct metrics_row *row,
	     const Relay__Control__Counters *counters)
{
	row->requests += counters->requests;
	row->answered += counters->answered;
	row->bytes_in += counters->bytes_in;
	row->bytes_out += counters->bytes_out;
	row->connects += counters->connects;
	row->clients_accepted += counters->clients_accepted;
	row->failed +=
	    reasons_add(row->failures, &hosts->failures, counters->failures, counters->n_failures);
	reasons_add(row->closes, &hosts->closes, counters->closes, counters->n_closes);
	metrics_times_add(&row->times[METRICS_DURATION], &hosts->bounds, counters->duration);
	metrics_times_add(&row->times[METRICS_QUEUE_WAIT], &hosts->bounds, counters->queue_wait);
	metrics_times_add(&row->times[METRICS_UPSTREAM], &hosts->bounds, counters->upstream);
	metrics_times_add(&row->times[METRICS_HANDSHAKE], &hosts->bounds, counters->handshake);
}

static void
add_gauges(struct metrics_row *row, const Relay__Control__Gauges *gauges)
{
	uint64_t ready = gauges->links_ready < gauges->links ? gauges->links_ready : gauges->links;

	row->clients += gauges->clients;
	row->links_ready += ready;
	row->links_other += gauges->links - ready;
	row->in_flight += gauges->in_flight;
	row->queue_length += gauges->queue_length;
	row->queue_bytes += gauges->queue_bytes;
	row->delayed += gauges->delayed;
	if (gauges->queue_age_us > row->queue_age_us)
		row->queue_age_us = gauges->queue_age_us;
}

static void
add_host(struct metrics_hosts *hosts, struct metrics_row *row,
	 const Relay__Control__HostStats *host)
{
	if (host->counters != NULL)
		add_counters(hosts, row, host->counters);
	if (host->gauges != NULL)
		add_gauges(row, host->gauges);
}

static struct metrics_row *
new_row(struct metrics_hosts *hosts, const char *id)
{
	struct metrics_row *row = &hosts->row[hosts->count++];

	memset(row, 0, sizeof *row);
	row->label_at = hosts->labels.len;
	metrics_text_put_label(&hosts->labels, "host", id);
	row->label_len = hosts->labels.len - row->label_at;
	return row;
}

/* --- order */

static uint64_t
requests_of(const Relay__Control__HostStats *host)
{
	return host->counters != NULL ? host->counters->requests : 0;
}

/* Whether it may have a row of its own. */
static bool
showable(const Relay__Control__HostStats *host)
{
	return strcmp(host->id, OTHER) != 0 && strlen(host->id) <= HOST_ID_MAX;
}

/* The busiest first; among equals by name, so that the same ones are chosen each time. */
static int
by_requests(const void *left, const void *right)
{
	const Relay__Control__HostStats *a = *(Relay__Control__HostStats *const *)left;
	const Relay__Control__HostStats *b = *(Relay__Control__HostStats *const *)right;

	if (requests_of(a) != requests_of(b))
		return requests_of(a) > requests_of(b) ? -1 : 1;
	return strcmp(a->id, b->id);
}

static int
by_id(const void *left, const void *right)
{
	const Relay__Control__HostStats *a = *(Relay__Control__HostStats *const *)left;
	const Relay__Control__HostStats *b = *(Relay__Control__HostStats *const *)right;

	return strcmp(a->id, b->id);
}

/* Moves the showable ones to the front; returns how many they are. */
static size_t
part(Relay__Control__HostStats **list, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++) {
		Relay__Control__HostStats *host = list[i];

		if (!showable(host))
			continue;
		list[i] = list[count];
		list[count++] = host;
	}
	return count;
}

/*
 * Sorts the list: [0 .. shown) have rows of their own, by name; the others follow.  What comes
 * twice among the shown is moved behind them.
 */
static size_t
choose(Relay__Control__HostStats **list, size_t len)
{
	size_t shown = part(list, len);
	size_t unique = 0;

	qsort(list, shown, sizeof(Relay__Control__HostStats *), by_requests);
	if (shown > METRICS_HOSTS_SHOWN)
		shown = METRICS_HOSTS_SHOWN;
	qsort(list, shown, sizeof(Relay__Control__HostStats *), by_id);
	for (size_t i = 0; i < shown; i++) {
		Relay__Control__HostStats *host = list[i];

		if (unique > 0 && strcmp(list[unique - 1]->id, host->id) == 0)
			continue;
		list[i] = list[unique];
		list[unique++] = host;
	}
	return unique;
}

void
metrics_hosts_fill(struct metrics_hosts *hosts, const Relay__Control__Counters *total,
		   Relay__Control__HostStats **list, size_t list_len)
{
	size_t shown = list_len > 0 ? choose(list, list_len) : 0;

	metrics_text_clear(&hosts->labels);
	hosts->bounds.count = 0;
	hosts->failures.count = 0;
	hosts->closes.count = 0;
	hosts->count = 0;
	learn_all(hosts, total);
	for (size_t i = 0; i < shown; i++)
		add_host(hosts, new_row(hosts, list[i]->id), list[i]);
	if (shown == list_len)
		return;
	struct metrics_row *rest = new_row(hosts, OTHER);
	for (size_t i = shown; i < list_len; i++)
		add_host(hosts, rest, list[i]);
}
