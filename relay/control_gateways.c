/*
 * control_gateways.c - see control_gateways.h.
 */
#include "relay/control_gateways.h"

#include "relay/child.h"
#include "relay/config.h"
#include "relay/control.h"
#include "relay/listen_address.h"
#include "relay/log.h"
#include "relay/resolve.h"
#include "relay/resolver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	RETRY_MS = 1000,  /* for an address that could not be opened */
	IN_USE_MS = 50,   /* at first, for one that is in use */
	IN_USE_TRIES = 4, /* that long */
};

/* The resolver's tokens of gateways; indices of hosts are below. */
#define TOKEN_GATEWAY 0x80000000u

static struct control_gateway *
find(struct control *control, const char *name)
{
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		struct control_gateway *gateway = &control->gateways.table[i];

		if (gateway->name[0] != '\0' && strcmp(gateway->name, name) == 0)
			return gateway;
	}
	return NULL;
}

static uint32_t
index_of(const struct control *control, const struct control_gateway *gateway)
{
	return (uint32_t)(gateway - control->gateways.table);
}

/* --- the keeper ------------------------------------------------------------------------------- */

static int
say(struct control *control, enum channel_type type, const struct control_gateway *gateway,
    const struct control_gateway_door *door)
{
	struct channel_message message = {
		.type = type,
		.gateway_listen = { .number = door->number,
				    .address_len = door->address_len,
				    .address = door->address },
	};

	memcpy(message.gateway_listen.name, gateway->name, sizeof gateway->name);
	int error = channel_send(control->keeper, &message, -1);
	if (error == -ENOBUFS)
		control->behind = true;
	return error;
}

static void
close_door(struct control *control, const struct control_gateway *gateway,
	   struct control_gateway_door *door)
{
	if (door->asked)
		(void)say(control, CHANNEL_GATEWAY_UNLISTEN, gateway, door);
	if (door->fd >= 0)
		close(door->fd);
	*door = (struct control_gateway_door){ .fd = -1 };
}

static bool
is_it(const struct control_gateway_door *door, uint32_t len, const struct sockaddr_storage *address)
{
	return door->address_len == len && memcmp(&door->address, address, len) == 0;
}

/* An address that it had keeps its socket, wherever it stands in the list now. */
static void
follow_listen(struct control *control, struct control_gateway *gateway)
{
	struct control_gateway_door before[GATEWAY_LISTEN_MAX];
	uint32_t count = gateway->doors_count;
	char *const *listen = gateway->config->settings.listen;

	memcpy(before, gateway->doors, sizeof before);
	gateway->doors_count = 0;
	for (; *listen != NULL && gateway->doors_count < GATEWAY_LISTEN_MAX; listen++) {
		struct control_gateway_door *door = &gateway->doors[gateway->doors_count];
		struct listen_address address;

		if (!listen_address_parse(*listen, &address))
			continue;
		*door = (struct control_gateway_door){ .fd = -1,
						       .address = address.storage,
						       .address_len = address.len };
		gateway->doors_count++;
		for (uint32_t i = 0; i < count; i++) {
			if (!is_it(&before[i], address.len, &address.storage))
				continue;
			*door = before[i];
			before[i] = (struct control_gateway_door){ .fd = -1 };
		}
	}
	for (uint32_t i = 0; i < count; i++)
		close_door(control, gateway, &before[i]);
}

void
control_gateways_run(struct control *control, uint64_t now_ms)
{
	control->gateways.retry_at = 0;
	for (uint32_t i = 0; i < GATEWAYS_MAX && control->loaded; i++) {
		struct control_gateway *gateway = &control->gateways.table[i];

		for (uint32_t k = 0; k < gateway->doors_count; k++) {
			struct control_gateway_door *door = &gateway->doors[k];
			bool again = door->retry_at != 0 && door->retry_at <= now_ms;

			if (!door->asked || again) {
				door->number = ++control->gateways.question;
				door->asked =
				    say(control, CHANNEL_GATEWAY_LISTEN, gateway, door) == 0;
				door->retry_at = 0;
			}
			if (door->retry_at != 0 && (control->gateways.retry_at == 0 ||
						    door->retry_at < control->gateways.retry_at))
				control->gateways.retry_at = door->retry_at;
		}
	}
}

uint64_t
control_gateways_deadline(const struct control *control)
{
	return control->gateways.retry_at == 0 ? UINT64_MAX : control->gateways.retry_at;
}

void
control_gateways_unlist(struct control *control)
{
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		struct control_gateway *gateway = &control->gateways.table[i];

		for (uint32_t k = 0; k < gateway->doors_count; k++)
			gateway->doors[k].asked = false;
	}
}

bool
control_gateways_listed(const struct control *control)
{
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		const struct control_gateway *gateway = &control->gateways.table[i];

		for (uint32_t k = 0; k < gateway->doors_count; k++) {
			if (!gateway->doors[k].asked)
				return false;
		}
	}
	return true;
}

static void
log_refusal(const struct control_gateway *gateway, uint32_t number, int error)
{
	const char *text = gateway->config->settings.listen[number];

	if (error == -ESTALE)
		log_error(NULL, "gateway %s: %s is not in relay.conf as the keeper reads it",
			  gateway->name, text);
	else
		log_error(NULL, "gateway %s: cannot listen on %s: %s", gateway->name, text,
			  strerror(-error));
}

static void
on_answer(struct control_gateway *gateway, uint32_t number, int error, int fd)
{
	struct control_gateway_door *door = &gateway->doors[number];

	/* Our own workers may have it for a moment longer, or an answer that was overtaken. */
	if (error == -EADDRINUSE && door->in_use++ < IN_USE_TRIES) {
		door->retry_at = child_clock_ms() + IN_USE_MS;
		return;
	}
	if (error != -EADDRINUSE)
		door->in_use = 0;
	if (error != 0 && error != door->error) {
		log_refusal(gateway, number, error);
		gateway->told = 0; /* workers may still have what was there before */
	}
	door->error = error;
	if (error != 0 || fd < 0) {
		door->retry_at = child_clock_ms() + RETRY_MS;
		return;
	}
	/* Asked for again, it is the same as before. */
	if (door->fd >= 0)
		close(door->fd);
	else
		gateway->told = 0;
	door->fd = fd;
}

void
control_gateways_on_listener(struct control *control, const struct channel_gateway_listen *message,
			     int fd)
{
	char name[sizeof message->name];

	memcpy(name, message->name, sizeof name);
	name[sizeof name - 1] = '\0';
	struct control_gateway *gateway = find(control, name);
	for (uint32_t k = 0; gateway != NULL && k < gateway->doors_count; k++) {
		/* Removed and added meanwhile, it is another socket that is waited for. */
		if (gateway->doors[k].number == message->number &&
		    is_it(&gateway->doors[k], message->address_len, &message->address)) {
			bool kept = message->error == 0 && fd >= 0;
			on_answer(gateway, k, message->error, fd);
			if (!kept && fd >= 0)
				close(fd);
			return;
		}
	}
	if (fd >= 0)
		close(fd); /* of one that is gone: it was told so already */
}

/* --- where the local lond is ------------------------------------------------------------------ */

static void
set_addresses(struct control_gateway *gateway, const struct resolve_list *addresses)
{
	if (resolve_list_equal(&gateway->resolved, addresses))
		return;
	gateway->resolved = *addresses;
	gateway->told = 0;
}

static void
resolve(struct control *control, struct control_gateway *gateway)
{
	const struct config_gateway *config = gateway->config;
	struct resolve_list addresses;

	if (resolve_literal_list(config->connect_name, config->connect_port, &addresses) == 0) {
		set_addresses(gateway, &addresses);
		return;
	}
	if (gateway->resolving)
		return;
	uint64_t token =
	    (uint64_t)++gateway->question << 32 | TOKEN_GATEWAY | index_of(control, gateway);
	gateway->resolving =
	    resolver_ask(control->resolver, token, config->connect_name, config->connect_port);
}

void
control_gateways_resolve(struct control *control, uint32_t index)
{
	if (index < GATEWAYS_MAX && control->gateways.table[index].config != NULL)
		resolve(control, &control->gateways.table[index]);
}

bool
control_gateways_on_resolved(struct control *control, const struct resolver_answer *answer)
{
	uint32_t index = (uint32_t)(answer->token & 0xffffffffu) & ~TOKEN_GATEWAY;

	if ((answer->token & TOKEN_GATEWAY) == 0)
		return false;
	struct control_gateway *gateway =
	    index < GATEWAYS_MAX ? &control->gateways.table[index] : NULL;
	if (gateway == NULL || !gateway->resolving || answer->token >> 32 != gateway->question)
		return true; /* of a name that it has no more */
	gateway->resolving = false;
	if (answer->error == 0)
		set_addresses(gateway, &answer->addresses);
	else
		log_error(NULL, "gateway %s: address %s cannot be resolved: %s", gateway->name,
			  gateway->config->connect_name, resolve_error_text(answer->error));
	return true;
}

/* What was resolved of another name is nothing; the number of the question stays. */
static void
follow_connect(struct control *control, struct control_gateway *gateway)
{
	const char *connect = gateway->config->settings.connect;

	if (gateway->connect == NULL || strcmp(gateway->connect, connect) != 0) {
		free(gateway->connect);
		gateway->connect = strdup(connect); /* without it, it is only asked once more */
		gateway->resolving = false;
		gateway->resolved = (struct resolve_list){ .count = 0 };
	}
	resolve(control, gateway);
}

/* --- workers ---------------------------------------------------------------------------------- */

/* Its part of all: the parts of all workers add up to what was configured. */
static uint32_t
share_of(const struct control *control, const struct config_gateway *config, uint32_t worker)
{
	uint32_t workers = control->options->worker_count;

	return config->settings.clients_max / workers +
	       (worker < config->settings.clients_max % workers);
}

/* All names, each with its NUL, as a memfd; -1: no memory or descriptor. */
static int
make_allow(const struct config_gateway *config, uint32_t *len)
{
	static char names[GATEWAY_ALLOW_BYTES_MAX];
	size_t at = 0;

	for (char *const *name = config->settings.allow; *name != NULL; name++) {
		size_t n = strlen(*name) + 1;

		if (n > sizeof names - at)
			break;
		memcpy(names + at, *name, n);
		at += n;
	}
	*len = (uint32_t)at;
	return control_messages_memfd("allow", names, at);
}

/* FNV-1a. */
static uint64_t
mark_of(const char *text)
{
	uint64_t mark = 0xcbf29ce484222325u;

	for (; *text != '\0'; text++)
		mark = (mark ^ (uint8_t)*text) * 0x100000001b3u;
	return mark;
}

static bool
send_to(struct control *control, uint32_t number, const struct channel_message *message, int fd)
{
	struct control_worker *worker = &control->workers[number];

	if (channel_send(worker->channel, message, fd) == 0)
		return true;
	worker->behind = true;
	return false;
}

static void
tell(struct control *control, uint32_t number, struct control_gateway *gateway)
{
	const struct config_gateway *config = gateway->config;
	uint32_t index = index_of(control, gateway);
	struct channel_message message = {
		.type = CHANNEL_GATEWAY,
		.gateway = {
			.index = index,
			.credentials = control_credentials_number(control, config->credentials),
			.clients_max = share_of(control, config, number),
			.doors = gateway->doors_count,
			.addresses = gateway->resolved,
			.connect_mark = mark_of(config->settings.connect),
			.handshake_timeout_ms = config->settings.handshake_timeout_ms,
			.connect_timeout_ms = config->settings.connect_timeout_ms,
			.idle_timeout_ms = config->settings.idle_timeout_ms,
			.drain_timeout_ms = config->settings.drain_timeout_ms,
		},
	};

	memcpy(message.gateway.name, gateway->name, sizeof gateway->name);
	int allow = make_allow(config, &message.gateway.allow_len);
	bool sent = allow >= 0 && send_to(control, number, &message, allow);
	if (allow >= 0)
		close(allow);
	if (!sent)
		return;
	gateway->told |= 1ull << number;
	control_tickets_tell(control, number, index, gateway->name);
	for (uint32_t k = 0; k < gateway->doors_count; k++) {
		struct channel_message door = { .type = CHANNEL_GATEWAY_DOOR,
						.gateway_door = { .index = index, .number = k } };
		/* Until the keeper has answered, they keep what they have. */
		door.gateway_door.closed = gateway->doors[k].fd < 0;
		if (gateway->doors[k].fd >= 0 || gateway->doors[k].error != 0)
			(void)send_to(control, number, &door, gateway->doors[k].fd);
	}
}

void
control_gateways_tell(struct control *control, uint32_t worker)
{
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		struct control_gateway *gateway = &control->gateways.table[i];

		if (gateway->config != NULL && (gateway->told >> worker & 1) == 0)
			tell(control, worker, gateway);
	}
}

void
control_gateways_untell(struct control *control, uint32_t worker)
{
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++)
		control->gateways.table[i].told &= ~(1ull << worker);
}

/* --- following the configuration ---------------------------------------------------------------
 */

static void
remove_gateway(struct control *control, struct control_gateway *gateway)
{
	struct channel_message message = {
		.type = CHANNEL_GATEWAY_REMOVE,
		.gateway_index = { .index = index_of(control, gateway) },
	};
	uint32_t question = gateway->question;

	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		if (control->workers[i].channel != NULL)
			(void)send_to(control, i, &message, -1);
	}
	for (uint32_t k = 0; k < gateway->doors_count; k++)
		close_door(control, gateway, &gateway->doors[k]);
	free(gateway->connect);
	*gateway = (struct control_gateway){ .question = question };
}

static struct control_gateway *
place_for(struct control *control, const char *name)
{
	struct control_gateway *gateway = find(control, name);

	for (uint32_t i = 0; i < GATEWAYS_MAX && gateway == NULL; i++) {
		if (control->gateways.table[i].name[0] == '\0')
			gateway = &control->gateways.table[i];
	}
	if (gateway != NULL)
		snprintf(gateway->name, sizeof gateway->name, "%s", name);
	return gateway;
}

void
control_gateways_apply(struct control *control)
{
	const struct config *config = &control->config;

	for (uint32_t i = 0; i < GATEWAYS_MAX; i++)
		control->gateways.table[i].config = NULL;
	for (size_t i = 0; i < config->gateway_count; i++) {
		struct control_gateway *gateway = find(control, config->gateways[i].name);
		if (gateway != NULL)
			gateway->config = &config->gateways[i];
	}
	/* First those that go: they make room. */
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		struct control_gateway *gateway = &control->gateways.table[i];
		if (gateway->name[0] != '\0' && gateway->config == NULL)
			remove_gateway(control, gateway);
	}
	for (size_t i = 0; i < config->gateway_count; i++) {
		struct control_gateway *gateway = place_for(control, config->gateways[i].name);
		if (gateway == NULL)
			continue; /* there are as many places as gateways of a configuration */
		gateway->config = &config->gateways[i];
		gateway->told = 0; /* who knows all of it already is not disturbed by hearing it */
		follow_listen(control, gateway);
		follow_connect(control, gateway);
	}
}
