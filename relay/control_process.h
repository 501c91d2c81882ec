/*
 * control_process.h - what a freshly forked child does to become the control process.
 */
#ifndef RELAY_CONTROL_PROCESS_H
#define RELAY_CONTROL_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "relay/config.h"

struct control_options {
	const struct config_source *source;
	const struct config *started; /* the configuration that the keeper started with: what needs
					 a restart stays so */
	uint32_t worker_count;
	pid_t keeper_pid;
	bool first; /* the relay has not served yet: without a good configuration it ends */
};

_Noreturn void control_process(int channel_fd, const struct control_options *options);

#endif
