/*
 * control_hosts_tell.c - what keeper and workers are told: all of it when they are new, then what
 * changes.
 *
 * A host's way: configured -> listed (asked of the keeper) -> has index and listener -> told to its
 * home workers. Everything is sent as far as the channels take it; control_pump() goes on later.
 */
#include "relay/child.h"
#include "relay/control.h"
#include "relay/control_ask.h"
#include "relay/control_server.h"
#include "relay/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Messages queued on a channel above which nothing more is produced for it. */
#define BACKLOG 256

/* --- telling workers -------------------------------------------------------------------------- */

static bool
is_home(const struct control *control, const struct control_host *host, uint32_t worker)
{
	uint32_t count = control->options->worker_count;
	uint32_t spread = host->settings.spread < count ? host->settings.spread : count;

	return (worker + count - host->index % count) % count < spread;
}

static void
describe(const struct control *control, const struct control_host *host,
	 struct channel_message *message)
{
	*message = (struct channel_message){ .type = CHANNEL_HOST_ADD };
	message->host.index = host->index;
	memcpy(message->host.id, host->id, sizeof message->host.id);
	strncpy(message->host.local_id, control->config.relay.host_id,
		sizeof message->host.local_id - 1);
	message->host.addresses = host->resolved;
	message->host.settings = host->settings;
	message->host.hold = host->hold;
	message->host.credentials = host->credentials;
	if (host->settings.tls != HOST_TLS_OFF && host->settings.tls_name[0] == '\0')
		snprintf(message->host.settings.tls_name, sizeof message->host.settings.tls_name,
			 "%s", host->address);
}

/* Sends; what finds no room is told again, with all the rest, as soon as there is some. */
static bool
tell(struct channel *channel, const struct channel_message *message, int fd, bool *behind)
{
	int error = channel_send(channel, message, fd);

	if (error == -ENOBUFS)
		*behind = true;
	return error == 0;
}

/* A client of this worker may ask for a host of another one. */
static void
tell_elsewhere(struct control *control, struct control_host *host, uint32_t number, bool exists)
{
	struct control_worker *worker = &control->workers[number];
	uint64_t bit = 1ull << number;
	struct channel_message message = { .type = CHANNEL_ELSEWHERE };

	if (!control->messages.on || exists == ((host->elsewhere & bit) != 0))
		return;
	if (exists) {
		message.elsewhere.index = host->index;
		message.elsewhere.worker = host->index % control->options->worker_count;
		memcpy(message.elsewhere.id, host->id, sizeof message.elsewhere.id);
	} else {
		message.type = CHANNEL_HOST_REMOVE;
		message.name.index = host->index;
	}
	if (tell(worker->channel, &message, -1, &worker->behind) || !exists)
		host->elsewhere ^= bit;
}

/* Makes one worker know of the host what it should: add, change, remove or nothing. */
static void
tell_worker(struct control *control, struct control_host *host, uint32_t number, bool exists)
{
	struct control_worker *worker = &control->workers[number];
	uint64_t bit = 1ull << number;
	bool wanted = exists && is_home(control, host, number);
	struct channel_message message;

	if (worker->channel == NULL || host->index >= worker->sync_next)
		return; /* it will be told in its turn */
	if (wanted) {
		describe(control, host, &message);
		if (host->homes & bit)
			message.type = CHANNEL_HOST_CHANGE;
		if (tell(worker->channel, &message,
			 message.type == CHANNEL_HOST_ADD ? host->listener : -1, &worker->behind))
			host->homes |= bit;
		host->elsewhere &= ~bit;
	} else if (host->homes & bit) {
		message = (struct channel_message){ .type = CHANNEL_HOST_REMOVE };
		message.name.index = host->index;
		tell(worker->channel, &message, -1, &worker->behind);
		host->homes &= ~bit;
		host->up &= ~bit;
		host->down &= ~bit;
	}
	if (!wanted)
		tell_elsewhere(control, host, number, exists);
}

static void
tell_workers(struct control *control, struct control_host *host, bool exists)
{
	if (host->index == CONTROL_INDEX_NONE || host->listener < 0)
		return;
	for (uint32_t i = 0; i < control->options->worker_count; i++)
		tell_worker(control, host, i, exists);
}

void
control_host_tell(struct control *control, struct control_host *host)
{
	tell_workers(control, host, true);
}

void
control_host_untell(struct control *control, struct control_host *host)
{
	tell_workers(control, host, false);
	if (host->index != CONTROL_INDEX_NONE)
		control_unlisten(control, host->index);
}

bool
control_host_told(const struct control *control, const struct control_host *host, uint32_t number)
{
	const struct control_worker *worker = &control->workers[number];

	return worker->channel != NULL && host->index < worker->sync_next &&
	       (host->homes & (1ull << number)) != 0;
}

bool
control_host_at_home(const struct control *control, const struct control_host *host,
		     uint32_t number)
{
	return is_home(control, host, number);
}

void
control_tell_all(struct control *control, enum channel_type type)
{
	struct channel_message message = { .type = type };

	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		if (control->workers[i].channel != NULL)
			channel_send(control->workers[i].channel, &message, -1);
	}
}

bool
control_worker_ready(const struct control_worker *worker)
{
	return worker->channel != NULL && worker->sync_next == CONTROL_INDEX_NONE;
}

static void
sync_begin(struct control *control, uint32_t number)
{
	struct control_worker *worker = &control->workers[number];
	struct channel_message message = { .type = CHANNEL_SYNC_BEGIN };
	uint64_t bit = 1ull << number;

	for (uint32_t i = 0; i < control->hosts_cap; i++) {
		if (control->hosts[i] != NULL) {
			control->hosts[i]->homes &= ~bit;
			control->hosts[i]->elsewhere &= ~bit;
			control->hosts[i]->up &= ~bit;
			control->hosts[i]->down &= ~bit;
		}
	}
	control_services_untell(control, number);
	control_messages_untell(control, number);
	control_gateways_untell(control, number);
	control_tickets_untell(control, number);
	worker->sync_next = 0;
	worker->behind = false;
	tell(worker->channel, &message, -1, &worker->behind);
	control_credentials_tell(control, number);
}

static void
pump_worker(struct control *control, uint32_t number)
{
	struct control_worker *worker = &control->workers[number];

	if (!control->listed || worker->channel == NULL)
		return;
	if (worker->behind && worker->sync_next == CONTROL_INDEX_NONE &&
	    channel_queued(worker->channel) < BACKLOG) {
		sync_begin(control, number);
		control_services_run(control, child_clock_ms());
	}
	control_gateways_tell(control, number);
	if (worker->sync_next == CONTROL_INDEX_NONE)
		return;
	while (worker->sync_next < control->hosts_cap &&
	       channel_queued(worker->channel) < BACKLOG) {
		struct control_host *host = control->hosts[worker->sync_next++];
		if (host != NULL && host->listener >= 0)
			tell_worker(control, host, number, true);
	}
	if (worker->sync_next < control->hosts_cap || !control_services_told(control, number))
		return;
	worker->sync_next = CONTROL_INDEX_NONE;
	tell(worker->channel, &(struct channel_message){ .type = CHANNEL_SYNC_END }, -1,
	     &worker->behind);
}

void
control_on_worker(struct control *control, const struct channel_worker *message, int fd)
{
	uint32_t number = message->number;

	if (fd < 0 || number >= control->options->worker_count) {
		if (fd >= 0)
			close(fd);
		return;
	}
	struct control_worker *worker = &control->workers[number];
	channel_free(worker->channel);
	worker->channel = NULL; /* nobody asks it again because of what follows */
	control_delayed_worker_gone(control, number);
	control_services_forget_worker(control, number);
	control_messages_forget_worker(control, number);
	control_asks_worker_gone(control, number);
	worker->channel = channel_new(fd);
	if (worker->pid != 0 && worker->pid != message->pid)
		control_event(control, "restart", NULL, "worker-%u was started again", number);
	worker->pid = message->pid;
	if (worker->channel == NULL) {
		close(fd);
		return;
	}
	/* It may have been forked before the keeper heard of a change. */
	struct channel_message level = { .type = CHANNEL_LOG_LEVEL, .level = { log_level() } };
	channel_send(worker->channel, &level, -1);
	worker->sync_next = 0;
	if (control->listed)
		sync_begin(control, number);
}

void
control_on_listed(struct control *control)
{
	if (control->listed)
		return;
	control->listed = true;
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		if (control->workers[i].channel != NULL)
			sync_begin(control, i);
	}
}

/* --- asking the keeper ------------------------------------------------------------------------ */

static void
sync_keeper(struct control *control)
{
	struct channel_message message = { .type = CHANNEL_SYNC_BEGIN };

	for (size_t i = 0; i < control->config.host_count; i++) {
		struct control_host *host =
		    control_host_by_id(control, control->config.hosts[i].id);
		if (host != NULL)
			host->listed = false;
	}
	control_services_unlist(control);
	control_gateways_unlist(control);
	control->list_next = 0;
	control->sync_sent = false;
	control->behind = false;
	tell(control->keeper, &message, -1, &control->behind);
	control_services_run(control, child_clock_ms());
}

static void
pump_keeper(struct control *control)
{
	struct channel_message message = { .type = CHANNEL_LISTEN };

	if (control->behind && control->sync_sent && channel_queued(control->keeper) < BACKLOG)
		sync_keeper(control);
	while (control->list_next < control->config.host_count &&
	       channel_queued(control->keeper) < BACKLOG) {
		const char *id = control->config.hosts[control->list_next++].id;
		struct control_host *host = control_host_by_id(control, id);
		if (host == NULL || host->listed)
			continue;
		memset(&message.listen, 0, sizeof message.listen);
		memcpy(message.listen.id, host->id, sizeof message.listen.id);
		host->listed = channel_send(control->keeper, &message, -1) == 0;
	}
	control_gateways_run(control, child_clock_ms());
	if (control->sync_sent || !control->loaded || !control_services_listed(control) ||
	    !control_gateways_listed(control) || control->list_next < control->config.host_count)
		return;
	control->sync_sent = true;
	tell(control->keeper, &(struct channel_message){ .type = CHANNEL_SYNC_END }, -1,
	     &control->behind);
}

void
control_unlisten(struct control *control, uint32_t index)
{
	struct channel_message message = { .type = CHANNEL_UNLISTEN, .listen = { .index = index } };

	tell(control->keeper, &message, -1, &control->behind);
}

void
control_pump(struct control *control)
{
	control_services_run(control, child_clock_ms());
	pump_keeper(control);
	for (uint32_t i = 0; i < control->options->worker_count; i++)
		pump_worker(control, i);
}
