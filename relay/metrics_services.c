/*
 * metrics_services.c - see metrics_services.h.  Owns nothing but its labels, while it writes.
 */
#include "relay/metrics_services.h"

#include "relay/call_end.h"
#include "relay/metrics_family.h"
#include "relay/metrics_table.h"

#include <assert.h>
#include <string.h>

/* --- numbers */

static const Relay__Control__ServiceStats *
service_of(const struct metrics_table_row *row)
{
	return row->of;
}

static const struct metrics_member members[] = {

#define NUMBER(name, type, member, help)                                                \
	{                                                                               \
		name, type, help, offsetof(Relay__Control__ServiceStats, member), false \
	}
	NUMBER("relay_services_starts_total", "counter", starts,
	       "Times that a generation of the service was begun."),
	NUMBER("relay_services_start_failures_total", "counter", start_failures,
	       "Generations of the service that could not be started."),
#undef NUMBER
};

static void
write_gauges(struct metrics_text *text, const struct metrics_table *table)
{
	static const char up[] = "relay_services_up";
	static const char generation[] = "relay_services_generation";
	static const char calls[] = "relay_services_calls";

	metrics_family(text, up, "gauge", "Whether the service has a generation to call.");
	for (size_t i = 0; i < table->count; i++)
		metrics_table_sample(text, table, &table->row[i], up, NULL, NULL,
				     strcmp(service_of(&table->row[i])->state, "up") == 0);
	metrics_family(text, generation, "gauge", "The generation in use; 0 is none.");
	for (size_t i = 0; i < table->count; i++)
		metrics_table_sample(text, table, &table->row[i], generation, NULL, NULL,
				     service_of(&table->row[i])->generation);
	metrics_family(text, calls, "gauge", "Calls that are there now.");
	for (size_t i = 0; i < table->count; i++) {
		const struct metrics_table_row *row = &table->row[i];
		const Relay__Control__ServiceStats *of = row->of;

		metrics_table_sample(text, table, row, calls, "state", "request", of->requests);
		metrics_table_sample(text, table, row, calls, "state", "waiting", of->waiting);
		metrics_table_sample(text, table, row, calls, "state", "running", of->running);
	}
}

/* --- results */

static void
write_results(struct metrics_text *text, const struct metrics_table *table)
{
	static const char name[] = "relay_calls_total";
	static const char *const words[] = {
#define X(end, word) word,
		CALL_ENDS(X)
#undef X
	};
	/* A failure is any end but the first. */
	const size_t failures = CALL_ANSWERED + 1;
	static_assert(CALL_ANSWERED == 0 && CALL_END_COUNT <= METRICS_SET_MAX, "all are told");

	metrics_family(text, name, "counter", "Calls that came to their end.");
	for (size_t i = 0; i < table->count; i++) {
		const struct metrics_table_row *row = &table->row[i];
		const Relay__Control__CallCounters *counters = service_of(row)->counters;

		if (counters == NULL)
			continue;
		metrics_table_sample(text, table, row, name, "result", words[CALL_ANSWERED],
				     counters->answered);
		metrics_table_set(text, table, row, name, "result", words + failures,
				  CALL_END_COUNT - failures, counters->failures,
				  counters->n_failures);
	}
}

/* --- times */

static void
write_times(struct metrics_text *text, const struct metrics_table *table, const char *name,
	    const char *help, size_t member)
{
	struct metrics_bounds bounds = { .count = 0 };
	struct metrics_times all = { .sum_us = 0 };
	const Relay__Control__Histogram *times[METRICS_TABLE_MAX] = { NULL };
	struct metrics_ends ends;

	for (size_t i = 0; i < table->count; i++) {
		const char *counters = (const char *)service_of(&table->row[i])->counters;

		if (counters == NULL)
			continue;
		memcpy(&times[i], counters + member, sizeof(const Relay__Control__Histogram *));
		/* The first one sets the bounds. */
		metrics_times_add(&all, &bounds, times[i]);
	}
	metrics_ends_init(&ends, &bounds);
	metrics_family(text, name, "histogram", help);
	for (size_t i = 0; i < table->count && !ends.text.full; i++) {
		const struct metrics_table_row *row = &table->row[i];
		struct metrics_times one = { .sum_us = 0 };

		if (times[i] == NULL)
			continue;
		metrics_times_add(&one, &bounds, times[i]);
		metrics_histogram(text, name, table->labels.bytes + row->label_at, row->label_len,
				  &one, &bounds, &ends);
	}
	text->full |= ends.text.full;
	metrics_text_fini(&ends.text);
}

void
metrics_services_write(struct metrics_text *text, const Relay__Control__Stats *stats)
{
	struct metrics_table table;

	if (stats->n_service == 0)
		return;
	metrics_table_init(&table);
	for (size_t i = 0; i < stats->n_service; i++)
		metrics_table_add(&table, "service", stats->service[i]->name, stats->service[i]);
	write_results(text, &table);
	write_times(text, &table, "relay_call_duration_seconds",
		    "From the complete request of a call to its status.",
		    offsetof(Relay__Control__CallCounters, duration));
	write_times(text, &table, "relay_call_queue_wait_seconds",
		    "From the complete request of a call to a service that takes it.",
		    offsetof(Relay__Control__CallCounters, queue_wait));
	write_gauges(text, &table);
	metrics_table_write(text, &table, members, sizeof members / sizeof members[0]);
	text->full |= table.labels.full;
	metrics_table_fini(&table);
}
