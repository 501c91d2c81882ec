/*
 * metrics.h - what the daemon said of itself as Prometheus text (0.0.4).
 *
 * Labels are closed sets: `host` is what metrics_hosts.h says, `worker` a number, `result`,
 * `reason` and `state` names of the relay.  Every family has HELP and TYPE.  Pure: no I/O, no
 * clock.
 */
#ifndef RELAY_METRICS_H
#define RELAY_METRICS_H

#include "relay/metrics_hosts.h"
#include "relay/metrics_text.h"

#include "control.pb-c.h"

#define METRICS_WORKERS_MAX 64

/* What the daemon answered; all NULL = it could not be asked. */
struct metrics_daemon {
	const Relay__Control__Stats *stats;
	const Relay__Control__Health *health;
	const Relay__Control__Info *info;
	Relay__Control__HostStats **hosts; /* put into another order */
	size_t host_count;
	const struct metrics_rest *rest; /* hosts that are not among them; NULL = none */
};

/* Of the exporter itself. */
struct metrics_self {
	uint64_t cpu_us;
	uint64_t start_us; /* since 1970 */
	uint64_t resident_bytes;
	uint64_t virtual_bytes;
	uint64_t open_fds;
	uint64_t max_fds;
	uint64_t scrapes;
	uint64_t scrapes_failed; /* the daemon could not be asked */
	uint64_t scrapes_refused;
	uint64_t control_connects;
};

/*
 * Appends everything.  Without the daemon that is `relay_up 0` and what is known of the exporter.
 * text->full afterwards: do not serve it, it is cut.  `hosts` is room for the rows, used
 * anew, and remembers who had one.
 */
void metrics_write(struct metrics_text *text, struct metrics_hosts *hosts,
		   const struct metrics_daemon *daemon, const struct metrics_self *self);

#endif
