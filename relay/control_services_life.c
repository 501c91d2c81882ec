/*
 * control_services_life.c - what becomes of a service's generations, as the keeper and the home
 * worker tell it, and why another one is begun: the last one has gone, a file changed, it has
 * answered enough calls, somebody calls a service that sleeps.
 *
 * Never starts a generation itself: says when one is due.
 */
#include "relay/control_services_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay/child.h"
#include "relay/control.h"
#include "relay/log.h"
#include "relay/service_paths.h"

enum {
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 10000,
	GOOD_LIFE_MS = 1000,    /* of a generation: the next one follows at once */
	LISTEN_AGAIN_MS = 5000, /* a socket that could not be made is tried again */
	LOOK_EVERY_MS = 1000,   /* at files and run directories, for unused services */
	NOT_STARTED = 127,      /* exit status of what could not be executed */
};

#define STALE_TEXT "relay.conf says something else by now: reload"

/* --- telling ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 5, 6))) static void
say(struct control *control, struct control_service *service, enum log_level level,
    const char *kind, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(service->last, sizeof service->last, format, args);
	va_end(args);
	log_line(level, NULL, "service %s: %s", service->config->name, service->last);
	control_event(control, kind, NULL, "%s: %s", service->config->name, service->last);
}

/* --- when the next one is due ----------------------------------------------------------------- */

static void
start_later(struct control_service *service, uint64_t now)
{
	service->backoff_ms = service->backoff_ms == 0 ? BACKOFF_MIN_MS : service->backoff_ms * 2;
	if (service->backoff_ms > BACKOFF_MAX_MS)
		service->backoff_ms = BACKOFF_MAX_MS;
	service->start_at = now + service->backoff_ms;
}

/* There is a reason: what failed before does not delay it. */
static void
start_now(struct control_service *service, uint64_t now)
{
	service->backoff_ms = 0;
	service->start_at = now;
}

static bool
is_starting(const struct control_service *service)
{
	return service->starting != NULL || service->start_at != 0;
}

void
control_service_failed(struct control *control, struct control_service *service, uint32_t number,
		       const char *why, uint64_t now)
{
	service->failures++;
	service->failed = true;
	start_later(service, now);
	say(control, service, LOG_ERROR, "service_failed",
	    "generation %u was not started: %s; again in %u ms", number, why, service->backoff_ms);
	control_service_settled(control, service, number, why);
}

/* --- the keeper ------------------------------------------------------------------------------- */

static const char *
describe(int status, char *text, size_t size)
{
	if (status == SERVICE_STATUS_STALE)
		snprintf(text, size, STALE_TEXT);
	else if (status == SERVICE_STATUS_NONE)
		snprintf(text, size, "its set-up took too long, or could not begin");
	else if (WIFSIGNALED(status))
		snprintf(text, size, "its set-up died of signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == NOT_STARTED)
		snprintf(text, size, "its set-up ended with status %d: is there such a program?",
			 NOT_STARTED);
	else if (WEXITSTATUS(status) == 0)
		snprintf(text, size, "its set-up left no server behind");
	else
		snprintf(text, size, "its set-up ended with status %d", WEXITSTATUS(status));
	return text;
}

static void
on_failed(struct control *control, struct control_service *service, int status, uint64_t now)
{
	char why[CONTROL_SERVICE_TEXT_MAX / 2];
	uint32_t number = service->starting->number;

	control_generation_forget(control, service, service->starting);
	control_service_failed(control, service, number, describe(status, why, sizeof why), now);
}

static void
on_gone(struct control *control, struct control_service *service,
	struct control_generation *generation, uint64_t now)
{
	bool in_use = generation == service->current;
	bool good_life = now - generation->warm_at >= GOOD_LIFE_MS;
	uint32_t number = generation->number;

	control_generation_forget(control, service, generation);
	if (!in_use)
		return;
	if (good_life && service->starting == NULL)
		start_now(service, now);
	else if (!is_starting(service))
		start_later(service, now);
	say(control, service, LOG_WARNING, "service_gone",
	    "generation %u has ended by itself; another one follows", number);
}

static void
on_process(struct control *control, const struct channel_service_process *message)
{
	struct control_service *service =
	    message->index < CONFIG_SERVICES_MAX ? control->services.table[message->index] : NULL;
	struct control_generation *generation;
	uint64_t now = child_clock_ms();

	if (service == NULL)
		return;
	if (service->starting != NULL && service->starting->number == message->generation) {
		if (message->what == SERVICE_PROCESS_WARM) {
			control_generation_use(control, service, service->starting);
			say(control, service, LOG_INFO, "service_up", "generation %u is warm",
			    message->generation);
		} else {
			on_failed(control, service, message->status, now);
		}
		return;
	}
	if (message->what != SERVICE_PROCESS_GONE)
		return; /* of one that was given up meanwhile */
	if (service->current != NULL && service->current->number == message->generation) {
		on_gone(control, service, service->current, now);
		return;
	}
	TAILQ_FOREACH(generation, &service->draining, entry) {
		if (generation->number == message->generation) {
			on_gone(control, service, generation, now);
			return;
		}
	}
}

/* Who took a socket away (prefork-interp's -f and --kill do) wants another server. */
static void
on_bound_anew(struct control *control, struct control_service *service)
{
	if (service->config->settings.connect != NULL || is_starting(service) || service->asleep)
		return;
	say(control, service, LOG_INFO, "service_restart",
	    "its socket was taken away: another generation follows");
	start_now(service, child_clock_ms());
}

static void
no_socket(struct control *control, struct control_service *service,
	  struct control_service_socket *socket, int error)
{
	socket->asked = false;
	socket->retry_at = child_clock_ms() + LISTEN_AGAIN_MS;
	if (socket->error != error)
		say(control, service, LOG_ERROR, "service_failed", "cannot listen on %s: %s",
		    socket->path, error == -ESTALE ? STALE_TEXT : strerror(-error));
	socket->error = error;
}

static void
take_socket(struct control *control, struct control_service *service, int which, int fd)
{
	struct control_service_socket *socket = &service->sockets[which];
	int own = dup(fd);

	if (own < 0) {
		no_socket(control, service, socket, -errno);
		return;
	}
	/* An answer tells of nothing new. */
	if (which == CONTROL_SERVICE_PUBLIC && !socket->asked)
		on_bound_anew(control, service);
	if (socket->fd >= 0)
		close(socket->fd);
	socket->fd = own;
	socket->asked = socket->told = false;
	socket->error = 0;
}

static void
on_listener(struct control *control, const struct channel_service_socket *message, int fd)
{
	struct control_service *service =
	    message->index < CONFIG_SERVICES_MAX ? control->services.table[message->index] : NULL;

	for (int i = 0; service != NULL && i < CONTROL_SERVICE_SOCKETS; i++) {
		struct control_service_socket *socket = &service->sockets[i];
		if (message->extended != (i == CONTROL_SERVICE_EXTENDED))
			continue;
		if (message->error != 0)
			no_socket(control, service, socket, message->error);
		else if (fd >= 0 && strcmp(socket->path, message->path) == 0)
			take_socket(control, service, i, fd);
	}
}

bool
control_services_on_keeper(struct control *control, const struct channel_message *message, int fd)
{
	struct channel_service_socket own;

	switch (message->type) {
	case CHANNEL_SERVICE_LISTENER:
		own = message->service_socket;
		own.path[sizeof own.path - 1] = '\0';
		on_listener(control, &own, fd);
		return true;
	case CHANNEL_SERVICE_PROCESS:
		on_process(control, &message->service_process);
		return true;
	default:
		return false;
	}
}

/* --- the home worker -------------------------------------------------------------------------- */

static struct control_generation *
find_generation(struct control_service *service, uint32_t number)
{
	struct control_generation *generation;

	if (service->current != NULL && service->current->number == number)
		return service->current;
	TAILQ_FOREACH(generation, &service->draining, entry) {
		if (generation->number == number)
			return generation;
	}
	return NULL;
}

/* Of the one in use. */
static void
on_current_calls(struct control *control, struct control_service *service,
		 const struct channel_service_calls *calls, uint64_t now)
{
	const struct service_settings *settings = &service->config->settings;

	if (settings->connect != NULL)
		return; /* the worker tries it again; there is nothing else to call */
	if (calls->refused && !is_starting(service)) {
		start_later(service, now);
		say(control, service, LOG_WARNING, "service_gone",
		    "generation %u does not take calls: another one follows",
		    service->current->number);
	} else if (settings->recycle_calls != 0 && calls->calls >= settings->recycle_calls &&
		   !is_starting(service)) {
		start_now(service, now);
		say(control, service, LOG_INFO, "service_restart",
		    "generation %u had %llu calls: another one follows", service->current->number,
		    (unsigned long long)calls->calls);
	}
}

void
control_services_on_calls(struct control *control, uint32_t worker,
			  const struct channel_service_calls *calls)
{
	struct control_service *service =
	    calls->index < CONFIG_SERVICES_MAX ? control->services.table[calls->index] : NULL;
	uint64_t now = child_clock_ms();

	if (service == NULL || calls->index % control->options->worker_count != worker)
		return;
	struct control_generation *generation = find_generation(service, calls->generation);
	service->used_at = now; /* it only says what is new */
	service->waiting = calls->waiting;
	if (service->waiting > 0 && service->asleep) {
		service->asleep = false;
		start_now(service, now);
	}
	if (generation == NULL)
		return;
	generation->running = calls->running;
	generation->calls = calls->calls;
	if (generation == service->current)
		on_current_calls(control, service, calls, now);
	else if (calls->running == 0)
		control_generation_end(control, service, generation);
}

void
control_services_forget_worker(struct control *control, uint32_t worker)
{
	uint32_t workers = control->options->worker_count;

	control_services_untell(control, worker);
	for (uint32_t i = worker; i < CONFIG_SERVICES_MAX; i += workers) {
		struct control_service *service = control->services.table[i];
		if (service == NULL)
			continue;
		service->waiting = 0;
		if (service->current != NULL)
			service->current->running = 0;
		/* Their calls ended with the worker that had given them. */
		while (!TAILQ_EMPTY(&service->draining)) {
			TAILQ_FIRST(&service->draining)->use_told = false;
			control_generation_end(control, service, TAILQ_FIRST(&service->draining));
		}
	}
}

/* --- files, and services that nobody uses ----------------------------------------------------- */

static struct control_service_file
look_at(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct control_service_file){ .there = false };
	return (struct control_service_file){
		.there = true,
		.device = st.st_dev,
		.inode = st.st_ino,
		.size = st.st_size,
		.modified = st.st_mtim,
	};
}

static bool
is_same(const struct control_service_file *a, const struct control_service_file *b)
{
	return a->there == b->there && a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && a->modified.tv_sec == b->modified.tv_sec &&
	       a->modified.tv_nsec == b->modified.tv_nsec;
}

void
control_service_note_files(struct control_service *service)
{
	char *const *paths = service->config->settings.autoreload;

	for (size_t i = 0; paths != NULL && paths[i] != NULL && i < SETTINGS_LIST_MAX; i++)
		service->files[i] = look_at(paths[i]);
}

/* The first one that is not what it was; a file that is only missing may be on its way. */
static const char *
changed_file(const struct control_service *service)
{
	char *const *paths = service->config->settings.autoreload;

	for (size_t i = 0; paths != NULL && paths[i] != NULL && i < SETTINGS_LIST_MAX; i++) {
		struct control_service_file now = look_at(paths[i]);
		if (now.there && !is_same(&now, &service->files[i]))
			return paths[i];
	}
	return NULL;
}

/* Whether what is in use may have to be ended for them. */
static bool
has_conditions(const struct control_service *service)
{
	const struct service_settings *settings = &service->config->settings;

	return settings->connect == NULL && service->current != NULL &&
	       (settings->autoreload != NULL || settings->idle_timeout_ms != 0);
}

bool
control_service_is_watched(const struct control_service *service)
{
	return has_conditions(service) || service->config->settings.ident != NULL;
}

static bool
is_unused(const struct control_service *service, uint64_t now)
{
	uint64_t timeout = service->config->settings.idle_timeout_ms;

	return timeout != 0 && service->current->running == 0 && service->waiting == 0 &&
	       now - service->used_at >= timeout;
}

static void
look(struct control *control, struct control_service *service, uint64_t now)
{
	const char *changed = changed_file(service);

	if (changed != NULL) {
		start_now(service, now);
		say(control, service, LOG_INFO, "service_restart",
		    "%s has changed: another generation follows", changed);
	} else if (is_unused(service, now)) {
		service->asleep = true;
		say(control, service, LOG_INFO, "service_asleep",
		    "generation %u is not used: it ends", service->current->number);
		control_generation_drain(control, service);
	}
}

/* Where the socket of an ident is to be says the configuration, which is read again: once, for it
 * may be refused. */
static void
look_at_place(struct control *control, struct control_service *service)
{
	const struct control_service_socket *socket = &service->sockets[CONTROL_SERVICE_PUBLIC];
	bool moved = !service_ident_stands_now(socket->uid, socket->path);

	if (moved && !service->moved) {
		control->services.moved = true;
		say(control, service, LOG_INFO, "service_moved",
		    "the run directory of user %u is another one now", socket->uid);
	}
	service->moved = moved;
}

void
control_services_look(struct control *control, uint64_t now)
{
	struct control_services *services = &control->services;

	if (services->look_at > now)
		return;
	services->look_at = now + LOOK_EVERY_MS;
	for (uint32_t i = 0; i < CONFIG_SERVICES_MAX; i++) {
		struct control_service *service = services->table[i];
		if (service == NULL)
			continue;
		if (service->config->settings.ident != NULL)
			look_at_place(control, service);
		if (has_conditions(service) && !is_starting(service))
			look(control, service, now);
	}
}
