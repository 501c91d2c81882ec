/*
 * stats_service.h - what a worker counts of services: the part of its statistics (stats.h) that is
 * not about hosts.
 *
 * A service has a block by its name (stats_names.h).
 */
#ifndef RELAY_STATS_SERVICE_H
#define RELAY_STATS_SERVICE_H

#include <stdbool.h>

#include "relay/call_end.h"
#include "relay/stats_names.h"

enum {
	STATS_SERVICES = 256, /* blocks: as many can be configured, and some that have gone */
};

enum stats_service_gauge {
	STATS_SERVICE_REQUESTS, /* clients whose request comes in */
	STATS_SERVICE_WAITING,  /* calls in the queue */
	STATS_SERVICE_RUNNING,  /* connected to the service, being given or run */
	STATS_SERVICE_GAUGES,
};

/* Nothing but 64-bit numbers, which are added up word by word, in this order: what ended before
 * what began. */
struct stats_service {
	_Atomic uint64_t ends[CALL_END_COUNT];
	_Atomic uint64_t calls;      /* = sum of ends + those that are there */
	struct histogram queue_wait; /* of calls that the service took and that have ended */
	struct histogram duration;   /* from the complete request to the status */
	_Atomic uint64_t gauges[STATS_SERVICE_GAUGES];
};

struct stats_services {
	struct stats_names names;
	struct stats_service block[STATS_SERVICES];
	struct stats_service nowhere; /* for those that found no room; nobody reads it */
};

/* --- the writer ------------------------------------------------------------------------------- */

/* A new worker takes it over: the calls of a crashed one that had not ended did so as `stopped`. */
void stats_services_begin(struct stats_services *services);

/* The block of the service, which goes on counting there if it is a known one. */
struct stats_service *stats_service_take(struct stats_services *services, const char *name);

/* The service that took it is gone. */
void stats_service_leave(struct stats_services *services, const struct stats_service *block);

/* --- readers ---------------------------------------------------------------------------------- */

/* Adds the service's block to `sum`, which the caller has zeroed; false: there is none. */
bool stats_service_add(const struct stats_services *services, const char *name,
		       struct stats_service *sum);

/* Calls of a sum that ended otherwise than with a status. */
uint64_t stats_service_failed(const struct stats_service *sum);

#endif
