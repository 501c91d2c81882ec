/*
 * stats_service.c - see stats_service.h.  Owns nothing: it is part of a worker's memfd.
 */
#include "relay/stats_service.h"

#include <assert.h>

#define BLOCK_WORDS (sizeof(struct stats_service) / sizeof(uint64_t))

static_assert(sizeof(struct stats_service) % sizeof(uint64_t) == 0, "words alone");
static_assert((int)STATS_SERVICES <= (int)STATS_NAMES_MAX, "each block has a name");

/* --- the writer ------------------------------------------------------------------------------- */

static void
bury(struct stats_service *block)
{
	stats_words_bury(block->ends, CALL_END_COUNT, CALL_STOPPED, stats_get(&block->calls));
	stats_words_clear(block->gauges, STATS_SERVICE_GAUGES);
}

void
stats_services_begin(struct stats_services *services)
{
	stats_change_begin(&services->names.sequence);
	for (size_t i = 0; i < stats_names_used(&services->names, STATS_SERVICES); i++)
		bury(&services->block[i]);
	bury(&services->nowhere);
	stats_names_disown(&services->names, STATS_SERVICES);
	stats_change_end(&services->names.sequence);
}

struct stats_service *
stats_service_take(struct stats_services *services, const char *name)
{
	size_t at =
	    stats_names_take(&services->names, STATS_SERVICES, services->block, BLOCK_WORDS, name);

	return at == STATS_SERVICES ? &services->nowhere : &services->block[at];
}

void
stats_service_leave(struct stats_services *services, const struct stats_service *block)
{
	if (block != &services->nowhere)
		(void)stats_names_leave(&services->names, (size_t)(block - services->block));
}

/* --- readers ---------------------------------------------------------------------------------- */

static void
add(struct stats_service *sum, const struct stats_service *block)
{
	stats_words_add(sum->ends, block->ends, BLOCK_WORDS);
}

bool
stats_service_add(const struct stats_services *services, const char *name,
		  struct stats_service *sum)
{
	struct stats_reading reading = { .sequence = &services->names.sequence };
	struct stats_service copy;
	size_t at = STATS_SERVICES;

	while (stats_read(&reading)) {
		copy = (struct stats_service){ .calls = 0 };
		at = stats_names_find(&services->names, STATS_SERVICES, name);
		if (at < STATS_SERVICES)
			add(&copy, &services->block[at]);
	}
	if (at == STATS_SERVICES)
		return false;
	add(sum, &copy);
	return true;
}

uint64_t
stats_service_failed(const struct stats_service *sum)
{
	return stats_words_sum(sum->ends, CALL_END_COUNT) - stats_get(&sum->ends[CALL_ANSWERED]);
}
