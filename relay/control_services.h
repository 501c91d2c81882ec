/*
 * control_services.h - services of fd-passing as the control process has them: what is configured,
 * what the keeper holds for them, what their home worker was told.
 *
 *   generation  STARTING -> CURRENT -> DRAINING -> forgotten     STARTING -> forgotten (it failed)
 *
 * A new generation is warm before the old one drains.  The old one is ended when the worker says
 * that none of its calls is under way.  One that has gone is followed by another at once, one that
 * did not live for a second, or failed, after a delay that doubles.
 *
 * Part of struct control; the table belongs to it.
 */
#ifndef RELAY_CONTROL_SERVICES_H
#define RELAY_CONTROL_SERVICES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <time.h>

#include "relay/channel.h"
#include "relay/config.h"
#include "relay/control_call.h"
#include "relay/keeper_services.h"

#define CONTROL_SERVICE_TEXT_MAX 200

struct control;

struct control_generation {
	TAILQ_ENTRY(control_generation) entry; /* while it drains */
	uint32_t number;
	bool use_told;
	bool drain_told;
	uint32_t running; /* as the worker said last */
	uint64_t calls;
	uint64_t warm_at; /* ms; 0 = not yet */
	char path[SERVICE_PATH_MAX];
};

TAILQ_HEAD(control_generations, control_generation);

/* The public one, and the one on which signals are forwarded. */
struct control_service_socket {
	char path[SERVICE_PATH_MAX]; /* "" = there is none */
	uint32_t mode;
	uint32_t uid;
	bool listed;       /* `listen` was sent */
	bool asked;        /* likewise, and is not answered yet */
	bool told;         /* to the worker, as it is now */
	int fd;            /* ours; -1 = none */
	int error;         /* negative errno of the last answer: each one is told once */
	uint64_t retry_at; /* ms: it could not be made; 0 = nothing to try again */
};

enum {
	CONTROL_SERVICE_PUBLIC,
	CONTROL_SERVICE_EXTENDED,
	CONTROL_SERVICE_SOCKETS,
};

/* One of the files of `autoreload`, as it was when the last generation was begun. */
struct control_service_file {
	bool there;
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
};

struct control_service {
	const struct config_service *config; /* in control->config */
	uint32_t index;
	struct control_service_socket sockets[CONTROL_SERVICE_SOCKETS];
	struct control_generation *starting; /* NULL = none */
	struct control_generation *current;  /* likewise */
	struct control_generations draining;
	uint32_t draining_count;
	uint64_t start_at; /* ms: another one is due; 0 = none is */
	uint32_t backoff_ms;
	uint32_t waiting; /* calls, as the worker said last */
	uint64_t used_at; /* ms: a call was there */
	uint64_t calls;   /* of generations that are forgotten */
	uint64_t starts;
	uint64_t failures;
	bool failed; /* the last generation that was begun did not come to be */
	bool asleep; /* ended because nobody used it: the next call starts it */
	bool moved;  /* its callers look elsewhere for its ident than where it is */
	char last[CONTROL_SERVICE_TEXT_MAX];
	struct control_service_file files[SETTINGS_LIST_MAX];
};

struct control_services_wait;
LIST_HEAD(control_services_waits, control_services_wait);

/* A generation that the keeper is to end. */
struct control_services_end {
	uint32_t index;
	uint32_t number;
};

/* Zeroed = there are none. */
struct control_services {
	struct control_service *table[CONFIG_SERVICES_MAX]; /* by index; NULL = free */
	uint32_t count;
	uint32_t generation; /* the last one that was begun, of all services */
	uint64_t look_at;    /* ms: at files, unused services and run directories */
	bool moved;          /* callers look elsewhere: the configuration is to be read again */
	struct control_services_end ends[KEEPER_GENERATIONS_MAX]; /* not yet sent */
	uint32_t ends_count;
	struct control_services_waits waits;
	struct control_services_wait *cursor; /* the next one to be looked at */
};

/* Makes them follow control->config; those that are the same in it are not touched. */
void control_services_apply(struct control *control);

/* More of what is to be told, and begun, as far as the channels take it. */
void control_services_run(struct control *control, uint64_t now_ms);
uint64_t control_services_deadline(const struct control *control);

/* Whether the keeper was asked for all their sockets, and this worker told all there is. */
bool control_services_listed(const struct control *control);
bool control_services_told(const struct control *control, uint32_t worker);

/* All is to be told again: a sync begins. */
void control_services_unlist(struct control *control);
void control_services_untell(struct control *control, uint32_t worker);

/* The worker is another one, or gone. */
void control_services_forget_worker(struct control *control, uint32_t worker);

/* false: the message is not about services; `fd` stays the caller's in any case. */
bool control_services_on_keeper(struct control *control, const struct channel_message *message,
				int fd);
void control_services_on_calls(struct control *control, uint32_t worker,
			       const struct channel_service_calls *calls);

/* By name; NULL = there is none. */
struct control_service *control_service_find(const struct control *control, const char *name);

/* It cannot be called: it could not be started, or its socket not be made. */
static inline bool
control_service_has_failed(const struct control_service *service)
{
	const struct control_service_socket *socket = &service->sockets[CONTROL_SERVICE_PUBLIC];

	return (socket->fd < 0 && socket->retry_at != 0) ||
	       (service->current == NULL && service->failed);
}

/* Another generation takes the place of what runs, and of what is being started. */
void control_service_restart(struct control *control, struct control_service *service,
			     uint64_t at_ms);

/* --- control_services_stats.c */

/* What the workers counted of it, in memory of the call; NULL: there was none. */
Relay__Control__CallCounters *control_service_counters(struct control_call *call,
						       const struct control_service *service);
Relay__Control__ServiceStats *control_service_stats(struct control_call *call,
						    const struct control_service *service);

/* Into the log. */
void control_services_on_slow(const struct control *control, uint32_t worker,
			      const struct channel_service_slow *slow);

/* --- control_services_verbs.c */

const char *control_service_state(const struct control_service *service);

/* The one that the first argument names; NULL: there is none, and the call was answered. */
struct control_service *control_argument_service(struct control_call *call);

/* For who waits for a generation begun later than some: `number` is in use (`why` is NULL), or
 * never will be.  UINT32_MAX: nor will any other. */
void control_service_settled(struct control *control, const struct control_service *service,
			     uint32_t number, const char *why);

#endif
