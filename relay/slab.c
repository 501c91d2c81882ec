/*
 * slab.c - chunks of 16 KiB cut into objects.  Memory stays with the slab until slab_fini: the
 * number of objects is bounded by the owner (clients, links).
 */
#include "relay/slab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE (16u * 1024)

struct slab_item {
	struct slab_item *next;
};

struct slab_chunk {
	struct slab_chunk *next;
	uint64_t objects[];
};

#ifdef __SANITIZE_ADDRESS__
#define CHUNKED                                                                                    \
	0 /* one malloc per object, freed in slab_turn: the sanitizer sees every use after the end \
	   */
#else
#define CHUNKED 1
#endif

void
slab_init(struct slab *slab, size_t size)
{
	assert(size >= sizeof(struct slab_item) && size <= CHUNK_SIZE / 2);
	*slab = (struct slab){ .size = (size + 7) & ~(size_t)7 };
}

static void
free_items(struct slab_item **list)
{
	while (*list != NULL) {
		struct slab_item *item = *list;
		*list = item->next;
		free(item);
	}
}

void
slab_fini(struct slab *slab)
{
	assert(slab->used == 0);
	if (!CHUNKED) {
		free_items(&slab->free);
		free_items(&slab->limbo);
	}
	while (slab->chunks != NULL) {
		struct slab_chunk *chunk = slab->chunks;
		slab->chunks = chunk->next;
		free(chunk);
	}
	slab->free = slab->limbo = NULL;
}

static void
add_chunk(struct slab *slab)
{
	struct slab_chunk *chunk = malloc(CHUNK_SIZE);

	if (chunk == NULL)
		return;
	chunk->next = slab->chunks;
	slab->chunks = chunk;
	size_t count = (CHUNK_SIZE - sizeof *chunk) / slab->size;
	for (size_t i = count; i > 0; i--) {
		struct slab_item *item = (void *)((char *)chunk->objects + (i - 1) * slab->size);
		item->next = slab->free;
		slab->free = item;
	}
}

void *
slab_get(struct slab *slab)
{
	if (!CHUNKED) {
		void *object = calloc(1, slab->size);
		slab->used += object != NULL;
		return object;
	}
	if (slab->free == NULL)
		add_chunk(slab);
	struct slab_item *item = slab->free;
	if (item == NULL)
		return NULL;
	slab->free = item->next;
	slab->used++;
	return memset(item, 0, slab->size);
}

void
slab_put(struct slab *slab, void *object)
{
	struct slab_item *item = object;

	assert(slab->used > 0);
	slab->used--;
	item->next = slab->limbo;
	slab->limbo = item;
}

void
slab_turn(struct slab *slab)
{
	if (!CHUNKED) {
		free_items(&slab->limbo);
		return;
	}
	while (slab->limbo != NULL) {
		struct slab_item *item = slab->limbo;
		slab->limbo = item->next;
		item->next = slab->free;
		slab->free = item;
	}
}
