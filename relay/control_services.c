/*
 * control_services.c - the table of services: what the configuration wants, and what the keeper is
 * asked for.
 *
 * Each service is looked at in every round: what it lacks is sent as far as the channels take it.
 * Never waits, never starts a process itself.  Owns the table, the sockets' duplicates and what is
 * known of generations.
 */
#include "relay/control_services.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay/child.h"
#include "relay/control.h"
#include "relay/control_services_internal.h"
#include "relay/log.h"
#include "relay/service_definition.h"
#include "relay/service_paths.h"
#include "relay/setting_list.h"

/* --- generations ------------------------------------------------------------------------------ */

/* There is always room: each of them is, or was, one of the keeper's. */
static void
ask_end(struct control *control, const struct control_service *service,
	const struct control_generation *generation)
{
	struct control_services *services = &control->services;

	if (service->config->settings.connect != NULL ||
	    services->ends_count == KEEPER_GENERATIONS_MAX)
		return;
	services->ends[services->ends_count++] =
	    (struct control_services_end){ service->index, generation->number };
}

static void
send_ends(struct control *control)
{
	struct control_services *services = &control->services;
	struct channel_message message = { .type = CHANNEL_SERVICE_END };
	uint32_t sent = 0;

	for (; sent < services->ends_count; sent++) {
		message.service_process.index = services->ends[sent].index;
		message.service_process.generation = services->ends[sent].number;
		if (!control_service_send(control->keeper, &message, -1))
			break;
	}
	services->ends_count -= sent;
	memmove(services->ends, services->ends + sent,
		services->ends_count * sizeof *services->ends);
}

/* The worker is told that nothing can be given to it, and it is forgotten. */
void
control_generation_forget(struct control *control, struct control_service *service,
			  struct control_generation *generation)
{
	struct channel *home = control_service_home(control, service);

	if (home != NULL && generation->use_told &&
	    !control_generation_tell(home, service, generation, SERVICE_GENERATION_GONE))
		control->workers[service->index % control->options->worker_count].behind = true;
	service->calls += generation->calls;
	if (generation == service->starting)
		service->starting = NULL;
	else if (generation == service->current)
		service->current = NULL;
	else {
		TAILQ_REMOVE(&service->draining, generation, entry);
		service->draining_count--;
	}
	free(generation);
}

void
control_generation_end(struct control *control, struct control_service *service,
		       struct control_generation *generation)
{
	ask_end(control, service, generation);
	control_generation_forget(control, service, generation);
}

/* It gets no more calls; when none is under way it is ended. */
void
control_generation_drain(struct control *control, struct control_service *service)
{
	struct control_generation *generation = service->current;

	service->current = NULL;
	TAILQ_INSERT_TAIL(&service->draining, generation, entry);
	/* What its server has taken is finished without it, so that the oldest one can go. */
	if (++service->draining_count > CONTROL_DRAINING_MAX)
		control_generation_end(control, service, TAILQ_FIRST(&service->draining));
	else if (!generation->use_told)
		control_generation_end(control, service, generation);
}

void
control_generation_use(struct control *control, struct control_service *service,
		       struct control_generation *generation)
{
	uint32_t number = generation->number;
	uint64_t now = child_clock_ms();

	if (service->current != NULL)
		control_generation_drain(control, service);
	service->starting = NULL;
	service->current = generation;
	service->asleep = service->failed = false;
	generation->warm_at = now;
	service->used_at = now;
	control_service_tell(control, service);
	control_service_settled(control, service, number, NULL);
}

/* What the keeper may know of it. */
static struct channel_message
name_message(enum channel_type type, const struct control_service *service)
{
	struct channel_message message = { .type = type };
	struct channel_service_name *to = &message.service_name;

	to->index = service->index;
	to->digest = service_definition_digest(service->config);
	snprintf(to->name, sizeof to->name, "%s", service->config->name);
	return message;
}

static bool
ask_start(struct control *control, const struct control_service *service,
	  const struct control_generation *generation)
{
	struct channel_message message = name_message(CHANNEL_SERVICE_START, service);

	message.service_name.generation = generation->number;
	return control_service_send(control->keeper, &message, -1);
}

static bool
set_path(const struct control *control, const struct control_service *service,
	 struct control_generation *generation)
{
	const struct config_service *config = service->config;
	size_t room = sizeof generation->path;

	if (config->settings.connect == NULL)
		return service_private_path(control->options->started->relay.run_dir, config->name,
					    generation->number, generation->path);
	int len = snprintf(generation->path, room, "%s", config->settings.connect);
	return len > 0 && (size_t)len < room;
}

/* Begins the one that is due. */
static void
begin(struct control *control, struct control_service *service, uint64_t now)
{
	struct control_generation *generation = calloc(1, sizeof *generation);
	const char *why = "no memory, or the keeper does not take messages";
	bool good = generation != NULL;

	service->start_at = 0;
	if (good) {
		generation->number = ++control->services.generation;
		good = set_path(control, service, generation);
		why = good ? why : "run_dir is too long for its private socket";
	}
	control_service_note_files(service);
	if (good && service->config->settings.connect != NULL) {
		control_generation_use(control, service, generation);
		return;
	}
	if (!good || !ask_start(control, service, generation)) {
		free(generation);
		control_service_failed(control, service, control->services.generation, why, now);
		return;
	}
	service->starting = generation;
	service->starts++;
	service->used_at = now;
}

void
control_service_restart(struct control *control, struct control_service *service, uint64_t at_ms)
{
	if (service->starting != NULL)
		control_generation_end(control, service, service->starting);
	service->backoff_ms = 0;
	service->start_at = at_ms;
}

/* --- sockets ---------------------------------------------------------------------------------- */

static void
listen_to(struct control *control, struct control_service *service, uint64_t now)
{
	struct channel_message message = name_message(CHANNEL_SERVICE_LISTEN, service);

	for (uint32_t i = 0; i < CONTROL_SERVICE_SOCKETS; i++) {
		struct control_service_socket *socket = &service->sockets[i];
		if (socket->retry_at != 0 && socket->retry_at <= now)
			socket->listed = false;
		if (socket->listed || socket->path[0] == '\0')
			continue;
		message.service_name.extended = i == CONTROL_SERVICE_EXTENDED;
		socket->listed = control_service_send(control->keeper, &message, -1);
		socket->asked = socket->listed;
		socket->retry_at = 0;
	}
}

bool
control_services_listed(const struct control *control)
{
	for (uint32_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		const struct control_service *service = control->services.table[i];
		for (int k = 0; service != NULL && k < CONTROL_SERVICE_SOCKETS; k++) {
			if (service->sockets[k].path[0] != '\0' && !service->sockets[k].listed)
				return false;
		}
	}
	return true;
}

void
control_services_unlist(struct control *control)
{
	for (uint32_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		struct control_service *service = control->services.table[i];
		for (int k = 0; service != NULL && k < CONTROL_SERVICE_SOCKETS; k++)
			service->sockets[k].listed = false;
	}
}

static void
unlisten(struct control *control, struct control_service *service, int which)
{
	struct channel_message message = name_message(CHANNEL_SERVICE_UNLISTEN, service);
	struct control_service_socket *socket = &service->sockets[which];

	message.service_name.extended = which == CONTROL_SERVICE_EXTENDED;
	if (socket->path[0] != '\0' && channel_send(control->keeper, &message, -1) != 0)
		control->behind = true;
	if (socket->fd >= 0)
		close(socket->fd);
	*socket = (struct control_service_socket){ .fd = -1 };
}

/* As it is configured now: another path or other rights are another socket. */
static void
set_socket(struct control *control, struct control_service *service, int which)
{
	struct control_service_socket *socket = &service->sockets[which];
	struct service_definition_socket to =
	    service_definition_socket(service->config, which == CONTROL_SERVICE_EXTENDED);
	const char *path = to.path != NULL ? to.path : "";

	socket->told = false; /* limits go with it */
	if (strcmp(socket->path, path) == 0 && socket->mode == to.mode && socket->uid == to.uid)
		return;
	unlisten(control, service, which);
	snprintf(socket->path, sizeof socket->path, "%s", path);
	socket->mode = to.mode;
	socket->uid = to.uid;
}

static void
set_sockets(struct control *control, struct control_service *service)
{
	set_socket(control, service, CONTROL_SERVICE_PUBLIC);
	set_socket(control, service, CONTROL_SERVICE_EXTENDED);
}

/* --- following the configuration -------------------------------------------------------------- */

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Whether what runs is what would be started. */
static bool
same_process(const struct config_service *a, const struct config_service *b)
{
	return setting_list_equal(a->settings.command, b->settings.command) &&
	       same_text(a->settings.connect, b->settings.connect) &&
	       a->run_as.uid == b->run_as.uid && a->run_as.gid == b->run_as.gid;
}

/*
 * Whether one can become the other.  A worker is never told that a socket is no more, and what was
 * started is ended otherwise than what was only connected to.
 */
static bool
same_kind(const struct config_service *a, const struct config_service *b)
{
	return (a->extended_path == NULL) == (b->extended_path == NULL) &&
	       (a->settings.connect == NULL) == (b->settings.connect == NULL);
}

/* Whether callers find the same thing. */
static bool
same_front(const struct config_service *a, const struct config_service *b)
{
	return same_text(a->path, b->path) && same_text(a->extended_path, b->extended_path) &&
	       a->settings.calls_max == b->settings.calls_max &&
	       a->settings.call_timeout_ms == b->settings.call_timeout_ms &&
	       a->settings.request_timeout_ms == b->settings.request_timeout_ms &&
	       a->settings.slow_call_ms == b->settings.slow_call_ms &&
	       (a->settings.allow_uids == NULL) == (b->settings.allow_uids == NULL) &&
	       a->caller_count == b->caller_count &&
	       (a->caller_count == 0 ||
		memcmp(a->callers, b->callers, a->caller_count * sizeof *a->callers) == 0);
}

static void
end_all(struct control *control, struct control_service *service)
{
	if (service->starting != NULL)
		control_generation_end(control, service, service->starting);
	if (service->current != NULL)
		control_generation_end(control, service, service->current);
	while (!TAILQ_EMPTY(&service->draining))
		control_generation_end(control, service, TAILQ_FIRST(&service->draining));
}

static void
service_delete(struct control *control, struct control_service *service)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_REMOVE };
	struct channel *home = control_service_home(control, service);

	control_service_settled(control, service, UINT32_MAX, "it was removed meanwhile");
	message.service_generation.index = service->index;
	/* What it has under way it finishes. */
	if (home != NULL && channel_send(home, &message, -1) != 0)
		control->workers[service->index % control->options->worker_count].behind = true;
	end_all(control, service);
	for (int i = 0; i < CONTROL_SERVICE_SOCKETS; i++)
		unlisten(control, service, i);
	control->services.table[service->index] = NULL;
	control->services.count--;
	free(service);
}

static void
service_create(struct control *control, const struct config_service *config)
{
	struct control_services *services = &control->services;
	struct control_service *service = calloc(1, sizeof *service);
	uint32_t index = 0;

	while (index < CONFIG_SERVICES_MAX && services->table[index] != NULL)
		index++;
	if (service == NULL || index == CONFIG_SERVICES_MAX) {
		log_error(NULL, "service %s: no memory", config->name);
		free(service);
		return;
	}
	service->config = config;
	service->index = index;
	TAILQ_INIT(&service->draining);
	for (int i = 0; i < CONTROL_SERVICE_SOCKETS; i++)
		service->sockets[i].fd = -1;
	set_sockets(control, service);
	service->start_at = child_clock_ms();
	services->table[index] = service;
	services->count++;
}

static void
service_change(struct control *control, struct control_service *service,
	       const struct config_service *to)
{
	const struct config_service *from = service->config;

	if (!same_process(from, to))
		control_service_restart(control, service, child_clock_ms());
	service->config = to;
	if (!same_front(from, to))
		set_sockets(control, service);
	/* The keeper takes it over now, not when it is needed: who knows what the file says then?
	 */
	for (int i = 0; i < CONTROL_SERVICE_SOCKETS; i++) {
		if (service_definition_digest(from) != service_definition_digest(to))
			service->sockets[i].listed = false;
	}
	if (!setting_list_equal(from->settings.autoreload, to->settings.autoreload))
		control_service_note_files(service);
}

static const struct config_service *
find_config(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->service_count; i++) {
		if (strcmp(config->services[i].name, name) == 0)
			return &config->services[i];
	}
	return NULL;
}

struct control_service *
control_service_find(const struct control *control, const char *name)
{
	for (uint32_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		struct control_service *service = control->services.table[i];
		if (service != NULL && strcmp(service->config->name, name) == 0)
			return service;
	}
	return NULL;
}

/* Those that go first: their paths may be those of others now. */
void
control_services_apply(struct control *control)
{
	struct control_services *services = &control->services;
	const struct config *config = &control->config;

	if (services->generation < control->options->service_generation)
		services->generation = control->options->service_generation;
	for (uint32_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		struct control_service *service = services->table[i];
		if (service == NULL)
			continue;
		const struct config_service *to = find_config(config, service->config->name);
		if (to == NULL || !same_kind(service->config, to))
			service_delete(control, service);
		else
			service_change(control, service, to);
	}
	for (size_t i = 0; i < config->service_count; i++) {
		if (control_service_find(control, config->services[i].name) == NULL)
			service_create(control, &config->services[i]);
	}
}

/* --- the loop --------------------------------------------------------------------------------- */

static bool
keeper_has_room(const struct control *control)
{
	return channel_queued(control->keeper) < CONTROL_SERVICES_BACKLOG;
}

void
control_services_run(struct control *control, uint64_t now_ms)
{
	send_ends(control);
	if (!control->loaded || control->services.count == 0)
		return;
	control_services_look(control, now_ms);
	for (uint32_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		struct control_service *service = control->services.table[i];
		if (service == NULL)
			continue;
		listen_to(control, service, now_ms);
		if (control->listed && service->starting == NULL && service->start_at != 0 &&
		    service->start_at <= now_ms && keeper_has_room(control))
			begin(control, service, now_ms);
		control_service_tell(control, service);
	}
}

uint64_t
control_services_deadline(const struct control *control)
{
	uint64_t next = UINT64_MAX;

	if (!control->listed || control->services.count == 0)
		return next;
	/* Without room it is the channel that wakes us. */
	bool room = keeper_has_room(control);
	for (uint32_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		const struct control_service *service = control->services.table[i];
		if (service == NULL)
			continue;
		if (room && service->starting == NULL && service->start_at != 0 &&
		    service->start_at < next)
			next = service->start_at;
		for (int k = 0; k < CONTROL_SERVICE_SOCKETS; k++) {
			uint64_t retry_at = service->sockets[k].retry_at;
			if (retry_at != 0 && retry_at < next)
				next = retry_at;
		}
		if (control_service_is_watched(service) && control->services.look_at < next)
			next = control->services.look_at;
	}
	return next;
}
