/*
 * control_hosts.c - the table of hosts: what the configuration says, which socket the keeper gave,
 * where the address is.  Whom that is told is control_hosts_tell.c's.
 */
#include "relay/config_diff.h"
#include "relay/control.h"
#include "relay/log.h"
#include "relay/resolve.h"
#include "relay/resolver.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* --- sockets ---------------------------------------------------------------------------------- */

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
		control_unlisten(control, message->index); /* removed while this was on its way */
	}
	if (host == NULL || fd < 0 || host->index != CONTROL_INDEX_NONE ||
	    !place(control, host, message->index)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	host->listener = fd;
	control_delayed_hosts_changed(control);
	if (host->resolved.count == 0)
		control_resolve(control, host);
	if (control->listed)
		control_host_tell(control, host);
}

/* --- addresses -------------------------------------------------------------------------------- */

static void
set_addresses(struct control *control, struct control_host *host,
	      const struct resolve_list *addresses)
{
	host->moving = false;
	if (resolve_list_equal(&host->resolved, addresses))
		return;
	host->nowhere = false;
	host->resolved = *addresses;
	control_host_tell(control, host);
}

const union resolve_address *
control_host_address(const struct control_host *host)
{
	uint32_t place = resolve_list_find(&host->resolved, &host->in_use);

	if (host->resolved.count == 0)
		return NULL;
	return &host->resolved.address[place < host->resolved.count ? place : 0];
}

void
control_resolve(struct control *control, struct control_host *host)
{
	struct resolve_list addresses;

	if (resolve_literal_list(host->address, host->port, &addresses) == 0) {
		set_addresses(control, host, &addresses);
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
			host->nowhere = host->resolved.count == 0;
			log_error(host->id, "%s: address %s cannot be resolved: %s", host->id,
				  host->address, resolve_error_text(answer.error));
		} else {
			set_addresses(control, host, &answer.addresses);
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
	control_host_untell(control, host);
	control_delayed_give_up(control, host);
	if (host->index != CONTROL_INDEX_NONE)
		control->hosts[host->index] = NULL;
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
	control_host_tell(control, host);
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
