/*
 * keeper.h - the parent process: holds every listening socket, starts and restarts workers and
 * control process, passes signals on.  It has no ring and reads no outside bytes once it runs but
 * the services of relay.conf; it knows hosts by name only.
 */
#ifndef RELAY_KEEPER_H
#define RELAY_KEEPER_H

#include "relay/config.h"

struct daemonize;
struct service_manager;

/* What a relay process ends with (sysexits). */
enum exit_status {
	EXIT_OK = 0,
	EXIT_USAGE = 64,
	EXIT_UNAVAILABLE = 69, /* io_uring is refused here, or another relay runs */
	EXIT_OS = 71,
	EXIT_CONFIG = 78,
};

struct keeper_options {
	const struct config
	    *config; /* as it was at the start: what needs a restart comes from here */
	const struct config_source *source; /* from which control reads it again and again */
	struct service_manager *manager;
	struct daemonize *daemonize; /* NULL in the foreground */
};

/* Serves until TERM or INT.  Returns an exit status. */
enum exit_status keeper_run(const struct keeper_options *options);

#endif
