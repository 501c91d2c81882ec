/*
 * worker.h - one worker: a ring, its hosts, links and clients.  Everything it does happens inside
 * worker_run's turns.
 *
 * It has two channels: the keeper's, with which it lives and ends, and the control process', which
 * may come and go.  By the latter it is given its hosts and their listening sockets; it opens no
 * file, resolves no name, binds nothing.
 */
#ifndef RELAY_WORKER_H
#define RELAY_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "relay/channel.h"
#include "relay/memory.h"
#include "relay/request.h"
#include "relay/slab.h"
#include "relay/worker_credentials.h"
#include "uring/uring.h"

#define WORKER_STATES(X)               \
	X(WORKER_RUNNING, "running")   \
	X(WORKER_STOPPING, "stopping") \
	X(WORKER_STOPPED, "stopped")

enum worker_state {
#define X(name, text) name,
	WORKER_STATES(X)
#undef X
};

struct worker_options {
	uint64_t memory_max;    /* bytes of all buffers together */
	uint32_t clients_max;   /* of all hosts together: leaves descriptors for the links */
	uint64_t seed;          /* of the jitter */
	uint32_t datagram_size; /* the longest one; 0 = no message plane */
};

struct client;
struct exchange;
struct link;
struct host;
struct service;
struct datagrams;
struct gateways;
struct stats_host;
struct worker_stats;
TAILQ_HEAD(exchange_list, exchange);
TAILQ_HEAD(link_list, link);
TAILQ_HEAD(host_list, host);
TAILQ_HEAD(service_list, service);

struct worker {
	struct uring *ring;
	struct port *keeper;
	struct port *control; /* NULL = there is none at the moment */
	unsigned ports;       /* closing ones too */
	enum worker_state state;
	struct memory memory;
	struct slab clients;
	struct slab exchanges;
	struct slab links;
	uint32_t clients_max;
	uint32_t clients_count;
	struct host **hosts; /* by index; NULL = none */
	uint32_t hosts_cap;
	uint32_t hosts_count;
	bool hosts_known;                     /* control has told all of them, once at least */
	struct host_list leaving;             /* not in the table any more */
	struct exchange_list dirty_exchanges; /* have output for this turn's end */
	struct link_list dirty_links;
	struct uring_timer stop_timer;
	struct uring_timer accept_timer; /* armed = accepting is paused */
	struct uring_timer hurry_timer;  /* armed = the next turn does not wait */
	struct uring_timer look_timer;
	struct uring_timer trim_timer; /* armed while large blocks are kept */
	uint32_t look_ms; /* the pause before its next look; 0 = only shared listeners are left */
	uint64_t random;
	uint32_t log_tokens;
	uint64_t log_second;
	uint64_t log_dropped;
	size_t gather_min;   /* see relay/gather.h */
	uint64_t no_buffers; /* of the ring's count, already in stats */
	struct worker_stats *stats;
	uint64_t last_number; /* of a link or client; never used again */
	/* Where the last page of clients ended: behind this number comes this one (NULL: none). */
	uint64_t listed_number;
	struct client *listed_next;
	uint32_t errands; /* under way */
	/* A host whose oldest request waits for more than `busy_ns` is overloaded, until that is
	 * `clear_ns` or less; 0: none is, for there is no message plane. */
	uint64_t busy_ns;
	uint64_t clear_ns;

	/* fd-passing (worker_services.c); behind everything that relaying lines looks at */
	struct service **services; /* by index; NULL = none */
	uint32_t services_cap;
	struct service_list leaving_services; /* not in the table any more */
	struct slab calls;
	uint32_t calls_count;
	uint32_t call_fds; /* of calls and tunnels: from the same stock as clients_max */

	struct datagrams *datagrams; /* the message plane; NULL = there is none */
	struct gateways *gateways;   /* relay/gateway.h; NULL = there never was one */

	struct credentials_list credentials; /* of TLS */
};

/*
 * Takes over ring and channels (freed by worker_fini); `control` may be NULL.  `stats` stays the
 * caller's. 0 or -ENOMEM.
 */
int worker_init(struct worker *worker, struct uring *ring, struct channel *keeper,
		struct channel *control, struct worker_stats *stats,
		const struct worker_options *options);
void worker_fini(struct worker *worker);

/* One turn: send what is due, wait, handle.  0, or a negative errno that ends the worker. */
int worker_turn(struct worker *worker);

/* Turns until WORKER_STOPPED.  0 or a negative errno. */
int worker_run(struct worker *worker);

/* Begins to stop, as the `stop` message does. */
void worker_stop(struct worker *worker, uint64_t timeout_ms);

/* Messages of the two channels (worker_hosts.c). */
void worker_on_keeper(void *context, const struct channel_message *message, int fd);
void worker_on_control(void *context, const struct channel_message *message, int fd);
void worker_on_control_end(void *context);
int worker_attach_control(struct worker *worker, struct channel *channel);

/* Hosts of the table leave; those that left long enough ago end.  For the turn and the stop. */
void worker_leave_all(struct worker *worker);
void worker_reap_hosts(struct worker *worker);
void worker_skip_farewells(struct worker *worker);

/* Likewise for services (worker_services.c).  true = the message was about one. */
bool worker_on_service(struct worker *worker, const struct channel_message *message, int fd);
void worker_sync_services(struct worker *worker, bool end);
void worker_arm_services(struct worker *worker);
void worker_look_at_services(struct worker *worker);
void worker_leave_services(struct worker *worker);
bool worker_has_services(const struct worker *worker);

/* The block that a host counts in; one that left and counted there goes on in `past`. */
struct stats_host *worker_host_stats(struct worker *worker, uint32_t index, const char *id);

/* Whether one more thing to be logged may be told in this second. */
bool worker_may_log(struct worker *worker);

/* For hosts, links and clients. */
void worker_tell_control(struct worker *worker, const struct channel_message *message);
void worker_tell_state(const struct host *host);
void worker_ask_address(struct worker *worker, uint32_t index);
bool worker_accepting(const struct worker *worker);
void worker_pause_accepting(struct worker *worker);

/* From now on shared listeners are looked at every so often (worker.c says why). */
void worker_look_at_shared(struct worker *worker);
uint64_t worker_random(struct worker *worker, uint64_t below);
void worker_dirty_exchange(struct worker *worker, struct exchange *exchange);
void worker_dirty_link(struct worker *worker, struct link *link);

/*
 * The next turn must not wait for an event.  A send that is taken whole makes none: whoever goes on
 * only when his send is settled says so here.
 */
void worker_hurry(struct worker *worker);

static inline uint64_t
worker_now(const struct worker *worker)
{
	return uring_now(worker->ring);
}

static inline uint64_t
ms_to_ns(uint64_t ms)
{
	return ms > UINT64_MAX / 4000000u ? UINT64_MAX / 4 : ms * 1000000u;
}

#endif
