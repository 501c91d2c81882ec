/*
 * exporter_process.h - what the system says of this process, for the process_* metrics.
 */
#ifndef RELAY_EXPORTER_PROCESS_H
#define RELAY_EXPORTER_PROCESS_H

#include "relay/metrics.h"

/* Sets the members that are of the process; what cannot be read is 0.  Reads /proc. */
void exporter_process_read(struct metrics_self *self);

/* Microseconds since 1970. */
uint64_t exporter_process_now_us(void);

#endif
