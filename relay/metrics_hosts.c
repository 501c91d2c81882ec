/*
 * metrics_hosts.c - picks the busiest hosts, sums the others; see metrics_hosts.h.
 *
 * Never allocates but for labels, which have a bound.  Owns the rows and their labels.
 */
#include "relay/metrics_hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
learn_all(struct metrics_sets *sets, const Relay__Control__Counters *total)
{
	sets->bounds.count = 0;
	sets->failures.count = 0;
	sets->closes.count = 0;
	for (int result = REQUEST_ANSWERED + 1; result < REQUEST_RESULT_COUNT; result++)
		reason_learn(&sets->failures, request_result_text((enum request_result)result));
	if (total != NULL) {
		reasons_learn(&sets->failures, total->failures, total->n_failures);
		reasons_learn(&sets->closes, total->closes, total->n_closes);
		if (total->duration != NULL)
			(void)bounds_take(&sets->bounds, total->duration);
	}
	reason_append(&sets->failures, OTHER);
	reason_append(&sets->closes, OTHER);
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
add_expiry(struct metrics_row *row, uint64_t expires)
{
	if (expires != 0 && (row->peer_expires == 0 || expires < row->peer_expires))
		row->peer_expires = expires;
}

static void
add_counters(struct metrics_sets *sets, struct metrics_row *row,
	     const Relay__Control__Counters *counters)
{
	row->requests += counters->requests;
	row->answered += counters->answered;
	row->bytes_in += counters->bytes_in;
	row->bytes_out += counters->bytes_out;
	row->connects += counters->connects;
	row->clients_accepted += counters->clients_accepted;
	row->tls_handshakes += counters->tls_handshakes;
	row->tls_resumed += counters->tls_resumed;
	row->failed +=
	    reasons_add(row->failures, &sets->failures, counters->failures, counters->n_failures);
	reasons_add(row->closes, &sets->closes, counters->closes, counters->n_closes);
	metrics_times_add(&row->times[METRICS_DURATION], &sets->bounds, counters->duration);
	metrics_times_add(&row->times[METRICS_QUEUE_WAIT], &sets->bounds, counters->queue_wait);
	metrics_times_add(&row->times[METRICS_UPSTREAM], &sets->bounds, counters->upstream);
	metrics_times_add(&row->times[METRICS_HANDSHAKE], &sets->bounds, counters->handshake);
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
	add_expiry(row, gauges->peer_expires);
	if (gauges->queue_age_us > row->queue_age_us)
		row->queue_age_us = gauges->queue_age_us;
}

static void
add_host(struct metrics_sets *sets, struct metrics_row *row, const Relay__Control__HostStats *host)
{
	if (host->counters != NULL)
		add_counters(sets, row, host->counters);
	if (host->gauges != NULL)
		add_gauges(row, host->gauges);
}

static bool
same_bounds(const struct metrics_bounds *a, const struct metrics_bounds *b)
{
	return a->count == b->count && memcmp(a->us, b->us, a->count * sizeof a->us[0]) == 0;
}

static void
add_numbers(uint64_t *to, const uint64_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i] += from[i];
}

/* Rows of tables that learned from the same total: their reasons are in the same places. */
static void
add_row(struct metrics_row *to, const struct metrics_row *from, bool times)
{
	to->requests += from->requests;
	to->answered += from->answered;
	to->failed += from->failed;
	to->bytes_in += from->bytes_in;
	to->bytes_out += from->bytes_out;
	to->connects += from->connects;
	to->clients_accepted += from->clients_accepted;
	to->clients += from->clients;
	to->links_ready += from->links_ready;
	to->links_other += from->links_other;
	to->in_flight += from->in_flight;
	to->queue_length += from->queue_length;
	to->queue_bytes += from->queue_bytes;
	to->delayed += from->delayed;
	to->tls_handshakes += from->tls_handshakes;
	to->tls_resumed += from->tls_resumed;
	add_expiry(to, from->peer_expires);
	if (from->queue_age_us > to->queue_age_us)
		to->queue_age_us = from->queue_age_us;
	add_numbers(to->failures, from->failures, METRICS_REASONS_MAX);
	add_numbers(to->closes, from->closes, METRICS_REASONS_MAX);
	for (int clock = 0; times && clock < METRICS_CLOCK_COUNT; clock++) {
		add_numbers(to->times[clock].count, from->times[clock].count,
			    METRICS_BOUNDS_MAX + 1);
		to->times[clock].sum_us += from->times[clock].sum_us;
	}
}

void
metrics_rest_begin(struct metrics_rest *rest, const Relay__Control__Counters *total)
{
	memset(rest, 0, sizeof *rest);
	learn_all(&rest->sets, total);
}

void
metrics_rest_add(struct metrics_rest *rest, const Relay__Control__HostStats *host)
{
	add_host(&rest->sets, &rest->row, host);
	rest->count++;
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

static int
by_kept_id(const void *id, const void *kept)
{
	return strcmp(id, kept);
}

static bool
is_kept(const struct metrics_hosts *hosts, const Relay__Control__HostStats *host)
{
	return bsearch(host->id, hosts->kept, hosts->kept_count, sizeof hosts->kept[0],
		       by_kept_id) != NULL;
}

/* Moves the showable ones to the front, and of these who had a row to the very front. */
static size_t
part(const struct metrics_hosts *hosts, Relay__Control__HostStats **list, size_t len, size_t *had)
{
	size_t count = 0;

	*had = 0;
	for (size_t i = 0; i < len; i++) {
		Relay__Control__HostStats *host = list[i];

		if (!showable(host))
			continue;
		list[i] = list[count];
		list[count] = host;
		if (is_kept(hosts, host)) {
			list[count] = list[*had];
			list[(*had)++] = host;
		}
		count++;
	}
	return count;
}

/*
 * Sorts the list: [0 .. shown) have rows of their own, by name; the others follow.  What comes
 * twice among the shown is moved behind them.
 */
static size_t
choose(const struct metrics_hosts *hosts, Relay__Control__HostStats **list, size_t len)
{
	size_t had;
	size_t shown = part(hosts, list, len, &had);
	size_t unique = 0;

	qsort(list + had, shown - had, sizeof(Relay__Control__HostStats *), by_requests);
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

/* A daemon without any host is one that has just begun: it will have them again. */
static void
keep(struct metrics_hosts *hosts, Relay__Control__HostStats *const *list, size_t shown)
{
	if (shown == 0)
		return;
	for (size_t i = 0; i < shown; i++)
		snprintf(hosts->kept[i], sizeof hosts->kept[0], "%s", list[i]->id);
	hosts->kept_count = shown;
}

void
metrics_hosts_fill(struct metrics_hosts *hosts, const Relay__Control__Counters *total,
		   Relay__Control__HostStats **list, size_t list_len,
		   const struct metrics_rest *rest)
{
	size_t shown = list_len > 0 ? choose(hosts, list, list_len) : 0;
	bool more = rest != NULL && rest->count > 0;

	keep(hosts, list, shown);
	metrics_text_clear(&hosts->labels);
	hosts->count = 0;
	learn_all(&hosts->sets, total);
	for (size_t i = 0; i < shown; i++)
		add_host(&hosts->sets, new_row(hosts, list[i]->id), list[i]);
	if (shown == list_len && !more)
		return;
	struct metrics_row *other = new_row(hosts, OTHER);
	for (size_t i = shown; i < list_len; i++)
		add_host(&hosts->sets, other, list[i]);
	if (more)
		add_row(other, &rest->row, same_bounds(&hosts->sets.bounds, &rest->sets.bounds));
}
