/*
 * server.h - the process that stays: lets callers in, forks a monitor for each, and goes when it is
 * told to, when nobody calls, or when the program's files have changed.
 */
#ifndef RELAY_PREFORK_SERVER_H
#define RELAY_PREFORK_SERVER_H

#include "relay/prefork/children.h"
#include "relay/prefork/handover.h"
#include "relay/prefork/log.h"
#include "relay/prefork/monitor.h"
#include "relay/prefork/sources.h"
#include "relay/prefork/title.h"

#include <stdint.h>

struct prefork_server {
	struct prefork_handover handover;
	struct prefork_sources sources;
	struct prefork_log log;
	struct prefork_children children;
	int64_t idle_ms; /* negative = for ever */
	int errors_max;  /* to accept, in a row; negative = any number */

	char name[PREFORK_TITLE_SIZE];
	int errors;
	int64_t busy_ms;  /* when there was last something to do */
	int64_t pause_ms; /* no accept before that */
};

/* Returns in an executor alone, see monitor.h; the server itself ends by _exit(). */
void prefork_server_run(struct prefork_server *server, struct prefork_invocation *invocation);

#endif
