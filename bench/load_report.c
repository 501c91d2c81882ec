/*
 * load_report.c - the result of a load run, for people and for programs.  Both come from the same
 * numbers; nothing is measured here.
 */
#include "bench/load.h"

#include "bench/clock.h"

static const struct {
	const char *name;
	const char *json;
	uint32_t parts;
} quantiles[] = {
	{ "p50", "p50", 50000 },     { "p90", "p90", 90000 },       { "p99", "p99", 99000 },
	{ "p99.9", "p99_9", 99900 }, { "p99.99", "p99_99", 99990 },
};

#define QUANTILE_COUNT (sizeof quantiles / sizeof quantiles[0])

/* What happened inside the measured window. */
struct window {
	double seconds;
	uint64_t finished; /* requests answered, `con_lost` included */
	double per_second;
	double own_cpu_us; /* per finished request */
};

/* One process, or the sum of all, inside the window. */
struct metered {
	uint64_t cpu_ns;
	uint64_t user_ns;
	uint64_t system_ns;
	uint64_t voluntary;
	uint64_t involuntary;
	uint64_t rss_base;  /* before the first client connected */
	uint64_t rss_begin; /* all connected, idle ones included */
	uint64_t rss_end;
	bool whole; /* the same process all the time */
};

static double
per(double amount, uint64_t n)
{
	return n == 0 ? 0.0 : amount / (double)n;
}

static struct window
window_of(const struct load *load)
{
	const struct load_mark *a = &load->begin, *b = &load->end;
	struct window w = { 0 };

	w.seconds = (double)(b->at_ns - a->at_ns) / (double)NS_PER_S;
	w.finished =
	    b->counts.replies + b->counts.con_lost - a->counts.replies - a->counts.con_lost;
	w.per_second = w.seconds > 0.0 ? (double)w.finished / w.seconds : 0.0;
	w.own_cpu_us = per((double)(b->own_cpu_ns - a->own_cpu_ns) / 1e3, w.finished);
	return w;
}

static struct metered
metered_pid(const struct load *load, size_t i)
{
	const struct usage *base = &load->base.usage[i];
	const struct usage *a = &load->begin.usage[i], *b = &load->end.usage[i];
	struct metered m = { 0 };

	m.whole = load->base.alive[i] && load->begin.alive[i] && load->end.alive[i] &&
		  base->start == a->start && a->start == b->start;
	if (!m.whole)
		return m;
	m.cpu_ns = usage_cpu_ns(a, b);
	m.user_ns = b->user_ns - a->user_ns;
	m.system_ns = b->system_ns - a->system_ns;
	/* A thread that ended took its count along. */
	m.voluntary = b->voluntary > a->voluntary ? b->voluntary - a->voluntary : 0;
	m.involuntary = b->involuntary > a->involuntary ? b->involuntary - a->involuntary : 0;
	m.rss_base = base->rss_anon;
	m.rss_begin = a->rss_anon;
	m.rss_end = b->rss_anon;
	return m;
}

static struct metered
metered_all(const struct load *load)
{
	struct metered all = { .whole = true };

	for (size_t i = 0; i < load->options->pid_count; i++) {
		struct metered m = metered_pid(load, i);
		all.cpu_ns += m.cpu_ns;
		all.user_ns += m.user_ns;
		all.system_ns += m.system_ns;
		all.voluntary += m.voluntary;
		all.involuntary += m.involuntary;
		all.rss_base += m.rss_base;
		all.rss_begin += m.rss_begin;
		all.rss_end += m.rss_end;
		all.whole = all.whole && m.whole;
	}
	return all;
}

static void
table_metered(FILE *f, const char *who, const struct metered *m, const struct window *w)
{
	if (!m->whole)
		fprintf(
		    f, "%-10s ended or was replaced during the run: its numbers are not complete\n",
		    who);
	fprintf(f,
		"%-10s %8.3f us/req  %7.4f voluntary/req  %7.4f involuntary/req  RssAnon %lu -> "
		"%lu -> %lu kB\n",
		who, per((double)m->cpu_ns / 1e3, w->finished),
		per((double)m->voluntary, w->finished), per((double)m->involuntary, w->finished),
		m->rss_base / 1024, m->rss_begin / 1024, m->rss_end / 1024);
}

static void
table_relay(FILE *f, const struct load *load, const struct window *w)
{
	const struct load_options *o = load->options;
	char who[32];

	for (size_t i = 0; o->pid_count > 1 && i < o->pid_count; i++) {
		struct metered m = metered_pid(load, i);
		snprintf(who, sizeof who, "pid %d", (int)o->pids[i]);
		table_metered(f, who, &m, w);
	}
	if (o->pid_count > 0) {
		struct metered all = metered_all(load);
		table_metered(f, "relay", &all, w);
	}
}

void
load_report_table(FILE *f, const struct load *load, bool passed)
{
	const struct load_options *o = load->options;
	const struct load_counts *n = &load->counts;
	struct window w = window_of(load);

	fprintf(f,
		"target     %s  clients %lu  depth %lu  idle %lu  bytes %lu -> %lu  encrypt %lu %% "
		" connect-per %lu  seed %lu\n",
		o->target, o->clients, o->depth, o->idle, o->request_bytes, o->reply_bytes,
		o->encrypt, o->connect_per, o->seed);
	fprintf(f, "window     %.3f s  %lu requests  %.0f requests/s\n", w.seconds, w.finished,
		w.per_second);
	fprintf(f, "latency us");
	for (size_t i = 0; i < QUANTILE_COUNT; i++)
		fprintf(f, "  %s %.1f", quantiles[i].name,
			(double)hist_quantile(&load->hist, quantiles[i].parts) / 1e3);
	fprintf(f, "  max %.1f  mean %.1f\n", (double)load->hist.max / 1e3,
		hist_mean(&load->hist) / 1e3);
	fprintf(f, "own CPU    %8.3f us/req\n", w.own_cpu_us);
	table_relay(f, load, &w);
	fprintf(f,
		"whole run  sent %lu  right %lu  con_lost %lu  cut off %lu  wrong %lu | connected "
		"%lu  waits %lu  refused %lu  ended %lu  idle ended %lu\n",
		n->sent, n->replies, n->con_lost, n->cut_off, n->wrong, n->connected, n->waits,
		n->refused, n->ended, n->idle_ended);
	if (load->fault != NULL)
		fprintf(f, "fault      %s", load->fault);
	if (load->fault != NULL && load->last_errno != 0 && load->counts.connected == 0)
		fprintf(f, " (%s)", strerror(load->last_errno));
	fprintf(f, "%sresult     %s\n", load->fault != NULL ? "\n" : "", passed ? "ok" : "FAILED");
}

/* A path may hold anything; bytes beyond ASCII are taken as Latin-1. */
static void
json_text(FILE *f, const char *text)
{
	putc('"', f);
	for (; *text != '\0'; text++) {
		uint8_t b = (uint8_t)*text;
		if (b < 0x20 || b > 0x7e || b == '"' || b == '\\')
			fprintf(f, "\\u%04x", b);
		else
			putc(b, f);
	}
	putc('"', f);
}

static void
json_metered(FILE *f, const struct metered *m, const struct window *w)
{
	fprintf(f,
		"\"complete\": %s, \"cpu_us_per_request\": %.4f, \"cpu_ns\": %lu, \"user_ns\": "
		"%lu, \"system_ns\": %lu,"
		" \"voluntary_switches\": %lu, \"involuntary_switches\": %lu,"
		" \"rss_anon_before\": %lu, \"rss_anon_connected\": %lu, \"rss_anon_end\": %lu",
		m->whole ? "true" : "false", per((double)m->cpu_ns / 1e3, w->finished), m->cpu_ns,
		m->user_ns, m->system_ns, m->voluntary, m->involuntary, m->rss_base, m->rss_begin,
		m->rss_end);
}

static void
json_options(FILE *f, const struct load_options *o)
{
	fprintf(f, "  \"target\": ");
	json_text(f, o->target);
	fprintf(f,
		",\n  \"options\": { \"clients\": %lu, \"depth\": %lu, \"requests\": %lu, "
		"\"seconds\": %.3f, \"warmup\": %.3f,"
		" \"request_bytes\": %lu, \"reply_bytes\": %lu, \"encrypt\": %lu, \"idle\": %lu, "
		"\"connect_per\": %lu,"
		" \"seed\": %lu },\n",
		o->clients, o->depth, o->requests, (double)o->duration_ns / 1e9,
		(double)o->warmup_ns / 1e9, o->request_bytes, o->reply_bytes, o->encrypt, o->idle,
		o->connect_per, o->seed);
}

static void
json_counts(FILE *f, const struct load_counts *n)
{
	fprintf(f,
		"  \"counts\": { \"sent\": %lu, \"right\": %lu, \"con_lost\": %lu, \"cut_off\": "
		"%lu, \"wrong\": %lu,"
		" \"connected\": %lu, \"waits\": %lu, \"refused\": %lu, \"ended\": %lu, "
		"\"idle_ended\": %lu },\n",
		n->sent, n->replies, n->con_lost, n->cut_off, n->wrong, n->connected, n->waits,
		n->refused, n->ended, n->idle_ended);
}

static void
json_latency(FILE *f, const struct hist *h)
{
	fprintf(f, "  \"latency_us\": { \"count\": %lu", h->count);
	for (size_t i = 0; i < QUANTILE_COUNT; i++)
		fprintf(f, ", \"%s\": %.3f", quantiles[i].json,
			(double)hist_quantile(h, quantiles[i].parts) / 1e3);
	fprintf(f, ", \"min\": %.3f, \"max\": %.3f, \"mean\": %.3f },\n",
		h->count == 0 ? 0.0 : (double)h->min / 1e3, (double)h->max / 1e3,
		hist_mean(h) / 1e3);
}

static void
json_relay(FILE *f, const struct load *load, const struct window *w)
{
	const struct load_options *o = load->options;
	struct metered all = metered_all(load);

	fprintf(f, "  \"relay\": { ");
	json_metered(f, &all, w);
	fprintf(f, ", \"processes\": [");
	for (size_t i = 0; i < o->pid_count; i++) {
		struct metered m = metered_pid(load, i);
		fprintf(f, "%s\n    { \"pid\": %d, ", i == 0 ? "" : ",", (int)o->pids[i]);
		json_metered(f, &m, w);
		fprintf(f, " }");
	}
	fprintf(f, "] },\n");
}

void
load_report_json(FILE *f, const struct load *load, bool passed)
{
	struct window w = window_of(load);

	fprintf(f, "{\n  \"format\": 1,\n  \"scenario\": \"load\",\n");
	json_options(f, load->options);
	fprintf(
	    f,
	    "  \"window\": { \"seconds\": %.6f, \"requests\": %lu, \"requests_per_second\": %.1f,"
	    " \"own_cpu_us_per_request\": %.4f },\n",
	    w.seconds, w.finished, w.per_second, w.own_cpu_us);
	json_latency(f, &load->hist);
	if (load->options->pid_count > 0)
		json_relay(f, load, &w);
	json_counts(f, &load->counts);
	fprintf(f, "  \"fault\": ");
	if (load->fault != NULL)
		json_text(f, load->fault);
	else
		fprintf(f, "null");
	fprintf(f, ",\n  \"passed\": %s\n}\n", passed ? "true" : "false");
}
