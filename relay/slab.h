/*
 * slab.h - objects of one size.  What is put back can be handed out again only after slab_turn():
 * so a completion or a list that still knows the object within the turn meets a dead one, never
 * somebody else's.
 */
#ifndef RELAY_SLAB_H
#define RELAY_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct slab_item;
struct slab_chunk;

struct slab {
	size_t size;
	uint32_t used;
	struct slab_item *free;  /* may be handed out */
	struct slab_item *limbo; /* may be from the next turn on */
	struct slab_chunk *chunks;
};

/* `size` is the object's; objects are aligned for pointers. */
void slab_init(struct slab *slab, size_t size);

/* Frees all memory; no object may be in use. */
void slab_fini(struct slab *slab);

/* A zeroed object, or NULL. */
void *slab_get(struct slab *slab);

void slab_put(struct slab *slab, void *object);

/* To be called between two turns. */
void slab_turn(struct slab *slab);

#endif
