/*
 * stats_gateway.h - what a worker counts of gateways: a part of its statistics (stats.h).
 *
 * A gateway has a block by its name, which stays when it goes and is another's when there is no
 * room.  One writer, relaxed stores, as of hosts.
 */
#ifndef RELAY_STATS_GATEWAY_H
#define RELAY_STATS_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/channel_gateway.h"
#include "relay/histogram.h"
#include "relay/tunnel_end.h"

enum {
	STATS_GATEWAYS = 2 * GATEWAYS_MAX, /* blocks: some are of gateways that have gone */
};

/* Up to `owners` nothing but 64-bit numbers, which are added up word by word, in this order: what
 * ended before what began. */
struct stats_gateway {
	_Atomic uint64_t ends[TUNNEL_END_COUNT];
	_Atomic uint64_t accepted;   /* = sum of ends + those that are open */
	_Atomic uint64_t resumed;    /* of the handshakes: by a ticket */
	_Atomic uint64_t bytes_in;   /* plain: from clients to the local lond */
	_Atomic uint64_t bytes_out;  /* and back */
	struct histogram handshake;  /* those that came to a good end: from the accept */
	_Atomic uint64_t open;       /* a gauge: tunnels */
	_Atomic uint64_t own_expiry; /* a gauge: unix seconds; 0 = there is no certificate yet */
	_Atomic uint64_t owners; /* gateways that count here: one that leaves, and its successor */
	char name[GATEWAY_NAME_MAX + 1];
};

struct stats_gateways {
	_Atomic uint64_t sequence; /* odd while a block changes hands */
	_Atomic uint64_t used;     /* blocks that were taken once: the first ones */
	struct stats_gateway block[STATS_GATEWAYS];
	struct stats_gateway nowhere; /* for those that found no room; nobody reads it */
};

/* --- the writer ------------------------------------------------------------------------------- */

/* A new worker takes it over: the tunnels of a crashed one ended as `stopped`. */
void stats_gateways_begin(struct stats_gateways *gateways);

/* The block of the gateway, which goes on counting there if it is a known one. */
struct stats_gateway *stats_gateway_take(struct stats_gateways *gateways, const char *name);

/* The gateway that took it is gone. */
void stats_gateway_leave(struct stats_gateway *block);

/* --- readers ---------------------------------------------------------------------------------- */

/* Adds the gateway's block to `sum`, which the caller has zeroed; false: there is none.  Of
 * own_expiry the earliest is kept; `sum->name` is left alone. */
bool stats_gateway_add(const struct stats_gateways *gateways, const char *name,
		       struct stats_gateway *sum);

#endif
