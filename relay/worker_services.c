/*
 * worker_services.c - a worker's table of services, and what control says about them.
 *
 * The index of a service is control's.  One that leaves gives its place free at once and ends on a
 * list of its own.  A service is known by its name: a restarted control process may give it another
 * index, which disturbs no call.
 */
#include "relay/log.h"
#include "relay/service.h"
#include "relay/worker.h"

#include <stdlib.h>
#include <string.h>

static bool
make_place(struct worker *worker, uint32_t index)
{
	if (index < worker->services_cap)
		return true;
	if (index >= SERVICES_MAX)
		return false;
	uint32_t cap = worker->services_cap == 0 ? 16 : worker->services_cap;
	while (cap <= index)
		cap *= 2;
	struct service **services = realloc(worker->services, cap * sizeof *services);
	if (services == NULL)
		return false;
	memset(services + worker->services_cap, 0, (cap - worker->services_cap) * sizeof *services);
	worker->services = services;
	worker->services_cap = cap;
	return true;
}

static struct service *
service_at(struct worker *worker, uint32_t index)
{
	return index < worker->services_cap ? worker->services[index] : NULL;
}

static void
leave(struct worker *worker, struct service *service)
{
	worker->services[service->index] = NULL;
	TAILQ_INSERT_TAIL(&worker->leaving_services, service, leaving_entry);
	service_leave(service);
}

void
worker_leave_services(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->services_cap; i++) {
		if (worker->services[i] != NULL)
			leave(worker, worker->services[i]);
	}
}

void
worker_forget_service(struct worker *worker, struct service *service)
{
	TAILQ_REMOVE(&worker->leaving_services, service, leaving_entry);
}

bool
worker_has_services(const struct worker *worker)
{
	for (uint32_t i = 0; i < worker->services_cap; i++) {
		if (worker->services[i] != NULL)
			return true;
	}
	return !TAILQ_EMPTY(&worker->leaving_services);
}

void
worker_arm_services(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->services_cap; i++) {
		if (worker->services[i] != NULL)
			service_touch(worker->services[i]);
	}
}

void
worker_look_at_services(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->services_cap; i++) {
		if (worker->services[i] != NULL)
			service_look_again(worker->services[i]);
	}
}

/* --- messages --------------------------------------------------------------------------------- */

static struct service *
find(struct worker *worker, const char *name)
{
	for (uint32_t i = 0; i < worker->services_cap; i++) {
		if (worker->services[i] != NULL && strcmp(worker->services[i]->name, name) == 0)
			return worker->services[i];
	}
	return NULL;
}

/* Who had the place gets the one that becomes free: what is to become of it will be said. */
static void
move(struct worker *worker, struct service *service, uint32_t index)
{
	struct service *other = worker->services[index];
	uint32_t old = service->index;

	worker->services[old] = other;
	if (other != NULL)
		service_move(other, old);
	worker->services[index] = service;
	service_move(service, index);
}

/* A place that nobody has, or SERVICES_MAX. */
static uint32_t
free_place(struct worker *worker)
{
	uint32_t index = 0;

	while (index < worker->services_cap && worker->services[index] != NULL)
		index++;
	return make_place(worker, index) ? index : SERVICES_MAX;
}

/* For one that is new.  Who has the place leaves, but while a sync has yet to name him: then he
 * waits elsewhere for what will be said of him, with all who call him. */
static void
make_way(struct worker *worker, uint32_t index)
{
	struct service *other = worker->services[index];
	uint32_t place = other->synced ? SERVICES_MAX : free_place(worker);

	if (place < SERVICES_MAX)
		move(worker, other, place);
	else
		leave(worker, other);
}

static void
add(struct worker *worker, const struct channel_service *message, int listener)
{
	struct service *service = find(worker, message->name);
	bool possible = worker->state == WORKER_RUNNING && make_place(worker, message->index);

	if (possible && service != NULL) {
		if (service->index != message->index)
			move(worker, service, message->index);
		service_change(service, message, listener);
		service->synced = true;
		return;
	}
	if (possible && worker->services[message->index] != NULL)
		make_way(worker, message->index);
	service = possible ? service_new(worker, message, listener) : NULL;
	if (service == NULL) {
		log_error(NULL, "service %s cannot be added", message->name);
		if (listener >= 0)
			uring_close(worker->ring, listener);
		return;
	}
	service->synced = true;
	worker->services[message->index] = service;
}

void
worker_sync_services(struct worker *worker, bool end)
{
	for (uint32_t i = 0; i < worker->services_cap; i++) {
		struct service *service = worker->services[i];
		if (service == NULL)
			continue;
		if (!end)
			service->synced = false;
		if (end && !service->synced)
			leave(worker, service);
		else
			service_on_sync(service, end);
	}
}

bool
worker_on_service(struct worker *worker, const struct channel_message *message, int fd)
{
	const struct channel_service_generation *generation = &message->service_generation;
	struct service *service;

	switch (message->type) {
	case CHANNEL_SERVICE_ADD:
		add(worker, &message->service, fd);
		return true; /* the descriptor went with it */
	case CHANNEL_SERVICE_REMOVE:
		if ((service = service_at(worker, generation->index)) != NULL)
			leave(worker, service);
		break;
	case CHANNEL_SERVICE_GENERATION:
		if ((service = service_at(worker, generation->index)) != NULL)
			service_on_generation(service, generation);
		break;
	default:
		return false;
	}
	if (fd >= 0)
		uring_close(worker->ring, fd);
	return true;
}
