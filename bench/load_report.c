/*
 * load_report.c - the result of a load run, for people and for programs.  Both come from the same
 * numbers; nothing is measured here.
 */
#include "bench/load.h"

#include "bench/clock.h"

#include <unistd.h>

#define TARGETS_SHOWN 3 /* named in the table */

static const char *const group_names[] = {
#define X(name, text) text,
	LOAD_GROUPS(X)
#undef X
};

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
	double own_cores;  /* processors it kept busy */
};

/* One process, or the sum of a group, inside the window. */
struct metered {
	uint64_t cpu_ns;
	uint64_t user_ns;
	uint64_t system_ns;
	uint64_t voluntary;
	uint64_t involuntary;
	uint64_t rss_base;      /* before the first client connected */
	uint64_t rss_connected; /* all connected, idle ones included */
	uint64_t rss_end;
	uint64_t rss_all_end; /* shared pages included */
	bool whole;           /* the same process all the time */
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
	w.own_cores = per((double)(b->own_cpu_ns - a->own_cpu_ns), b->at_ns - a->at_ns);
	w.own_cpu_us = per((double)(b->own_cpu_ns - a->own_cpu_ns) / 1e3, w.finished);
	return w;
}

static struct metered
metered_pid(const struct load *load, size_t i)
{
	const struct usage *base = &load->base.usage[i];
	const struct usage *a = &load->begin.usage[i], *b = &load->end.usage[i];
	struct metered m = { 0 };

	m.whole = load->base.alive[i] && load->connected.alive[i] && load->begin.alive[i] &&
		  load->end.alive[i] && base->start == a->start && a->start == b->start;
	if (!m.whole)
		return m;
	m.cpu_ns = usage_cpu_ns(a, b);
	m.user_ns = b->user_ns - a->user_ns;
	m.system_ns = b->system_ns - a->system_ns;
	/* A thread that ended took its count along. */
	m.voluntary = b->voluntary > a->voluntary ? b->voluntary - a->voluntary : 0;
	m.involuntary = b->involuntary > a->involuntary ? b->involuntary - a->involuntary : 0;
	m.rss_base = base->rss_anon;
	m.rss_connected = load->connected.usage[i].rss_anon;
	m.rss_end = b->rss_anon;
	m.rss_all_end = b->rss;
	return m;
}

static struct metered
metered_group(const struct load *load, enum load_group group)
{
	const struct load_options *o = load->options;
	struct metered all = { .whole = true };

	for (size_t i = 0; i < o->process_count; i++) {
		if (o->processes[i].group != group)
			continue;
		struct metered m = metered_pid(load, i);
		all.cpu_ns += m.cpu_ns;
		all.user_ns += m.user_ns;
		all.system_ns += m.system_ns;
		all.voluntary += m.voluntary;
		all.involuntary += m.involuntary;
		all.rss_base += m.rss_base;
		all.rss_connected += m.rss_connected;
		all.rss_end += m.rss_end;
		all.rss_all_end += m.rss_all_end;
		all.whole = all.whole && m.whole;
	}
	return all;
}

static size_t
group_size(const struct load_options *o, enum load_group group)
{
	size_t n = 0;

	for (size_t i = 0; i < o->process_count; i++)
		n += o->processes[i].group == group ? 1 : 0;
	return n;
}

static void
table_metered(FILE *f, const char *who, const struct metered *m, const struct window *w)
{
	if (!m->whole)
		fprintf(f,
			"%-10s ended or was replaced during the run: its numbers are not "
			"complete\n",
			who);
	fprintf(f,
		"%-10s %8.3f us/req  %7.4f voluntary/req  %7.4f involuntary/req  RssAnon %lu -> "
		"%lu -> %lu kB\n",
		who, per((double)m->cpu_ns / 1e3, w->finished),
		per((double)m->voluntary, w->finished), per((double)m->involuntary, w->finished),
		m->rss_base / 1024, m->rss_connected / 1024, m->rss_end / 1024);
}

static void
table_group(FILE *f, const struct load *load, enum load_group group, const struct window *w)
{
	const struct load_options *o = load->options;
	size_t size = group_size(o, group);
	char who[32];

	for (size_t i = 0; size > 1 && i < o->process_count; i++) {
		if (o->processes[i].group != group)
			continue;
		struct metered m = metered_pid(load, i);
		snprintf(who, sizeof who, "pid %d", (int)o->processes[i].pid);
		table_metered(f, who, &m, w);
	}
	if (size > 0) {
		struct metered all = metered_group(load, group);
		table_metered(f, group_names[group], &all, w);
	}
}

/* Who was near a whole processor was the bottleneck. */
static void
table_cores(FILE *f, const struct load *load, const struct window *w)
{
	fprintf(f, "cores busy load %.2f", w->own_cores);
	for (size_t i = 0; i < LOAD_GROUP_COUNT; i++) {
		struct metered all = metered_group(load, (enum load_group)i);
		if (group_size(load->options, (enum load_group)i) > 0)
			fprintf(f, "  %s %.2f", group_names[i],
				(double)all.cpu_ns / 1e9 / w->seconds);
	}
	putc('\n', f);
}

static void
table_what(FILE *f, const struct load_options *o)
{
	fprintf(f, "target    ");
	for (size_t i = 0; i < o->target_count && i < TARGETS_SHOWN; i++)
		fprintf(f, " %s", o->targets[i].name);
	if (o->target_count > TARGETS_SHOWN)
		fprintf(f, " and %zu more", o->target_count - TARGETS_SHOWN);
	fprintf(f, "\nwork       %s loop", o->rate != 0 ? "open" : "closed");
	if (o->rate != 0)
		fprintf(f, ", %lu requests/s", o->rate);
	fprintf(f,
		"  %s  clients %lu  depth %lu  idle %lu  bytes %lu -> %lu  encrypt %lu %%  "
		"connect-per %lu  seed %lu\n",
		protocol_text(o->protocol), o->clients, o->depth, o->idle, o->request_bytes,
		o->reply_bytes, o->encrypt, o->connect_per, o->seed);
}

const char *
load_verdict(const struct load *load)
{
	const struct load_counts *n = &load->counts;

	if (n->wrong > 0)
		return "a reply was wrong";
	if (load->end.counts.replies == load->begin.counts.replies)
		return "no right reply inside the measured window";
	if (!load->options->strict)
		return NULL;
	if (n->cut_off > 0)
		return "requests were cut off";
	if (n->con_lost > 0)
		return "requests were answered con_lost";
	if (n->ended + n->idle_ended > 0)
		return "connections were ended";
	return n->refused > 0 ? "connections were refused" : NULL;
}

void
load_report_table(FILE *f, const struct load *load, bool passed)
{
	const struct load_counts *n = &load->counts;
	struct window w = window_of(load);

	table_what(f, load->options);
	fprintf(f, "window     %.3f s  %lu requests  %.0f requests/s\n", w.seconds, w.finished,
		w.per_second);
	fprintf(f, "latency us");
	for (size_t i = 0; i < QUANTILE_COUNT; i++)
		fprintf(f, "  %s %.1f", quantiles[i].name,
			(double)hist_quantile(&load->hist, quantiles[i].parts) / 1e3);
	fprintf(f, "  max %.1f  mean %.1f\n", (double)load->hist.max / 1e3,
		hist_mean(&load->hist) / 1e3);
	fprintf(f, "own CPU    %8.3f us/req\n", w.own_cpu_us);
	table_group(f, load, LOAD_RELAY, &w);
	table_group(f, load, LOAD_PEER, &w);
	table_cores(f, load, &w);
	if (n->unbegun > 0)
		fprintf(f,
			"too late   %lu requests were due and not begun when the window ended: "
			"they count with "
			"their age at the end\n",
			n->unbegun);
	fprintf(f,
		"whole run  sent %lu  right %lu  con_lost %lu  cut off %lu  wrong %lu | connected "
		"%lu  waits %lu  refused %lu  ended %lu  idle ended %lu\n",
		n->sent, n->replies, n->con_lost, n->cut_off, n->wrong, n->connected, n->waits,
		n->refused, n->ended, n->idle_ended);
	if (load->options->udp)
		fprintf(f, "datagrams  resent %lu  busy %lu  %s\n", n->resent, n->busy,
			load->options->keys != NULL ? "sealed" : "not sealed");
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
		" \"rss_anon_before\": %lu, \"rss_anon_connected\": %lu, \"rss_anon_end\": %lu,"
		" \"rss_end\": %lu",
		m->whole ? "true" : "false", per((double)m->cpu_ns / 1e3, w->finished), m->cpu_ns,
		m->user_ns, m->system_ns, m->voluntary, m->involuntary, m->rss_base,
		m->rss_connected, m->rss_end, m->rss_all_end);
}

static void
json_options(FILE *f, const struct load_options *o)
{
	fprintf(f, "  \"targets\": [");
	for (size_t i = 0; i < o->target_count; i++) {
		fprintf(f, "%s", i == 0 ? "" : ", ");
		json_text(f, o->targets[i].name);
	}
	fprintf(f,
		"],\n  \"options\": { \"protocol\": \"%s\", \"clients\": %lu, \"depth\": %lu, "
		"\"rate\": %lu, \"requests\": %lu, "
		"\"seconds\": %.3f, \"warmup\": %.3f,"
		" \"request_bytes\": %lu, \"reply_bytes\": %lu, \"encrypt\": %lu, \"idle\": %lu, "
		"\"connect_per\": %lu,"
		" \"seed\": %lu },\n",
		protocol_text(o->protocol), o->clients, o->depth, o->rate, o->requests,
		(double)o->duration_ns / 1e9, (double)o->warmup_ns / 1e9, o->request_bytes,
		o->reply_bytes, o->encrypt, o->idle, o->connect_per, o->seed);
}

static void
json_counts(FILE *f, const struct load_counts *n)
{
	fprintf(f,
		"  \"counts\": { \"sent\": %lu, \"right\": %lu, \"con_lost\": %lu, \"cut_off\": "
		"%lu, \"wrong\": %lu,"
		" \"connected\": %lu, \"waits\": %lu, \"refused\": %lu, \"ended\": %lu, "
		"\"idle_ended\": %lu, \"unbegun\": %lu, \"busy\": %lu, "
		"\"resent\": %lu },\n",
		n->sent, n->replies, n->con_lost, n->cut_off, n->wrong, n->connected, n->waits,
		n->refused, n->ended, n->idle_ended, n->unbegun, n->busy, n->resent);
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
json_group(FILE *f, const struct load *load, enum load_group group, const struct window *w)
{
	const struct load_options *o = load->options;
	struct metered all = metered_group(load, group);
	const char *separator = "";

	fprintf(f, "  \"%s\": { ", group_names[group]);
	json_metered(f, &all, w);
	fprintf(f, ", \"processes\": [");
	for (size_t i = 0; i < o->process_count; i++) {
		if (o->processes[i].group != group)
			continue;
		struct metered m = metered_pid(load, i);
		fprintf(f, "%s\n    { \"pid\": %d, ", separator, (int)o->processes[i].pid);
		json_metered(f, &m, w);
		fprintf(f, " }");
		separator = ",";
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
	    " \"own_cpu_us_per_request\": %.4f, \"own_cores\": %.4f },\n",
	    w.seconds, w.finished, w.per_second, w.own_cpu_us, w.own_cores);
	json_latency(f, &load->hist);
	for (size_t i = 0; i < LOAD_GROUP_COUNT; i++)
		if (group_size(load->options, (enum load_group)i) > 0)
			json_group(f, load, (enum load_group)i, &w);
	json_counts(f, &load->counts);
	fprintf(f, "  \"fault\": ");
	if (load->fault != NULL)
		json_text(f, load->fault);
	else
		fprintf(f, "null");
	fprintf(f, ",\n  \"passed\": %s\n}\n", passed ? "true" : "false");
}

void
load_report_progress(struct load *load, double seconds)
{
	static const char *const phases[] = {
#define X(name, text) text,
		LOAD_PHASES(X)
#undef X
	};
	const struct load_counts *n = &load->counts;
	uint64_t replies = n->replies + n->con_lost;
	bool terminal = isatty(STDERR_FILENO) == 1;

	/* On a terminal each line takes the place of the one before. */
	fprintf(stderr, "%s%-10s %9lu replies  %8.0f/s  in flight %lu%s",
		terminal ? "\r\033[K" : "relay-bench: ", phases[load->phase], replies,
		seconds > 0.0 ? (double)(replies - load->told_replies) / seconds : 0.0,
		load->in_flight, terminal ? "" : "\n");
}
