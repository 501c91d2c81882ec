/*
 * control_stats.c - the verb `stats`: counters, gauges and times, read from the workers' memory and
 * summed over them.
 *
 * Asks no worker and stops none.  What a crashed worker counted is there as before.  Owns nothing.
 */
#include "relay/control_stats.h"

#include "relay/config_tls.h"
#include "relay/control_services.h"
#include "relay/version.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PAGE_DEFAULT = 200, /* hosts */
	PAGE_MAX = 1000,    /* of their rows a frame takes more */
};

/* What all messages of one answer point to. */
struct names {
	char *results[REQUEST_RESULT_COUNT];
	char *reasons[LINK_REASON_COUNT];
	uint64_t bounds_us[HISTOGRAM_BOUNDS];
};

struct answer {
	struct control_call *call;
	struct names names;
	bool every_reason;
	Relay__Control__Stats stats;
};

static bool
names_init(struct names *names, struct control_call *call)
{
	bool good = true;

	for (int i = 0; i < REQUEST_RESULT_COUNT; i++) {
		names->results[i] =
		    control_clean(call, request_result_text((enum request_result)i));
		good &= names->results[i] != NULL;
	}
	for (int i = 0; i < LINK_REASON_COUNT; i++) {
		names->reasons[i] = control_clean(call, link_reason_text((enum link_reason)i));
		good &= names->reasons[i] != NULL;
	}
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++)
		names->bounds_us[i] = histogram_bound_us(i);
	return good;
}

/* --- sums ------------------------------------------------------------------------------------- */

void
control_stats_host(const struct control *control, const struct control_host *host,
		   struct stats_host *sum)
{
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		const struct worker_stats *stats = control->workers[i].stats;
		if (stats != NULL)
			stats_add_host(stats, host->index, host->id, sum);
	}
}

static uint64_t
monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* the workers' */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Of one that runs; the time of those before it is gone with them. */
static uint64_t
cpu_us(const struct control_worker *worker)
{
	struct timespec t;
	clockid_t clock;

	if (worker->channel == NULL || worker->pid <= 0 ||
	    clock_getcpuclockid(worker->pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000;
}

/* --- messages --------------------------------------------------------------------------------- */

/*
 * Of all hosts together every reason, also those that never happened, so that whoever draws a line
 * knows where it began; of one host those that did: most of a thousand hosts have none.
 */
static bool
fill_reasons(struct answer *answer, size_t count, char *const *names,
	     const _Atomic uint64_t *numbers, Relay__Control__Reason ***list, size_t *filled)
{
	*list = control_alloc(answer->call, count * sizeof(Relay__Control__Reason *));
	if (*list == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		uint64_t number = stats_get(&numbers[i]);
		if (number == 0 && !answer->every_reason)
			continue;
		Relay__Control__Reason *row = control_alloc(answer->call, sizeof *row);
		if (row == NULL)
			return false;
		relay__control__reason__init(row);
		row->reason = names[i];
		row->count = number;
		(*list)[(*filled)++] = row;
	}
	return true;
}

Relay__Control__Histogram *
control_stats_histogram(struct control_call *call, uint64_t *bounds_us,
			const _Atomic uint64_t *counts, uint64_t sum_ns)
{
	Relay__Control__Histogram *message = control_alloc(call, sizeof *message);
	uint64_t *numbers = control_alloc(call, HISTOGRAM_BUCKETS * sizeof *numbers);

	if (message == NULL || numbers == NULL)
		return NULL;
	relay__control__histogram__init(message);
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		numbers[i] = stats_get(&counts[i]);
	message->bound_us = bounds_us;
	message->n_bound_us = HISTOGRAM_BOUNDS;
	message->count = numbers;
	message->n_count = HISTOGRAM_BUCKETS;
	message->sum_us = sum_ns / 1000;
	return message;
}

static Relay__Control__Histogram *
make_histogram(struct answer *answer, const _Atomic uint64_t *counts, uint64_t sum_ns)
{
	return control_stats_histogram(answer->call, answer->names.bounds_us, counts, sum_ns);
}

static Relay__Control__Counters *
make_counters(struct answer *answer, const struct stats_host *sum)
{
	Relay__Control__Counters *counters = control_alloc(answer->call, sizeof *counters);
	uint64_t waited_ns = stats_get(&sum->queue_wait.sum_ns);
	uint64_t upstream_ns = stats_get(&sum->upstream.sum_ns);

	if (counters == NULL)
		return NULL;
	relay__control__counters__init(counters);
	counters->requests = stats_get(&sum->requests);
	counters->answered = stats_get(&sum->results[REQUEST_ANSWERED]);
	counters->bytes_in = stats_get(&sum->bytes_in);
	counters->bytes_out = stats_get(&sum->bytes_out);
	counters->connects = stats_get(&sum->connects);
	counters->clients_accepted = stats_get(&sum->clients_accepted);
	counters->tls_resumed = stats_get(&sum->tls_resumed);
	counters->tls_handshakes = stats_get(&sum->tls_handshakes);
	/* The first result is no failure. */
	if (!fill_reasons(answer, REQUEST_RESULT_COUNT - 1, answer->names.results + 1,
			  sum->results + 1, &counters->failures, &counters->n_failures) ||
	    !fill_reasons(answer, LINK_REASON_COUNT, answer->names.reasons, sum->closes,
			  &counters->closes, &counters->n_closes))
		return NULL;
	counters->duration = make_histogram(answer, sum->duration, waited_ns + upstream_ns);
	counters->queue_wait = make_histogram(answer, sum->queue_wait.count, waited_ns);
	counters->upstream = make_histogram(answer, sum->upstream.count, upstream_ns);
	counters->handshake =
	    make_histogram(answer, sum->handshake.count, stats_get(&sum->handshake.sum_ns));
	return counters;
}

Relay__Control__Gauges *
control_stats_gauges(struct control_call *call, const struct control_host *host,
		     const struct stats_host *sum)
{
	Relay__Control__Gauges *gauges = control_alloc(call, sizeof *gauges);
	uint64_t now = monotonic_ns();
	uint64_t since = stats_get(&sum->queue_since);

	if (gauges == NULL)
		return NULL;
	relay__control__gauges__init(gauges);
	gauges->clients = stats_get(&sum->clients);
	gauges->links = stats_get(&sum->links);
	gauges->links_ready = stats_get(&sum->links_ready);
	gauges->in_flight = stats_in_flight(sum);
	gauges->queue_length = stats_get(&sum->queue_length);
	gauges->queue_bytes = stats_get(&sum->queue_bytes);
	if (gauges->queue_length > 0 && since < now)
		gauges->queue_age_us = (now - since) / 1000;
	gauges->delayed = host->delayed.files;
	/* What was shown before TLS was switched off is of no interest. */
	if (host->settings.tls != HOST_TLS_OFF)
		gauges->peer_expires = stats_get(&sum->tls_peer_expiry) * 1000000;
	return gauges;
}

static Relay__Control__HostStats *
make_host(struct answer *answer, const struct control_host *host)
{
	Relay__Control__HostStats *row = control_alloc(answer->call, sizeof *row);
	struct stats_host sum = { .id = "" };

	if (row == NULL)
		return NULL;
	relay__control__host_stats__init(row);
	control_stats_host(answer->call->control, host, &sum);
	row->id = control_clean(answer->call, host->id);
	row->counters = make_counters(answer, &sum);
	row->gauges = control_stats_gauges(answer->call, host, &sum);
	return row;
}

static Relay__Control__WorkerStats *
make_worker(struct answer *answer, uint32_t number, const struct stats_host *sum)
{
	const struct control_worker *worker = &answer->call->control->workers[number];
	const struct worker_stats *stats = worker->stats;
	Relay__Control__WorkerStats *row = control_alloc(answer->call, sizeof *row);
	uint64_t starts = stats_get(&stats->starts);

	if (row == NULL)
		return NULL;
	relay__control__worker_stats__init(row);
	row->number = number;
	row->loop_lag =
	    make_histogram(answer, stats->loop_lag.count, stats_get(&stats->loop_lag.sum_ns));
	row->turns = stats_get(&stats->turns);
	row->buffers_exhausted = stats_get(&stats->buffers_exhausted);
	row->accept_pauses = stats_get(&stats->accept_pauses);
	row->memory_used = stats_get(&stats->memory_used);
	row->memory_max = stats_get(&stats->memory_max);
	row->clients = stats_get(&sum->clients);
	row->cpu_us = cpu_us(worker);
	row->restarts = starts > 0 ? starts - 1 : 0;
	return row;
}

/* --- the answer ------------------------------------------------------------------------------- */

static void
fill_daemon(struct answer *answer)
{
	const struct control *control = answer->call->control;
	Relay__Control__Stats *stats = &answer->stats;

	stats->generation = control->generation;
	stats->last_load_ok = control->last_load_ok;
	stats->last_load = control->last_load_us;
	stats->loads = control->loads;
	stats->loads_refused = control->loads_refused;
	stats->version = control_clean(answer->call, RELAY_VERSION);
	stats->started = control->options->started_us;
	for (uint32_t i = 0; i < control->hosts_cap; i++) {
		if (control->hosts[i] != NULL)
			stats->delayed += control->hosts[i]->delayed.files;
	}
}

/* Each worker, and all of them together; without memory the answer says so. */
static void
fill_workers(struct answer *answer)
{
	const struct control *control = answer->call->control;
	uint32_t count = control->options->worker_count;
	Relay__Control__WorkerStats **list = control_alloc(answer->call, count * sizeof *list);
	struct stats_host total = { .id = "" };

	if (list == NULL)
		return;
	answer->stats.worker = list;
	for (uint32_t i = 0; i < count; i++) {
		struct stats_host sum = { .id = "" };
		if (control->workers[i].stats == NULL)
			continue;
		(void)stats_add_total(control->workers[i].stats, &sum); /* as good as it can be */
		stats_add(&total, &sum);
		Relay__Control__WorkerStats *row = make_worker(answer, i, &sum);
		if (row != NULL)
			list[answer->stats.n_worker++] = row;
	}
	answer->every_reason = true;
	answer->stats.total = make_counters(answer, &total);
	answer->every_reason = false;
}

/* In the order of their names. */
static void
fill_services(struct answer *answer)
{
	const struct config *config = &answer->call->control->config;
	Relay__Control__ServiceStats **list =
	    control_alloc(answer->call, config->service_count * sizeof *list);

	answer->stats.service = list;
	for (size_t i = 0; list != NULL && i < config->service_count; i++) {
		const struct control_service *service =
		    control_service_find(answer->call->control, config->services[i].name);
		Relay__Control__ServiceStats *row =
		    service == NULL ? NULL : control_service_stats(answer->call, service);
		if (row != NULL)
			list[answer->stats.n_service++] = row;
	}
}

/* A file that belongs to several keys or authorities is told of once. */
static bool
is_told(const Relay__Control__Stats *stats, const char *file)
{
	for (size_t i = 0; i < stats->n_certificate; i++)
		if (strcmp(stats->certificate[i]->file, file) == 0)
			return true;
	return false;
}

static void
fill_certificates(struct answer *answer)
{
	const struct config *config = &answer->call->control->config;
	Relay__Control__Stats *stats = &answer->stats;

	stats->certificate = control_alloc(answer->call, config->credential_count * sizeof(void *));
	for (size_t i = 0; stats->certificate != NULL && i < config->credential_count; i++) {
		const struct config_credentials *set = &config->credentials[i];
		Relay__Control__Certificate *row;

		if (is_told(stats, set->paths[TLS_FILE_CERT]) ||
		    (row = control_alloc(answer->call, sizeof *row)) == NULL)
			continue;
		relay__control__certificate__init(row);
		row->file = control_clean(answer->call, set->paths[TLS_FILE_CERT]);
		row->name = control_clean(answer->call, set->found.name);
		row->expires =
		    set->found.not_after > 0 ? (uint64_t)set->found.not_after * 1000000 : 0;
		if (row->file != NULL && row->name != NULL)
			stats->certificate[stats->n_certificate++] = row;
	}
}

/* The hosts from index `at` on; the index of the next page, or hosts_cap. */
static uint32_t
fill_hosts(struct answer *answer, uint32_t at, size_t page)
{
	const struct control *control = answer->call->control;
	Relay__Control__HostStats **list = control_alloc(answer->call, page * sizeof *list);

	answer->stats.host = list;
	for (; list != NULL && at < control->hosts_cap; at++) {
		if (control->hosts[at] == NULL)
			continue;
		if (answer->stats.n_host == page)
			break;
		Relay__Control__HostStats *row = make_host(answer, control->hosts[at]);
		if (row == NULL)
			break;
		list[answer->stats.n_host++] = row;
	}
	return at;
}

/* Where a page begins: the index of a host.  False: it is no cursor of ours. */
static bool
parse_cursor(const char *cursor, uint32_t *at)
{
	char *end;

	*at = 0;
	if (cursor[0] == '\0')
		return true;
	if (cursor[0] < '0' || cursor[0] > '9')
		return false;
	unsigned long long number = strtoull(cursor, &end, 10);
	*at = number < HOSTS_MAX ? (uint32_t)number : HOSTS_MAX;
	return *end == '\0';
}

static void
answer_one(struct answer *answer, const char *id)
{
	const struct control_host *host = control_host_by_id(answer->call->control, id);
	Relay__Control__HostStats *row = host == NULL ? NULL : make_host(answer, host);
	Relay__Control__Reply reply;

	if (host == NULL) {
		control_answer_error(answer->call, RELAY__CONTROL__CODE__NOT_FOUND,
				     "there is no host %s", id);
		return;
	}
	relay__control__reply__init(&reply);
	answer->stats.host = &row;
	answer->stats.n_host = row != NULL;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_STATS;
	reply.stats = &answer->stats;
	control_answer(answer->call, &reply);
}

static void
answer_page(struct answer *answer, uint32_t at)
{
	struct control_call *call = answer->call;
	size_t page = call->request->page_size;
	Relay__Control__Reply reply;

	relay__control__reply__init(&reply);
	if (page == 0)
		page = PAGE_DEFAULT;
	if (call->request->cursor[0] == '\0') {
		fill_workers(answer);
		fill_services(answer);
		fill_certificates(answer);
		answer->stats.n_gateway = control_gateways_rows(call, &answer->stats.gateway);
	}
	uint32_t next = fill_hosts(answer, at, page < PAGE_MAX ? page : PAGE_MAX);
	if (next < call->control->hosts_cap)
		reply.next_cursor = control_text(call, "%" PRIu32, next);
	reply.body_case = RELAY__CONTROL__REPLY__BODY_STATS;
	reply.stats = &answer->stats;
	control_answer(call, &reply);
}

void
control_do_stats(struct control_call *call)
{
	struct answer answer = { .call = call };
	uint32_t at;

	relay__control__stats__init(&answer.stats);
	if (!parse_cursor(call->request->cursor, &at)) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE, "it is no cursor of ours");
		return;
	}
	if (!names_init(&answer.names, call)) {
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT, "no memory");
		return;
	}
	fill_daemon(&answer);
	if (call->request->n_arguments > 0)
		answer_one(&answer, call->request->arguments[0]);
	else
		answer_page(&answer, at);
}
