/*
 * keeper_services.c - see keeper_services.h.
 *
 *   generation  SETUP -> WARM -> ENDING -> freed        SETUP -> ENDING (failed, or not wanted)
 *               WARM -> freed (its server has gone)
 *
 * Never waits, never decides to start anything.  Owns the sockets, the processes and their pipes.
 */
#include "relay/keeper_services.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay/log.h"
#include "relay/service_definition.h"
#include "relay/service_paths.h"

enum {
	END_MS = 10000,     /* a server that was let go of has so long */
	STOP_END_MS = 1000, /* at the relay's stop, when its calls are over */
	KILL_EVERY_MS = 100,
	KILL_GIVE_UP_MS = 3000, /* what does not die of SIGKILL is left to itself */
};

enum generation_state {
	GENERATION_SETUP,
	GENERATION_WARM,
	GENERATION_ENDING,
};

struct keeper_generation {
	LIST_ENTRY(keeper_generation) entry;
	enum generation_state state;
	uint32_t index;
	uint32_t number;
	pid_t control;       /* who began it */
	uint64_t deadline;   /* ms: SETUP: it takes too long; ENDING: it is killed */
	uint64_t give_up_at; /* ENDING */
	char name[SERVICE_NAME_MAX + 1];
	char path[SERVICE_PATH_MAX];
	struct service_child child;
};

/* --- generations ------------------------------------------------------------------------------ */

static void
tell_process(struct keeper_services *services, const struct channel_service_process *what)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_PROCESS,
					   .service_process = *what };

	if (services->control->channel != NULL)
		channel_send(services->control->channel, &message, -1);
}

static bool
is_of_control(const struct keeper_services *services, const struct keeper_generation *generation)
{
	return generation->control == services->control->pid;
}

static void
report(struct keeper_services *services, const struct keeper_generation *generation,
       enum service_process what, int status)
{
	/* A successor has not asked for it. */
	if (!is_of_control(services, generation))
		return;
	tell_process(services, &(struct channel_service_process){ .index = generation->index,
								  .generation = generation->number,
								  .what = what,
								  .status = status });
}

static void
free_generation(struct keeper_services *services, struct keeper_generation *generation)
{
	LIST_REMOVE(generation, entry);
	services->generation_count--;
	service_child_end(&generation->child, generation->path);
	service_child_fini(&generation->child);
	free(generation);
}

/* Killed unless it has ended by then. */
static void
end_generation(struct keeper_services *services, struct keeper_generation *generation,
	       uint64_t grace_ms)
{
	uint64_t deadline = child_clock_ms() + grace_ms;

	service_child_end(&generation->child, generation->path);
	if (generation->state == GENERATION_ENDING && deadline > generation->deadline)
		return;
	generation->state = GENERATION_ENDING;
	generation->deadline = deadline;
	generation->give_up_at = deadline + KILL_GIVE_UP_MS;
	services->next_at = 0;
}

static struct keeper_generation *
find_generation(struct keeper_services *services, uint32_t index, uint32_t number)
{
	struct keeper_generation *generation;

	LIST_FOREACH(generation, &services->generations, entry) {
		if (generation->index == index && generation->number == number &&
		    is_of_control(services, generation))
			return generation;
	}
	return NULL;
}

/* What relay.conf says of it; NULL: not what control says, and the log tells so. */
static const struct config_service *
find_definition(struct keeper_services *services, const struct channel_service_name *wanted)
{
	const struct config_service *definition = keeper_definitions_find(
	    &services->definitions, wanted->name, wanted->digest, child_clock_ms());

	if (definition == NULL)
		log_error(
		    NULL,
		    "service %s: refused: relay.conf says something else than control: reload",
		    wanted->name);
	return definition;
}

static bool
is_used(const struct keeper_services *services, const char *name, uint32_t number)
{
	const struct keeper_generation *generation;

	LIST_FOREACH(generation, &services->generations, entry) {
		if (generation->number == number && strcmp(generation->name, name) == 0)
			return true;
	}
	return false;
}

/* 0 or a negative errno. */
static int
start_process(struct keeper_services *services, struct keeper_generation *generation,
	      const struct config_service *definition)
{
	const char *run_dir = services->definitions.settings->run_dir;
	struct service_start start = {
		.path = generation->path,
		.command = definition->settings.command,
		.uid = definition->run_as.uid,
		.gid = definition->run_as.gid,
		.nofile = services->nofile,
		.silent = services->silent,
	};

	if (services->stopping || services->generation_count >= KEEPER_GENERATIONS_MAX)
		return -EAGAIN;
	if (definition->settings.command == NULL)
		return -EINVAL;
	snprintf(generation->name, sizeof generation->name, "%s", definition->name);
	if (is_used(services, generation->name, generation->number))
		return -EEXIST;
	if (services->dir[0] == '\0' ||
	    !service_private_path(run_dir, definition->name, generation->number, generation->path))
		return -ENAMETOOLONG;
	int error = service_child_make_dir(services->dir);
	if (error != 0)
		return error;
	generation->deadline = child_clock_ms() + definition->settings.start_timeout_ms;
	return service_child_start(&generation->child, &start);
}

/* 0 or a negative errno; -ESTALE: there is no such definition. */
static int
start_generation(struct keeper_services *services, const struct channel_service_name *wanted)
{
	const struct config_service *definition = find_definition(services, wanted);

	if (definition == NULL)
		return -ESTALE;
	struct keeper_generation *generation = calloc(1, sizeof *generation);
	if (generation == NULL)
		return -ENOMEM;
	generation->index = wanted->index;
	generation->number = wanted->generation;
	generation->control = services->control->pid;
	int error = start_process(services, generation, definition);
	if (error != 0) {
		free(generation);
		log_error(NULL, "service %s cannot be started: %s", wanted->name, strerror(-error));
		return error;
	}
	LIST_INSERT_HEAD(&services->generations, generation, entry);
	services->generation_count++;
	services->next_at = 0;
	return 0;
}

static void
on_start(struct keeper_services *services, const struct channel_service_name *wanted)
{
	struct channel_service_process failed = {
		.index = wanted->index,
		.generation = wanted->generation,
		.what = SERVICE_PROCESS_FAILED,
	};

	if (wanted->generation > services->generation_last)
		services->generation_last = wanted->generation;
	int error = start_generation(services, wanted);
	if (error == 0)
		return;
	failed.status = error == -ESTALE ? SERVICE_STATUS_STALE : SERVICE_STATUS_NONE;
	tell_process(services, &failed);
}

/* There is no server any more.  Of a set-up that still runs its own end tells. */
static void
server_gone(struct keeper_services *services, struct keeper_generation *generation)
{
	if (generation->child.setup != 0)
		return;
	if (generation->state == GENERATION_WARM)
		report(services, generation, SERVICE_PROCESS_GONE, 0);
	free_generation(services, generation);
}

static void
setup_ended(struct keeper_services *services, struct keeper_generation *generation, int wait_status)
{
	generation->child.setup = 0;
	if (generation->state != GENERATION_SETUP) {
		if (!service_child_lives(&generation->child))
			free_generation(services, generation);
		return;
	}
	if (wait_status == 0 && service_child_lives(&generation->child)) {
		generation->state = GENERATION_WARM;
		report(services, generation, SERVICE_PROCESS_WARM, 0);
		return;
	}
	if (wait_status == 0)
		log_error(NULL, "service %s: its set-up left no server behind", generation->name);
	report(services, generation, SERVICE_PROCESS_FAILED, wait_status);
	end_generation(services, generation, 0);
	if (!service_child_lives(&generation->child))
		free_generation(services, generation);
}

void
keeper_services_reap(struct keeper_services *services, pid_t pid, int wait_status)
{
	struct keeper_generation *generation;

	LIST_FOREACH(generation, &services->generations, entry) {
		if (generation->child.setup == pid) {
			setup_ended(services, generation, wait_status);
			return;
		}
	}
}

/* --- messages --------------------------------------------------------------------------------- */

static void
on_end(struct keeper_services *services, const struct channel_service_process *which)
{
	struct keeper_generation *generation =
	    find_generation(services, which->index, which->generation);

	if (generation != NULL)
		end_generation(services, generation,
			       generation->state == GENERATION_SETUP ? 0 : END_MS);
}

static void
on_listen(struct keeper_services *services, const struct channel_service_name *wanted)
{
	bool extended = wanted->extended != 0;
	struct service_socket_wanted what = { .index = wanted->index, .extended = extended };
	const struct config_service *definition = find_definition(services, wanted);

	if (definition == NULL) {
		service_sockets_refuse(&services->sockets, wanted->index, extended, -ESTALE);
		return;
	}
	struct service_definition_socket socket = service_definition_socket(definition, extended);
	if (socket.path == NULL || strlen(socket.path) >= sizeof what.path) {
		service_sockets_refuse(&services->sockets, wanted->index, extended, -EINVAL);
		return;
	}
	what.mode = socket.mode;
	what.uid = socket.uid;
	snprintf(what.name, sizeof what.name, "%s", definition->name);
	snprintf(what.path, sizeof what.path, "%s", socket.path);
	service_sockets_listen(&services->sockets, &what);
}

static void
on_unlisten(struct keeper_services *services, const struct channel_service_name *which)
{
	service_sockets_unlisten(&services->sockets, which->name, which->extended != 0);
	/* Another definition of that name comes, or none. */
	keeper_definitions_forget(&services->definitions, which->name);
}

/* Control is one program with us, but texts are ended here all the same. */
bool
keeper_services_on_message(struct keeper_services *services, const struct channel_message *message)
{
	struct channel_service_name name = message->service_name;

	name.name[sizeof name.name - 1] = '\0';
	switch (message->type) {
	case CHANNEL_SERVICE_LISTEN:
		on_listen(services, &name);
		return true;
	case CHANNEL_SERVICE_UNLISTEN:
		on_unlisten(services, &name);
		return true;
	case CHANNEL_SERVICE_START:
		on_start(services, &name);
		return true;
	case CHANNEL_SERVICE_END:
		on_end(services, &message->service_process);
		return true;
	default:
		return false;
	}
}

void
keeper_services_mark(struct keeper_services *services)
{
	service_sockets_mark(&services->sockets);
	keeper_definitions_mark(&services->definitions);
}

void
keeper_services_sweep(struct keeper_services *services)
{
	struct keeper_generation *generation;

	service_sockets_sweep(&services->sockets);
	keeper_definitions_sweep(&services->definitions);
	LIST_FOREACH(generation, &services->generations, entry) {
		if (!is_of_control(services, generation))
			end_generation(services, generation,
				       generation->state == GENERATION_SETUP ? 0 : END_MS);
	}
}

/* --- the loop --------------------------------------------------------------------------------- */

nfds_t
keeper_services_fill(const struct keeper_services *services, struct pollfd *slots)
{
	const struct keeper_generation *generation;
	nfds_t count = 0;

	LIST_FOREACH(generation, &services->generations, entry)
		slots[count++] =
		    (struct pollfd){ .fd = generation->child.sentinel, .events = POLLIN };
	return count;
}

void
keeper_services_run(struct keeper_services *services, const struct pollfd *slots, nfds_t count)
{
	struct keeper_generation *generation = LIST_FIRST(&services->generations);

	/* Nothing came or went since the slots were filled. */
	for (nfds_t i = 0; i < count && generation != NULL; i++) {
		struct keeper_generation *next = LIST_NEXT(generation, entry);
		if (slots[i].fd >= 0 && slots[i].revents != 0 &&
		    !service_child_lives(&generation->child))
			server_gone(services, generation);
		generation = next;
	}
}

/* When to look at it again. */
static uint64_t
generation_clock(struct keeper_services *services, struct keeper_generation *generation,
		 uint64_t now)
{
	if (generation->state == GENERATION_WARM)
		return UINT64_MAX;
	if (generation->deadline > now)
		return generation->deadline;
	if (generation->state == GENERATION_SETUP) {
		log_error(NULL, "service %s: its set-up takes too long", generation->name);
		report(services, generation, SERVICE_PROCESS_FAILED, SERVICE_STATUS_NONE);
		end_generation(services, generation, 0);
	}
	if (generation->give_up_at <= now) {
		log_error(NULL, "service %s: generation %u cannot be ended", generation->name,
			  generation->number);
		free_generation(services, generation);
		return UINT64_MAX;
	}
	service_child_kill(&generation->child);
	return now + KILL_EVERY_MS;
}

static void
run_generations(struct keeper_services *services, uint64_t now)
{
	struct keeper_generation *generation = LIST_FIRST(&services->generations);

	services->next_at = UINT64_MAX;
	while (generation != NULL) {
		struct keeper_generation *next = LIST_NEXT(generation, entry);
		uint64_t at = generation_clock(services, generation, now);
		if (at < services->next_at)
			services->next_at = at;
		generation = next;
	}
}

uint64_t
keeper_services_clock(struct keeper_services *services, uint64_t now)
{
	uint64_t look_at =
	    services->stopping ? UINT64_MAX : service_sockets_clock(&services->sockets, now);

	if (services->next_at <= now)
		run_generations(services, now);
	return look_at < services->next_at ? look_at : services->next_at;
}

/* --- life ------------------------------------------------------------------------------------- */

void
keeper_services_init(struct keeper_services *services, const struct relay_settings *settings,
		     const struct config_source *source, const struct child *control, bool silent)
{
	*services =
	    (struct keeper_services){ .control = control, .silent = silent, .next_at = UINT64_MAX };
	keeper_definitions_init(&services->definitions, settings, source);
	service_sockets_init(&services->sockets, control);
	LIST_INIT(&services->generations);
	struct rlimit limit;
	services->nofile = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
	int len = snprintf(services->dir, sizeof services->dir, "%s/" SERVICE_PRIVATE_DIR,
			   settings->run_dir);
	if (len < 0 || (size_t)len >= sizeof services->dir)
		services->dir[0] = '\0';
	else
		service_child_sweep_dir(services->dir);
}

bool
keeper_services_stop(struct keeper_services *services, bool at_once)
{
	struct keeper_generation *generation;

	if (!services->stopping) {
		services->stopping = true;
		LIST_FOREACH(generation, &services->generations, entry)
			end_generation(
			    services, generation,
			    at_once || generation->state == GENERATION_SETUP ? 0 : STOP_END_MS);
	}
	return LIST_EMPTY(&services->generations);
}

void
keeper_services_fini(struct keeper_services *services)
{
	struct keeper_generation *generation = LIST_FIRST(&services->generations);

	while (generation != NULL) {
		struct keeper_generation *next = LIST_NEXT(generation, entry);
		free_generation(services, generation);
		generation = next;
	}
	service_sockets_fini(&services->sockets);
	keeper_definitions_fini(&services->definitions);
}
