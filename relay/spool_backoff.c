/*
 * spool_backoff.c - a sorted array: failures are rare, one per host and minute at the most, lookups
 * are not.
 */
#include "relay/spool_backoff.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Doubling stops mattering long before. */
#define DOUBLINGS_MAX 32u

int
spool_backoff_init(struct spool_backoff *backoff, size_t max, uint64_t min_ms, uint64_t max_ms)
{
	*backoff = (struct spool_backoff){ .max = max, .min_ms = min_ms, .max_ms = max_ms };
	backoff->records = calloc(max, sizeof *backoff->records);
	return backoff->records == NULL ? -ENOMEM : 0;
}

void
spool_backoff_fini(struct spool_backoff *backoff)
{
	free(backoff->records);
	*backoff = (struct spool_backoff){ .count = 0 };
}

static int
compare_keys(const struct spool_key *a, const struct spool_key *b)
{
	if (a->name != b->name)
		return a->name < b->name ? -1 : 1;
	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	return a->mtime_ns < b->mtime_ns ? -1 : a->mtime_ns > b->mtime_ns;
}

/* Where the key is, or would be. */
static size_t
position(const struct spool_backoff *backoff, const struct spool_key *key)
{
	size_t low = 0;
	size_t high = backoff->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_keys(&backoff->records[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct spool_failure *
spool_backoff_find(const struct spool_backoff *backoff, const struct spool_key *key)
{
	size_t at = position(backoff, key);

	if (at == backoff->count || compare_keys(&backoff->records[at].key, key) != 0)
		return NULL;
	return &backoff->records[at];
}

static void
forget(struct spool_backoff *backoff, size_t at)
{
	struct spool_failure *record = &backoff->records[at];

	memmove(record, record + 1, (backoff->count - at - 1) * sizeof *record);
	backoff->count--;
}

static void
forget_first_due(struct spool_backoff *backoff)
{
	size_t first = 0;

	for (size_t i = 1; i < backoff->count; i++)
		if (backoff->records[i].due_ms < backoff->records[first].due_ms)
			first = i;
	forget(backoff, first);
}

static struct spool_failure *
add(struct spool_backoff *backoff, const struct spool_key *key)
{
	assert(backoff->records != NULL);
	if (backoff->count == backoff->max)
		forget_first_due(backoff);
	size_t at = position(backoff, key);
	struct spool_failure *record = &backoff->records[at];
	memmove(record + 1, record, (backoff->count - at) * sizeof *record);
	backoff->count++;
	*record = (struct spool_failure){ .key = *key };
	return record;
}

static uint64_t
delay_ms(const struct spool_backoff *backoff, uint32_t failures)
{
	uint64_t delay = backoff->min_ms;

	for (uint32_t i = 1; i < failures && delay < backoff->max_ms; i++)
		delay *= 2;
	return delay < backoff->max_ms ? delay : backoff->max_ms;
}

void
spool_backoff_fail(struct spool_backoff *backoff, const struct spool_key *key, uint64_t now_ms)
{
	struct spool_failure *record = spool_backoff_find(backoff, key);

	if (record == NULL)
		record = add(backoff, key);
	if (record->failures < DOUBLINGS_MAX)
		record->failures++;
	record->due_ms = now_ms + delay_ms(backoff, record->failures);
}

void
spool_backoff_forget(struct spool_backoff *backoff, const struct spool_key *key)
{
	struct spool_failure *record = spool_backoff_find(backoff, key);

	if (record != NULL)
		forget(backoff, (size_t)(record - backoff->records));
}

void
spool_backoff_begin(struct spool_backoff *backoff)
{
	for (size_t i = 0; i < backoff->count; i++)
		backoff->records[i].seen = 0;
}

void
spool_backoff_end(struct spool_backoff *backoff)
{
	size_t kept = 0;

	for (size_t i = 0; i < backoff->count; i++)
		if (backoff->records[i].seen)
			backoff->records[kept++] = backoff->records[i];
	backoff->count = kept;
}

uint64_t
spool_backoff_next(const struct spool_backoff *backoff, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < backoff->count; i++) {
		uint64_t due = backoff->records[i].due_ms;
		if (due > now_ms && due < next)
			next = due;
	}
	return next;
}
