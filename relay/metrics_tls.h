/*
 * metrics_tls.h - metrics of certificates: how long the relay's own and those of its peers are good
 * for.  Pure: no I/O; the clock is the daemon's, as it told with the rest.
 */
#ifndef RELAY_METRICS_TLS_H
#define RELAY_METRICS_TLS_H

#include "relay/metrics_hosts.h"
#include "relay/metrics_text.h"

#include "control.pb-c.h"

/* `now` in microseconds since 1970.  Nothing where there is no certificate. */
void metrics_tls_write(struct metrics_text *text, const struct metrics_hosts *hosts,
		       const Relay__Control__Stats *stats, uint64_t now);

#endif
