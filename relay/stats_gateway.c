/*
 * stats_gateway.c - see stats_gateway.h.  Owns nothing: it is part of a worker's memfd.
 */
#include "relay/stats_gateway.h"

#include <assert.h>

#define BLOCK_WORDS (sizeof(struct stats_gateway) / sizeof(uint64_t))
#define SUM_WORDS   (offsetof(struct stats_gateway, own_expiry) / sizeof(uint64_t))

static_assert(sizeof(struct stats_gateway) % sizeof(uint64_t) == 0, "words alone");
static_assert((int)STATS_GATEWAYS <= (int)STATS_NAMES_MAX, "each block has a name");
static_assert((int)GATEWAY_NAME_MAX <= (int)STATS_NAME_MAX, "and each name is whole");

/* --- the writer ------------------------------------------------------------------------------- */

static void
bury(struct stats_gateway *block)
{
	stats_words_bury(block->ends, TUNNEL_END_COUNT, TUNNEL_STOPPED,
			 stats_get(&block->accepted));
	stats_set(&block->open, 0);
	stats_set(&block->own_expiry, 0);
}

void
stats_gateways_begin(struct stats_gateways *gateways)
{
	stats_change_begin(&gateways->names.sequence);
	for (size_t i = 0; i < stats_names_used(&gateways->names, STATS_GATEWAYS); i++)
		bury(&gateways->block[i]);
	bury(&gateways->nowhere);
	stats_names_disown(&gateways->names, STATS_GATEWAYS);
	stats_change_end(&gateways->names.sequence);
}

struct stats_gateway *
stats_gateway_take(struct stats_gateways *gateways, const char *name)
{
	size_t at =
	    stats_names_take(&gateways->names, STATS_GATEWAYS, gateways->block, BLOCK_WORDS, name);

	return at == STATS_GATEWAYS ? &gateways->nowhere : &gateways->block[at];
}

void
stats_gateway_leave(struct stats_gateways *gateways, struct stats_gateway *block)
{
	if (block != &gateways->nowhere &&
	    stats_names_leave(&gateways->names, (size_t)(block - gateways->block)) == 0)
		stats_set(&block->own_expiry, 0);
}

/* --- readers ---------------------------------------------------------------------------------- */

static void
add(struct stats_gateway *sum, const struct stats_gateway *block)
{
	uint64_t mine = stats_get(&sum->own_expiry);
	uint64_t other = stats_get(&block->own_expiry);

	stats_words_add(sum->ends, block->ends, SUM_WORDS);
	if (mine == 0 || (other != 0 && other < mine))
		stats_set(&sum->own_expiry, other);
}

bool
stats_gateway_add(const struct stats_gateways *gateways, const char *name,
		  struct stats_gateway *sum)
{
	struct stats_reading reading = { .sequence = &gateways->names.sequence };
	struct stats_gateway copy;
	size_t at = STATS_GATEWAYS;

	while (stats_read(&reading)) {
		copy = (struct stats_gateway){ .accepted = 0 };
		at = stats_names_find(&gateways->names, STATS_GATEWAYS, name);
		if (at < STATS_GATEWAYS)
			add(&copy, &gateways->block[at]);
	}
	if (at == STATS_GATEWAYS)
		return false;
	add(sum, &copy);
	return true;
}
