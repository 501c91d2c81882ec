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
	const char *boot_id; /* another after each start of the keeper */
	uint64_t started_us; /* since 1970: the keeper */
	uint64_t generation; /* of the configuration: the last one that a control process told */
	uint32_t service_generation; /* the last one of a service, of all */
	bool first; /* the relay has not served yet: without a good configuration it ends */
};

_Noreturn void control_process(int channel_fd, const struct control_options *options);

#endif
