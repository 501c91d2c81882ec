/*
 * keeper.h - the parent process: holds every listening socket, starts and restarts the workers, reads no outside bytes but
 * the configuration.  It has no ring.
 */
#ifndef RELAY_KEEPER_H
#define RELAY_KEEPER_H

#include "relay/config.h"

/* What a relay process ends with (sysexits). */
enum exit_status {
	EXIT_OK = 0,
	EXIT_USAGE = 64,
	EXIT_UNAVAILABLE = 69, /* io_uring is refused here */
	EXIT_OS = 71,
	EXIT_CONFIG = 78,
};

/*
 * Serves the configuration in the foreground until TERM or INT; takes the configuration over.
 * Returns an exit status.
 */
enum exit_status keeper_run(struct config *config);

#endif
