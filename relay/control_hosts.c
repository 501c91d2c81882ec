/*
 * control_hosts.c - the table of hosts: what the configuration says, what the keeper gave, what the
 * workers were told.
 *
 * A host's way: configured -> listed (asked of the keeper) -> has index and listener -> told to its
 * home workers. Everything is sent as far as the channels take it; control_pump() goes on later.
 */
#include "relay/child.h"
#include "relay/config_diff.h"
#include "relay/control.h"
#include "relay/control_ask.h"
#include "relay/control_server.h"
#include "relay/log.h"
#include "relay/resolve.h"
#include "relay/resolver.h"
#include "relay/stats.h"

#include <assert.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Messages queued on a channel above which nothing more is produced for it. */
#define BACKLOG 256

/* --- the table -------------------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	const struct control_host *x = a;
	const struct control_host *y = b;

	return strcmp(x->id, y->id);
}

struct control_host *
control_host_by_id(struct control *control, const char *id)
{
	struct control_host key;

	strncpy(key.id, id, sizeof key.id - 1);
	key.id[sizeof key.id - 1] = '\0';
	void *node = tfind(&key, &control->by_id, compare);
	return node == NULL ? NULL : *(struct control_host **)node;
}

struct control_host *
control_host_at(struct control *control, uint32_t index)
{
	return index < control->hosts_cap ? control->hosts[index] : NULL;
}

static bool
place(struct control *control, struct control_host *host, uint32_t index)
{
	if (index >= HOSTS_MAX)
		return false;
	if (index >= control->hosts_cap) {
		uint32_t cap = control->hosts_cap == 0 ? 64 : control->hosts_cap;
		while (cap <= index)
			cap *= 2;
		struct control_host **hosts = realloc(control->hosts, cap * sizeof *hosts);
		if (hosts == NULL)
			return false;
		memset(hosts + control->hosts_cap, 0, (cap - control->hosts_cap) * sizeof *hosts);
		control->hosts = hosts;
		control->hosts_cap = cap;
	}
	control->hosts[index] = host;
	host->index = index;
	return true;
}

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
	message->host.address = host->resolved;
	message->host.address_len = host->resolved_len;
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
control_pump(struct control *control)
{
	control_services_run(control, child_clock_ms());
	pump_keeper(control);
	for (uint32_t i = 0; i < control->options->worker_count; i++)
		pump_worker(control, i);
}

static void
unlisten(struct control *control, uint32_t index)
{
	struct channel_message message = { .type = CHANNEL_UNLISTEN, .listen = { .index = index } };

	tell(control->keeper, &message, -1, &control->behind);
}

void
control_on_listener(struct control *control, const struct channel_listen *message, int fd)
{
	struct control_host *host = control_host_by_id(control, message->id);

	if (message->error != 0) {
		log_error(message->id, "cannot listen on %s/%s: %s",
			  control->config.relay.socket_dir, message->id, strerror(-message->error));
		if (host != NULL)
			host->listed = false; /* the next reload asks again */
	} else if (host == NULL) {
		unlisten(control, message->index); /* removed while this was on its way */
	}
	if (host == NULL || fd < 0 || host->index != CONTROL_INDEX_NONE ||
	    !place(control, host, message->index)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	host->listener = fd;
	control_delayed_hosts_changed(control);
	if (host->resolved_len == 0)
		control_resolve(control, host);
	if (control->listed)
		tell_workers(control, host, true);
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

/* --- addresses -------------------------------------------------------------------------------- */

static void
set_address(struct control *control, struct control_host *host,
	    const struct sockaddr_storage *address, uint32_t length)
{
	host->moving = false;
	if (host->resolved_len == length && memcmp(&host->resolved, address, length) == 0)
		return;
	host->nowhere = false;
	host->resolved = *address;
	host->resolved_len = length;
	tell_workers(control, host, true);
}

/* A host has one address: its links go to one peer. */
static void
take_first(struct control *control, struct control_host *host, const union resolve_address *first)
{
	struct sockaddr_storage address = { 0 };
	uint32_t length = resolve_length(first);

	memcpy(&address, first, length);
	set_address(control, host, &address, length);
}

void
control_resolve(struct control *control, struct control_host *host)
{
	struct sockaddr_storage address;
	uint32_t length;

	if (resolve_literal(host->address, host->port, &address, &length) == 0) {
		set_address(control, host, &address, length);
		return;
	}
	if (host->resolving || host->index == CONTROL_INDEX_NONE)
		return; /* asked when it has its index */
	uint64_t token = (uint64_t)++host->question << 32 | host->index;
	host->resolving = resolver_ask(control->resolver, token, host->address, host->port);
}

void
control_on_resolved(struct control *control)
{
	struct resolver_answer answer;

	while (resolver_take(control->resolver, &answer)) {
		if (control_gateways_on_resolved(control, &answer))
			continue;
		struct control_host *host =
		    control_host_at(control, (uint32_t)(answer.token & 0xffffffffu));
		if (host == NULL || !host->resolving || answer.token >> 32 != host->question)
			continue; /* of a name that it has no more */
		host->resolving = false;
		if (answer.error != 0) {
			host->nowhere = host->resolved_len == 0;
			log_error(host->id, "%s: address %s cannot be resolved: %s", host->id,
				  host->address, resolve_error_text(answer.error));
		} else {
			take_first(control, host, &answer.addresses.address[0]);
		}
	}
}

/* --- load and apply --------------------------------------------------------------------------- */

static bool
take_config(struct control *control, struct control_host *host, const struct config_host *from)
{
	char *address = strdup(from->address);

	if (address == NULL)
		return false;
	free(host->address);
	host->address = address;
	host->port = from->port;
	host->settings = from->settings;
	host->credentials = control_credentials_number(control, from->credentials);
	return true;
}

static void
host_delete(struct control *control, struct control_host *host)
{
	tell_workers(control, host, false);
	control_delayed_give_up(control, host);
	if (host->index != CONTROL_INDEX_NONE) {
		unlisten(control, host->index);
		control->hosts[host->index] = NULL;
	}
	if (host->listener >= 0)
		close(host->listener);
	tdelete(host, &control->by_id, compare);
	free(host->address);
	free(host);
}

static void
host_create(struct control *control, const struct config_host *from)
{
	struct control_host *host = calloc(1, sizeof *host);

	if (host == NULL)
		return;
	host->index = CONTROL_INDEX_NONE;
	host->listener = -1;
	strncpy(host->id, from->id, sizeof host->id - 1);
	if (!take_config(control, host, from) || tsearch(host, &control->by_id, compare) == NULL) {
		free(host->address);
		free(host);
		return;
	}
	control_set_text(&host->status, "connecting");
	control_resolve(control, host);
}

static void
host_update(struct control *control, const struct config_host *from)
{
	struct control_host *host = control_host_by_id(control, from->id);

	if (host == NULL) {
		host_create(control, from);
		return;
	}
	bool moved = host->port != from->port || strcmp(host->address, from->address) != 0;
	if (!take_config(control, host, from))
		return;
	if (moved) {
		host->moving = true;
		host->moved_in = control->generation;
	}
	host->resolving = false; /* an answer for the old name is not wanted any more */
	control_resolve(control, host);
	tell_workers(control, host, true);
}

void
control_hosts_apply(struct control *control, const struct config_diff *diff)
{
	control->list_next = 0;
	for (size_t i = 0; i < diff->count; i++) {
		const struct config_diff_entry *entry = &diff->entries[i];
		struct control_host *host;
		switch (entry->kind) {
		case CONFIG_DIFF_REMOVED:
			host = control_host_by_id(control, diff->before->hosts[entry->before].id);
			if (host != NULL)
				host_delete(control, host);
			break;
		case CONFIG_DIFF_ADDED:
		case CONFIG_DIFF_CHANGED:
			host_update(control, &diff->after->hosts[entry->after]);
			break;
		case CONFIG_DIFF_RELAY:
		case CONFIG_DIFF_DEFAULT:
		case CONFIG_DIFF_VARIABLE:
		case CONFIG_DIFF_UNCHANGED:
		case CONFIG_DIFF_SERVICE_REMOVED:
		case CONFIG_DIFF_SERVICE_ADDED:
		case CONFIG_DIFF_SERVICE_CHANGED:
		case CONFIG_DIFF_GATEWAY_REMOVED:
		case CONFIG_DIFF_GATEWAY_ADDED:
		case CONFIG_DIFF_GATEWAY_CHANGED:
		case CONFIG_DIFF_KIND_COUNT:
			break;
		}
	}
	control_delayed_hosts_changed(control);
}

bool
control_hosts_settled(struct control *control)
{
	for (size_t i = 0; i < control->config.host_count; i++) {
		const struct control_host *host =
		    control_host_by_id(control, control->config.hosts[i].id);
		/* One that cannot be listened for is not asked for again before the next load. */
		if (host != NULL && host->listed && host->listener < 0)
			return false;
	}
	return true;
}
