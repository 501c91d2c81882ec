/*
 * control_services_tell.c - what the home worker of a service knows of it: sockets with the limits
 * that go with them, generations.
 *
 * Sends what was not told yet, as far as the channel takes it.
 */
#include "relay/control_services_internal.h"

#include <stdio.h>
#include <string.h>

#include "relay/control.h"

struct channel *
control_service_home(const struct control *control, const struct control_service *service)
{
	/* Before the keeper has answered for everything no sync has begun. */
	if (!control->listed)
		return NULL;
	return control->workers[service->index % control->options->worker_count].channel;
}

bool
control_service_send(struct channel *channel, const struct channel_message *message, int fd)
{
	return channel_queued(channel) < CONTROL_SERVICES_BACKLOG &&
	       channel_send(channel, message, fd) == 0;
}

static bool
tell_socket(struct channel *home, const struct control_service *service,
	    const struct control_service_socket *socket, bool extended)
{
	const struct config_service *config = service->config;
	struct channel_message message = { .type = CHANNEL_SERVICE_ADD };
	struct channel_service *to = &message.service;

	to->index = service->index;
	to->extended = extended;
	to->calls_max = config->settings.calls_max;
	to->call_timeout_ms = config->settings.call_timeout_ms;
	to->request_timeout_ms = config->settings.request_timeout_ms;
	to->slow_call_ms = config->settings.slow_call_ms;
	snprintf(to->name, sizeof to->name, "%s", config->name);
	for (; to->uid_count < config->caller_count && to->uid_count < SERVICE_UIDS_MAX;
	     to->uid_count++)
		to->uids[to->uid_count] = config->callers[to->uid_count];
	/* A list of users of whom none exists lets nobody in. */
	if (config->settings.allow_uids != NULL && to->uid_count == 0)
		to->uids[to->uid_count++] = OWNER_NOBODY_UID;
	return control_service_send(home, &message, socket->fd);
}

bool
control_generation_tell(struct channel *home, const struct control_service *service,
			const struct control_generation *generation,
			enum service_generation_state state)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_GENERATION };

	message.service_generation.index = service->index;
	message.service_generation.generation = generation->number;
	message.service_generation.state = state;
	memcpy(message.service_generation.path, generation->path, sizeof generation->path);
	return control_service_send(home, &message, -1);
}

/* A service without its public socket is none to a worker. */
static bool
can_be_told(const struct control_service *service)
{
	return service->sockets[CONTROL_SERVICE_PUBLIC].fd >= 0;
}

void
control_service_tell(struct control *control, struct control_service *service)
{
	struct channel *home = control_service_home(control, service);
	struct control_generation *generation;

	if (home == NULL || !can_be_told(service))
		return;
	for (int i = 0; i < CONTROL_SERVICE_SOCKETS; i++) {
		struct control_service_socket *socket = &service->sockets[i];
		if (socket->fd >= 0 && !socket->told)
			socket->told = tell_socket(home, service, socket, i > 0);
	}
	if (!service->sockets[CONTROL_SERVICE_PUBLIC].told)
		return;
	if (service->current != NULL && !service->current->use_told)
		service->current->use_told = control_generation_tell(
		    home, service, service->current, SERVICE_GENERATION_USE);
	TAILQ_FOREACH(generation, &service->draining, entry) {
		if (generation->use_told && !generation->drain_told)
			generation->drain_told = control_generation_tell(home, service, generation,
									 SERVICE_GENERATION_DRAIN);
	}
}

bool
control_services_told(const struct control *control, uint32_t worker)
{
	uint32_t workers = control->options->worker_count;

	for (uint32_t i = worker; i < CONFIG_SERVICES_MAX; i += workers) {
		const struct control_service *service = control->services.table[i];
		if (service == NULL || !can_be_told(service))
			continue;
		for (int k = 0; k < CONTROL_SERVICE_SOCKETS; k++) {
			if (service->sockets[k].fd >= 0 && !service->sockets[k].told)
				return false;
		}
		if (service->current != NULL && !service->current->use_told)
			return false;
	}
	return true;
}

void
control_services_untell(struct control *control, uint32_t worker)
{
	uint32_t workers = control->options->worker_count;
	struct control_generation *generation;

	for (uint32_t i = worker; i < CONFIG_SERVICES_MAX; i += workers) {
		struct control_service *service = control->services.table[i];
		if (service == NULL)
			continue;
		for (int k = 0; k < CONTROL_SERVICE_SOCKETS; k++)
			service->sockets[k].told = false;
		if (service->current != NULL)
			service->current->use_told = false;
		TAILQ_FOREACH(generation, &service->draining, entry)
			generation->drain_told = false;
	}
}
