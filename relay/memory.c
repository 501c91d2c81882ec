/*
 * memory.c - size classes over malloc.  Small blocks are cached last in, first out, so that the hot
 * path touches the same warm memory and never reaches malloc; large ones go back to the system at
 * once.
 */
#include "relay/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct memory_block {
	struct memory_block *next;
};

#ifdef __SANITIZE_ADDRESS__
#define CACHED false /* let the sanitizer see every block end */
#else
#define CACHED true
#endif

void
memory_init(struct memory *memory, uint64_t max)
{
	*memory = (struct memory){ .max = max, .large_max = max };
}

void
memory_fini(struct memory *memory)
{
	for (int i = 0; i < MEMORY_CLASSES; i++) {
		while (memory->free[i] != NULL) {
			struct memory_block *block = memory->free[i];
			memory->free[i] = block->next;
			free(block);
		}
	}
	memory->spare = 0;
}

/* The class that holds `size` bytes, MEMORY_CLASSES if none does. */
static int
class_of(size_t size)
{
	unsigned long long blocks = size == 0 ? 0 : (size - 1) / MEMORY_BLOCK_MIN;
	int class = blocks == 0 ? 0 : 64 - __builtin_clzll(blocks);

	return class < MEMORY_CLASSES ? class : MEMORY_CLASSES;
}

static size_t
round_up(size_t want)
{
	int class = class_of(want);

	if (class < MEMORY_CLASSES)
		return (size_t)MEMORY_BLOCK_MIN << class;
	return (want + 0xffffu) & ~(size_t)0xffffu;
}

static void *
take_cached(struct memory *memory, size_t size)
{
	int class = class_of(size);

	if (class == MEMORY_CLASSES || memory->free[class] == NULL)
		return NULL;
	struct memory_block *block = memory->free[class];
	memory->free[class] = block->next;
	memory->spare -= size;
	return block;
}

static bool
give_cached(struct memory *memory, void *at, size_t size)
{
	int class = class_of(size);

	if (!CACHED || class == MEMORY_CLASSES || memory->spare + size > MEMORY_SPARE_MAX)
		return false;
	struct memory_block *block = at;
	block->next = memory->free[class];
	memory->free[class] = block;
	memory->spare += size;
	return true;
}

void *
memory_resize(struct memory *memory, void *old, size_t old_size, size_t keep, size_t want,
	      size_t *got)
{
	assert(keep <= old_size && want > old_size);
	size_t size = round_up(want);
	uint64_t max = size > MEMORY_SMALL_MAX ? memory->large_max : memory->max;
	void *at;

	/* The first test keeps `size` from having wrapped around. */
	if (want > max || memory->used > max || size - old_size > max - memory->used) {
		memory->refused++;
		return NULL;
	}
	if (old != NULL && class_of(old_size) == MEMORY_CLASSES) {
		/* Large to larger: the system can move the pages instead of the bytes. */
		at = realloc(old, size);
		if (at == NULL)
			return NULL;
		memory->used += size - old_size;
		*got = size;
		return at;
	}
	at = take_cached(memory, size);
	if (at == NULL)
		at = malloc(size);
	if (at == NULL)
		return NULL;
	memory->used += size;
	if (old != NULL) {
		memcpy(at, old, keep);
		memory_put(memory, old, old_size);
	}
	*got = size;
	return at;
}

void *
memory_get_block(struct memory *memory)
{
	struct memory_block *block = memory->free[0];
	size_t got;

	if (block == NULL || memory->used + MEMORY_BLOCK_MIN > memory->max)
		return memory_resize(memory, NULL, 0, 0, MEMORY_BLOCK_MIN, &got);
	memory->free[0] = block->next;
	memory->spare -= MEMORY_BLOCK_MIN;
	memory->used += MEMORY_BLOCK_MIN;
	return block;
}

void
memory_put(struct memory *memory, void *block, size_t size)
{
	if (block == NULL)
		return;
	assert(memory->used >= size);
	memory->used -= size;
	if (!give_cached(memory, block, size))
		free(block);
}
