/*
 * stats_gateway.c - see stats_gateway.h.  Owns nothing: it is part of a worker's memfd.
 */
#include "relay/stats_gateway.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#define BLOCK_WORDS (offsetof(struct stats_gateway, open) / sizeof(uint64_t))

/* A reader that meets a change this often takes what it gets. */
#define READ_TRIES 8

static uint64_t
get(const _Atomic uint64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

static void
set(_Atomic uint64_t *number, uint64_t value)
{
	atomic_store_explicit(number, value, memory_order_relaxed);
}

/* --- the writer ------------------------------------------------------------------------------- */

/* Until end_change() readers try again. */
static void
begin_change(struct stats_gateways *gateways)
{
	set(&gateways->sequence, get(&gateways->sequence) | 1);
	atomic_thread_fence(memory_order_release);
}

static void
end_change(struct stats_gateways *gateways)
{
	atomic_store_explicit(&gateways->sequence, get(&gateways->sequence) + 1,
			      memory_order_release);
}

static void
bury(struct stats_gateway *block)
{
	uint64_t ended = 0;

	for (size_t i = 0; i < TUNNEL_END_COUNT; i++)
		ended += get(&block->ends[i]);
	histogram_bump(&block->ends[TUNNEL_STOPPED], get(&block->accepted) - ended);
	set(&block->open, 0);
	set(&block->own_expiry, 0);
	set(&block->owners, 0);
}

void
stats_gateways_begin(struct stats_gateways *gateways)
{
	begin_change(gateways);
	for (uint64_t i = 0; i < get(&gateways->used); i++)
		bury(&gateways->block[i]);
	bury(&gateways->nowhere);
	end_change(gateways);
}

/* Its own, else a new one, else that of a gateway that is gone. */
static struct stats_gateway *
find_block(struct stats_gateways *gateways, const char *name)
{
	struct stats_gateway *vacant = NULL;
	uint64_t used = get(&gateways->used);

	for (uint64_t i = 0; i < used; i++) {
		struct stats_gateway *block = &gateways->block[i];

		if (strcmp(block->name, name) == 0)
			return block;
		if (vacant == NULL && get(&block->owners) == 0)
			vacant = block;
	}
	if (used < STATS_GATEWAYS)
		return &gateways->block[used];
	return vacant != NULL ? vacant : &gateways->nowhere;
}

static void
clear(struct stats_gateway *block)
{
	for (size_t i = 0; i < BLOCK_WORDS; i++)
		set(&block->ends[0] + i, 0);
	set(&block->open, 0);
	set(&block->own_expiry, 0);
	memset(block->name, 0, sizeof block->name);
}

struct stats_gateway *
stats_gateway_take(struct stats_gateways *gateways, const char *name)
{
	struct stats_gateway *block = find_block(gateways, name);
	bool is_new = block == gateways->block + get(&gateways->used);
	size_t len = strlen(name);

	assert(len > 0 && len < sizeof block->name);
	/* One that a crash left half taken is new, whatever its name. */
	if (block != &gateways->nowhere && (is_new || strcmp(block->name, name) != 0)) {
		begin_change(gateways);
		clear(block);
		memcpy(block->name, name, len);
		if (is_new)
			histogram_bump(&gateways->used, 1);
		end_change(gateways);
	}
	histogram_bump(&block->owners, 1);
	return block;
}

void
stats_gateway_leave(struct stats_gateway *block)
{
	histogram_bump(&block->owners, (uint64_t)-1);
	if (get(&block->owners) == 0)
		set(&block->own_expiry, 0);
}

/* --- readers ---------------------------------------------------------------------------------- */

static void
add(struct stats_gateway *sum, const struct stats_gateway *block)
{
	uint64_t mine = get(&sum->own_expiry);
	uint64_t other = get(&block->own_expiry);

	for (size_t i = 0; i < BLOCK_WORDS; i++)
		histogram_bump(&sum->ends[0] + i, get(&block->ends[0] + i));
	histogram_bump(&sum->open, get(&block->open));
	if (mine == 0 || (other != 0 && other < mine))
		set(&sum->own_expiry, other);
}

static const struct stats_gateway *
find(const struct stats_gateways *gateways, const char *name)
{
	uint64_t used = get(&gateways->used);

	for (uint64_t i = 0; i < used && i < STATS_GATEWAYS; i++) {
		if (strncmp(gateways->block[i].name, name, sizeof gateways->block[i].name) == 0)
			return &gateways->block[i];
	}
	return NULL;
}

bool
stats_gateway_add(const struct stats_gateways *gateways, const char *name,
		  struct stats_gateway *sum)
{
	const struct stats_gateway *block = NULL;
	struct stats_gateway copy;
	bool whole = false;

	for (int i = 0; i < READ_TRIES && !whole; i++) {
		uint64_t sequence = atomic_load_explicit(&gateways->sequence, memory_order_acquire);

		copy = (struct stats_gateway){ .name = "" };
		block = find(gateways, name);
		if (block != NULL)
			add(&copy, block);
		atomic_thread_fence(memory_order_acquire);
		whole = (sequence & 1) == 0 && get(&gateways->sequence) == sequence;
	}
	if (block != NULL)
		add(sum, &copy);
	return block != NULL;
}
