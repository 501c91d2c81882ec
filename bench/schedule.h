/*
 * schedule.h - the rhythm of an open loop: request i is meant to leave at begin + i / rate,
 * whatever became of those before it.
 *
 * Latency counted from that moment shows a stall as what it was for everybody who had to wait.
 * Reads no clock.
 */
#ifndef BENCH_SCHEDULE_H
#define BENCH_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct schedule {
	uint64_t begin_ns;
	uint64_t rate;  /* requests per second, at least 1 */
	uint64_t taken; /* requests that were begun */
};

void schedule_init(struct schedule *schedule, uint64_t begin_ns, uint64_t rate);

/* When request number `i` is meant to leave.  Exact: rounding never adds up. */
uint64_t schedule_at_ns(const struct schedule *schedule, uint64_t i);

/* When the next one that nobody has taken is meant to leave. */
uint64_t schedule_next_ns(const struct schedule *schedule);

/* Takes the next one if it is due; *meant_ns is when it was meant to leave. */
bool schedule_take(struct schedule *schedule, uint64_t now_ns, uint64_t *meant_ns);

/* How many were due before `now_ns` and not taken. */
uint64_t schedule_behind(const struct schedule *schedule, uint64_t now_ns);

#endif
