/*
 * load.c - the load scenario: a closed loop of clients, in phases.
 *
 *     connecting -> settling -> warm-up -> measuring -> draining -> done
 *
 * Requests begun while measuring are counted; all meters are read when that phase begins and ends,
 * and every reply of every phase is compared.  One thread.  Owns the clients and the histogram.
 */
#include "bench/load.h"

#include "bench/clock.h"
#include "bench/process.h"

#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX     256
#define OPENS_PER_TURN 64
#define COMPLAINTS_MAX 5
#define SHOWN_BYTES    96
#define SPARE_FDS      32

bool
load_asking(const struct load *load)
{
	if (load->phase == LOAD_WARMUP)
		return true;
	return load->phase == LOAD_MEASURING && load->left > 0;
}

bool
load_next(struct load *load, struct ask *ask)
{
	if (!load_asking(load))
		return false;
	ask->serial = load->serial++;
	ask->counted = load->phase == LOAD_MEASURING;
	if (ask->counted)
		load->left--;
	return true;
}

static void
print_bytes(const char *label, struct wire_span s)
{
	fprintf(stderr, "  %s (%zu bytes): ", label, s.len);
	for (size_t i = 0; i < s.len && i < SHOWN_BYTES; i++) {
		uint8_t b = s.data[i];
		if (b >= 0x20 && b <= 0x7e && b != '\\')
			putc(b, stderr);
		else
			fprintf(stderr, "\\x%02x", b);
	}
	fputs(s.len > SHOWN_BYTES ? "...\n" : "\n", stderr);
}

void
load_complain(struct load *load, const char *what, uint64_t serial, struct wire_span got,
	      struct wire_span expected)
{
	size_t at = 0;

	if (load->counts.wrong++ >= COMPLAINTS_MAX)
		return;
	while (at < got.len && at < expected.len && got.data[at] == expected.data[at])
		at++;
	fprintf(stderr, "relay-bench: %s (request %lu), first difference at byte %zu\n", what,
		serial, at);
	print_bytes("expected", expected);
	print_bytes("got", got);
}

static void
read_meters(struct load *load, struct load_mark *mark)
{
	const struct load_options *o = load->options;

	for (size_t i = 0; i < o->pid_count; i++)
		mark->alive[i] = usage_read(o->pids[i], &mark->usage[i]);
	mark->own_cpu_ns = clock_cpu_ns();
	mark->at_ns = clock_now_ns();
	mark->counts = load->counts;
}

/* Before anything is opened: a run that cannot have its clients should not begin. */
static void
check_files(uint64_t needed)
{
	uint64_t limit = process_raise_files();

	if (needed > limit)
		errx(2, "%lu open files are needed, the limit is %lu", needed, limit);
}

static void
init(struct load *load, const struct load_options *o)
{
	*load = (struct load){ .options = o, .phase_ends_ns = UINT64_MAX };
	process_catch_stop(&load->while_waiting);
	load->left = o->requests != 0 ? o->requests : UINT64_MAX;
	load->client_count = o->clients + o->idle;
	load_request_init(load);
	check_files(load->client_count + SPARE_FDS);
	hist_init(&load->hist);
	load->clients = calloc(load->client_count, sizeof *load->clients);
	load->asks = calloc(o->clients * o->depth, sizeof *load->asks);
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load->clients == NULL || load->asks == NULL || load->epoll_fd < 0)
		err(1, "setting up %zu clients", load->client_count);
	for (size_t i = 0; i < load->client_count; i++) {
		struct client *c = &load->clients[i];
		c->load = load;
		c->fd = -1;
		c->idle = i >= o->clients;
		if (!c->idle)
			c->asks = load->asks + i * o->depth;
	}
	load->now_ns = load->progress_ns = clock_now_ns();
}

static void
fini(struct load *load)
{
	for (size_t i = 0; i < load->client_count; i++)
		client_finish(&load->clients[i]);
	free(load->clients);
	free(load->asks);
	wakes_fini(&load->wakes);
	bytes_free(&load->receive);
	bytes_free(&load->expected);
	bytes_free(&load->plain);
	close(load->epoll_fd);
}

static void
set_phase(struct load *load, enum load_phase next, uint64_t lasts_ns)
{
	load->phase = next;
	load->progress_ns = load->now_ns;
	load->phase_ends_ns = lasts_ns == UINT64_MAX ? UINT64_MAX : load->now_ns + lasts_ns;
}

/* The clients that ended their share, or never had one, get going. */
static void
ask_all(struct load *load)
{
	for (size_t i = 0; i < load->options->clients; i++) {
		load->now_ns = clock_now_ns();
		client_ask(&load->clients[i]);
	}
}

static void
begin_measuring(struct load *load)
{
	read_meters(load, &load->begin);
	load->now_ns = clock_now_ns();
	set_phase(load, LOAD_MEASURING,
		  load->options->requests != 0 ? UINT64_MAX : load->options->duration_ns);
	ask_all(load);
}

static void
end_measuring(struct load *load)
{
	read_meters(load, &load->end);
	load->now_ns = clock_now_ns();
	set_phase(load, LOAD_DRAINING, UINT64_MAX);
}

/* A fault ends the run at once; the meters are read so that the report has an end. */
static void
fail(struct load *load, const char *fault)
{
	load->fault = fault;
	if (load->phase < LOAD_MEASURING)
		read_meters(load, &load->begin);
	if (load->phase <= LOAD_MEASURING)
		read_meters(load, &load->end);
	set_phase(load, LOAD_DONE, UINT64_MAX);
}

static bool
measured_all(const struct load *load)
{
	return load->phase == LOAD_MEASURING && load->left == 0 && load->in_flight == 0;
}

/* What time and counters say about the phase. */
static void
step(struct load *load)
{
	const struct load_options *o = load->options;
	bool over = load->now_ns >= load->phase_ends_ns;
	bool waiting = load->phase == LOAD_CONNECTING || load->in_flight > 0 || !over;

	if (load->counts.wrong > 0) {
		fail(load, "a reply was wrong");
	} else if (load->phase == LOAD_CONNECTING && load->ready == load->client_count) {
		set_phase(load, LOAD_SETTLING, o->settle_ns);
	} else if (load->phase == LOAD_SETTLING && over && o->warmup_ns > 0) {
		set_phase(load, LOAD_WARMUP, o->warmup_ns);
		ask_all(load);
	} else if ((load->phase == LOAD_WARMUP || load->phase == LOAD_SETTLING) && over) {
		begin_measuring(load);
	} else if (measured_all(load) || (load->phase == LOAD_MEASURING && over)) {
		end_measuring(load);
	} else if (load->phase == LOAD_DRAINING && load->in_flight == 0) {
		set_phase(load, LOAD_DONE, UINT64_MAX);
	} else if (waiting && load->phase != LOAD_SETTLING &&
		   load->now_ns - load->progress_ns > o->timeout_ns) {
		fail(load, load->phase == LOAD_CONNECTING ? "not all clients could connect"
							  : "stalled: requests stay unanswered");
	}
	if (process_stopping() && load->phase < LOAD_DRAINING)
		fail(load, "interrupted");
}

static void
run_wakes(struct load *load)
{
	struct wake *wake;

	while ((wake = wakes_take_due(&load->wakes, load->now_ns)) != NULL)
		client_on_wake((struct client *)((char *)wake - offsetof(struct client, wake)));
}

static uint64_t
next_look_ns(const struct load *load)
{
	uint64_t at = wakes_next_ns(&load->wakes);
	uint64_t stalled_ns = load->progress_ns + load->options->timeout_ns + 1;

	if (load->phase_ends_ns < at)
		at = load->phase_ends_ns;
	if (load->phase == LOAD_SETTLING)
		return at; /* nothing is expected */
	return stalled_ns < at ? stalled_ns : at;
}

/* One wait and all it brought; the step behind it may move the run on. */
static void
turn(struct load *load, bool may_wait)
{
	struct epoll_event events[EVENTS_MAX];
	struct timespec wait;
	uint64_t until_ns = may_wait ? next_look_ns(load) : 0;
	int n = epoll_pwait2(load->epoll_fd, events, EVENTS_MAX,
			     clock_wait(&wait, clock_now_ns(), until_ns), &load->while_waiting);

	if (n < 0 && errno != EINTR)
		err(1, "epoll_pwait2");
	load->now_ns = clock_now_ns();
	for (int i = 0; i < n; i++)
		client_on_events(events[i].data.ptr, events[i].events);
	run_wakes(load);
	/* A phase may be over as soon as it begins. */
	enum load_phase before;
	do {
		before = load->phase;
		step(load);
	} while (load->phase != before);
}

static void
run(struct load *load)
{
	size_t opened = 0;

	read_meters(load, &load->base);
	while (load->phase != LOAD_DONE) {
		/* A few at a time, so that the other side can accept meanwhile. */
		for (int i = 0; i < OPENS_PER_TURN && opened < load->client_count; i++)
			client_open(&load->clients[opened++]);
		turn(load, opened == load->client_count);
	}
}

static bool
passed(const struct load *load)
{
	const struct load_counts *n = &load->counts;

	if (load->fault != NULL || n->wrong > 0 || n->replies == 0)
		return false;
	return !load->options->strict ||
	       n->con_lost + n->cut_off + n->refused + n->ended + n->idle_ended == 0;
}

static void
report(const struct load *load, bool good)
{
	const char *json = load->options->json;
	bool to_stdout = json != NULL && strcmp(json, "-") == 0;

	load_report_table(to_stdout ? stderr : stdout, load, good);
	if (json == NULL)
		return;
	FILE *file = to_stdout ? stdout : fopen(json, "we");
	if (file == NULL)
		err(1, "%s", json);
	load_report_json(file, load, good);
	if (fflush(file) != 0 || ferror(file) != 0 || (!to_stdout && fclose(file) != 0))
		err(1, "writing %s", json);
}

int
load_main(int argc, char **argv)
{
	static struct load load;
	static struct load_options options;

	load_options_parse(&options, argc, argv);
	init(&load, &options);
	run(&load);
	fini(&load);
	if (load.counts.wrong > 0 && load.fault == NULL)
		load.fault = "a reply was wrong";
	bool good = passed(&load);
	report(&load, good);
	return good ? 0 : 1;
}
