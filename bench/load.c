/*
 * load.c - the load scenario: clients in a closed or an open loop, in phases.
 *
 *     connecting -> settling -> warm-up -> [cooling ->] measuring -> draining -> done
 *                       paused -^                                    -> paused (--parts)
 *
 * Requests begun (open loop: due) while measuring are counted; all meters are read when that phase
 * begins and ends, and every reply of every phase is compared.  One thread.  Owns the clients and
 * the histogram.
 */
#include "bench/load.h"

#include "bench/clock.h"
#include "bench/load_stream.h"
#include "bench/load_udp.h"
#include "bench/process.h"

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define OPENS_PER_TURN 64
#define COMPLAINTS_MAX 5
#define SHOWN_BYTES    96
#define SPARE_FDS      32
#define PROGRESS_NS    NS_PER_S

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
	ask->counted = load->phase == LOAD_MEASURING;
	ask->since_ns = load->now_ns;
	if (load_is_open(load)) {
		if (!schedule_take(&load->schedule, load->now_ns, &ask->since_ns))
			return false;
		/* One that was due in the warm-up and is late belongs to the warm-up. */
		ask->counted = ask->counted && ask->since_ns >= load->begin.at_ns;
	}
	ask->serial = load->serial++;
	if (ask->counted)
		load->left--;
	return true;
}

void
load_rest(struct load *load, struct client *client)
{
	if (client->resting)
		return;
	TAILQ_INSERT_TAIL(&load->resting, client, rest);
	client->resting = true;
}

void
load_rise(struct load *load, struct client *client)
{
	if (!client->resting)
		return;
	TAILQ_REMOVE(&load->resting, client, rest);
	client->resting = false;
}

/* Open loop: what is due goes to those who have waited longest. */
static void
begin_due(struct load *load)
{
	struct client *c;

	while (load_is_open(load) && load_asking(load) &&
	       schedule_next_ns(&load->schedule) <= load->now_ns &&
	       (c = TAILQ_FIRST(&load->resting)) != NULL) {
		load_rise(load, c);
		client_begin(c);
	}
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

/* Before anything is opened: a run that cannot have its clients should not begin. */
static void
check_files(uint64_t needed)
{
	uint64_t limit = process_raise_files();

	if (needed > limit)
		errx(2, "%lu open files are needed, the limit is %lu", needed, limit);
}

static void
on_stop(struct uring_op *op, int res, const uint8_t *data)
{
	(void)res;
	(void)data;
	((struct load *)((char *)op - offsetof(struct load, stop)))->stopping = true;
}

/* It has done its work by ending the wait. */
static void
on_look(struct uring_timer *timer)
{
	(void)timer;
}

static void
init_ring(struct load *load)
{
	streams_init(load);
	load->look.due = on_look;
	load->stop.done = on_stop;
	load->stop_fd = process_stop_fd();
	uring_poll(load->ring, &load->stop, load->stop_fd, POLLIN);
}

static void
init(struct load *load, const struct load_options *o)
{
	*load = (struct load){ .options = o, .phase_ends_ns = UINT64_MAX };
	TAILQ_INIT(&load->resting);
	load->left = o->requests != 0 ? o->requests : UINT64_MAX;
	load->client_count = o->clients + o->idle;
	load_request_init(load);
	/* The old connection of a client is closed when the new one is there already. */
	check_files(load->client_count + (o->connect_per != 0 ? o->clients : 0) + SPARE_FDS);
	hist_init(&load->hist);
	load->clients = calloc(load->client_count, sizeof *load->clients);
	load->asks = calloc(o->clients * o->depth, sizeof *load->asks);
	if (load->clients == NULL || load->asks == NULL)
		err(1, "setting up %zu clients", load->client_count);
	init_ring(load);
	for (size_t i = 0; i < load->client_count; i++) {
		struct client *c = &load->clients[i];
		c->load = load;
		c->target = &o->targets[i % o->target_count];
		c->idle = i >= o->clients;
		if (!c->idle)
			c->asks = load->asks + i * o->depth;
	}
	load->now_ns = load->progress_ns = clock_now_ns();
	if (o->udp)
		udp_init(load);
	load->look_ns = o->progress ? load->now_ns + PROGRESS_NS : UINT64_MAX;
	/* A timer that may be 50 us late would be counted as latency of the relay. */
	if (load_is_open(load))
		prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

static void
fini(struct load *load)
{
	for (size_t i = 0; i < load->client_count; i++)
		client_finish(&load->clients[i]);
	if (load->udp != NULL)
		udp_fini(load);
	streams_fini(load);
	free(load->clients);
	free(load->asks);
	wakes_fini(&load->wakes);
	bytes_free(&load->expected);
	bytes_free(&load->plain);
	bytes_free(&load->framed);
	close(load->stop_fd);
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
	if (load_is_open(load) && load->schedule.rate == 0)
		schedule_init(&load->schedule, load->now_ns, load->options->rate);
	for (size_t i = 0; i < load->options->clients; i++) {
		load->now_ns = clock_now_ns();
		client_ask(&load->clients[i]);
	}
}

static void
begin_measuring(struct load *load)
{
	load_hook(load, "begin");
	load_meters_begin(load);
	load->now_ns = clock_now_ns();
	set_phase(load, LOAD_MEASURING,
		  load->options->requests != 0 ? UINT64_MAX : load->options->duration_ns);
	ask_all(load);
}

/*
 * What was due in the window and still has not left: it would be left out of the latencies just
 * because it was so late.  It enters with its age, which it had at least.
 */
static void
count_unbegun(struct load *load)
{
	const struct schedule *s = &load->schedule;
	uint64_t behind = load_is_open(load) ? schedule_behind(s, load->end.at_ns) : 0;

	for (uint64_t i = s->taken; i < s->taken + behind; i++) {
		uint64_t meant_ns = schedule_at_ns(s, i);
		if (meant_ns < load->begin.at_ns)
			continue;
		load->counts.unbegun++;
		hist_add(&load->hist, load->end.at_ns - meant_ns);
	}
}

/* What clients without a connection would have asked has no latency. */
static bool
any_ready(const struct load *load)
{
	if (load->udp != NULL || load->options->connect_per != 0)
		return true;
	for (size_t i = 0; i < load->options->clients; i++)
		if (load->clients[i].state == CLIENT_READY)
			return true;
	return false;
}

static void
end_measuring(struct load *load)
{
	load_meters_read(load, &load->end);
	if (load->options->requests == 0)
		count_unbegun(load);
	if (!any_ready(load))
		load->fault = "no client is connected any more";
	load_hook(load, "end");
	load->now_ns = clock_now_ns();
	set_phase(load, LOAD_DRAINING, UINT64_MAX);
}

/* All that was asked in the window, or in a part of it, is answered. */
static void
end_draining(struct load *load)
{
	bool last = load->parts_done + 1 >= load->options->parts;

	load->parts_done++;
	if (load->options->parts != 0)
		load_parts_tell(load);
	set_phase(load, last ? LOAD_DONE : LOAD_PAUSED, UINT64_MAX);
}

/* A fault ends the run at once; the meters are read so that the report has an end. */
static void
fail(struct load *load, const char *fault)
{
	bool began = load->phase >= LOAD_MEASURING || load->parts_done > 0;

	load->fault = fault;
	if (!began)
		load_meters_read(load, &load->begin);
	if (!began || load->phase == LOAD_MEASURING)
		load_meters_read(load, &load->end);
	set_phase(load, LOAD_DONE, UINT64_MAX);
}

/* Nothing is expected to happen, however long. */
static bool
is_resting(const struct load *load)
{
	return load->phase == LOAD_SETTLING || load->phase == LOAD_PAUSED;
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
	bool warm = load->phase == LOAD_WARMUP || load->phase == LOAD_SETTLING;

	/* Before the first request, which makes the relay touch its buffers. */
	if (load->phase == LOAD_SETTLING && over)
		load_meters_read(load, &load->connected);
	if (load->counts.wrong > 0) {
		fail(load, "a reply was wrong");
	} else if (load->phase == LOAD_CONNECTING && load->ready == load->client_count) {
		set_phase(load, LOAD_SETTLING, o->settle_ns);
	} else if (load->phase == LOAD_SETTLING && over && o->parts != 0) {
		load_parts_tell(load);
		set_phase(load, LOAD_PAUSED, UINT64_MAX);
	} else if ((load->phase == LOAD_SETTLING && over && o->warmup_ns > 0) ||
		   (load->phase == LOAD_PAUSED && load->going)) {
		set_phase(load, LOAD_WARMUP, o->warmup_ns);
		ask_all(load);
	} else if (warm && over && o->requests != 0 && load->in_flight > 0) {
		set_phase(load, LOAD_COOLING, UINT64_MAX);
	} else if ((warm && over) || (load->phase == LOAD_COOLING && load->in_flight == 0)) {
		begin_measuring(load);
	} else if (measured_all(load) || (load->phase == LOAD_MEASURING && over)) {
		end_measuring(load);
	} else if (load->phase == LOAD_DRAINING && load->in_flight == 0) {
		end_draining(load);
	} else if (waiting && !is_resting(load) &&
		   load->now_ns - load->progress_ns > o->timeout_ns) {
		fail(load, load->phase == LOAD_CONNECTING ? "not all clients could connect"
							  : "stalled: requests stay unanswered");
	}
	if (load->stopping && load->phase < LOAD_DRAINING)
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
	if (load->look_ns < at)
		at = load->look_ns;
	if (load->schedule.rate != 0 && load_asking(load) && !TAILQ_EMPTY(&load->resting) &&
	    schedule_next_ns(&load->schedule) < at)
		at = schedule_next_ns(&load->schedule);
	if (is_resting(load))
		return at;
	return stalled_ns < at ? stalled_ns : at;
}

static void
tell_progress(struct load *load)
{
	if (load->now_ns < load->look_ns)
		return;
	load_report_progress(load, (double)(load->now_ns - load->look_ns + PROGRESS_NS) / 1e9);
	load->told_replies = load->counts.replies + load->counts.con_lost;
	load->look_ns = load->now_ns + PROGRESS_NS;
}

/* A phase may be over as soon as it begins. */
static void
steps(struct load *load)
{
	enum load_phase before;

	do {
		before = load->phase;
		step(load);
	} while (load->phase != before);
}

/*
 * How long the ring may wait.  It reckons from the beginning of its last turn, and what was done
 * since is to be taken off: a due request must not be late for it.
 */
static void
set_look(struct load *load, uint64_t until_ns)
{
	uint64_t spent_ns = clock_now_ns() - uring_now(load->ring);

	if (until_ns == UINT64_MAX)
		uring_timer_clear(load->ring, &load->look);
	else
		uring_timer_set(load->ring, &load->look,
				until_ns > spent_ns ? until_ns - spent_ns : 0);
}

/*
 * One wait and all it brought; the steps behind it may move the run on.  What the turn makes
 * clients ask enters the kernel together with the next wait.
 */
static void
turn(struct load *load, bool may_wait)
{
	if (load->udp != NULL)
		udp_flush(load);
	streams_flush(load);
	set_look(load, may_wait ? next_look_ns(load) : 0);
	int error = uring_turn(load->ring);

	if (error != 0)
		errx(1, "io_uring: %s", strerror(-error));
	load->now_ns = clock_now_ns();
	run_wakes(load);
	begin_due(load);
	tell_progress(load);
	steps(load);
}

static void
run(struct load *load)
{
	size_t opened = 0;

	load_meters_read(load, &load->base);
	while (load->phase != LOAD_DONE) {
		/* A few at a time, so that the other side can accept meanwhile. */
		for (int i = 0; i < OPENS_PER_TURN && opened < load->client_count; i++)
			client_open(&load->clients[opened++]);
		/* Connections to UNIX sockets are there at once: no event will tell of them. */
		steps(load);
		if (load->phase != LOAD_DONE)
			turn(load, opened == load->client_count);
	}
}

static void
report(const struct load *load, bool good)
{
	const char *json = load->options->json;
	bool to_stdout = json != NULL && strcmp(json, "-") == 0;

	if (load->options->progress && isatty(STDERR_FILENO) == 1)
		fputs("\r\033[K", stderr);
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
	if (load.fault == NULL)
		load.fault = load_verdict(&load);
	report(&load, load.fault == NULL);
	return load.fault == NULL ? 0 : 1;
}
