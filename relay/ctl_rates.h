/*
 * ctl_rates.h - what happened between two answers to `stats`: a row for each host and worker.
 *
 * Rows are views into the answers they were made from, and are good as long as those are.
 */
#ifndef RELAY_CTL_RATES_H
#define RELAY_CTL_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.pb-c.h"

struct ctl_rate {
	const char *id;
	const char *state;
	double requests; /* per second */
	double failures; /* likewise */
	uint64_t clients;
	uint64_t links;
	uint64_t queue;
	uint64_t in_flight;
	uint64_t delayed;
	uint64_t p50_us; /* of the interval; as ctl_quantile_us() */
	uint64_t p99_us;
	const Relay__Control__Histogram *duration;
	const Relay__Control__Histogram *before; /* NULL = there is none */
};

enum ctl_order {
	CTL_ORDER_HOST,
	CTL_ORDER_STATE,
	CTL_ORDER_RATE,
	CTL_ORDER_QUEUE,
	CTL_ORDER_IN_FLIGHT,
	CTL_ORDER_P99,
	CTL_ORDER_ERRORS,
};

struct ctl_rates {
	struct ctl_rate total; /* id and state are NULL */
	struct ctl_rate *host;
	size_t len;
};

/* `before` may be NULL: no rates then.  False: no memory. */
bool ctl_rates_make(struct ctl_rates *rates, const Relay__Control__Hosts *hosts,
		    const Relay__Control__Stats *stats, const Relay__Control__Stats *before,
		    uint64_t interval_us);
void ctl_rates_fini(struct ctl_rates *rates);

/* The most interesting first, equal ones by name. */
void ctl_rates_sort(struct ctl_rates *rates, enum ctl_order order);

/* The part of a core that a worker took, in percent. */
double ctl_rates_cpu(const Relay__Control__WorkerStats *worker,
		     const Relay__Control__WorkerStats *before, uint64_t interval_us);

const Relay__Control__WorkerStats *ctl_rates_worker(const Relay__Control__Stats *stats,
						    uint32_t number);

#endif
