/*
 * service.h - a service inside a worker: its public sockets, the generations that calls can be
 * given to, the queue of complete requests, and what control is told.
 *
 *   caller -> door -> call: collecting -> waiting -> under way, at most calls_max -> closing
 *
 * Nothing here happens inside the callbacks that ask for it: they touch the service, and it looks
 * at itself once at the end of the turn.
 */
#ifndef RELAY_SERVICE_H
#define RELAY_SERVICE_H

#include "relay/call_end.h"
#include "relay/stats.h"
#include "relay/worker.h"

struct call;
TAILQ_HEAD(call_list, call);

#define CALL_STATES(X)                                                                       \
	X(CALL_COLLECTING, "request")   /* it comes in */                                    \
	X(CALL_WAITING, "waiting")      /* it is complete; for a slot, or a generation */    \
	X(CALL_CONNECTED, "connecting") /* to the service, which has not greeted yet */      \
	X(CALL_GIVING, "giving")        /* of the request: from here on never given again */ \
	X(CALL_RUNNING, "running")      /* until the status comes */                         \
	X(CALL_CLOSING, "closing")      /* waits for its operations to end */

enum call_state {
#define X(name, text) name,
	CALL_STATES(X)
#undef X
};

#define CALL_STATE_COUNT (CALL_CLOSING + 1)

/* One public socket, and the accept that is armed on it. */
struct service_door {
	struct uring_op op;
	struct service *service;
	int listener; /* -1 = none */
	int next;     /* takes its place when the accept has ended; -1 = none */
	bool extended;
};

enum {
	SERVICE_DOOR,
	SERVICE_DOOR_EXTENDED, /* for forwarded signals */
	SERVICE_DOORS
};

struct service_generation {
	TAILQ_ENTRY(service_generation) entry;
	uint32_t number;
	enum service_generation_state state;
	uint32_t running; /* calls that are connected, being given or run */
	uint64_t calls;   /* given to it so far */
	bool known;       /* named since the last sync_begin */
	bool refused;     /* since control was last told */
	bool changed;     /* numbers since then */
	bool urgent;      /* control waits for one of them */
	char path[SERVICE_PATH_MAX];
};

TAILQ_HEAD(service_generation_list, service_generation);

struct service {
	struct worker *worker;
	uint32_t index;
	bool leaving; /* removed: takes nothing new, goes when all is finished */
	bool synced;  /* named since the last sync_begin */
	TAILQ_ENTRY(service) leaving_entry;
	char name[SERVICE_NAME_MAX + 1];
	struct channel_service settings;
	struct stats_service *stats; /* in the memory that control reads; by name */
	struct service_door doors[SERVICE_DOORS];

	struct call_list calls[CALL_STATE_COUNT]; /* those that wait: oldest first */
	uint32_t counts[CALL_STATE_COUNT];
	uint64_t last_turn; /* in the queue, given to a call */

	struct service_generation_list generations;
	struct service_generation *current; /* where calls go; NULL = nowhere at the moment */
	uint64_t not_before;                /* no connect until then */

	bool changed; /* what waits, while there is no current generation */
	bool urgent;
	uint64_t tell_at; /* what is not urgent is told then */
	struct uring_timer look;

	uint64_t ends[CALL_END_COUNT];
	uint64_t put_back; /* calls that a generation did not take */
};

/* From its message; takes over `listener` (also if it is -1).  NULL without memory (then the caller
 * closes it). */
struct service *service_new(struct worker *worker, const struct channel_service *message,
			    int listener);

/* New settings for a service that exists, and the socket if there is one; it may be the same. */
void service_change(struct service *service, const struct channel_service *message, int listener);

/* It has this index now. */
void service_move(struct service *service, uint32_t index);

void service_on_generation(struct service *service,
			   const struct channel_service_generation *message);

/*
 * The begin or end of a sync.  Generations that it did not name are a former control process': they
 * end with their last call.  The one in use serves until there is another.
 */
void service_on_sync(struct service *service, bool end);

/* Takes nothing new from now on: who collects or waits is closed, what is under way finishes.  It
 * frees itself, by worker_forget_service(). */
void service_leave(struct service *service);

/* Takes in who connected without that this worker was woken (worker.c says how that can be). */
void service_look_again(struct service *service);

/* Looks at itself at the end of this turn. */
void service_touch(struct service *service);

/* --- for calls */

static inline uint32_t
service_running(const struct service *service)
{
	return service->counts[CALL_CONNECTED] + service->counts[CALL_GIVING] +
	       service->counts[CALL_RUNNING];
}

/* Numbers of the generation (NULL: of none) changed. */
void service_on_change(struct service *service, struct service_generation *generation);

/* A call has ended, or one that never was begun. */
static inline void
service_count_end(struct service *service, enum call_end end)
{
	service->ends[end]++;
	stats_count(&service->stats->ends[end]);
}

/* The generation did not take a call: no more are given to it for now. */
void service_on_refused(struct service *service, struct service_generation *generation);

/* From worker_services.c: it is gone. */
void worker_forget_service(struct worker *worker, struct service *service);

#endif
