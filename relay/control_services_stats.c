/*
 * control_services_stats.c - what the workers counted of services, and the log of slow calls.
 *
 * Reads the workers' memory, asks none of them.  Owns nothing.
 */
#include "relay/control_services.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>

#include "relay/control.h"
#include "relay/control_stats.h"
#include "relay/log.h"

enum {
	US_PER_MS = 1000,
	MS_PER_S = 1000,
	ENDING_MAX = 64,
};

static_assert((int)STATS_SERVICES > (int)CONFIG_SERVICES_MAX, "each service has its block");
static_assert((int)STATS_NAME_MAX == (int)SERVICE_NAME_MAX, "and each name is whole");

/* --- counters --------------------------------------------------------------------------------- */

/* Of all workers: its home may have been another one. */
static void
add_up(const struct control *control, const struct control_service *service,
       struct stats_service *sum)
{
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		const struct worker_stats *stats = control->workers[i].stats;
		if (stats != NULL)
			stats_service_add(&stats->services, service->config->name, sum);
	}
}

/* Those that happened.  The first end is no failure. */
static bool
fill_failures(struct control_call *call, const struct stats_service *sum,
	      Relay__Control__CallCounters *counters)
{
	counters->failures = control_alloc(call, CALL_END_COUNT * sizeof *counters->failures);
	if (counters->failures == NULL)
		return false;
	for (int end = CALL_ANSWERED + 1; end < CALL_END_COUNT; end++) {
		uint64_t count = stats_get(&sum->ends[end]);
		if (count == 0)
			continue;
		Relay__Control__Reason *row = control_alloc(call, sizeof *row);
		if (row == NULL)
			return false;
		relay__control__reason__init(row);
		row->reason = control_clean(call, call_end_text((enum call_end)end));
		row->count = count;
		counters->failures[counters->n_failures++] = row;
	}
	return true;
}

static Relay__Control__CallCounters *
make_counters(struct control_call *call, const struct stats_service *sum)
{
	Relay__Control__CallCounters *counters = control_alloc(call, sizeof *counters);
	uint64_t *bounds_us = control_alloc(call, HISTOGRAM_BOUNDS * sizeof *bounds_us);

	if (counters == NULL || bounds_us == NULL)
		return NULL;
	relay__control__call_counters__init(counters);
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++)
		bounds_us[i] = histogram_bound_us(i);
	counters->calls = stats_get(&sum->calls);
	counters->answered = stats_get(&sum->ends[CALL_ANSWERED]);
	counters->queue_wait = control_stats_histogram(call, bounds_us, sum->queue_wait.count,
						       stats_get(&sum->queue_wait.sum_ns));
	counters->duration = control_stats_histogram(call, bounds_us, sum->duration.count,
						     stats_get(&sum->duration.sum_ns));
	return fill_failures(call, sum, counters) ? counters : NULL;
}

Relay__Control__CallCounters *
control_service_counters(struct control_call *call, const struct control_service *service)
{
	struct stats_service sum = { .calls = 0 };

	add_up(call->control, service, &sum);
	return make_counters(call, &sum);
}

Relay__Control__ServiceStats *
control_service_stats(struct control_call *call, const struct control_service *service)
{
	Relay__Control__ServiceStats *row = control_alloc(call, sizeof *row);
	struct stats_service sum = { .calls = 0 };

	if (row == NULL)
		return NULL;
	relay__control__service_stats__init(row);
	add_up(call->control, service, &sum);
	row->name = control_clean(call, service->config->name);
	row->state = control_clean(call, control_service_state(service));
	row->counters = make_counters(call, &sum);
	row->requests = stats_get(&sum.gauges[STATS_SERVICE_REQUESTS]);
	row->waiting = stats_get(&sum.gauges[STATS_SERVICE_WAITING]);
	row->running = stats_get(&sum.gauges[STATS_SERVICE_RUNNING]);
	row->starts = service->starts;
	row->start_failures = service->failures;
	if (service->current != NULL)
		row->generation = service->current->number;
	return row;
}

/* --- slow calls ------------------------------------------------------------------------------- */

static const char *
describe(const struct channel_service_slow *slow, char text[ENDING_MAX])
{
	int status = (int)slow->status;

	if (slow->end != CALL_ANSWERED)
		snprintf(text, ENDING_MAX, "%s", call_end_text((enum call_end)slow->end));
	else if (WIFEXITED(status))
		snprintf(text, ENDING_MAX, "exit status %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		snprintf(text, ENDING_MAX, "signal %d", WTERMSIG(status));
	else
		snprintf(text, ENDING_MAX, "status 0x%08" PRIx32, slow->status);
	return text;
}

void
control_services_on_slow(const struct control *control, uint32_t worker,
			 const struct channel_service_slow *slow)
{
	const struct control_service *service =
	    slow->index < CONFIG_SERVICES_MAX ? control->services.table[slow->index] : NULL;
	uint64_t took_ms = slow->duration_us / US_PER_MS;
	uint64_t waited_ms = slow->wait_us / US_PER_MS;
	char ending[ENDING_MAX];

	if (service == NULL || slow->index % control->options->worker_count != worker)
		return;
	log_warning(NULL,
		    "service %s: slow call of uid %" PRIu32 ", pid %" PRIu32 ": %" PRIu64
		    ".%03" PRIu64 " s, of which %" PRIu64 ".%03" PRIu64 " s queued; %s",
		    service->config->name, slow->uid, slow->pid, took_ms / MS_PER_S,
		    took_ms % MS_PER_S, waited_ms / MS_PER_S, waited_ms % MS_PER_S,
		    describe(slow, ending));
}
