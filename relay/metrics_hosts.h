/*
 * metrics_hosts.h - the rows of the metrics by host: the busiest hosts one by one, the rest summed.
 *
 * A row's label is host="ID".  METRICS_HOSTS_SHOWN hosts have rows of their own; all others share
 * the last one, host="other".  Who has a row keeps it while he is among the hosts, and only places
 * that are free are given to those with the most requests: were others to take them by their
 * traffic, the counters of "other" would go back.  A host that is really called "other", one
 * whose id is longer than any, and one that comes twice are always counted there: no label is
 * written twice.
 *
 * Pure: no I/O, no clock.  Everything is bounded; what the daemon sent is never trusted to be.
 */
#ifndef RELAY_METRICS_HOSTS_H
#define RELAY_METRICS_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/limits.h"
#include "relay/metrics_text.h"

#include "control.pb-c.h"

#define METRICS_HOSTS_SHOWN 200
#define METRICS_BOUNDS_MAX  48
#define METRICS_REASONS_MAX 24
#define METRICS_REASON_MAX  32 /* bytes of one */

/* Upper bounds of all histograms: those of the first that was seen. */
struct metrics_bounds {
	uint64_t us[METRICS_BOUNDS_MAX]; /* strictly growing */
	size_t count;
};

/* Bucket bounds.count is the rest. */
struct metrics_times {
	uint64_t count[METRICS_BOUNDS_MAX + 1];
	uint64_t sum_us;
};

/* A closed set of reasons; what is not in it counts as the last, "other". */
struct metrics_reasons {
	char name[METRICS_REASONS_MAX][METRICS_REASON_MAX + 1];
	size_t count;
};

enum metrics_clock {
	METRICS_DURATION,
	METRICS_QUEUE_WAIT,
	METRICS_UPSTREAM,
	METRICS_HANDSHAKE,
	METRICS_CLOCK_COUNT
};

struct metrics_row {
	size_t label_at; /* in metrics_hosts.labels */
	size_t label_len;
	uint64_t requests;
	uint64_t answered;
	uint64_t failed;
	uint64_t bytes_in;
	uint64_t bytes_out;
	uint64_t connects;
	uint64_t clients_accepted;
	uint64_t clients;
	uint64_t links_ready;
	uint64_t links_other;
	uint64_t in_flight;
	uint64_t queue_length;
	uint64_t queue_bytes;
	uint64_t queue_age_us;
	uint64_t delayed;
	uint64_t tls_handshakes;
	uint64_t tls_resumed;
	uint64_t peer_expires; /* us since 1970, the first of all; 0 = there is none */
	uint64_t failures[METRICS_REASONS_MAX];
	uint64_t closes[METRICS_REASONS_MAX];
	struct metrics_times times[METRICS_CLOCK_COUNT];
};

/* What all rows of one table have in common. */
struct metrics_sets {
	struct metrics_bounds bounds;
	struct metrics_reasons failures;
	struct metrics_reasons closes;
};

/* Hosts that have no rows, summed one by one: they need no memory afterwards. */
struct metrics_rest {
	struct metrics_sets sets;
	struct metrics_row row; /* without a label */
	size_t count;           /* hosts */
};

struct metrics_hosts {
	struct metrics_text labels;
	struct metrics_sets sets;
	size_t count; /* rows in use */
	struct metrics_row row[METRICS_HOSTS_SHOWN + 1];
	size_t kept_count; /* ids of the rows but "other", sorted: they have them next time too */
	char kept[METRICS_HOSTS_SHOWN][HOST_ID_MAX + 1];
};

void metrics_hosts_init(struct metrics_hosts *hosts);
void metrics_hosts_fini(struct metrics_hosts *hosts);

/*
 * Fills all of it anew, but for who has rows.  `list` is put into another order.  `total` is only
 * asked for reasons and bounds, and may be NULL.  `rest` (NULL: none), which began with the same
 * total, is added to "other".
 */
void metrics_hosts_fill(struct metrics_hosts *hosts, const Relay__Control__Counters *total,
			Relay__Control__HostStats **list, size_t list_len,
			const struct metrics_rest *rest);

void metrics_rest_begin(struct metrics_rest *rest, const Relay__Control__Counters *total);
void metrics_rest_add(struct metrics_rest *rest, const Relay__Control__HostStats *host);

/* Adds a histogram, if it is one with these bounds; the first one seen sets them. */
void metrics_times_add(struct metrics_times *times, struct metrics_bounds *bounds,
		       const Relay__Control__Histogram *histogram);

#endif
