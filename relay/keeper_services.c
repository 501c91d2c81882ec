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

#define SUBDIR "svc"

enum {
	LOOK_EVERY_MS = 1000, /* whether a public path is still ours */
	END_MS = 10000,       /* a server that was let go of has so long */
	STOP_END_MS = 1000,   /* at the relay's stop, when its calls are over */
	KILL_EVERY_MS = 100,
	KILL_GIVE_UP_MS = 3000, /* what does not die of SIGKILL is left to itself */
	STATUS_NONE = -1,
};

struct keeper_service_socket {
	LIST_ENTRY(keeper_service_socket) entry;
	uint32_t index;
	mode_t mode;
	bool named; /* since the sync began */
	int said;   /* error of the last attempt to bind it anew, logged once */
	char path[SERVICE_PATH_MAX];
	struct listener listener;
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
	bool named;          /* by this control process */
	uint64_t deadline;   /* ms: SETUP: it takes too long; ENDING: it is killed */
	uint64_t give_up_at; /* ENDING */
	char name[SERVICE_NAME_MAX + 1];
	char path[SERVICE_PATH_MAX];
	struct service_process process;
};

static void
tell(struct keeper_services *services, const struct channel_message *message, int fd)
{
	if (services->control->channel != NULL)
		channel_send(services->control->channel, message, fd);
}

/* --- public sockets --------------------------------------------------------------------------- */

static struct keeper_service_socket *
find_socket(struct keeper_services *services, const char *path)
{
	struct keeper_service_socket *socket;

	LIST_FOREACH(socket, &services->sockets, entry) {
		if (strcmp(socket->path, path) == 0)
			return socket;
	}
	return NULL;
}

static int
bind_socket(struct listener *listener, const char *path, mode_t mode)
{
	struct owner nobody = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };

	return listener_open_path(listener, path, mode, nobody);
}

static void
tell_socket(struct keeper_services *services, const struct keeper_service_socket *socket)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_LISTENER };

	message.service_socket.index = socket->index;
	message.service_socket.mode = socket->mode;
	memcpy(message.service_socket.path, socket->path, sizeof socket->path);
	tell(services, &message, socket->listener.fd);
}

static int
make_socket(struct keeper_services *services, const struct channel_service_socket *wanted,
	    struct keeper_service_socket **made)
{
	if (services->socket_count >= KEEPER_SERVICE_SOCKETS_MAX)
		return -ENOSPC;
	struct keeper_service_socket *socket = calloc(1, sizeof *socket);
	if (socket == NULL)
		return -ENOMEM;
	int error = bind_socket(&socket->listener, wanted->path, (mode_t)wanted->mode);
	if (error != 0) {
		free(socket);
		return error;
	}
	memcpy(socket->path, wanted->path, sizeof socket->path);
	LIST_INSERT_HEAD(&services->sockets, socket, entry);
	services->socket_count++;
	*made = socket;
	return 0;
}

static void
on_listen(struct keeper_services *services, const struct channel_service_socket *wanted)
{
	struct keeper_service_socket *socket = find_socket(services, wanted->path);
	struct channel_message refusal = { .type = CHANNEL_SERVICE_LISTENER,
					   .service_socket = *wanted };
	int error = 0;

	if (socket == NULL)
		error = make_socket(services, wanted, &socket);
	else if (socket->mode != (mode_t)wanted->mode &&
		 chmod(socket->path, (mode_t)wanted->mode) != 0)
		error = -errno;
	if (error != 0) {
		refusal.service_socket.error = error;
		tell(services, &refusal, -1);
		return;
	}
	socket->index = wanted->index;
	socket->mode = (mode_t)wanted->mode;
	socket->named = true;
	tell_socket(services, socket);
}

static void
close_socket(struct keeper_services *services, struct keeper_service_socket *socket)
{
	LIST_REMOVE(socket, entry);
	services->socket_count--;
	listener_close_path(&socket->listener, socket->path);
	free(socket);
}

/* Callers that wait at the old socket are taken from it as long as somebody has it open. */
static void
look_at_path(struct keeper_services *services, struct keeper_service_socket *socket)
{
	struct listener fresh;
	struct stat st;

	if (lstat(socket->path, &st) == 0 && st.st_dev == socket->listener.device &&
	    st.st_ino == socket->listener.inode)
		return;
	int error = bind_socket(&fresh, socket->path, socket->mode);
	if (error != 0 && error != socket->said)
		log_error(NULL, "service socket %s cannot be bound anew: %s", socket->path,
			  strerror(-error));
	socket->said = error;
	if (error != 0)
		return;
	log_warning(NULL, "service socket %s was replaced or removed: bound anew", socket->path);
	close(socket->listener.fd);
	socket->listener = fresh;
	tell_socket(services, socket);
}

/* --- generations ------------------------------------------------------------------------------ */

static void
tell_process(struct keeper_services *services, const struct channel_service_process *what)
{
	struct channel_message message = { .type = CHANNEL_SERVICE_PROCESS,
					   .service_process = *what };

	tell(services, &message, -1);
}

static void
report(struct keeper_services *services, const struct keeper_generation *generation,
       enum service_process what, int status)
{
	/* Nobody asked who runs now. */
	if (!generation->named)
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
	service_process_end(&generation->process, generation->path);
	service_process_fini(&generation->process);
	free(generation);
}

/* Killed unless it has ended by then. */
static void
end_generation(struct keeper_services *services, struct keeper_generation *generation,
	       uint64_t grace_ms)
{
	uint64_t deadline = child_clock_ms() + grace_ms;

	service_process_end(&generation->process, generation->path);
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
		if (generation->index == index && generation->number == number && generation->named)
			return generation;
	}
	return NULL;
}

/* Only a name in our own directory. */
static bool
is_ours(const struct keeper_services *services, const char *path)
{
	size_t len = strlen(services->dir);

	return len > 0 && strncmp(path, services->dir, len) == 0 && path[len] == '/' &&
	       path[len + 1] != '\0' && path[len + 1] != '.' && strchr(path + len + 1, '/') == NULL;
}

/* The bytes of the command; NULL with errno. */
static char *
read_command(int fd, size_t length)
{
	if (fd < 0 || length == 0 || length > SERVICE_COMMAND_BYTES_MAX) {
		errno = EINVAL;
		return NULL;
	}
	char *bytes = malloc(length);
	ssize_t got = bytes == NULL ? -1 : pread(fd, bytes, length, 0);
	if (got == (ssize_t)length)
		return bytes;
	if (got >= 0)
		errno = EINVAL;
	free(bytes);
	return NULL;
}

/* 0 or a negative errno. */
static int
start_process(struct keeper_services *services, struct keeper_generation *generation,
	      const struct channel_service_start *wanted, int fd)
{
	struct service_start start = {
		.path = generation->path,
		.length = wanted->length,
		.uid = (uid_t)wanted->uid,
		.gid = (gid_t)wanted->gid,
		.silent = services->silent,
	};

	if (services->stopping || services->generation_count >= KEEPER_GENERATIONS_MAX)
		return -EAGAIN;
	if (!is_ours(services, generation->path))
		return -EINVAL;
	int error = service_process_make_dir(services->dir);
	if (error != 0)
		return error;
	char *command = read_command(fd, wanted->length);
	if (command == NULL)
		return -errno;
	start.command = command;
	error = service_process_start(&generation->process, &start);
	free(command);
	return error;
}

static void
on_start(struct keeper_services *services, const struct channel_service_start *wanted, int fd)
{
	struct keeper_generation *generation = calloc(1, sizeof *generation);
	int error = -ENOMEM;

	if (wanted->generation > services->generation_last)
		services->generation_last = wanted->generation;
	if (generation != NULL) {
		memcpy(generation->name, wanted->name, sizeof generation->name);
		memcpy(generation->path, wanted->path, sizeof generation->path);
		error = start_process(services, generation, wanted, fd);
	}
	if (error != 0) {
		free(generation);
		log_error(NULL, "service %s cannot be started: %s", wanted->name, strerror(-error));
		tell_process(services,
			     &(struct channel_service_process){ .index = wanted->index,
								.generation = wanted->generation,
								.what = SERVICE_PROCESS_FAILED,
								.status = STATUS_NONE });
		return;
	}
	generation->index = wanted->index;
	generation->number = wanted->generation;
	generation->named = true;
	generation->deadline = child_clock_ms() + wanted->start_timeout_ms;
	LIST_INSERT_HEAD(&services->generations, generation, entry);
	services->generation_count++;
	services->next_at = 0;
}

/* A server that is no more, told of once. */
static void
server_gone(struct keeper_services *services, struct keeper_generation *generation)
{
	if (generation->state == GENERATION_WARM)
		report(services, generation, SERVICE_PROCESS_GONE, 0);
	if (generation->process.setup == 0)
		free_generation(services, generation);
	else
		end_generation(services, generation, 0);
}

static void
setup_ended(struct keeper_services *services, struct keeper_generation *generation, int wait_status)
{
	generation->process.setup = 0;
	if (generation->state != GENERATION_SETUP) {
		if (!service_process_lives(&generation->process))
			free_generation(services, generation);
		return;
	}
	if (wait_status == 0 && service_process_lives(&generation->process)) {
		generation->state = GENERATION_WARM;
		report(services, generation, SERVICE_PROCESS_WARM, 0);
		return;
	}
	if (wait_status == 0)
		log_error(NULL, "service %s: its set-up left no server behind", generation->name);
	report(services, generation, SERVICE_PROCESS_FAILED, wait_status);
	end_generation(services, generation, 0);
	if (!service_process_lives(&generation->process))
		free_generation(services, generation);
}

void
keeper_services_reap(struct keeper_services *services, pid_t pid, int wait_status)
{
	struct keeper_generation *generation;

	LIST_FOREACH(generation, &services->generations, entry) {
		if (generation->process.setup == pid) {
			setup_ended(services, generation, wait_status);
			return;
		}
	}
}

/* --- messages --------------------------------------------------------------------------------- */

/* Control is one program with us, but texts are ended here all the same. */
bool
keeper_services_on_message(struct keeper_services *services, const struct channel_message *message,
			   int fd)
{
	struct channel_message own = *message;
	struct keeper_service_socket *socket;
	struct keeper_generation *generation;

	switch (message->type) {
	case CHANNEL_SERVICE_LISTEN:
	case CHANNEL_SERVICE_UNLISTEN:
		own.service_socket.path[sizeof own.service_socket.path - 1] = '\0';
		socket = find_socket(services, own.service_socket.path);
		if (message->type == CHANNEL_SERVICE_LISTEN)
			on_listen(services, &own.service_socket);
		else if (socket != NULL)
			close_socket(services, socket);
		break;
	case CHANNEL_SERVICE_START:
		own.service_start.name[sizeof own.service_start.name - 1] = '\0';
		own.service_start.path[sizeof own.service_start.path - 1] = '\0';
		on_start(services, &own.service_start, fd);
		break;
	case CHANNEL_SERVICE_END:
		generation = find_generation(services, own.service_process.index,
					     own.service_process.generation);
		if (generation != NULL)
			end_generation(services, generation,
				       generation->state == GENERATION_SETUP ? 0 : END_MS);
		break;
	default:
		return false;
	}
	if (fd >= 0)
		close(fd);
	return true;
}

void
keeper_services_mark(struct keeper_services *services)
{
	struct keeper_service_socket *socket;
	struct keeper_generation *generation;

	LIST_FOREACH(socket, &services->sockets, entry)
		socket->named = false;
	LIST_FOREACH(generation, &services->generations, entry)
		generation->named = false;
}

void
keeper_services_sweep(struct keeper_services *services)
{
	struct keeper_service_socket *socket = LIST_FIRST(&services->sockets);
	struct keeper_generation *generation;

	while (socket != NULL) {
		struct keeper_service_socket *next = LIST_NEXT(socket, entry);
		if (!socket->named)
			close_socket(services, socket);
		socket = next;
	}
	LIST_FOREACH(generation, &services->generations, entry) {
		if (!generation->named)
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
		    (struct pollfd){ .fd = generation->process.sentinel, .events = POLLIN };
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
		    !service_process_lives(&generation->process))
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
		report(services, generation, SERVICE_PROCESS_FAILED, STATUS_NONE);
		end_generation(services, generation, 0);
	}
	if (generation->give_up_at <= now) {
		log_error(NULL, "service %s: generation %u cannot be ended", generation->name,
			  generation->number);
		free_generation(services, generation);
		return UINT64_MAX;
	}
	service_process_kill(&generation->process);
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
	struct keeper_service_socket *socket;

	if (services->look_at <= now) {
		services->look_at = now + LOOK_EVERY_MS;
		LIST_FOREACH(socket, &services->sockets, entry)
			look_at_path(services, socket);
	}
	if (services->next_at <= now)
		run_generations(services, now);
	if (LIST_EMPTY(&services->sockets) || services->stopping)
		return services->next_at;
	return services->look_at < services->next_at ? services->look_at : services->next_at;
}

/* --- life ------------------------------------------------------------------------------------- */

void
keeper_services_init(struct keeper_services *services, const char *run_dir,
		     const struct child *control, bool silent)
{
	*services =
	    (struct keeper_services){ .control = control, .silent = silent, .next_at = UINT64_MAX };
	LIST_INIT(&services->sockets);
	LIST_INIT(&services->generations);
	int len = snprintf(services->dir, sizeof services->dir, "%s/" SUBDIR, run_dir);
	if (len < 0 || (size_t)len >= sizeof services->dir)
		services->dir[0] = '\0';
	else
		service_process_sweep_dir(services->dir);
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
	while (!LIST_EMPTY(&services->generations))
		free_generation(services, LIST_FIRST(&services->generations));
	while (!LIST_EMPTY(&services->sockets))
		close_socket(services, LIST_FIRST(&services->sockets));
}
