/*
 * control_show.c - the verbs that only look: info, limits, hosts list and show.
 *
 * Changes nothing and asks nobody: what is told here the control process knows.
 */
#include "relay/control_call.h"

#include "relay/child.h"
#include "relay/control.h"
#include "relay/control_server.h"
#include "relay/control_stats.h"
#include "relay/hosts_table.h"
#include "relay/resolve.h"
#include "relay/version.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

enum {
	PAGE_MAX = 1000,              /* hosts; of most rows a frame takes more, */
	PAGE_BYTES = 2 * 1024 * 1024, /* but a line of the table may be long */
};

/* --- info ------------------------------------------------------------------------------------- */

/* The worker's memory counts them for every control process. */
static uint64_t
restarts_of(const struct control_worker *worker)
{
	uint64_t starts = worker->stats == NULL ? 0 : stats_get(&worker->stats->starts);

	return starts > 0 ? starts - 1 : 0;
}

static void
fill_workers(struct control_call *call, Relay__Control__Info *info)
{
	const struct control *control = call->control;
	uint32_t count = control->options->worker_count;
	Relay__Control__WorkerInfo *workers = control_alloc(call, count * sizeof *workers);
	Relay__Control__WorkerInfo **list = control_alloc(call, count * sizeof(void *));

	if (workers == NULL || list == NULL)
		return;
	for (uint32_t i = 0; i < count; i++) {
		const struct control_worker *worker = &control->workers[i];
		relay__control__worker_info__init(&workers[i]);
		workers[i].number = i;
		workers[i].pid = worker->channel == NULL ? 0 : (uint32_t)worker->pid;
		workers[i].ready = control_worker_ready(worker);
		workers[i].restarts = restarts_of(worker);
		list[i] = &workers[i];
	}
	info->n_worker = count;
	info->worker = list;
}

void
control_do_info(struct control_call *call)
{
	const struct control *control = call->control;
	const struct relay_settings *relay =
	    control->loaded ? &control->config.relay : &control->options->started->relay;
	Relay__Control__Reply reply;
	Relay__Control__Info info;
	struct utsname system;

	relay__control__reply__init(&reply);
	relay__control__info__init(&info);
	info.version = control_clean(call, RELAY_VERSION);
	info.pid = (uint32_t)control->options->keeper_pid;
	info.boot_id = control_clean(call, control->options->boot_id);
	info.started = control->options->started_us;
	info.now = control_now_us();
	info.host_id = control_clean(call, relay->host_id);
	info.workers = control->options->worker_count;
	info.generation = control->generation;
	info.loaded = control->loaded_us;
	info.last_load_ok = control->last_load_ok;
	info.last_load = control->last_load_us;
	info.hosts_source = control_clean(call, hosts_accepted_source(&control->config.accepted));
	info.hosts_path = control_clean(call, control->config.hosts_path);
	info.hosts = control->config.host_count;
	info.run_dir = control_clean(call, relay->run_dir);
	info.state_dir = control_clean(call, relay->state_dir);
	info.socket_dir = control_clean(call, relay->socket_dir);
	info.control_socket = control_clean(call, relay->control_socket);
	if (uname(&system) == 0)
		info.kernel = control_text(call, "%s %s", system.sysname, system.release);
	fill_workers(call, &info);
	reply.body_case = RELAY__CONTROL__REPLY__BODY_INFO;
	reply.info = &info;
	control_answer(call, &reply);
}

/* --- limits ----------------------------------------------------------------------------------- */

struct limits {
	struct control_call *call;
	Relay__Control__Limits message;
	size_t room;
};

static void
add_limit(struct limits *limits, const char *name, uint64_t used, uint64_t max, const char *unit)
{
	Relay__Control__Limit *limit = control_alloc(limits->call, sizeof *limit);

	if (limit == NULL || limits->message.limit == NULL ||
	    limits->message.n_limit == limits->room)
		return;
	relay__control__limit__init(limit);
	limit->name = control_clean(limits->call, name);
	limit->used = used;
	limit->max = max;
	limit->unit = control_clean(limits->call, unit);
	limits->message.limit[limits->message.n_limit++] = limit;
}

/* What workers keep for others, all of them together. */
static void
add_memory(struct limits *limits)
{
	const struct control *control = limits->call->control;
	uint64_t used = 0;
	uint64_t max = 0;

	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		const struct worker_stats *stats = control->workers[i].stats;
		used += stats == NULL ? 0 : stats_get(&stats->memory_used);
		max += stats == NULL ? 0 : stats_get(&stats->memory_max);
	}
	add_limit(limits, "memory", used, max, "bytes");
}

/* One bound of hosts, and the host that is nearest to it. */
struct fullest {
	const char *name;
	const char *unit;
	const char *host;
	uint64_t used;
	uint64_t max;
};

static void
look_at(struct fullest *fullest, const struct control_host *host, uint64_t used, uint64_t max)
{
	if (fullest->host != NULL &&
	    (double)used * (double)fullest->max <= (double)fullest->used * (double)max)
		return;
	fullest->host = host->id;
	fullest->used = used;
	fullest->max = max;
}

/* Bounds that each host has for itself: only the nearest of each kind is told. */
static void
add_hosts(struct limits *limits)
{
	const struct control *control = limits->call->control;
	static struct stats_host sum; /* large */
	struct fullest bounds[] = {
		{ .name = "links_max", .unit = "links" },
		{ .name = "clients_max", .unit = "clients" },
		{ .name = "queue_max", .unit = "requests" },
		{ .name = "queue_bytes_max", .unit = "bytes" },
	};

	for (uint32_t i = 0; i < control->hosts_cap; i++) {
		const struct control_host *host = control->hosts[i];
		if (host == NULL)
			continue;
		memset(&sum, 0, sizeof sum);
		control_stats_host(control, host, &sum);
		/* Each worker that serves it has these for itself. */
		uint64_t homes = (uint64_t)__builtin_popcountll(host->homes | (host->homes == 0));
		const struct host_settings *max = &host->settings;
		look_at(&bounds[0], host, stats_get(&sum.links), homes * max->links_max);
		look_at(&bounds[1], host, stats_get(&sum.clients), homes * max->clients_max);
		look_at(&bounds[2], host, stats_get(&sum.queue_length), homes * max->queue_max);
		look_at(&bounds[3], host, stats_get(&sum.queue_bytes),
			homes * max->queue_bytes_max);
	}
	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
		const struct fullest *bound = &bounds[i];
		if (bound->host != NULL)
			add_limit(limits,
				  control_text(limits->call, "%s of %s", bound->name, bound->host),
				  bound->used, bound->max, bound->unit);
	}
}

/* Of the message plane: sessions of all workers, and what the store may hold. */
static void
add_messages(struct limits *limits)
{
	const struct control *control = limits->call->control;
	const struct relay_settings *relay = &control->config.relay;
	const struct message_totals *totals = &control->messages.store.totals;
	uint64_t online = 0;

	if (!control->messages.on || !control->loaded)
		return;
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		const struct worker_stats *stats = control->workers[i].stats;
		online += stats == NULL ? 0 : stats_get(&stats->datagrams_online);
	}
	add_limit(limits, "sessions", online, relay->datagram.sessions_max, "sessions");
	add_limit(limits, "store_count", totals->count, relay->store_count, "messages");
	add_limit(limits, "store_bytes", totals->bytes, relay->store_bytes, "bytes");
}

void
control_do_limits(struct control_call *call)
{
	const struct control *control = call->control;
	Relay__Control__Reply reply;
	struct limits limits = { .call = call, .room = 16 };

	relay__control__reply__init(&reply);
	relay__control__limits__init(&limits.message);
	limits.message.limit = control_alloc(call, limits.room * sizeof(void *));
	add_limit(&limits, "hosts", control->config.host_count, CONFIG_HOSTS_MAX, "hosts");
	add_limit(&limits, "control_connections", control->server->count,
		  control->server->connections_max, "connections");
	add_limit(&limits, "control_memory", control->server->memory, CONTROL_SERVER_MEMORY_MAX,
		  "bytes");
	add_memory(&limits);
	add_hosts(&limits);
	add_messages(&limits);
	reply.body_case = RELAY__CONTROL__REPLY__BODY_LIMITS;
	reply.limits = &limits.message;
	control_answer(call, &reply);
}

/* --- hosts ------------------------------------------------------------------------------------ */

static const char *
state_of(const struct control_host *host)
{
	if (host == NULL || host->index == CONTROL_INDEX_NONE || host->listener < 0)
		return "starting";
	if (control_host_held(host))
		return host->hold == HOST_HOLD_PAUSED ? "paused" : "draining";
	if (host->up != 0)
		return "up";
	return control_host_down(host) ? "down" : "connecting";
}

static char *
resolved_text(struct control_call *call, const struct control_host *host)
{
	const union resolve_address *address = host == NULL ? NULL : control_host_address(host);
	char text[RESOLVE_TEXT_MAX] = "";

	if (address != NULL)
		resolve_text(&address->any, text);
	return control_clean(call, text);
}

static void
fill_homes(struct control_call *call, const struct control_host *source, Relay__Control__Host *host)
{
	uint32_t *workers = control_alloc(call, CONTROL_WORKERS_MAX * sizeof *workers);

	if (workers == NULL)
		return;
	host->worker = workers;
	for (uint32_t i = 0; i < call->control->options->worker_count; i++) {
		if (source->homes & (1ull << i))
			workers[host->n_worker++] = i;
	}
}

static void
fill_numbers(struct control_call *call, const struct control_host *source,
	     Relay__Control__Host *host)
{
	struct stats_host sum = { .id = "" };

	control_stats_host(call->control, source, &sum);
	host->gauges = control_stats_gauges(call, source, &sum);
	host->requests = stats_get(&sum.requests);
	host->failed = stats_failed(&sum);
}

static void
fill_settings(struct control_call *call, const struct host_section *settings,
	      Relay__Control__Host *host)
{
	Relay__Control__Setting *rows = control_alloc(call, SETTING_COUNT * sizeof *rows);
	Relay__Control__Setting **list = control_alloc(call, SETTING_COUNT * sizeof(void *));
	char text[2 * SETTINGS_TLS_PATH_MAX + 3]; /* each byte marked, in quotes */

	if (rows == NULL || list == NULL)
		return;
	host->setting = list;
	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];
		if (setting->section != SETTING_SECTION_HOST)
			continue;
		Relay__Control__Setting *row = &rows[host->n_setting];
		relay__control__setting__init(row);
		setting_format(setting, setting_load(setting, settings), text, sizeof text);
		row->name = control_clean(call, setting->key);
		row->value = control_clean(call, text);
		list[host->n_setting++] = row;
	}
}

static Relay__Control__Host *
host_row(struct control_call *call, const struct config_host *config, bool whole)
{
	const struct control_host *host = control_host_by_id(call->control, config->id);
	Relay__Control__Host *row = control_alloc(call, sizeof *row);

	if (row == NULL)
		return NULL;
	relay__control__host__init(row);
	row->id = control_clean(call, config->id);
	row->state = control_clean(call, state_of(host));
	row->address = control_clean(call, config->address);
	row->port = config->port;
	row->resolved = resolved_text(call, host);
	row->domain = control_clean(call, config->domain);
	row->role = control_clean(call, config->role);
	row->name = control_clean(call, config->name);
	row->socket =
	    control_text(call, "%s/%s", call->control->config.relay.socket_dir, config->id);
	if (host != NULL) {
		fill_homes(call, host, row);
		fill_numbers(call, host, row);
		row->last_log = control_clean(call, host->last_log.text);
	}
	if (whole)
		fill_settings(call, &config->section, row);
	return row;
}

/* Where a page begins: the number of a row.  False: it is no cursor of ours. */
static bool
parse_cursor(const char *cursor, size_t *at)
{
	char *end;

	*at = 0;
	if (cursor[0] == '\0')
		return true;
	if (cursor[0] < '0' || cursor[0] > '9')
		return false;
	*at = strtoull(cursor, &end, 10);
	return *end == '\0';
}

void
control_do_hosts_list(struct control_call *call)
{
	const struct config *config = &call->control->config;
	Relay__Control__Reply reply;
	Relay__Control__Hosts hosts;
	size_t page = call->request->page_size;
	size_t size = 0;
	size_t at;

	relay__control__reply__init(&reply);
	relay__control__hosts__init(&hosts);
	if (!parse_cursor(call->request->cursor, &at)) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE, "it is no cursor of ours");
		return;
	}
	if (page == 0 || page > PAGE_MAX)
		page = PAGE_MAX;
	hosts.host = control_alloc(call, page * sizeof(void *));
	for (; hosts.host != NULL && at < config->host_count && hosts.n_host < page &&
	       size < PAGE_BYTES;
	     at++) {
		Relay__Control__Host *row = host_row(call, &config->hosts[at], false);
		if (row == NULL)
			break;
		hosts.host[hosts.n_host++] = row;
		size += relay__control__host__get_packed_size(row);
	}
	if (at < config->host_count)
		reply.next_cursor = control_text(call, "%zu", at);
	reply.body_case = RELAY__CONTROL__REPLY__BODY_HOSTS;
	reply.hosts = &hosts;
	control_answer(call, &reply);
}

void
control_do_hosts_show(struct control_call *call)
{
	const struct config *config = &call->control->config;
	Relay__Control__Reply reply;
	Relay__Control__Hosts hosts;
	const char *id = call->request->arguments[0];

	relay__control__reply__init(&reply);
	relay__control__hosts__init(&hosts);
	for (size_t i = 0; i < config->host_count; i++) {
		if (strcmp(config->hosts[i].id, id) != 0)
			continue;
		Relay__Control__Host *row = host_row(call, &config->hosts[i], true);
		hosts.host = &row;
		hosts.n_host = row != NULL;
		reply.body_case = RELAY__CONTROL__REPLY__BODY_HOSTS;
		reply.hosts = &hosts;
		control_answer(call, &reply);
		return;
	}
	control_answer_error(call, RELAY__CONTROL__CODE__NOT_FOUND, "there is no host %s", id);
}
