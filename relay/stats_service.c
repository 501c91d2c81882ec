/*
 * stats_service.c - see stats_service.h.  Owns nothing: it is part of a worker's memfd.
 */
#include "relay/stats_service.h"

#include <assert.h>
#include <string.h>

#define BLOCK_WORDS (offsetof(struct stats_service, owners) / sizeof(uint64_t))
#define FIRST_GAUGE (offsetof(struct stats_service, gauges) / sizeof(uint64_t))

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

static uint64_t
ended(const struct stats_service *block)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < CALL_END_COUNT; i++)
		sum += get(&block->ends[i]);
	return sum;
}

static void
clear(struct stats_service *block, size_t from)
{
	for (size_t i = from; i < BLOCK_WORDS; i++)
		set(&block->ends[0] + i, 0);
}

/* --- the writer ------------------------------------------------------------------------------- */

/* Until end_change() readers try again. */
static void
begin_change(struct stats_services *services)
{
	set(&services->sequence, get(&services->sequence) | 1);
	atomic_thread_fence(memory_order_release);
}

static void
end_change(struct stats_services *services)
{
	atomic_store_explicit(&services->sequence, get(&services->sequence) + 1,
			      memory_order_release);
}

static void
bury(struct stats_service *block)
{
	histogram_bump(&block->ends[CALL_STOPPED], get(&block->calls) - ended(block));
	clear(block, FIRST_GAUGE);
	set(&block->owners, 0);
}

void
stats_services_begin(struct stats_services *services)
{
	begin_change(services);
	for (uint64_t i = 0; i < get(&services->used); i++)
		bury(&services->block[i]);
	bury(&services->nowhere);
	end_change(services);
}

/* Its own, else a new one, else that of a service that is gone. */
static struct stats_service *
find_block(struct stats_services *services, const char *name)
{
	struct stats_service *vacant = NULL;
	uint64_t used = get(&services->used);

	for (uint64_t i = 0; i < used; i++) {
		struct stats_service *block = &services->block[i];
		if (strcmp(block->name, name) == 0)
			return block;
		if (vacant == NULL && get(&block->owners) == 0)
			vacant = block;
	}
	if (used < STATS_SERVICES)
		return &services->block[used];
	return vacant != NULL ? vacant : &services->nowhere;
}

struct stats_service *
stats_service_take(struct stats_services *services, const char *name)
{
	struct stats_service *block = find_block(services, name);
	bool is_new = block == services->block + get(&services->used);
	size_t len = strlen(name);

	assert(len > 0 && len < sizeof block->name);
	/* One that a crash left half taken is new, whatever its name. */
	if (block != &services->nowhere && (is_new || strcmp(block->name, name) != 0)) {
		begin_change(services);
		clear(block, 0);
		memset(block->name, 0, sizeof block->name);
		memcpy(block->name, name, len);
		if (is_new)
			histogram_bump(&services->used, 1);
		end_change(services);
	}
	histogram_bump(&block->owners, 1);
	return block;
}

void
stats_service_leave(struct stats_service *block)
{
	histogram_bump(&block->owners, (uint64_t)-1);
}

/* --- readers ---------------------------------------------------------------------------------- */

static void
add(struct stats_service *sum, const struct stats_service *block)
{
	for (size_t i = 0; i < BLOCK_WORDS; i++)
		histogram_bump(&sum->ends[0] + i, get(&block->ends[0] + i));
}

static const struct stats_service *
find(const struct stats_services *services, const char *name)
{
	uint64_t used = get(&services->used);

	for (uint64_t i = 0; i < used && i < STATS_SERVICES; i++) {
		const struct stats_service *block = &services->block[i];
		if (strncmp(block->name, name, sizeof block->name) == 0)
			return block;
	}
	return NULL;
}

bool
stats_service_add(const struct stats_services *services, const char *name,
		  struct stats_service *sum)
{
	const struct stats_service *block = NULL;
	struct stats_service copy;
	bool whole = false;

	for (int i = 0; i < READ_TRIES && !whole; i++) {
		uint64_t sequence = atomic_load_explicit(&services->sequence, memory_order_acquire);
		copy = (struct stats_service){ .name = "" };
		block = find(services, name);
		if (block != NULL)
			add(&copy, block);
		atomic_thread_fence(memory_order_acquire);
		whole = (sequence & 1) == 0 && get(&services->sequence) == sequence;
	}
	if (block != NULL)
		add(sum, &copy);
	return block != NULL;
}

uint64_t
stats_service_failed(const struct stats_service *sum)
{
	return ended(sum) - get(&sum->ends[CALL_ANSWERED]);
}
