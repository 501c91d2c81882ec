/*
 * control_stats.h - the workers' statistics as the control process reads them, for verbs.
 */
#ifndef RELAY_CONTROL_STATS_H
#define RELAY_CONTROL_STATS_H

#include "relay/control.h"
#include "relay/control_call.h"
#include "relay/stats.h"

/* Adds what all workers have of the host to `sum`, which the caller has zeroed. */
void control_stats_host(const struct control *control, const struct control_host *host,
			struct stats_host *sum);

/* Of HISTOGRAM_BUCKETS counts; `bounds_us` is used by the message. */
Relay__Control__Histogram *control_stats_histogram(struct control_call *call, uint64_t *bounds_us,
						   const _Atomic uint64_t *counts, uint64_t sum_ns);

/* All gateways in the order of their names, in memory of the call; how many there are. */
size_t control_gateways_rows(struct control_call *call, Relay__Control__Gateway ***rows);

/* Of the host and that sum, in memory of the call; NULL: there was none. */
Relay__Control__Gauges *control_stats_gauges(struct control_call *call,
					     const struct control_host *host,
					     const struct stats_host *sum);

#endif
