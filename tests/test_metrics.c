/*
 * test_metrics.c - hosts chosen and summed, histograms, labels and bounds of the metrics; and that
 * the text as a whole keeps the rules of the format.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/limits.h"
#include "relay/metrics.h"

#define HOSTS  300
#define BOUNDS 3

static uint64_t bounds[BOUNDS] = { 64, 128, 1000000 };

/* Everything one host says, in one place. */
struct site_host {
	char id[160];
	Relay__Control__HostStats stats;
	Relay__Control__Counters counters;
	Relay__Control__Gauges gauges;
	Relay__Control__Histogram times;
	uint64_t counts[BOUNDS + 1];
	Relay__Control__Reason failure;
	Relay__Control__Reason *failures[1];
	Relay__Control__Reason close;
	Relay__Control__Reason *closes[1];
};

static struct site_host site[HOSTS];
static Relay__Control__HostStats *list[HOSTS];
static Relay__Control__Stats stats;
static Relay__Control__Counters total;
static struct metrics_hosts rows;
static struct metrics_text text;
static const struct metrics_self self = { .cpu_us = 1500000, .scrapes = 7 };

static char queue_timeout[] = "queue_timeout";
static char idle[] = "idle";

static void
fill_host(struct site_host *host, const char *id, uint64_t requests)
{
	snprintf(host->id, sizeof host->id, "%s", id);
	relay__control__host_stats__init(&host->stats);
	relay__control__counters__init(&host->counters);
	relay__control__gauges__init(&host->gauges);
	relay__control__histogram__init(&host->times);
	relay__control__reason__init(&host->failure);
	relay__control__reason__init(&host->close);
	host->stats.id = host->id;
	host->stats.counters = &host->counters;
	host->stats.gauges = &host->gauges;
	host->counters.requests = requests;
	host->counters.answered = requests - requests / 10;
	host->failure.reason = queue_timeout;
	host->failure.count = requests / 10;
	host->failures[0] = &host->failure;
	host->counters.failures = host->failures;
	host->counters.n_failures = 1;
	host->close.reason = idle;
	host->close.count = 2;
	host->closes[0] = &host->close;
	host->counters.closes = host->closes;
	host->counters.n_closes = 1;
	host->counts[0] = 5;
	host->counts[1] = 0;
	host->counts[2] = 3;
	host->counts[3] = 1;
	host->times.n_bound_us = BOUNDS;
	host->times.bound_us = bounds;
	host->times.n_count = BOUNDS + 1;
	host->times.count = host->counts;
	host->times.sum_us = 2500000;
	host->counters.duration = &host->times;
	host->gauges.links = 5;
	host->gauges.links_ready = 3;
	host->gauges.queue_age_us = requests;
}

/* Hosts h0, h1, ... with as many requests as their number times ten; the list is shuffled. */
static void
fill(size_t count)
{
	relay__control__stats__init(&stats);
	relay__control__counters__init(&total);
	stats.total = &total;
	for (size_t i = 0; i < count; i++) {
		char id[32];

		snprintf(id, sizeof id, "h%zu", i);
		fill_host(&site[i], id, i * 10);
		list[i * 7 % count] = &site[i].stats;
	}
	total.closes = site[0].closes;
	total.n_closes = count > 0 ? 1 : 0;
}

static void
write_them(size_t count)
{
	struct metrics_daemon daemon = { .stats = &stats, .hosts = list, .host_count = count };

	metrics_hosts_init(&rows);
	metrics_text_init(&text, 16 << 20);
	metrics_write(&text, &rows, &daemon, &self);
	metrics_text_put_bytes(&text, "", 1);
	cr_assert_not(text.full);
}

static void
done(void)
{
	metrics_text_fini(&text);
	metrics_hosts_fini(&rows);
}

static bool
has(const char *line)
{
	const char *at = text.bytes;
	size_t len = strlen(line);

	while ((at = strstr(at, line)) != NULL) {
		if ((at == text.bytes || at[-1] == '\n') && at[len] == '\n')
			return true;
		at++;
	}
	return false;
}

#define HAS(line) cr_assert(has(line), "missing: %s\n%s", line, text.bytes)

static size_t
count_of(const char *part)
{
	size_t n = 0;

	for (const char *at = text.bytes; (at = strstr(at, part)) != NULL; at++)
		n++;
	return n;
}

Test(metrics, one_host)
{
	fill(2);
	write_them(2);
	HAS("relay_up 1");
	HAS("relay_requests_total{host=\"h1\",result=\"answered\"} 9");
	HAS("relay_requests_total{host=\"h1\",result=\"failed\"} 1");
	HAS("relay_request_failures_total{host=\"h1\",reason=\"queue_timeout\"} 1");
	HAS("relay_request_failures_total{host=\"h1\",reason=\"link_lost\"} 0");
	HAS("relay_link_closes_total{host=\"h1\",reason=\"idle\"} 2");
	HAS("relay_links{host=\"h1\",state=\"ready\"} 3");
	HAS("relay_links{host=\"h1\",state=\"other\"} 2");
	HAS("relay_queue_oldest_age_seconds{host=\"h1\"} 0.00001");
	HAS("process_cpu_seconds_total 1.5");
	HAS("relay_exporter_scrapes_total 7");
	done();
}

Test(metrics, histograms_are_cumulative)
{
	fill(1);
	write_them(1);
	HAS("relay_request_duration_seconds_bucket{host=\"h0\",le=\"0.000064\"} 5");
	HAS("relay_request_duration_seconds_bucket{host=\"h0\",le=\"0.000128\"} 5");
	HAS("relay_request_duration_seconds_bucket{host=\"h0\",le=\"1\"} 8");
	HAS("relay_request_duration_seconds_bucket{host=\"h0\",le=\"+Inf\"} 9");
	HAS("relay_request_duration_seconds_sum{host=\"h0\"} 2.5");
	HAS("relay_request_duration_seconds_count{host=\"h0\"} 9");
	/* It has no handshakes, and says so. */
	HAS("relay_handshake_duration_seconds_bucket{host=\"h0\",le=\"1\"} 0");
	HAS("relay_handshake_duration_seconds_count{host=\"h0\"} 0");
	done();
}

Test(metrics, histograms_of_other_shapes_are_left_out)
{
	static uint64_t others[BOUNDS] = { 64, 129, 1000000 };
	static uint64_t falling[BOUNDS] = { 64, 64, 1000000 };

	fill(4);
	site[0].times.bound_us = falling;
	site[2].times.bound_us = others;
	site[3].times.n_count = BOUNDS;
	write_them(4);
	HAS("relay_request_duration_seconds_count{host=\"h0\"} 0");
	HAS("relay_request_duration_seconds_count{host=\"h1\"} 9");
	HAS("relay_request_duration_seconds_count{host=\"h2\"} 0");
	HAS("relay_request_duration_seconds_count{host=\"h3\"} 0");
	cr_assert_eq(count_of("le=\"0.000129\""), 0);
	done();
}

Test(metrics, busiest_hosts_are_shown_the_rest_is_summed)
{
	uint64_t answered = 0;
	char line[128];

	fill(HOSTS);
	write_them(HOSTS);
	/* The 100 with the fewest requests are h0 .. h99. */
	for (size_t i = 0; i < 100; i++)
		answered += site[i].counters.answered;
	snprintf(line, sizeof line, "relay_requests_total{host=\"other\",result=\"answered\"} %zu",
		 (size_t)answered);
	HAS(line);
	HAS("relay_requests_total{host=\"h100\",result=\"answered\"} 900");
	cr_assert_eq(count_of("relay_requests_total{host=\"h99\","), 0);
	cr_assert_eq(count_of("result=\"answered\""), METRICS_HOSTS_SHOWN + 1);
	HAS("relay_request_duration_seconds_count{host=\"other\"} 900");
	HAS("relay_links{host=\"other\",state=\"ready\"} 300");
	/* Ages are not added up. */
	HAS("relay_queue_oldest_age_seconds{host=\"other\"} 0.00099");
	done();
}

static const struct metrics_row *
row_of(const char *id)
{
	char label[160];
	size_t len = (size_t)snprintf(label, sizeof label, "host=\"%s\"", id);

	for (size_t i = 0; i < rows.count; i++) {
		const struct metrics_row *row = &rows.row[i];
		if (row->label_len == len &&
		    memcmp(rows.labels.bytes + row->label_at, label, len) == 0)
			return row;
	}
	return NULL;
}

static void
fill_rows(size_t count)
{
	metrics_hosts_fill(&rows, &total, list, count, NULL);
}

/* Otherwise the counters of "other" would go back. */
Test(metrics, who_has_a_row_keeps_it)
{
	fill(HOSTS);
	metrics_hosts_init(&rows);
	fill_rows(HOSTS);
	uint64_t before = row_of("other")->requests;
	site[0].counters.requests = 1000000;
	fill_rows(HOSTS);
	cr_assert_null(row_of("h0"));
	cr_assert_not_null(row_of("h100"));
	cr_assert_eq(row_of("other")->requests, before + 1000000);
	/* A place becomes free: it is given by traffic. */
	for (size_t i = 0; i < HOSTS; i++) {
		if (list[i] == &site[150].stats) {
			list[i] = list[HOSTS - 1];
			list[HOSTS - 1] = &site[150].stats;
		}
	}
	fill_rows(HOSTS - 1);
	cr_assert_not_null(row_of("h0"));
	cr_assert_not_null(row_of("h100"));
	cr_assert_null(row_of("h150"));
	cr_assert_eq(row_of("other")->requests, before);
	/* A daemon that has just begun has none, and then the same ones. */
	fill_rows(0);
	cr_assert_eq(rows.count, 0);
	site[0].counters.requests = 0;
	fill_rows(HOSTS);
	cr_assert_not_null(row_of("h0"));
	cr_assert_null(row_of("h150"));
	metrics_hosts_fini(&rows);
}

Test(metrics, hosts_that_are_only_summed)
{
	static struct metrics_rest rest;
	struct metrics_row all;
	size_t shown = 0;

	fill(HOSTS);
	metrics_hosts_init(&rows);
	fill_rows(HOSTS);
	all = *row_of("other");
	cr_assert_eq(all.times[METRICS_DURATION].count[0], 500);
	cr_assert_eq(all.failures[0] + all.failures[1] + all.failures[2], all.failed);
	metrics_rest_begin(&rest, &total);
	for (size_t i = 0; i < 60; i++)
		metrics_rest_add(&rest, &site[i].stats);
	for (size_t i = 60; i < HOSTS; i++)
		list[shown++] = &site[i].stats;
	metrics_hosts_fill(&rows, &total, list, shown, &rest);
	cr_assert_eq(memcmp(row_of("other"), &all, sizeof all), 0);
	/* Also if nobody else is summed. */
	metrics_hosts_fill(&rows, &total, list, 1, &rest);
	cr_assert_eq(row_of("other")->clients_accepted, rest.row.clients_accepted);
	cr_assert_eq(row_of("other")->queue_age_us, 590);
	metrics_hosts_fini(&rows);
}

Test(metrics, no_label_comes_twice)
{
	fill(4);
	fill_host(&site[0], "other", 100);
	fill_host(&site[1], "h3", 200);
	memset(site[2].id, 'x', HOST_ID_MAX + 1);
	site[2].id[HOST_ID_MAX + 1] = '\0';
	write_them(4);
	cr_assert_eq(count_of("relay_clients{host="), 2);
	cr_assert_eq(count_of("relay_clients{host=\"other\"}"), 1);
	cr_assert_eq(count_of("relay_clients{host=\"h3\"}"), 1);
	HAS("relay_links{host=\"other\",state=\"ready\"} 9");
	done();
}

Test(metrics, labels_are_escaped)
{
	char label[HOST_ID_MAX * 2 + 64];
	char id[HOST_ID_MAX + 1];

	fill(3);
	fill_host(&site[1], "a\"b\\c\nd", 1);
	memset(id, '"', HOST_ID_MAX);
	id[HOST_ID_MAX] = '\0';
	fill_host(&site[2], id, 2);
	write_them(3);
	HAS("relay_clients{host=\"a\\\"b\\\\c\\nd\"} 0");
	strcpy(label, "relay_clients{host=\"");
	for (size_t i = 0; i < HOST_ID_MAX; i++)
		strcat(label, "\\\"");
	strcat(label, "\"} 0");
	HAS(label);
	done();
}

Test(metrics, reasons_are_a_closed_set)
{
	static char strange[] = "Strange \"reason\"";
	static char unheard[] = "unheard_of";

	fill(3);
	/* A name that only a host has is in no set; one of the totals is. */
	site[1].failure.reason = strange;
	site[1].close.reason = unheard;
	write_them(3);
	HAS("relay_request_failures_total{host=\"h1\",reason=\"other\"} 1");
	HAS("relay_link_closes_total{host=\"h1\",reason=\"other\"} 2");
	HAS("relay_link_closes_total{host=\"h1\",reason=\"idle\"} 0");
	cr_assert_eq(count_of("trange"), 0);
	cr_assert_eq(count_of("unheard"), 0);
	done();
}

Test(metrics, too_many_reasons_become_other)
{
	static Relay__Control__Reason reason[100];
	static Relay__Control__Reason *reasons[100];
	static char name[100][8];

	fill(1);
	for (size_t i = 0; i < 100; i++) {
		relay__control__reason__init(&reason[i]);
		snprintf(name[i], sizeof name[i], "r%zu", i);
		reason[i].reason = name[i];
		reason[i].count = 1;
		reasons[i] = &reason[i];
	}
	total.closes = site[0].counters.closes = reasons;
	total.n_closes = site[0].counters.n_closes = 100;
	write_them(1);
	cr_assert_eq(count_of("relay_link_closes_total{host="), METRICS_REASONS_MAX);
	HAS("relay_link_closes_total{host=\"h0\",reason=\"r22\"} 1");
	HAS("relay_link_closes_total{host=\"h0\",reason=\"other\"} 77");
	done();
}

Test(metrics, workers)
{
	Relay__Control__WorkerStats worker[3];
	Relay__Control__WorkerStats *workers[3];

	fill(1);
	for (uint32_t i = 0; i < 3; i++) {
		relay__control__worker_stats__init(&worker[i]);
		worker[i].number = i % 2;
		worker[i].buffers_exhausted = 11 + i;
		worker[i].cpu_us = 2500000;
		workers[i] = &worker[i];
	}
	worker[1].loop_lag = &site[0].times;
	stats.worker = workers;
	stats.n_worker = 3;
	write_them(1);
	HAS("relay_buffers_exhausted_total{worker=\"0\"} 11");
	HAS("relay_buffers_exhausted_total{worker=\"1\"} 12");
	cr_assert_eq(count_of("relay_buffers_exhausted_total{"), 2);
	HAS("relay_worker_cpu_seconds_total{worker=\"1\"} 2.5");
	HAS("relay_loop_lag_seconds_bucket{worker=\"0\",le=\"1\"} 0");
	HAS("relay_loop_lag_seconds_bucket{worker=\"1\",le=\"1\"} 8");
	HAS("relay_loop_lag_seconds_bucket{worker=\"1\",le=\"+Inf\"} 9");
	done();
}

Test(metrics, the_daemon)
{
	static char version[] = "1.2\"3";
	Relay__Control__Health health;
	Relay__Control__Info info;
	struct metrics_daemon daemon = { .stats = &stats, .health = &health, .info = &info };

	fill(0);
	relay__control__health__init(&health);
	relay__control__info__init(&info);
	health.ready = true;
	info.hosts = 1000;
	stats.version = version;
	stats.generation = 12;
	stats.last_load_ok = true;
	stats.last_load = UINT64_C(1700000000250000);
	metrics_hosts_init(&rows);
	metrics_text_init(&text, 1 << 20);
	metrics_write(&text, &rows, &daemon, &self);
	metrics_text_put_bytes(&text, "", 1);
	HAS("relay_ready 1");
	HAS("relay_hosts 1000");
	HAS("relay_config_generation 12");
	HAS("relay_config_last_load_success 1");
	HAS("relay_config_last_load_timestamp_seconds 1700000000.25");
	HAS("relay_build_info{version=\"1.2\\\"3\"} 1");
	done();
}

Test(metrics, without_the_daemon)
{
	struct metrics_daemon daemon = { .stats = NULL };

	metrics_hosts_init(&rows);
	metrics_text_init(&text, 1 << 20);
	metrics_write(&text, &rows, &daemon, &self);
	metrics_text_put_bytes(&text, "", 1);
	HAS("relay_up 0");
	HAS("process_cpu_seconds_total 1.5");
	cr_assert_eq(count_of("host="), 0);
	cr_assert_eq(count_of("relay_config"), 0);
	done();
}

Test(metrics, a_text_that_does_not_fit_says_so)
{
	struct metrics_daemon daemon = { .stats = &stats, .hosts = list, .host_count = HOSTS };

	fill(HOSTS);
	metrics_hosts_init(&rows);
	metrics_text_init(&text, 10000);
	metrics_write(&text, &rows, &daemon, &self);
	cr_assert(text.full);
	cr_assert_leq(text.len, 10000);
	done();
}

/* Every family: HELP, TYPE, then all of its samples in one piece, and no name with two families. */
Test(metrics, families_stand_together)
{
	char seen[64][64];
	size_t families = 0;
	char *rest;

	fill(HOSTS);
	write_them(HOSTS);
	for (char *line = strtok_r(text.bytes, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			cr_assert_lt(families, 64);
			snprintf(seen[families], sizeof seen[0], "%.*s",
				 (int)strcspn(line + 7, " "), line + 7);
			for (size_t i = 0; i < families; i++)
				cr_assert_str_neq(seen[i], seen[families]);
			families++;
			continue;
		}
		cr_assert_gt(families, 0);
		const char *name = seen[families - 1];
		const char *at = strncmp(line, "# TYPE ", 7) == 0 ? line + 7 : line;
		cr_assert_eq(strncmp(at, name, strlen(name)), 0, "%s in %s", line, name);
	}
	cr_assert_gt(families, 40);
	done();
}
