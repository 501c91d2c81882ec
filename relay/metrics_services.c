/*
 * metrics_services.c - see metrics_services.h.  Owns nothing but its labels, while it writes.
 */
#include "relay/metrics_services.h"

#include "relay/call_end.h"
#include "relay/metrics_family.h"

#include <string.h>

/* Each byte of a name may be escaped. */
#define LABEL_MAX (sizeof "service=\"\"" + 2 * (size_t)METRICS_SERVICE_NAME)

#define OTHER "other"

/* One service: what was said of it, and its label. */
struct row {
	const Relay__Control__ServiceStats *stats;
	const Relay__Control__CallCounters *counters; /* NULL = none */
	size_t label_at;
	size_t label_len;
};

struct rows {
	struct metrics_text labels;
	size_t count;
	struct row row[METRICS_SERVICES_MAX];
};

/* No label is written twice, whatever the daemon says: the first counts. */
static bool
is_new(const struct rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->count; i++) {
		if (strcmp(rows->row[i].stats->name, name) == 0)
			return false;
	}
	return true;
}

static void
rows_init(struct rows *rows, const Relay__Control__Stats *stats)
{
	metrics_text_init(&rows->labels, METRICS_SERVICES_MAX * LABEL_MAX);
	rows->count = 0;
	for (size_t i = 0; i < stats->n_service && rows->count < METRICS_SERVICES_MAX; i++) {
		const Relay__Control__ServiceStats *service = stats->service[i];
		if (strlen(service->name) > METRICS_SERVICE_NAME || !is_new(rows, service->name))
			continue;
		struct row *row = &rows->row[rows->count++];
		*row = (struct row){ .stats = service,
				     .counters = service->counters,
				     .label_at = rows->labels.len };
		metrics_text_put_label(&rows->labels, "service", service->name);
		row->label_len = rows->labels.len - row->label_at;
	}
}

/* --- samples */

/* NAME{service="..." - without its end. */
static void
put_series(struct metrics_text *text, const char *name, const struct rows *rows,
	   const struct row *row)
{
	metrics_text_put(text, name);
	metrics_text_put(text, "{");
	metrics_text_put_bytes(text, rows->labels.bytes + row->label_at, row->label_len);
}

static void
put_sample(struct metrics_text *text, const char *name, const struct rows *rows,
	   const struct row *row, const char *label, const char *value, uint64_t number)
{
	put_series(text, name, rows, row);
	if (label != NULL) {
		metrics_text_put(text, ",");
		metrics_text_put_label(text, label, value);
	}
	metrics_text_put(text, "} ");
	metrics_end_number(text, number);
}

static const struct number_family {
	const char *name;
	const char *type;
	const char *help;
	size_t offset;
} number_families[] = {

#define NUMBER(name, type, member, help)                                         \
	{                                                                        \
		name, type, help, offsetof(Relay__Control__ServiceStats, member) \
	}
	NUMBER("relay_services_starts_total", "counter", starts,
	       "Times that a generation of the service was begun."),
	NUMBER("relay_services_start_failures_total", "counter", start_failures,
	       "Generations of the service that could not be started."),
#undef NUMBER
};

static void
write_numbers(struct metrics_text *text, const struct rows *rows)
{
	for (size_t i = 0; i < sizeof number_families / sizeof number_families[0]; i++) {
		const struct number_family *of = &number_families[i];

		metrics_family(text, of->name, of->type, of->help);
		for (size_t k = 0; k < rows->count; k++) {
			uint64_t number;

			memcpy(&number, (const char *)rows->row[k].stats + of->offset,
			       sizeof number);
			put_sample(text, of->name, rows, &rows->row[k], NULL, NULL, number);
		}
	}
}

static void
write_gauges(struct metrics_text *text, const struct rows *rows)
{
	metrics_family(text, "relay_services_up", "gauge",
		       "Whether the service has a generation to call.");
	for (size_t i = 0; i < rows->count; i++)
		put_sample(text, "relay_services_up", rows, &rows->row[i], NULL, NULL,
			   strcmp(rows->row[i].stats->state, "up") == 0);
	metrics_family(text, "relay_services_generation", "gauge",
		       "The generation in use; 0 is none.");
	for (size_t i = 0; i < rows->count; i++)
		put_sample(text, "relay_services_generation", rows, &rows->row[i], NULL, NULL,
			   rows->row[i].stats->generation);
	metrics_family(text, "relay_services_calls", "gauge", "Calls that are there now.");
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->row[i];
		const char *name = "relay_services_calls";

		put_sample(text, name, rows, row, "state", "request", row->stats->requests);
		put_sample(text, name, rows, row, "state", "waiting", row->stats->waiting);
		put_sample(text, name, rows, row, "state", "running", row->stats->running);
	}
}

/* --- results */

/* Of one end; those that are none of ours count as OTHER, in the last place. */
static void
add_failures(uint64_t counts[CALL_END_COUNT + 1], const Relay__Control__CallCounters *counters)
{
	for (size_t i = 0; i < counters->n_failures; i++) {
		int end = CALL_ANSWERED + 1;

		while (end < CALL_END_COUNT && strcmp(call_end_text((enum call_end)end),
						      counters->failures[i]->reason) != 0)
			end++;
		counts[end] += counters->failures[i]->count;
	}
}

/* All of them, also those that never came: no series begins with a jump. */
static void
write_results(struct metrics_text *text, const struct rows *rows)
{
	const char *name = "relay_calls_total";

	metrics_family(text, name, "counter", "Calls that came to their end.");
	for (size_t i = 0; i < rows->count; i++) {
		const struct row *row = &rows->row[i];
		uint64_t counts[CALL_END_COUNT + 1] = { 0 };

		if (row->counters == NULL)
			continue;
		counts[CALL_ANSWERED] = row->counters->answered;
		add_failures(counts, row->counters);
		for (int end = 0; end < CALL_END_COUNT; end++)
			put_sample(text, name, rows, row, "result",
				   call_end_text((enum call_end)end), counts[end]);
		put_sample(text, name, rows, row, "result", OTHER, counts[CALL_END_COUNT]);
	}
}

/* --- times */

static void
write_times(struct metrics_text *text, const struct rows *rows, const char *name, const char *help,
	    size_t member)
{
	struct metrics_bounds bounds = { .count = 0 };
	struct metrics_times all = { .sum_us = 0 };
	const Relay__Control__Histogram *times[METRICS_SERVICES_MAX] = { NULL };
	struct metrics_ends ends;

	for (size_t i = 0; i < rows->count; i++) {
		if (rows->row[i].counters == NULL)
			continue;
		memcpy(&times[i], (const char *)rows->row[i].counters + member,
		       sizeof(const Relay__Control__Histogram *));
		/* The first one sets the bounds. */
		metrics_times_add(&all, &bounds, times[i]);
	}
	metrics_ends_init(&ends, &bounds);
	metrics_family(text, name, "histogram", help);
	for (size_t i = 0; i < rows->count && !ends.text.full; i++) {
		const struct row *row = &rows->row[i];
		struct metrics_times one = { .sum_us = 0 };

		if (times[i] == NULL)
			continue;
		metrics_times_add(&one, &bounds, times[i]);
		metrics_histogram(text, name, rows->labels.bytes + row->label_at, row->label_len,
				  &one, &bounds, &ends);
	}
	text->full |= ends.text.full;
	metrics_text_fini(&ends.text);
}

void
metrics_services_write(struct metrics_text *text, const Relay__Control__Stats *stats)
{
	struct rows rows;

	if (stats->n_service == 0)
		return;
	rows_init(&rows, stats);
	write_results(text, &rows);
	write_times(text, &rows, "relay_call_duration_seconds",
		    "From the complete request of a call to its status.",
		    offsetof(Relay__Control__CallCounters, duration));
	write_times(text, &rows, "relay_call_queue_wait_seconds",
		    "From the complete request of a call to a service that takes it.",
		    offsetof(Relay__Control__CallCounters, queue_wait));
	write_gauges(text, &rows);
	write_numbers(text, &rows);
	text->full |= rows.labels.full;
	metrics_text_fini(&rows.labels);
}
