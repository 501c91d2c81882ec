/*
 * errand.h - a request that came by a channel: a line for a host's peer that waits and is sent as a
 * client's, and whose reply goes back to control, which asks for an operator, or to the worker that
 * asks for a datagram client.
 *
 * The host's queue and clocks make no difference between the two; only control's token tells whose
 * it is.
 */
#ifndef RELAY_ERRAND_H
#define RELAY_ERRAND_H

#include "relay/host.h"

/* Under way in one worker, of operators; other workers have a bound of their own. */
#define ERRANDS_MAX       16u
#define ERRAND_OF_CONTROL 0u

/*
 * Starts on the line in `memfd`, which it closes when the answer was sent (CHANNEL_REPLY).  `host`
 * may be NULL: then that is the answer.  `origin` is ERRAND_OF_CONTROL or the number of another
 * worker's channel (datagram_peer.c).
 */
void errand_start(struct worker *worker, struct host *host, const struct channel_request *message,
		  int memfd, uint64_t origin);

#endif
