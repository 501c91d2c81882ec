/*
 * worker_process.h - what a freshly forked child does to become a worker.
 */
#ifndef RELAY_WORKER_PROCESS_H
#define RELAY_WORKER_PROCESS_H

#include "relay/worker.h"

/*
 * Lets go of everything of the keeper but `keeper_fd` (the channel) and `stats_fd`, makes the ring,
 * enters its sandbox if `sandbox`, runs, exits.  Never returns.
 */
_Noreturn void worker_process(int keeper_fd, int stats_fd, const char *name,
			      const struct worker_options *options, bool sandbox);

#endif
