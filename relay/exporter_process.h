/*
 * exporter_process.h - what the system says of this process, for the process_* metrics.
 */
#ifndef RELAY_EXPORTER_PROCESS_H
#define RELAY_EXPORTER_PROCESS_H

#include <dirent.h>

#include "relay/metrics.h"

/* Its files in /proc, open for good: a sandbox opens none. */
struct exporter_process {
	int memory;
	DIR *descriptors;
};

/* What cannot be opened will be told as 0. */
void exporter_process_open(struct exporter_process *process);
void exporter_process_close(struct exporter_process *process);

/* Sets the members that are of the process; what cannot be read is 0. */
void exporter_process_read(struct exporter_process *process, struct metrics_self *self);

/* Microseconds since 1970. */
uint64_t exporter_process_now_us(void);

#endif
