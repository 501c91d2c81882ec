/*
 * stats_names.c - see stats_names.h.
 */
#include "relay/stats_names.h"

#include <assert.h>
#include <string.h>

/* --- the writer ------------------------------------------------------------------------------- */

void
stats_names_disown(struct stats_names *names, size_t max)
{
	for (size_t i = 0; i < stats_names_used(names, max); i++)
		stats_set(&names->name[i].owners, 0);
}

static size_t
find_vacant(const struct stats_names *names, size_t max)
{
	size_t used = stats_names_used(names, max);

	if (used < max)
		return used;
	for (size_t i = 0; i < max; i++) {
		if (stats_get(&names->name[i].owners) == 0)
			return i;
	}
	return max;
}

size_t
stats_names_take(struct stats_names *names, size_t max, void *blocks, size_t words,
		 const char *name)
{
	size_t used = stats_names_used(names, max);
	size_t at = stats_names_find(names, max, name);
	size_t len = strlen(name);

	assert(max <= STATS_NAMES_MAX && len > 0 && len <= STATS_NAME_MAX);
	if (at == max) {
		at = find_vacant(names, max);
		if (at == max)
			return max;
		struct stats_name *entry = &names->name[at];
		stats_change_begin(&names->sequence);
		stats_words_clear((_Atomic uint64_t *)blocks + at * words, words);
		memset(entry->text, 0, sizeof entry->text);
		memcpy(entry->text, name, len);
		/* One that a crash left half taken was not counted yet. */
		if (at == used)
			stats_count(&names->used);
		stats_change_end(&names->sequence);
	}
	stats_count(&names->name[at].owners);
	return at;
}

uint64_t
stats_names_leave(struct stats_names *names, size_t at)
{
	stats_uncount(&names->name[at].owners);
	return stats_get(&names->name[at].owners);
}

/* --- readers ---------------------------------------------------------------------------------- */

size_t
stats_names_find(const struct stats_names *names, size_t max, const char *name)
{
	size_t used = stats_names_used(names, max);

	for (size_t i = 0; i < used; i++) {
		const struct stats_name *entry = &names->name[i];
		if (strncmp(entry->text, name, sizeof entry->text) == 0)
			return i;
	}
	return max;
}
