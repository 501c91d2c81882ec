/*
 * sim_run.c - one seed from its plan to its end: turns of the real worker, the checks between them,
 * the stop, and what must be back after it.
 */
#include "tests/sim.h"

#include "relay/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More turns than any run needs: a worker that spins is found by it. */
#define TURNS_MAX 3000000u
/* As long as all clients may take, in virtual time. */
#define RUN_MAX SECONDS(20000)

void
sim_fail(struct sim *sim, const char *format, ...)
{
	char text[320];
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	snprintf(text, sizeof text, "at %u.%06u s, turn %u: %s",
		 (unsigned)(sim_now(sim) / 1000000000u), (unsigned)(sim_now(sim) / 1000 % 1000000),
		 (unsigned)sim->turns, what);
	/* Some of it may come from requests, which hold any byte. */
	for (char *at = text; *at != '\0'; at++) {
		if (*at < ' ' || *at > '~')
			*at = '.';
	}
	sim->failed(text);
	abort();
}

void
sim_trace(struct sim *sim, const char *format, ...)
{
	va_list args;

	if (!sim->trace)
		return;
	printf("%5u.%06u  ", (unsigned)(sim_now(sim) / 1000000000u),
	       (unsigned)(sim_now(sim) / 1000 % 1000000));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void *
sim_alloc(size_t size)
{
	void *at = calloc(1, size);

	if (at == NULL)
		abort();
	return at;
}

static void
on_fault(void *context, const char *text)
{
	sim_fail(context, "rule of the ring: %s", text);
}

static void
on_said(void *context, const struct channel_message *message)
{
	struct sim *sim = context;

	if (message->type == CHANNEL_LOG)
		sim_trace(sim, "log: %s %s %s", log_level_text(message->log.level),
			  message->log.host, message->log.text);
	else if (message->type != CHANNEL_HOST_STATE && message->type != CHANNEL_RESOLVE &&
		 !sim_operator_told(sim, message))
		sim_fail(sim, "the worker says %s", channel_type_text(message->type));
}

static void
set_up(struct sim *sim)
{
	struct fake_options options = {
		.connect = sim_peer_connect,
		.fault = on_fault,
		.context = sim,
	};
	struct uring_options ring = { .entries = 64, .buffer_size = 4096 };
	struct worker_options worker;

	sim->random.state = sim->seed;
	sim_plan(sim, &options, &worker);
	ring.buffers = sim_chance(sim, 300) ? 4 : 64;
	if (sim_chance(sim, 300))
		ring.buffer_size = 64;
	sim->ring = fake_new(&ring, &options);
	sim->channel = fake_channel_new(sim->ring, on_said, sim);
	sim->requests = sim_alloc(SIM_REQUESTS_MAX * sizeof *sim->requests);
	for (int i = 0; i < 2; i++)
		sim->scratch[i] = sim_alloc(SIM_TEXT_MAX);
	LIST_INIT(&sim->peers);
	sim_stats_init(sim);
	sim->keeper = fake_channel_new(sim->ring, on_said, sim);
	if (worker_init(&sim->worker, sim->ring, sim->keeper, sim->channel, sim->stats, &worker) !=
	    0)
		sim_fail(sim, "no worker");
	if (sim_chance(sim, 500)) /* short lines are received as long ones are */
		sim->worker.gather_min = (size_t)sim_below(sim, 2000) + 1;
	sim_hosts_start(sim);
	sim_clients_start(sim);
}

static void
count_results(struct sim *sim)
{
	struct sim_cover *cover = sim->cover;

	for (int i = 0; i < FAKE_EVENT_COUNT; i++)
		cover->ring[i] += fake_events(sim->ring, (enum fake_event)i);
	cover->events[SIM_MEMORY_FULL] += sim->worker.memory.refused;
	cover->turns += sim->turns;
	cover->seconds += sim_now(sim) / 1000000000u;
}

static void
turn(struct sim *sim)
{
	if (sim->renew != NULL)
		sim_host_renew(sim, sim->renew);
	sim->renew = NULL;
	if (worker_turn(&sim->worker) != 0)
		sim_fail(sim, "the worker's turn failed");
	sim->turns++;
	sim_check(sim);
	sim_stats_check(sim);
	if (sim->turns > TURNS_MAX)
		sim_fail(sim, "the worker spins");
}

void
sim_check_time(struct sim *sim)
{
	if (sim_now(sim) > RUN_MAX)
		sim_fail(sim, "the clients are not served to the end");
	if (sim->stopping && sim_now(sim) > sim->stop_due)
		sim_fail(sim, "the stop takes too long");
}

/* An unclean stop is one that was not in time; its worker leaves everything to the system. */
static bool
stop(struct sim *sim)
{
	bool clean = sim->worker.hosts_count == 0 && TAILQ_EMPTY(&sim->worker.leaving);

	if (clean)
		sim_check_end(sim);
	else if (!sim->plan.orphan && !sim->plan.short_stop)
		sim_fail(sim, "the stop was not in time");
	sim_cover(sim, clean ? SIM_STOP_CLEAN : SIM_STOP_LATE);
	sim_stats_end(sim);
	count_results(sim);
	worker_fini(&sim->worker);
	if (clean && fake_open_files(sim->ring) > 0)
		sim_fail(sim, "%u descriptors are open at the end", fake_open_files(sim->ring));
	return clean;
}

static void
clean_up(struct sim *sim)
{
	sim_clients_fini(sim);
	sim_peers_fini(sim);
	fake_free(sim->ring);
	sim_stats_fini(sim);
	free(sim->requests);
	free(sim->scratch[0]);
	free(sim->scratch[1]);
	free(sim);
}

bool
sim_run(uint64_t seed, struct sim_cover *cover, bool trace, sim_failed *failed)
{
	struct sim *sim = sim_alloc(sizeof *sim);

	sim->seed = seed;
	sim->cover = cover;
	sim->trace = trace;
	sim->failed = failed;
	set_up(sim);
	while (sim->worker.state != WORKER_STOPPED) {
		turn(sim);
	}
	bool clean = stop(sim);
	clean_up(sim);
	return clean;
}
