/*
 * monitor.h - one call: a process that greets the caller, reads his request, waits until the server
 * has room, and then looks after the executor, the process in which the program goes on.
 *
 * Never signals an executor that has ended: it is waited for by its pidfd beside the caller, and
 * only what is still running when the caller leaves is interrupted.
 */
#ifndef RELAY_PREFORK_MONITOR_H
#define RELAY_PREFORK_MONITOR_H

#include "relay/prefork/log.h"
#include "relay/prefork/message.h"
#include "relay/prefork/request.h"

#include <stdbool.h>
#include <stdint.h>

struct prefork_monitor {
	int call; /* the caller */
	/*
	 * To the server: a byte there says that the request is complete, a byte back, or its end,
	 * that the executor may start.
	 */
	int line;
	bool extended;
	int64_t patience_ms; /* with a caller who has not sent all of his request */
	const struct prefork_log *log;
	const char *name; /* the program's, see title.h */
};

/* What the program gets to see of a call; what it points at is never freed. */
struct prefork_invocation {
	struct prefork_request request;
	struct prefork_message message;
};

/*
 * To be called in a process of its own that has 0, 1 and 2 open.  Returns in the executor alone:
 * with the caller's 0, 1 and 2, in a process group of its own, without descriptors of the call.
 */
void prefork_monitor_run(const struct prefork_monitor *monitor,
			 struct prefork_invocation *invocation);

#endif
