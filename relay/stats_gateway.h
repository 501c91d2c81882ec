/*
 * stats_gateway.h - what a worker counts of gateways: a part of its statistics (stats.h).
 *
 * A gateway has a block by its name (stats_names.h).
 */
#ifndef RELAY_STATS_GATEWAY_H
#define RELAY_STATS_GATEWAY_H

#include <stdbool.h>

#include "relay/channel_gateway.h"
#include "relay/stats_names.h"
#include "relay/tunnel_end.h"

enum {
	STATS_GATEWAYS = 2 * GATEWAYS_MAX, /* blocks: some are of gateways that have gone */
};

/* Nothing but 64-bit numbers; up to `own_expiry` they are added up word by word, in this order:
 * what ended before what began. */
struct stats_gateway {
	_Atomic uint64_t ends[TUNNEL_END_COUNT];
	_Atomic uint64_t accepted;   /* = sum of ends + those that are open */
	_Atomic uint64_t resumed;    /* of the handshakes: by a ticket */
	_Atomic uint64_t bytes_in;   /* plain: from clients to the local lond */
	_Atomic uint64_t bytes_out;  /* and back */
	struct histogram handshake;  /* those that came to a good end: from the accept */
	_Atomic uint64_t open;       /* a gauge: tunnels */
	_Atomic uint64_t own_expiry; /* a gauge: unix seconds; 0 = there is no certificate yet */
};

struct stats_gateways {
	struct stats_names names;
	struct stats_gateway block[STATS_GATEWAYS];
	struct stats_gateway nowhere; /* for those that found no room; nobody reads it */
};

/* --- the writer ------------------------------------------------------------------------------- */

/* A new worker takes it over: the tunnels of a crashed one ended as `stopped`. */
void stats_gateways_begin(struct stats_gateways *gateways);

/* The block of the gateway, which goes on counting there if it is a known one. */
struct stats_gateway *stats_gateway_take(struct stats_gateways *gateways, const char *name);

/* The gateway that took it is gone. */
void stats_gateway_leave(struct stats_gateways *gateways, struct stats_gateway *block);

/* --- readers ---------------------------------------------------------------------------------- */

/* Adds the gateway's block to `sum`, which the caller has zeroed; false: there is none.  Of
 * own_expiry the earliest is kept. */
bool stats_gateway_add(const struct stats_gateways *gateways, const char *name,
		       struct stats_gateway *sum);

#endif
