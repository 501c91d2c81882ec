/*
 * metrics_services.h - the families of metrics by service of fd-passing.
 *
 * The label `service` is a service's name, `result` and `state` are closed sets of the relay's own.
 * Pure: no I/O, no clock.  Everything is bounded; what the daemon sent is never trusted to be.
 */
#ifndef RELAY_METRICS_SERVICES_H
#define RELAY_METRICS_SERVICES_H

#include "relay/metrics_text.h"

#include "control.pb-c.h"

void metrics_services_write(struct metrics_text *text, const Relay__Control__Stats *stats);

#endif
