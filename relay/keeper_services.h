/*
 * keeper_services.h - what the keeper does for services: their public sockets, and the processes of
 * those that the relay starts itself.  When one is started control says; what it is does relay.conf
 * (keeper_definitions.h).
 *
 * A new control process knows of no generation: at the end of its sync those that it has not
 * started itself are ended (what they have begun they finish), and public sockets that it did not
 * name are closed.  Calls that come meanwhile wait for the new generation.
 */
#ifndef RELAY_KEEPER_SERVICES_H
#define RELAY_KEEPER_SERVICES_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "relay/channel.h"
#include "relay/child.h"
#include "relay/keeper_definitions.h"
#include "relay/service_child.h"
#include "relay/service_sockets.h"

enum {
	KEEPER_GENERATIONS_MAX = 512, /* slots of the loop */
};

struct keeper_generation;

struct keeper_services {
	const struct child *control; /* who is told */
	bool silent;
	rlim_t nofile;              /* as it was before the keeper raised it */
	char dir[SERVICE_PATH_MAX]; /* of private sockets; "" = its path is too long */
	struct keeper_definitions definitions;
	struct service_sockets sockets;
	LIST_HEAD(, keeper_generation) generations; /* the loop's slots are in this order */
	uint32_t generation_count;
	uint32_t generation_last; /* the greatest that was ever started, for the next control */
	uint64_t next_at;         /* ms: a generation's clock; UINT64_MAX = none */
	bool stopping;
};

/* Removes what an earlier relay left in run_dir.  All pointers must outlive it.  To be called
 * before limits are raised. */
void keeper_services_init(struct keeper_services *services, const struct relay_settings *settings,
			  const struct config_source *source, const struct child *control,
			  bool silent);
void keeper_services_fini(struct keeper_services *services);

/* One of control's messages.  False: it is not about services. */
bool keeper_services_on_message(struct keeper_services *services,
				const struct channel_message *message);

/* A sync's beginning and end: sockets that were not named in between, and generations that another
 * control process began. */
void keeper_services_mark(struct keeper_services *services);
void keeper_services_sweep(struct keeper_services *services);

/* For the loop: up to KEEPER_GENERATIONS_MAX slots. */
nfds_t keeper_services_fill(const struct keeper_services *services, struct pollfd *slots);
void keeper_services_run(struct keeper_services *services, const struct pollfd *slots,
			 nfds_t count);

/* What is due; returns when to look again, in ms, UINT64_MAX = not for the clock's sake. */
uint64_t keeper_services_clock(struct keeper_services *services, uint64_t now);

/* A process has ended; if it was a set-up, that is its verdict. */
void keeper_services_reap(struct keeper_services *services, pid_t pid, int wait_status);

/* Ends all that runs; true when nothing does. */
bool keeper_services_stop(struct keeper_services *services, bool at_once);

#endif
