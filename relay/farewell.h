/*
 * farewell.h - at a stop every peer but ourselves is told `exit`, as gatewayc did, and its answer
 * is logged.
 */
#ifndef RELAY_FAREWELL_H
#define RELAY_FAREWELL_H

#include <stdbool.h>

#include "relay/buffer.h"
#include "relay/request.h"
#include "uring/uring.h"

/* How long a peer may take to answer. */
#define FAREWELL_MS 1000u

#define FAREWELL_STATES(X)                                              \
	X(FAREWELL_NONE, "none")     /* not to be said */               \
	X(FAREWELL_WANTED, "wanted") /* when the last client is gone */ \
	X(FAREWELL_SAID, "said")     /* waits for the answer */         \
	X(FAREWELL_OVER, "over")

enum farewell_state {
#define X(name, text) name,
	FAREWELL_STATES(X)
#undef X
};

struct host;

struct farewell {
	enum farewell_state state;
	struct host *host;
	struct request request;
	struct buffer reply;
	struct uring_timer timer;
};

/* Says it, if it is wanted.  true = nothing is open any more. */
bool farewell_say(struct host *host);

/* There is no time for it any more: only the log line is written. */
void farewell_skip(struct farewell *farewell, struct host *host);

#endif
