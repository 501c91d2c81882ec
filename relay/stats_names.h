/*
 * stats_names.h - which block of statistics belongs to whom, by name: a restarted control process
 * may give a thing another index.
 *
 * A block stays when its owner goes, and is another's when there is no room.  The names are beside
 * the blocks, which are words alone (stats_words.h); how many there are is for the caller to say
 * each time, because the memory is written by another process than its readers.
 */
#ifndef RELAY_STATS_NAMES_H
#define RELAY_STATS_NAMES_H

#include "relay/stats_words.h"

enum {
	STATS_NAMES_MAX = 256, /* blocks of one table */
	STATS_NAME_MAX = 64,   /* bytes */
};

struct stats_name {
	_Atomic uint64_t owners; /* that count here: one that leaves, and its successor */
	char text[STATS_NAME_MAX + 1];
};

struct stats_names {
	_Atomic uint64_t sequence; /* odd while a block changes hands, or is taken over */
	_Atomic uint64_t used;     /* blocks that were taken once: the first ones */
	struct stats_name name[STATS_NAMES_MAX];
};

/* Of `max` blocks those that were taken once. */
static inline size_t
stats_names_used(const struct stats_names *names, size_t max)
{
	uint64_t used = stats_get(&names->used);

	return used < max ? (size_t)used : max;
}

/* --- the writer ------------------------------------------------------------------------------- */

/* Nobody has a block any more; the names stay. */
void stats_names_disown(struct stats_names *names, size_t max);

/*
 * The block of this name, 1 .. STATS_NAME_MAX bytes: its own, else a new one, else that of one that
 * is gone; `max` = there is no room.  Unless it is its own it was cleared: `blocks` is where they
 * lie, each of `words` words.  Its owners are one more.
 */
size_t stats_names_take(struct stats_names *names, size_t max, void *blocks, size_t words,
			const char *name);

/* An owner of the block is gone; how many are left. */
uint64_t stats_names_leave(struct stats_names *names, size_t at);

/* --- readers ---------------------------------------------------------------------------------- */

/* `max` = there is none of this name. */
size_t stats_names_find(const struct stats_names *names, size_t max, const char *name);

#endif
