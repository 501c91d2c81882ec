/*
 * sim_stats.c - what the worker's statistics must say between any two turns: what began is what
 * ended and what is still there, gauges are what a count of the lists finds, times are those of
 * the answered requests, and nothing is ever forgotten.
 *
 * Some runs begin with the memory of a worker that crashed among requests.
 */
#include "tests/sim.h"

#include "relay/client.h"
#include "relay/link.h"
#include "relay/stats.h"

#include <stdlib.h>

/* Sums over all blocks are looked at now and then only. */
#define TOTAL_TURNS 32

/* What the lists say that a block must say. */
struct found {
	uint64_t clients;
	uint64_t links;
	uint64_t links_open;
	uint64_t links_ready;
	uint64_t in_flight;
	uint64_t queue_length;
	uint64_t queue_bytes;
};

/* --- the worker before ------------------------------------------------------------------------ */

static void
crash_among_requests(struct sim *sim, struct stats_host *block)
{
	uint64_t answered = sim_below(sim, 100);

	for (uint64_t i = 0; i < answered; i++)
		stats_answered_late(block, sim_below(sim, MS(10)), sim_below(sim, MS(10)));
	stats_set(&block->results[REQUEST_LINK_LOST], sim_below(sim, 5));
	stats_set(&block->requests, answered + 5 + sim_below(sim, 10));
	stats_set(&block->connects, 3 + sim_below(sim, 3));
	stats_set(&block->closes[LINK_REASON_PEER_CLOSED], sim_below(sim, 3));
	stats_set(&block->clients, sim_below(sim, 30));
	stats_set(&block->links, sim_below(sim, 3));
	stats_set(&block->links_ready, sim_below(sim, 3));
	stats_set(&block->queue_length, 1 + sim_below(sim, 4));
	stats_set(&block->queue_bytes, 1 + sim_below(sim, 4));
	stats_set(&block->queue_since, 1);
}

void
sim_stats_init(struct sim *sim)
{
	static const char *const ids[] = { "host0", "another", "host2" };

	sim->stats = sim_alloc(sizeof *sim->stats);
	sim->seen = sim_alloc(sizeof *sim->seen);
	if (!sim_chance(sim, 500))
		return;
	for (uint32_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		crash_among_requests(sim, stats_take(sim->stats, i, ids[i]));
	crash_among_requests(sim, &sim->stats->past);
	stats_set(&sim->stats->sequence, sim_below(sim, 2));
	sim_cover(sim, SIM_AFTER_CRASH);
}

void
sim_stats_fini(struct sim *sim)
{
	free(sim->stats);
	free(sim->seen);
}

/* --- one block -------------------------------------------------------------------------------- */

static void
find_host(struct found *found, const struct host *host)
{
	const struct link *link;
	const struct request *request;

	found->clients += host->clients_count;
	found->links += host->links_count;
	found->links_ready += host->usable;
	found->queue_length += host->queue_count;
	found->queue_bytes += host->queue_bytes;
	for (int i = 0; i < 2; i++) {
		TAILQ_FOREACH(link, i == 0 ? &host->ready : &host->others, entry) {
			found->links_open += link->state != LINK_CLOSING;
			TAILQ_FOREACH(request, &link->in_flight, entry)
				found->in_flight += request->asked != 0;
		}
	}
}

static struct found
find_block(const struct sim *sim, const struct stats_host *block)
{
	const struct worker *worker = &sim->worker;
	struct found found = { 0 };
	const struct host *host;

	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		if (worker->hosts[i] != NULL && worker->hosts[i]->stats == block)
			find_host(&found, worker->hosts[i]);
	}
	TAILQ_FOREACH(host, &worker->leaving, leaving_entry) {
		if (host->stats == block)
			find_host(&found, host);
	}
	return found;
}

static void
same(struct sim *sim, const struct stats_host *block, const char *what, uint64_t counted,
     uint64_t found)
{
	if (counted != found)
		sim_fail(sim, "statistics of %s: %s %lld, found %lld",
			 block == &sim->stats->past ? "the past" : block->id, what,
			 (long long)counted, (long long)found);
}

static uint64_t
sum(const _Atomic uint64_t *numbers, int count)
{
	uint64_t all = 0;

	for (int i = 0; i < count; i++)
		all += stats_get(&numbers[i]);
	return all;
}

static void
check_times(struct sim *sim, const struct stats_host *block)
{
	uint64_t answered = stats_get(&block->results[REQUEST_ANSWERED]);

	same(sim, block, "times to the reply", sum(block->duration, HISTOGRAM_BUCKETS), answered);
	same(sim, block, "times in the queue", histogram_total(&block->queue_wait), answered);
	same(sim, block, "times on links", histogram_total(&block->upstream), answered);
}

static void
check_block(struct sim *sim, const struct stats_host *block)
{
	struct found found = find_block(sim, block);
	uint64_t ended = sum(block->results, REQUEST_RESULT_COUNT);
	uint64_t closed = sum(block->closes, LINK_REASON_COUNT);

	same(sim, block, "requests", stats_get(&block->requests),
	     ended + found.queue_length + found.in_flight);
	same(sim, block, "connects", stats_get(&block->connects), closed + found.links_open);
	same(sim, block, "clients", stats_get(&block->clients), found.clients);
	same(sim, block, "links", stats_get(&block->links), found.links);
	same(sim, block, "links ready", stats_get(&block->links_ready), found.links_ready);
	same(sim, block, "queue", stats_get(&block->queue_length), found.queue_length);
	same(sim, block, "queue bytes", stats_get(&block->queue_bytes), found.queue_bytes);
	if (histogram_total(&block->handshake) > stats_get(&block->connects))
		sim_fail(sim, "%s: more handshakes than links", block->id);
	check_times(sim, block);
}

/* Of a host of the table whose block no leaving one shares. */
static void
check_oldest(struct sim *sim, const struct host *host)
{
	struct stats_host copy = { .id = "" };
	const struct request *oldest = TAILQ_FIRST(&host->queue);

	if (!stats_add_host(sim->stats, host->index, host->id, &copy))
		sim_fail(sim, "%s: its statistics cannot be read", host->id);
	same(sim, &sim->stats->hosts[host->index], "in flight", stats_in_flight(&copy),
	     find_block(sim, host->stats).in_flight);
	if (oldest != NULL && stats_get(&copy.queue_since) != oldest->since)
		sim_fail(sim, "%s: another request is the oldest in the queue", host->id);
}

/* --- all -------------------------------------------------------------------------------------- */

static void
check_total(struct sim *sim)
{
	struct stats_host total = { .id = "" };

	if (!stats_add_total(sim->stats, &total))
		sim_fail(sim, "a change of hands does not end");
	const _Atomic uint64_t *now = total.results;
	const _Atomic uint64_t *before = sim->seen->results;
	for (size_t i = 0; &now[i] < &total.clients; i++) {
		if (stats_get(&now[i]) < stats_get(&before[i]))
			sim_fail(sim, "counter %zu of all went back", i);
	}
	if (stats_get(&total.clients) != sim->worker.clients_count)
		sim_fail(sim, "clients of all: %u", (unsigned)stats_get(&total.clients));
	*sim->seen = total;
}

void
sim_stats_check(struct sim *sim)
{
	const struct worker *worker = &sim->worker;

	for (unsigned i = 0; i < SIM_HOSTS_MAX; i++)
		check_block(sim, &sim->stats->hosts[i]);
	check_block(sim, &sim->stats->past);
	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		if (worker->hosts[i] != NULL)
			check_oldest(sim, worker->hosts[i]);
	}
	if (sim->turns % TOTAL_TURNS == 0)
		check_total(sim);
}

/* Whatever a client saw was counted, whether it is still there or not. */
void
sim_stats_end(struct sim *sim)
{
	const _Atomic uint64_t *results;

	check_total(sim);
	results = sim->seen->results;
	if (stats_get(&results[REQUEST_ANSWERED]) < sim->answers_read)
		sim_fail(sim, "more answers were read than counted");
	if (stats_failed(sim->seen) - stats_get(&results[REQUEST_CLIENT_GONE]) < sim->lost_read)
		sim_fail(sim, "more con_lost were read than counted");
	if (stats_get(&sim->seen->bytes_out) < sim->bytes_read)
		sim_fail(sim, "more bytes were read than counted");
	for (int i = 0; i < REQUEST_RESULT_COUNT; i++)
		sim->cover->results[i] += stats_get(&results[i]);
	for (int i = 0; i < LINK_REASON_COUNT; i++)
		sim->cover->closes[i] += stats_get(&sim->seen->closes[i]);
	sim->cover->events[SIM_MOVED] += stats_get(&sim->stats->moved);
	sim->cover->events[SIM_ACCEPT_PAUSED] += stats_get(&sim->stats->accept_pauses);
}
