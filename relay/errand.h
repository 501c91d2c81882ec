/*
 * errand.h - a request of an operator: a line for a host's peer that waits and is sent as a
 * client's, and whose reply goes back to control.
 *
 * The host's queue and clocks make no difference between the two; only control's token tells whose
 * it is.
 */
#ifndef RELAY_ERRAND_H
#define RELAY_ERRAND_H

#include "relay/host.h"

/* Under way in one worker. */
#define ERRANDS_MAX 16u

/*
 * Starts on the line in `memfd`, which it closes when the answer was sent (CHANNEL_REPLY).  `host`
 * may be NULL: then that is the answer.
 */
void errand_start(struct worker *worker, struct host *host, const struct channel_request *message,
		  int memfd);

#endif
