/*
 * metrics.c - the families of metrics, one after the other; see metrics.h.
 *
 * A family's samples stand together, after its HELP and TYPE: that is the format's rule, so the
 * loops are by family first, then by host.  Owns nothing.
 */
#include "relay/metrics.h"

#include "relay/metrics_datagrams.h"
#include "relay/metrics_family.h"
#include "relay/metrics_gateways.h"
#include "relay/metrics_services.h"
#include "relay/metrics_table.h"
#include "relay/metrics_tls.h"

#include <string.h>

/* A family of one sample. */
static void
single(struct metrics_text *text, const char *name, const char *type, const char *help,
       uint64_t number)
{
	metrics_family(text, name, type, help);
	metrics_text_put(text, name);
	metrics_text_put(text, " ");
	metrics_end_number(text, number);
}

static void
single_seconds(struct metrics_text *text, const char *name, const char *type, const char *help,
	       uint64_t us)
{
	metrics_family(text, name, type, help);
	metrics_text_put(text, name);
	metrics_text_put(text, " ");
	metrics_end_seconds(text, us);
}

/* --- by host */

/* A sample up to its number; `more` is ,name="value" or "". */
static void
host_sample(struct metrics_text *text, const char *name, const struct metrics_hosts *hosts,
	    const struct metrics_row *row, const char *more)
{
	metrics_text_put(text, name);
	metrics_text_put(text, "{");
	metrics_text_put_bytes(text, hosts->labels.bytes + row->label_at, row->label_len);
	metrics_text_put(text, more);
	metrics_text_put(text, "} ");
}

/* Members of a row that are a family as they are. */
static const struct row_family {
	const char *name;
	const char *type;
	const char *help;
	size_t offset;
	bool is_us;
} row_families[] = {

#define ROW(name, type, member, is_us, help)                                  \
	{                                                                     \
		name, type, help, offsetof(struct metrics_row, member), is_us \
	}
	ROW("relay_queue_length", "gauge", queue_length, false, "Requests that wait for a link."),
	ROW("relay_queue_bytes", "gauge", queue_bytes, false,
	    "Bytes of the requests that wait for a link."),
	ROW("relay_queue_oldest_age_seconds", "gauge", queue_age_us, true,
	    "How long the oldest waiting request has waited."),
	ROW("relay_requests_in_flight", "gauge", in_flight, false,
	    "Requests sent to the peer and not yet answered."),
	ROW("relay_connects_total", "counter", connects, false,
	    "Links to the peer that were begun."),
	ROW("relay_delayed_messages", "gauge", delayed, false, "Delayed messages on disk."),
	ROW("relay_clients", "gauge", clients, false, "Connected clients."),
	ROW("relay_clients_accepted_total", "counter", clients_accepted, false,
	    "Clients that connected."),
	ROW("relay_received_bytes_total", "counter", bytes_in, false,
	    "Bytes received from clients."),
	ROW("relay_tls_handshakes_total", "counter", tls_handshakes, false,
	    "Links to the peer that were secured."),
	ROW("relay_tls_resumed_total", "counter", tls_resumed, false,
	    "Of these, those by a session of before."),
	ROW("relay_sent_bytes_total", "counter", bytes_out, false, "Bytes sent to clients."),
#undef ROW
};

static void
write_row_family(struct metrics_text *text, const struct metrics_hosts *hosts,
		 const struct row_family *of)
{
	metrics_family(text, of->name, of->type, of->help);
	for (size_t i = 0; i < hosts->count; i++) {
		const char *row = (const char *)&hosts->row[i];
		uint64_t number;

		memcpy(&number, row + of->offset, sizeof number);
		host_sample(text, of->name, hosts, &hosts->row[i], "");
		if (of->is_us)
			metrics_end_seconds(text, number);
		else
			metrics_end_number(text, number);
	}
}

/* Two samples per host: one label with two values. */
static void
write_pair(struct metrics_text *text, const struct metrics_hosts *hosts, const char *name,
	   const char *const more[2], size_t first, size_t second)
{
	for (size_t i = 0; i < hosts->count; i++) {
		const char *row = (const char *)&hosts->row[i];
		uint64_t number;

		memcpy(&number, row + first, sizeof number);
		host_sample(text, name, hosts, &hosts->row[i], more[0]);
		metrics_end_number(text, number);
		memcpy(&number, row + second, sizeof number);
		host_sample(text, name, hosts, &hosts->row[i], more[1]);
		metrics_end_number(text, number);
	}
}

/* `counts` is the place of one count per reason in a row. */
static void
write_reasons(struct metrics_text *text, const struct metrics_hosts *hosts, const char *name,
	      const struct metrics_reasons *reasons, size_t counts)
{
	for (size_t i = 0; i < hosts->count; i++) {
		const char *row = (const char *)&hosts->row[i];

		for (size_t at = 0; at < reasons->count; at++) {
			uint64_t number;

			memcpy(&number, row + counts + at * sizeof number, sizeof number);
			metrics_text_put(text, name);
			metrics_text_put(text, "{");
			metrics_text_put_bytes(text, hosts->labels.bytes + hosts->row[i].label_at,
					       hosts->row[i].label_len);
			metrics_text_put(text, ",");
			metrics_text_put_label(text, "reason", reasons->name[at]);
			metrics_text_put(text, "} ");
			metrics_end_number(text, number);
		}
	}
}

static void
write_clocks(struct metrics_text *text, const struct metrics_hosts *hosts)
{
	static const struct {
		const char *name;
		const char *help;
	} clocks[METRICS_CLOCK_COUNT] = {
		[METRICS_DURATION] = { "relay_request_duration_seconds",
				       "From the complete request to its reply." },
		[METRICS_QUEUE_WAIT] = { "relay_queue_wait_seconds",
					 "From the complete request to a link that takes it." },
		[METRICS_UPSTREAM] = { "relay_upstream_duration_seconds",
				       "From the link to the peer's reply." },
		[METRICS_HANDSHAKE] = { "relay_handshake_duration_seconds",
					"From the connect of a link to the end of its handshake." },
	};
	struct metrics_ends ends;

	metrics_ends_init(&ends, &hosts->sets.bounds);
	for (size_t clock = 0; clock < METRICS_CLOCK_COUNT && !ends.text.full; clock++) {
		metrics_family(text, clocks[clock].name, "histogram", clocks[clock].help);
		for (size_t i = 0; i < hosts->count; i++) {
			const struct metrics_row *row = &hosts->row[i];

			metrics_histogram(text, clocks[clock].name,
					  hosts->labels.bytes + row->label_at, row->label_len,
					  &row->times[clock], &hosts->sets.bounds, &ends);
		}
	}
	/* Without room for the bounds there is none for the rest either. */
	text->full |= ends.text.full;
	metrics_text_fini(&ends.text);
}

static void
write_hosts(struct metrics_text *text, const struct metrics_hosts *hosts)
{
	static const char *const results[] = { ",result=\"answered\"", ",result=\"failed\"" };
	static const char *const states[] = { ",state=\"ready\"", ",state=\"other\"" };

	metrics_family(text, "relay_requests_total", "counter", "Requests that came to their end.");
	write_pair(text, hosts, "relay_requests_total", results,
		   offsetof(struct metrics_row, answered), offsetof(struct metrics_row, failed));
	metrics_family(text, "relay_request_failures_total", "counter",
		       "Requests that ended without an answer, by reason.");
	write_reasons(text, hosts, "relay_request_failures_total", &hosts->sets.failures,
		      offsetof(struct metrics_row, failures));
	metrics_family(text, "relay_links", "gauge", "TCP links to the peer.");
	write_pair(text, hosts, "relay_links", states, offsetof(struct metrics_row, links_ready),
		   offsetof(struct metrics_row, links_other));
	metrics_family(text, "relay_link_closes_total", "counter", "Links that ended, by reason.");
	write_reasons(text, hosts, "relay_link_closes_total", &hosts->sets.closes,
		      offsetof(struct metrics_row, closes));
	for (size_t i = 0; i < sizeof row_families / sizeof row_families[0]; i++)
		write_row_family(text, hosts, &row_families[i]);
	write_clocks(text, hosts);
}

/* --- by worker */

static const struct metrics_member worker_members[] = {

#define WORKER(name, type, member, is_us, help)                                        \
	{                                                                              \
		name, type, help, offsetof(Relay__Control__WorkerStats, member), is_us \
	}
	WORKER("relay_buffers_exhausted_total", "counter", buffers_exhausted, false,
	       "Receives that found no buffer."),
	WORKER("relay_accept_pauses_total", "counter", accept_pauses, false,
	       "Times that accepting stopped for want of descriptors or memory."),
	WORKER("relay_worker_turns_total", "counter", turns, false, "Turns of the event loop."),
	WORKER("relay_worker_cpu_seconds_total", "counter", cpu_us, true,
	       "Processor time of the worker."),
	WORKER("relay_worker_restarts_total", "counter", restarts, false,
	       "Times that the worker was started again."),
	WORKER("relay_worker_memory_bytes", "gauge", memory_used, false,
	       "Memory used for buffers, queues and clients."),
	WORKER("relay_worker_memory_max_bytes", "gauge", memory_max, false,
	       "Bound of relay_worker_memory_bytes."),
	WORKER("relay_worker_clients", "gauge", clients, false, "Connected clients."),
#undef WORKER
};

static void
write_loop_lag(struct metrics_text *text, const struct metrics_table *table)
{
	static const char name[] = "relay_loop_lag_seconds";
	struct metrics_bounds bounds = { .count = 0 };
	struct metrics_times times = { .sum_us = 0 };
	struct metrics_ends ends;

	for (size_t i = 0; i < table->count; i++) {
		const Relay__Control__WorkerStats *of = table->row[i].of;
		metrics_times_add(&times, &bounds, of->loop_lag);
	}
	metrics_ends_init(&ends, &bounds);
	metrics_family(text, name, "histogram",
		       "From an event's turn of the loop to the end of its work.");
	for (size_t i = 0; i < table->count && !ends.text.full; i++) {
		const struct metrics_table_row *row = &table->row[i];
		const Relay__Control__WorkerStats *of = row->of;

		times = (struct metrics_times){ .sum_us = 0 };
		metrics_times_add(&times, &bounds, of->loop_lag);
		metrics_histogram(text, name, table->labels.bytes + row->label_at, row->label_len,
				  &times, &bounds, &ends);
	}
	text->full |= ends.text.full;
	metrics_text_fini(&ends.text);
}

static void
write_workers(struct metrics_text *text, const Relay__Control__Stats *stats)
{
	struct metrics_table table;

	metrics_table_init(&table);
	for (size_t i = 0; i < stats->n_worker && i < METRICS_WORKERS_MAX; i++)
		metrics_table_add_worker(&table, stats->worker[i]->number, stats->worker[i]);
	metrics_table_write(text, &table, worker_members,
			    sizeof worker_members / sizeof worker_members[0]);
	write_loop_lag(text, &table);
	text->full |= table.labels.full;
	metrics_table_fini(&table);
}

/* --- the daemon and the exporter */

static void
write_daemon(struct metrics_text *text, const struct metrics_daemon *daemon)
{
	const Relay__Control__Stats *stats = daemon->stats;

	if (daemon->health != NULL)
		single(text, "relay_ready", "gauge", "Whether the relay serves all it should.",
		       daemon->health->ready != 0);
	if (daemon->info != NULL)
		single(text, "relay_hosts", "gauge", "Hosts in the table.", daemon->info->hosts);
	if (stats == NULL)
		return;
	single(text, "relay_config_generation", "gauge", "The configuration in force.",
	       stats->generation);
	single(text, "relay_config_last_load_success", "gauge",
	       "Whether the last attempt to load the configuration succeeded.",
	       stats->last_load_ok != 0);
	single_seconds(text, "relay_config_last_load_timestamp_seconds", "gauge",
		       "When that was, since 1970.", stats->last_load);
	single(text, "relay_config_loads_total", "counter",
	       "Times that the configuration was read to be taken over.", stats->loads);
	single(text, "relay_config_loads_refused_total", "counter", "Configurations refused.",
	       stats->loads_refused);
	single_seconds(text, "relay_start_time_seconds", "gauge",
		       "When the relay was started, since 1970.", stats->started);
	metrics_family(text, "relay_build_info", "gauge", "Always 1; the label says which relay.");
	metrics_text_put(text, "relay_build_info{");
	metrics_text_put_label(text, "version", stats->version);
	metrics_text_put(text, "} 1\n");
}

static void
write_self(struct metrics_text *text, const struct metrics_self *self)
{
	single(text, "relay_exporter_scrapes_total", "counter", "Scrapes that were answered.",
	       self->scrapes);
	single(text, "relay_exporter_scrape_failures_total", "counter",
	       "Scrapes for which the relay could not be asked.", self->scrapes_failed);
	single(text, "relay_exporter_scrapes_refused_total", "counter",
	       "Scrapes refused because too many were under way.", self->scrapes_refused);
	single(text, "relay_exporter_connects_total", "counter",
	       "Connections made to the control socket.", self->control_connects);
	single_seconds(text, "process_cpu_seconds_total", "counter",
		       "Processor time of the exporter.", self->cpu_us);
	single_seconds(text, "process_start_time_seconds", "gauge",
		       "When the exporter was started, since 1970.", self->start_us);
	single(text, "process_resident_memory_bytes", "gauge", "Resident memory of the exporter.",
	       self->resident_bytes);
	single(text, "process_virtual_memory_bytes", "gauge", "Virtual memory of the exporter.",
	       self->virtual_bytes);
	single(text, "process_open_fds", "gauge", "Open descriptors of the exporter.",
	       self->open_fds);
	single(text, "process_max_fds", "gauge", "Descriptors that the exporter may open.",
	       self->max_fds);
}

void
metrics_write(struct metrics_text *text, struct metrics_hosts *hosts,
	      const struct metrics_daemon *daemon, const struct metrics_self *self)
{
	single(text, "relay_up", "gauge", "Whether the relay could be asked.",
	       daemon->stats != NULL);
	write_daemon(text, daemon);
	if (daemon->stats != NULL) {
		metrics_hosts_fill(hosts, daemon->stats->total, daemon->hosts, daemon->host_count,
				   daemon->rest);
		write_hosts(text, hosts);
		write_workers(text, daemon->stats);
		metrics_services_write(text, daemon->stats);
		metrics_datagrams_write(text, daemon->stats);
		metrics_gateways_write(text, daemon->stats);
		if (daemon->info != NULL)
			metrics_tls_write(text, hosts, daemon->stats, daemon->info->now);
	}
	write_self(text, self);
}
