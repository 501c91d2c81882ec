/*
 * worker_hosts.c - a worker's table of hosts, and what its channels say about them.
 *
 * The index of a host is the keeper's; a host that leaves gives its place free at once and ends on
 * a list of its own.
 */
#include "relay/courier.h"
#include "relay/datagrams.h"
#include "relay/gateway.h"
#include "relay/host.h"
#include "relay/log.h"
#include "relay/port.h"
#include "relay/stats.h"
#include "relay/worker.h"
#include "relay/worker_query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
leave(struct worker *worker, struct host *host)
{
	worker->hosts[host->index] = NULL;
	worker->hosts_count--;
	TAILQ_INSERT_TAIL(&worker->leaving, host, leaving_entry);
	courier_stop(host);
	host_leave(host, worker->state == WORKER_STOPPING);
}

void
worker_leave_all(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		if (worker->hosts[i] != NULL)
			leave(worker, worker->hosts[i]);
	}
}

void
worker_reap_hosts(struct worker *worker)
{
	struct host *host;
	struct host *next;

	for (host = TAILQ_FIRST(&worker->leaving); host != NULL; host = next) {
		next = TAILQ_NEXT(host, leaving_entry);
		if (!host_reap(host))
			continue;
		TAILQ_REMOVE(&worker->leaving, host, leaving_entry);
		host_free(host);
	}
}

void
worker_skip_farewells(struct worker *worker)
{
	struct host *host;

	TAILQ_FOREACH(host, &worker->leaving, leaving_entry)
		farewell_skip(&host->farewell, host);
}

struct stats_host *
worker_host_stats(struct worker *worker, uint32_t index, const char *id)
{
	struct stats_host *block = &worker->stats->hosts[index];
	struct host *host;

	TAILQ_FOREACH(host, &worker->leaving, leaving_entry) {
		if (host->stats == block && strcmp(host->id, id) != 0)
			host->stats = &worker->stats->past;
	}
	return stats_take(worker->stats, index, id);
}

/* --- messages --------------------------------------------------------------------------------- */

/* Known already (after a restart of control): only told anew.  The place taken by another: that one
 * has left. */
static void
add(struct worker *worker, const struct channel_host *message, int listener)
{
	struct host *host = host_at(worker, message->index);

	if (host != NULL && strcmp(host->id, message->id) == 0) {
		host->synced = true;
		/* A new control process may not have resolved its name yet: what is known stays
		 * good. */
		struct channel_host known = *message;
		if (known.addresses.count == 0)
			known.addresses = host->addresses;
		host_change(host, &known);
		worker_tell_state(host);
		if (listener >= 0)
			uring_close(worker->ring, listener);
		return;
	}
	if (host != NULL)
		leave(worker, host);
	host = NULL;
	if (listener >= 0 && message->index < HOSTS_MAX && worker->state == WORKER_RUNNING &&
	    make_place(worker, message->index))
		host = host_new(worker, message, listener);
	if (host == NULL) {
		log_error(message->id, "%s cannot be added", message->id);
		if (listener >= 0)
			uring_close(worker->ring, listener);
		return;
	}
	elsewhere_drop(worker, message->index);
	host->synced = true;
	worker->hosts[message->index] = host;
	worker->hosts_count++;
}

static void
sync_begin(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		if (worker->hosts[i] != NULL)
			worker->hosts[i]->synced = false;
	}
}

static void
sync_end(struct worker *worker)
{
	worker->hosts_known = true;
	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		if (worker->hosts[i] != NULL && !worker->hosts[i]->synced)
			leave(worker, worker->hosts[i]);
	}
}

static void
deliver(struct worker *worker, const struct channel_delayed *message, int memfd)
{
	struct host *host = host_at(worker, message->index);
	struct channel_message refusal = { .type = CHANNEL_DELAYED_DONE, .delayed = *message };

	if (host != NULL) {
		courier_start(host, message, memfd);
		return;
	}
	refusal.delayed.answered = 0;
	worker_tell_control(worker, &refusal);
	if (memfd >= 0)
		uring_close(worker->ring, memfd);
}

static void
for_all(struct worker *worker, void (*each)(struct host *host))
{
	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		if (worker->hosts[i] != NULL)
			each(worker->hosts[i]);
	}
}

void
worker_on_control(void *context, const struct channel_message *message, int fd)
{
	struct worker *worker = context;
	struct host *host;

	if (worker_on_question(worker, message, fd) || worker_on_service(worker, message, fd) ||
	    worker_on_credentials(worker, message, fd) ||
	    datagrams_on_control(worker, message, fd) || worker_on_gateway(worker, message, fd))
		return; /* the descriptor went with it */
	switch (message->type) {
	case CHANNEL_HOST_ADD:
		add(worker, &message->host, fd);
		return; /* the descriptor went with it */
	case CHANNEL_DELAYED:
		deliver(worker, &message->delayed, fd);
		return; /* likewise */
	case CHANNEL_HOST_CHANGE:
		if ((host = host_at(worker, message->host.index)) != NULL)
			host_change(host, &message->host);
		break;
	case CHANNEL_HOST_REMOVE:
		if ((host = host_at(worker, message->name.index)) != NULL)
			leave(worker, host);
		elsewhere_drop(worker, message->name.index);
		break;
	case CHANNEL_RECONNECT:
		if ((host = host_at(worker, message->name.index)) != NULL)
			host_reconnect(host);
		break;
	case CHANNEL_SYNC_BEGIN:
		sync_begin(worker);
		worker_sync_services(worker, false);
		worker_sync_gateways(worker, false);
		worker_sync_credentials(worker, false);
		elsewhere_sync(worker, false);
		break;
	case CHANNEL_SYNC_END:
		sync_end(worker);
		worker_sync_services(worker, true);
		worker_sync_gateways(worker, true);
		worker_sync_credentials(worker, true);
		elsewhere_sync(worker, true);
		break;
	case CHANNEL_RENEW:
		for_all(worker, host_renew);
		break;
	case CHANNEL_LOG_LEVEL:
		log_set_level(message->level.level);
		break;
	case CHANNEL_RETRY:
		for_all(worker, host_retry);
		break;
	default:
		log_error(NULL, "unexpected message from control: %s",
			  channel_type_text(message->type));
	}
	if (fd >= 0)
		uring_close(worker->ring, fd);
}

void
worker_on_control_end(void *context)
{
	struct worker *worker = context;

	/* Everything goes on; the keeper starts another one and sends its channel. */
	worker->control = NULL;
}

int
worker_attach_control(struct worker *worker, struct channel *channel)
{
	if (worker->control != NULL)
		port_close(worker->control);
	worker->control = port_new(worker->ring, channel, worker_on_control, worker_on_control_end,
				   worker, &worker->ports);
	if (worker->control != NULL) {
		if (worker->datagrams != NULL)
			datagrams_on_new_control(worker->datagrams);
		return 0;
	}
	channel_free(channel);
	return -ENOMEM;
}

void
worker_on_keeper(void *context, const struct channel_message *message, int fd)
{
	struct worker *worker = context;
	struct channel *channel;

	if (datagrams_on_keeper(worker, message, fd))
		return; /* the descriptor went with it */
	switch (message->type) {
	case CHANNEL_STOP:
		worker_stop(worker, message->stop.timeout_ms);
		break;
	case CHANNEL_CONTROL:
		channel = fd < 0 || worker->state != WORKER_RUNNING ? NULL : channel_new(fd);
		if (channel == NULL)
			break;
		worker_attach_control(worker, channel);
		return; /* the descriptor went with it */
	default:
		log_error(NULL, "unexpected message from the keeper: %s",
			  channel_type_text(message->type));
	}
	if (fd >= 0)
		uring_close(worker->ring, fd);
}
