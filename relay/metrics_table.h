/*
 * metrics_table.h - things of one kind (services, gateways, workers), each with a label, and the
 * families that are told of all of them.
 *
 * Everything is bounded; what the daemon sent is never trusted to be: what is too much, too long or
 * there already has no row, so that no label is written twice.
 */
#ifndef RELAY_METRICS_TABLE_H
#define RELAY_METRICS_TABLE_H

#include <stdbool.h>

#include "relay/metrics_text.h"

#include "control.pb-c.h"

#define METRICS_TABLE_MAX  256
#define METRICS_TABLE_NAME 64 /* bytes of a label's value */
#define METRICS_SET_MAX    32 /* words of a closed set */

struct metrics_table_row {
	const void *of; /* the message that tells of it */
	size_t label_at;
	size_t label_len; /* 0 = it has none: the only one of its kind */
};

/* Owns the labels. */
struct metrics_table {
	struct metrics_text labels; /* full: memory was refused, some are not whole */
	size_t count;
	struct metrics_table_row row[METRICS_TABLE_MAX];
};

void metrics_table_init(struct metrics_table *table);
void metrics_table_fini(struct metrics_table *table);

/* `of` stays the caller's, until the table ends.  name == NULL: without a label, as the only one.
 */
void metrics_table_add(struct metrics_table *table, const char *name, const char *value,
		       const void *of);

/* Likewise, with the label worker="NUMBER". */
void metrics_table_add_worker(struct metrics_table *table, uint32_t number, const void *of);

/* A uint64_t of the rows' message that is a family as it is. */
struct metrics_member {
	const char *name;
	const char *type;
	const char *help;
	size_t offset;
	bool is_us; /* told in seconds */
};

/* One family after the other, with a sample for each row. */
void metrics_table_write(struct metrics_text *text, const struct metrics_table *table,
			 const struct metrics_member *members, size_t count);

/* --- samples of a row ------------------------------------------------------------------------- */

/* NAME{label of the row,LABEL="VALUE"} NUMBER, as far as there is any label. */
void metrics_table_sample(struct metrics_text *text, const struct metrics_table *table,
			  const struct metrics_table_row *row, const char *name, const char *label,
			  const char *value, uint64_t number);

/*
 * A sample for each word of a closed set, also for those that never came: no series begins with a
 * jump.  What the daemon calls otherwise is counted as "other".
 */
void metrics_table_set(struct metrics_text *text, const struct metrics_table *table,
		       const struct metrics_table_row *row, const char *name, const char *label,
		       const char *const *words, size_t word_count,
		       Relay__Control__Reason *const *counts, size_t count);

#endif
