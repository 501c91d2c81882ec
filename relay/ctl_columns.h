/*
 * ctl_columns.h - the columns of the tables that relayctl prints, by what a row is.
 */
#ifndef RELAY_CTL_COLUMNS_H
#define RELAY_CTL_COLUMNS_H

#include "relay/ctl_grid.h"

#include "control.pb-c.h"

struct ctl_column {
	const char *heading;
	const char *path; /* "gauges.queue_length", "p99:counters.duration"; NULL ends the table */
	unsigned drop;    /* where the terminal is narrow the greatest goes first; 0 = never */
};

struct ctl_columns {
	const ProtobufCMessageDescriptor *type; /* of a row */
	struct ctl_column column[CTL_GRID_COLUMNS];
};

/* NULL = such rows have no table of their own. */
const struct ctl_columns *ctl_columns_of(const ProtobufCMessageDescriptor *type);

#endif
