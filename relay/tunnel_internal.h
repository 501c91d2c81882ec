/*
 * tunnel_internal.h - what the files of a tunnel share; nobody else includes it.
 *
 *   tunnel.c          states, clocks, the connect, the end
 *   tunnel_traffic.c  what goes through it
 */
#ifndef RELAY_TUNNEL_INTERNAL_H
#define RELAY_TUNNEL_INTERNAL_H

#include "relay/stats.h"
#include "relay/tunnel.h"
#include "relay/worker.h"

static inline struct worker *
tunnel_worker(const struct tunnel *tunnel)
{
	return tunnel->gateway->worker;
}

/* --- tunnel.c */

/* The handshake is over: on to the local lond. */
void tunnel_on_secure(struct tunnel *tunnel);

/* A side whose operations may have ended is closed, and the tunnel with its last side. */
void tunnel_settle(struct tunnel_side *side);

/* Lets go of a side, as soon as nothing of it is in flight. */
void tunnel_part(struct tunnel_side *side, enum tunnel_parting how);

/* TLS has failed, for the reason that it tells. */
void tunnel_on_tls_failure(struct tunnel *tunnel);

/* --- tunnel_traffic.c */

void tunnel_side_init(struct tunnel *tunnel, struct tunnel_side *side, int fd);

/* Sees to it that there is a flush at the end of this turn. */
void tunnel_touch(struct tunnel *tunnel);

/* Reads from each side as far as what waits for the other one allows. */
void tunnel_pace(struct tunnel *tunnel);

#endif
