/*
 * memory.c - size classes over malloc.  Small blocks are cached last in, first out, so that the hot
 * path touches the same warm memory and never reaches malloc.  Large ones are kept for a moment: to
 * get them from the system is a page fault for each 4 KiB of a long line.
 */
#include "relay/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct memory_block {
	struct memory_block *next;
	size_t size; /* of a large one */
};

enum {
	LARGE_UNIT = 65536 /* large blocks are multiples of this */
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

static void
free_all(struct memory_block **list)
{
	while (*list != NULL) {
		struct memory_block *block = *list;
		*list = block->next;
		free(block);
	}
}

void
memory_fini(struct memory *memory)
{
	for (int i = 0; i < MEMORY_CLASSES; i++)
		free_all(&memory->free[i]);
	for (int i = 0; i < MEMORY_KEPT_CLASSES; i++)
		free_all(&memory->large[i]);
	memory->spare = memory->kept = memory->kept_low = 0;
}

/* --- small blocks ----------------------------------------------------------------------------- */

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
	return (want + LARGE_UNIT - 1) & ~(size_t)(LARGE_UNIT - 1);
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

	if (!CACHED || memory->spare + size > MEMORY_SPARE_MAX)
		return false;
	struct memory_block *block = at;
	block->next = memory->free[class];
	memory->free[class] = block;
	memory->spare += size;
	return true;
}

/* --- large blocks ----------------------------------------------------------------------------- */

static bool
is_large(size_t size)
{
	return size >= MEMORY_LARGE_MIN;
}

/* By the largest power of two that is in it: 128 KiB is 0. */
static int
large_class_of(size_t size)
{
	return 62 - __builtin_clzll(size / LARGE_UNIT);
}

/* The list whose first block has at least `size` and at most `max` bytes, or NULL. */
static struct memory_block **
find_kept(struct memory *memory, size_t size, uint64_t max)
{
	if (memory->kept == 0 || size > MEMORY_KEPT_BLOCK_MAX)
		return NULL;
	for (int i = large_class_of(size); i < MEMORY_KEPT_CLASSES; i++) {
		const struct memory_block *first = memory->large[i];
		if (first != NULL && first->size >= size)
			return first->size <= max ? &memory->large[i] : NULL;
	}
	return NULL;
}

static struct memory_block *
take_kept(struct memory *memory, struct memory_block **list)
{
	struct memory_block *block = *list;

	*list = block->next;
	memory->kept -= block->size;
	if (memory->kept < memory->kept_low)
		memory->kept_low = memory->kept;
	return block;
}

static bool
give_kept(struct memory *memory, void *at, size_t size)
{
	if (!CACHED || size > MEMORY_KEPT_BLOCK_MAX || memory->kept + size > MEMORY_KEPT_MAX ||
	    memory->used + memory->kept + size > memory->max)
		return false;
	struct memory_block **list = &memory->large[large_class_of(size)];
	struct memory_block *block = at;
	*block = (struct memory_block){ .next = *list, .size = size };
	*list = block;
	memory->kept += size;
	if (memory->kept == size && memory->on_kept != NULL)
		memory->on_kept(memory);
	return true;
}

static void
shrink_kept(struct memory *memory, uint64_t most)
{
	for (int i = MEMORY_KEPT_CLASSES - 1; i >= 0; i--) {
		while (memory->large[i] != NULL && memory->kept > most)
			free(take_kept(memory, &memory->large[i]));
	}
}

void
memory_trim(struct memory *memory)
{
	shrink_kept(memory, memory->kept - memory->kept_low);
	memory->kept_low = memory->kept;
}

/* --- all blocks ------------------------------------------------------------------------------- */

/* A block of *size bytes; or a larger one that was kept, of at most `max`: then *size is its size.
 */
static void *
get_block(struct memory *memory, size_t *size, uint64_t max)
{
	struct memory_block **kept = is_large(*size) ? find_kept(memory, *size, max) : NULL;
	void *at = kept != NULL ? take_kept(memory, kept) : take_cached(memory, *size);

	if (kept != NULL)
		*size = ((struct memory_block *)at)->size;
	return at != NULL ? at : malloc(*size);
}

/* Large to larger: the system can move the pages instead of the bytes. */
static bool
moves_pages(struct memory *memory, size_t old_size, size_t size, uint64_t max)
{
	return is_large(old_size) && find_kept(memory, size, max) == NULL;
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
	bool moved = old != NULL && moves_pages(memory, old_size, size, max - memory->used);
	at = moved ? realloc(old, size) : get_block(memory, &size, max - memory->used);
	if (at == NULL)
		return NULL;
	memory->used += size;
	if (moved) {
		memory->used -= old_size;
	} else if (old != NULL) {
		memcpy(at, old, keep);
		memory_put(memory, old, old_size);
	}
	if (memory->kept > 0 && memory->used + memory->kept > memory->max)
		shrink_kept(memory, memory->max - memory->used);
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

static __attribute__((noinline)) void
put_away(struct memory *memory, void *block, size_t size)
{
	if (!is_large(size) || !give_kept(memory, block, size))
		free(block);
}

void
memory_put(struct memory *memory, void *block, size_t size)
{
	if (block == NULL)
		return;
	assert(memory->used >= size);
	memory->used -= size;
	if (is_large(size) || !give_cached(memory, block, size))
		put_away(memory, block, size);
}
