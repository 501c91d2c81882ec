/*
 * metrics_datagrams.h - the families of metrics of the message plane: UDP clients by worker, the
 * webpager, the store.  Labels are closed sets: `worker` a number, `kind` and `reason` the relay's
 * words.  What is off has no family.
 */
#ifndef RELAY_METRICS_DATAGRAMS_H
#define RELAY_METRICS_DATAGRAMS_H

#include "relay/metrics_text.h"

#include "control.pb-c.h"

/* Reasons of one list; more are not told. */
#define METRICS_REASONS_SHOWN 32

void metrics_datagrams_write(struct metrics_text *text, const Relay__Control__Stats *stats);

#endif
