/*
 * worker.c - the turn, accepting, logging and the stop.  Owns ring, ports, budget and slabs.
 */
#include "relay/worker.h"

#include "relay/call.h"
#include "relay/client.h"
#include "relay/datagrams.h"
#include "relay/gather.h"
#include "relay/gateway.h"
#include "relay/host.h"
#include "relay/link.h"
#include "relay/log.h"
#include "relay/port.h"
#include "relay/sandbox.h"
#include "relay/stats.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- small services --------------------------------------------------------------------------- */

/* xorshift64*: jitter needs no more. */
uint64_t
worker_random(struct worker *worker, uint64_t below)
{
	uint64_t x = worker->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	worker->random = x;
	return below == 0 ? 0 : (x * 0x2545f4914f6cdd1du >> 16) % below;
}

void
worker_dirty_exchange(struct worker *worker, struct exchange *exchange)
{
	exchange->dirty = true;
	TAILQ_INSERT_TAIL(&worker->dirty_exchanges, exchange, dirty_entry);
}

void
worker_dirty_link(struct worker *worker, struct link *link)
{
	link->dirty = true;
	TAILQ_INSERT_TAIL(&worker->dirty_links, link, dirty_entry);
}

void
worker_hurry(struct worker *worker)
{
	if (!uring_timer_armed(&worker->hurry_timer))
		uring_timer_set(worker->ring, &worker->hurry_timer, worker_now(worker));
}

/* The turn did not wait: that was all. */
static void
on_hurried(struct uring_timer *timer)
{
	(void)timer;
}

void
worker_tell_control(struct worker *worker, const struct channel_message *message)
{
	if (worker->control != NULL)
		(void)port_send(worker->control, message, -1); /* a failure shows as its end */
}

void
worker_tell_state(const struct host *host)
{
	struct channel_message message = {
		.type = CHANNEL_HOST_STATE,
		.name = { .index = host->index,
			  .up = host_reachable(host),
			  .down = host->state == HOST_DOWN,
			  .hold = host->hold,
			  .in_use = host->in_use },
	};

	worker_tell_control(host->worker, &message);
}

void
worker_ask_address(struct worker *worker, uint32_t index)
{
	struct channel_message message = { .type = CHANNEL_RESOLVE, .name = { .index = index } };

	worker_tell_control(worker, &message);
}

bool
worker_may_log(struct worker *worker)
{
	uint64_t second = worker_now(worker) / 1000000000u;

	if (second != worker->log_second) {
		worker->log_second = second;
		worker->log_tokens = LOG_LINES_PER_SECOND;
	}
	if (worker->log_tokens == 0) {
		worker->log_dropped++;
		return false;
	}
	worker->log_tokens--;
	return true;
}

static void
send_log(void *context, enum log_level level, const char *host, const char *text)
{
	struct worker *worker = context;
	struct channel_message message = { .type = CHANNEL_LOG, .log = { .level = level } };

	if (!worker_may_log(worker))
		return;
	if (worker->control == NULL) {
		log_write(log_process(), level, host, text);
		return;
	}
	if (host != NULL)
		strncpy(message.log.host, host, sizeof message.log.host - 1);
	strncpy(message.log.text, text, sizeof message.log.text - 1);
	worker_tell_control(worker, &message);
}

/* --- accepting -------------------------------------------------------------------------------- */

bool
worker_accepting(const struct worker *worker)
{
	return worker->state == WORKER_RUNNING && !memory_tight(&worker->memory) &&
	       worker->clients_count + worker->call_fds < worker->clients_max &&
	       !uring_timer_armed(&worker->accept_timer);
}

void
worker_pause_accepting(struct worker *worker)
{
	if (worker->state != WORKER_RUNNING || uring_timer_armed(&worker->accept_timer))
		return;
	stats_count(&worker->stats->accept_pauses);
	uring_timer_set(worker->ring, &worker->accept_timer,
			worker_now(worker) + ms_to_ns(ACCEPT_PAUSE_MS));
}

static void
on_accept_again(struct uring_timer *timer)
{
	struct worker *worker = uring_container_of(timer, struct worker, accept_timer);

	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		if (worker->hosts[i] != NULL)
			host_arm_accepts(worker->hosts[i]);
	}
	worker_arm_services(worker);
	worker_arm_gateways(worker);
}

/*
 * The accepts of a worker that died can outlive it for a moment.  A connection that comes then
 * wakes one of them and nobody else, and would wait in the listen queue until the next one comes.
 * So whoever serves a listener after a death looks into its queue: the successor for a while, those
 * that share it for ever.
 */
static void
on_look(struct uring_timer *timer)
{
	struct worker *worker = uring_container_of(timer, struct worker, look_timer);
	bool all = worker->look_ms != 0;
	bool shared = false;

	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		struct host *host = worker->hosts[i];
		if (host == NULL || host->leaving)
			continue;
		shared |= host->settings.spread > 1;
		if (all || host->settings.spread > 1)
			host_look_again(host);
	}
	if (all)
		worker_look_at_services(worker);
	shared |= worker_look_at_gateways(worker);
	worker->look_ms *= 4;
	if (worker->look_ms > LOOK_MAX_MS)
		worker->look_ms = 0;
	if (worker->look_ms != 0)
		uring_timer_set(worker->ring, timer,
				worker_now(worker) + ms_to_ns(worker->look_ms));
	else if (shared)
		worker_look_at_shared(worker);
}

void
worker_look_at_shared(struct worker *worker)
{
	if (worker->state == WORKER_RUNNING && !uring_timer_armed(&worker->look_timer))
		uring_timer_set(worker->ring, &worker->look_timer,
				worker_now(worker) + ms_to_ns(LOOK_SHARED_MS));
}

/* --- memory ----------------------------------------------------------------------------------- */

/* Large blocks are kept: those that nobody needs are given back after a while. */
static void
on_kept(struct memory *memory)
{
	struct worker *worker = uring_container_of(memory, struct worker, memory);

	if (!uring_timer_armed(&worker->trim_timer))
		uring_timer_set(worker->ring, &worker->trim_timer,
				worker_now(worker) + ms_to_ns(MEMORY_KEPT_MS));
}

static void
on_trim(struct uring_timer *timer)
{
	struct worker *worker = uring_container_of(timer, struct worker, trim_timer);

	memory_trim(&worker->memory);
	if (worker->memory.kept > 0)
		on_kept(&worker->memory);
}

/* --- stopping --------------------------------------------------------------------------------- */

static void
on_stop_due(struct uring_timer *timer)
{
	struct worker *worker = uring_container_of(timer, struct worker, stop_timer);

	log_warning(NULL,
		    "stop: %" PRIu32 " clients and %" PRIu32 " calls had not finished in time",
		    worker->clients_count, worker->calls_count);
	worker_skip_farewells(worker);
	worker->state = WORKER_STOPPED;
}

void
worker_stop(struct worker *worker, uint64_t timeout_ms)
{
	if (worker->state != WORKER_RUNNING)
		return;
	worker->state = WORKER_STOPPING;
	uring_timer_clear(worker->ring, &worker->accept_timer);
	uring_timer_clear(worker->ring, &worker->look_timer);
	uring_timer_set(worker->ring, &worker->stop_timer,
			worker_now(worker) + ms_to_ns(timeout_ms));
	worker_leave_all(worker);
	worker_leave_services(worker);
	worker_leave_gateways(worker);
	if (worker->datagrams != NULL)
		datagrams_stop(worker->datagrams);
}

static void
stop_if_done(struct worker *worker)
{
	if (worker->state != WORKER_STOPPING || worker->hosts_count > 0 ||
	    !TAILQ_EMPTY(&worker->leaving) || worker_has_services(worker) ||
	    worker_has_gateways(worker))
		return;
	if (worker->datagrams != NULL && !datagrams_end(worker->datagrams))
		return;
	uring_timer_clear(worker->ring, &worker->stop_timer);
	if (worker->keeper != NULL)
		port_close(worker->keeper);
	if (worker->control != NULL)
		port_close(worker->control);
	worker->keeper = worker->control = NULL;
	if (worker->ports == 0) {
		uring_timer_clear(worker->ring, &worker->trim_timer);
		worker->state = WORKER_STOPPED;
	}
}

static void
on_keeper_end(void *context)
{
	struct worker *worker = context;

	worker->keeper = NULL;
	worker_stop(worker, ORPHAN_STOP_MS);
}

/* --- turns ------------------------------------------------------------------------------------ */

static void
flush_output(struct worker *worker)
{
	struct exchange *exchange;
	struct link *link;

	while ((link = TAILQ_FIRST(&worker->dirty_links)) != NULL) {
		TAILQ_REMOVE(&worker->dirty_links, link, dirty_entry);
		link->dirty = false;
		link_flush(link);
	}
	while ((exchange = TAILQ_FIRST(&worker->dirty_exchanges)) != NULL) {
		TAILQ_REMOVE(&worker->dirty_exchanges, exchange, dirty_entry);
		exchange->dirty = false;
		client_flush(exchange);
	}
	if (worker->datagrams != NULL)
		datagrams_flush(worker->datagrams);
	if (worker->gateways != NULL)
		worker_flush_gateways(worker);
}

/* Apart, so that the turns without it are not slowed down by room made for it. */
static __attribute__((noinline)) void
count_now_and_then(struct worker *worker)
{
	struct worker_stats *stats = worker->stats;
	uint64_t no_buffers = uring_stats(worker->ring)->no_buffers;

	histogram_add(&stats->loop_lag, uring_clock(worker->ring) - worker_now(worker));
	/* The ring counts from its own start, the statistics from the keeper's. */
	histogram_bump(&stats->buffers_exhausted, no_buffers - worker->no_buffers);
	worker->no_buffers = no_buffers;
	sandbox_say_refused();
}

static void
count_turn(struct worker *worker)
{
	struct worker_stats *stats = worker->stats;
	uint64_t turns = stats_get(&stats->turns) + 1;

	stats_set(&stats->turns, turns);
	stats_set(&stats->memory_used, worker->memory.used);
	if (turns % STATS_SAMPLE_TURNS == 0)
		count_now_and_then(worker);
}

int
worker_turn(struct worker *worker)
{
	worker_reap_hosts(worker);
	stop_if_done(worker);
	if (worker->state == WORKER_STOPPED)
		return 0;
	flush_output(worker);
	int error = uring_turn(worker->ring);
	slab_turn(&worker->clients);
	slab_turn(&worker->exchanges);
	slab_turn(&worker->links);
	if (worker->gateways != NULL)
		worker_turn_gateways(worker);
	count_turn(worker);
	return error;
}

int
worker_run(struct worker *worker)
{
	int error = 0;

	while (worker->state != WORKER_STOPPED && error == 0)
		error = worker_turn(worker);
	return error;
}

int
worker_init(struct worker *worker, struct uring *ring, struct channel *keeper,
	    struct channel *control, struct worker_stats *stats,
	    const struct worker_options *options)
{
	*worker = (struct worker){
		.ring = ring,
		.state = WORKER_RUNNING,
		.clients_max = options->clients_max,
		.gather_min = GATHER_MIN,
		.random = options->seed == 0 ? 1 : options->seed,
		.stats = stats,
	};
	stats_begin(stats, options->memory_max);
	memory_init(&worker->memory, options->memory_max);
	worker->memory.on_kept = on_kept;
	worker->memory.large_max -= options->memory_max / 8; /* see memory_tight() */
	slab_init(&worker->clients, sizeof(struct client));
	slab_init(&worker->exchanges, sizeof(struct exchange));
	slab_init(&worker->links, sizeof(struct link));
	TAILQ_INIT(&worker->dirty_exchanges);
	TAILQ_INIT(&worker->dirty_links);
	TAILQ_INIT(&worker->leaving);
	TAILQ_INIT(&worker->leaving_services);
	slab_init(&worker->calls, sizeof(struct call));
	worker->stop_timer.due = on_stop_due;
	worker->accept_timer.due = on_accept_again;
	worker->hurry_timer.due = on_hurried;
	worker->look_timer.due = on_look;
	worker->trim_timer.due = on_trim;
	worker->look_ms = LOOK_MIN_MS;
	uring_timer_set(ring, &worker->look_timer, worker_now(worker) + ms_to_ns(LOOK_MIN_MS));
	log_set_sink(send_log, worker);
	worker->keeper =
	    port_new(ring, keeper, worker_on_keeper, on_keeper_end, worker, &worker->ports);
	if (worker->keeper == NULL)
		return -ENOMEM;
	return control == NULL ? 0 : worker_attach_control(worker, control);
}

/* After a stop in time nothing is left; after one that was not, the process ends and the system
 * cleans up. */
void
worker_fini(struct worker *worker)
{
	bool over = worker->hosts_count == 0 && TAILQ_EMPTY(&worker->leaving) &&
		    !worker_has_services(worker) && !worker_has_gateways(worker);

	log_set_sink(NULL, NULL);
	if (over)
		datagrams_free(worker->datagrams); /* its timers are the ring's */
	worker_free_credentials(worker);
	uring_free(worker->ring);
	port_abandon(worker->keeper);
	port_abandon(worker->control);
	if (!over)
		return;
	free(worker->hosts);
	free(worker->services);
	worker_free_gateways(worker);
	slab_fini(&worker->calls);
	slab_fini(&worker->clients);
	slab_fini(&worker->exchanges);
	slab_fini(&worker->links);
	memory_fini(&worker->memory);
}
