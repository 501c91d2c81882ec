/*
 * metrics_family.h - what a family of metrics is made of: its head, ends of samples, histograms.
 */
#ifndef RELAY_METRICS_FAMILY_H
#define RELAY_METRICS_FAMILY_H

#include "relay/metrics_hosts.h"
#include "relay/metrics_text.h"

/* Bytes of ,le="536870.912"} with room for any 64-bit bound. */
#define METRICS_LE_MAX 40

/* The ends of bucket lines, made once per scrape; the caller ends `text`. */
struct metrics_ends {
	struct metrics_text text;
	size_t at[METRICS_BOUNDS_MAX + 2];
};

/* HELP and TYPE. */
void metrics_family(struct metrics_text *text, const char *name, const char *type,
		    const char *help);

/* The value of a sample, and the end of its line. */
void metrics_end_number(struct metrics_text *text, uint64_t number);
void metrics_end_seconds(struct metrics_text *text, uint64_t us);

void metrics_ends_init(struct metrics_ends *ends, const struct metrics_bounds *bounds);

/* All samples of one histogram with this label, name="value". */
void metrics_histogram(struct metrics_text *text, const char *name, const char *label,
		       size_t label_len, const struct metrics_times *times,
		       const struct metrics_bounds *bounds, const struct metrics_ends *ends);

#endif
