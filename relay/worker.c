/*
 * worker.c - the turn, the table of hosts, and what the channel says.  Owns ring, channel, budget and slabs.
 */
#include "relay/worker.h"

#include "relay/client.h"
#include "relay/host.h"
#include "relay/link.h"
#include "relay/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- small services ---------------------------------------------------------------------------------- */

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

static void
send_log(void *context, enum log_level level, const char *host, const char *text)
{
	struct worker *worker = context;
	uint64_t second = worker_now(worker) / 1000000000u;
	struct channel_message message = { .type = CHANNEL_LOG, .log = { .level = level } };

	if (second != worker->log_second) {
		worker->log_second = second;
		worker->log_tokens = LOG_LINES_PER_SECOND;
	}
	if (worker->log_tokens == 0) {
		worker->log_dropped++;
		return;
	}
	worker->log_tokens--;
	if (host != NULL)
		strncpy(message.log.host, host, sizeof message.log.host - 1);
	strncpy(message.log.text, text, sizeof message.log.text - 1);
	if (channel_send(worker->channel, &message, -1) != 0)
		worker->log_dropped++;
}

/* --- accepting --------------------------------------------------------------------------------------- */

bool
worker_accepting(const struct worker *worker)
{
	return worker->state == WORKER_RUNNING && !memory_tight(&worker->memory) &&
	    worker->clients_count < worker->clients_max &&
	    !uring_timer_armed(&worker->accept_timer);
}

void
worker_pause_accepting(struct worker *worker)
{
	if (worker->state != WORKER_RUNNING || uring_timer_armed(&worker->accept_timer))
		return;
	worker->stats.accept_pauses++;
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
}

/* --- hosts ------------------------------------------------------------------------------------------- */

static bool
make_place(struct worker *worker, uint32_t index)
{
	if (index < worker->hosts_cap)
		return true;
	uint32_t cap = worker->hosts_cap == 0 ? 16 : worker->hosts_cap;
	while (cap <= index)
		cap *= 2;
	struct host **hosts = realloc(worker->hosts, cap * sizeof(struct host *));
	if (hosts == NULL)
		return false;
	memset(hosts + worker->hosts_cap, 0, (cap - worker->hosts_cap) * sizeof(struct host *));
	worker->hosts = hosts;
	worker->hosts_cap = cap;
	return true;
}

static struct host *
host_at(struct worker *worker, uint32_t index)
{
	return index < worker->hosts_cap ? worker->hosts[index] : NULL;
}

static void
add_host(struct worker *worker, const struct channel_host *message, int listener)
{
	struct host *host = NULL;

	if (listener >= 0 && message->index < HOSTS_MAX && worker->state == WORKER_RUNNING &&
	    make_place(worker, message->index) && worker->hosts[message->index] == NULL)
		host = host_new(worker, message, listener);
	if (host == NULL) {
		log_error(message->id, "host cannot be added");
		if (listener >= 0)
			uring_close(worker->ring, listener);
		return;
	}
	worker->hosts[message->index] = host;
	worker->hosts_count++;
}

static void
reap_hosts(struct worker *worker)
{
	for (uint32_t i = 0; worker->hosts_leaving > 0 && i < worker->hosts_cap; i++) {
		struct host *host = worker->hosts[i];
		if (host == NULL || !host_reap(host))
			continue;
		host_free(host);
		worker->hosts[i] = NULL;
		worker->hosts_count--;
		worker->hosts_leaving--;
	}
}

static void
leave_host(struct worker *worker, struct host *host)
{
	if (host == NULL || host->leaving)
		return;
	worker->hosts_leaving++;
	host_leave(host);
}

/* --- stopping ---------------------------------------------------------------------------------------- */

static void
on_stop_due(struct uring_timer *timer)
{
	struct worker *worker = uring_container_of(timer, struct worker, stop_timer);

	log_warning(NULL, "stop: %" PRIu32 " clients had not finished in time",
	    worker->clients_count);
	worker->state = WORKER_STOPPED;
}

void
worker_stop(struct worker *worker, uint64_t timeout_ms)
{
	if (worker->state != WORKER_RUNNING)
		return;
	worker->state = WORKER_STOPPING;
	uring_timer_clear(worker->ring, &worker->accept_timer);
	uring_timer_set(worker->ring, &worker->stop_timer,
	    worker_now(worker) + ms_to_ns(timeout_ms));
	for (uint32_t i = 0; i < worker->hosts_cap; i++)
		leave_host(worker, worker->hosts[i]);
}

static bool
nothing_left(const struct worker *worker)
{
	return worker->state == WORKER_STOPPING && worker->hosts_count == 0;
}

static void
stop_if_done(struct worker *worker)
{
	if (!nothing_left(worker))
		return;
	uring_timer_clear(worker->ring, &worker->stop_timer);
	if (worker->channel_op.in_flight) {
		uring_cancel(worker->ring, &worker->channel_op);
		return;
	}
	worker->state = WORKER_STOPPED;
}

/* --- channel ----------------------------------------------------------------------------------------- */

static void
on_message(struct worker *worker, const struct channel_message *message, int fd)
{
	switch (message->type) {
	case CHANNEL_HOST_ADD:
		add_host(worker, &message->host, fd);
		return; /* the descriptor went with it */
	case CHANNEL_HOST_CHANGE:
		if (host_at(worker, message->host.index) != NULL)
			host_change(host_at(worker, message->host.index), &message->host, false);
		break;
	case CHANNEL_HOST_REMOVE:
		leave_host(worker, host_at(worker, message->host.index));
		break;
	case CHANNEL_STOP:
		worker_stop(worker, message->stop.timeout_ms);
		break;
	case CHANNEL_READY:
	case CHANNEL_LOG:
		log_error(NULL, "unexpected message: %s", channel_type_text(message->type));
		break;
	}
	if (fd >= 0)
		uring_close(worker->ring, fd);
}

static void
watch_channel(struct worker *worker)
{
	worker->channel_writes = channel_pending(worker->channel);
	unsigned events = POLLIN | (worker->channel_writes ? POLLOUT : 0u);

	uring_poll(worker->ring, &worker->channel_op, channel_fd(worker->channel), events);
}

static void
on_channel(struct uring_op *op, int res, const uint8_t *data)
{
	struct worker *worker = uring_container_of(op, struct worker, channel_op);
	struct channel_message message;
	int fd;
	int got = 0;

	(void)data;
	if (res == -ECANCELED && nothing_left(worker))
		return;
	/* A bounded number per turn: a flood of messages must not hold up the clients. */
	for (int i = 0; i < CHANNEL_MESSAGES_PER_TURN; i++) {
		got = channel_receive(worker->channel, &message, &fd);
		if (got <= 0)
			break;
		on_message(worker, &message, fd);
	}
	if (got >= 0)
		got = channel_flush(worker->channel);
	if (got < 0) {
		/* Whoever was there is gone; what is under way may finish. */
		worker_stop(worker, ORPHAN_STOP_MS);
		return;
	}
	watch_channel(worker);
}

/* --- turns ------------------------------------------------------------------------------------------- */

/* What had to be queued leaves when there is room: ends the poll that does not look for it. */
static void
mind_channel(struct worker *worker)
{
	if (channel_pending(worker->channel) && !worker->channel_writes &&
	    worker->channel_op.in_flight)
		uring_cancel(worker->ring, &worker->channel_op);
}

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
}

int
worker_turn(struct worker *worker)
{
	reap_hosts(worker);
	stop_if_done(worker);
	if (worker->state == WORKER_STOPPED)
		return 0;
	flush_output(worker);
	mind_channel(worker);
	int error = uring_turn(worker->ring);
	slab_turn(&worker->clients);
	slab_turn(&worker->exchanges);
	slab_turn(&worker->links);
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

void
worker_init(struct worker *worker, struct uring *ring, struct channel *channel,
    const struct worker_options *options)
{
	*worker = (struct worker){
		.ring = ring,
		.channel = channel,
		.state = WORKER_RUNNING,
		.clients_max = options->clients_max,
		.random = options->seed == 0 ? 1 : options->seed,
	};
	memory_init(&worker->memory, options->memory_max);
	worker->memory.large_max -= options->memory_max / 8; /* see memory_tight() */
	slab_init(&worker->clients, sizeof(struct client));
	slab_init(&worker->exchanges, sizeof(struct exchange));
	slab_init(&worker->links, sizeof(struct link));
	TAILQ_INIT(&worker->dirty_exchanges);
	TAILQ_INIT(&worker->dirty_links);
	worker->stop_timer.due = on_stop_due;
	worker->accept_timer.due = on_accept_again;
	worker->hurry_timer.due = on_hurried;
	worker->channel_op.done = on_channel;
	log_set_sink(send_log, worker);
	watch_channel(worker);
}

/* After a stop in time nothing is left; after one that was not, the process ends and the system cleans up. */
void
worker_fini(struct worker *worker)
{
	log_set_sink(NULL, NULL);
	uring_free(worker->ring);
	channel_free(worker->channel);
	if (worker->hosts_count > 0)
		return;
	free(worker->hosts);
	slab_fini(&worker->clients);
	slab_fini(&worker->exchanges);
	slab_fini(&worker->links);
	memory_fini(&worker->memory);
}
