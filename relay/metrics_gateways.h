/*
 * metrics_gateways.h - the metrics of gateways.  Pure: no I/O, no clock.
 */
#ifndef RELAY_METRICS_GATEWAYS_H
#define RELAY_METRICS_GATEWAYS_H

#include "relay/metrics_text.h"

#include "control.pb-c.h"

/* Nothing where there is no gateway. */
void metrics_gateways_write(struct metrics_text *text, const Relay__Control__Stats *stats);

#endif
