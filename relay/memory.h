/*
 * memory.h - the budget for buffers of one worker, and a cache of blocks in front of malloc.
 *
 * Every byte that a client or a peer can make the worker keep goes through here, so that the sum
 * has a bound.
 */
#ifndef RELAY_MEMORY_H
#define RELAY_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_CLASSES   8 /* blocks of 512 bytes to 64 KiB, doubling */
#define MEMORY_BLOCK_MIN 512u
#define MEMORY_SPARE_MAX (1u << 20) /* bytes of unused blocks kept for the next turn */
#define MEMORY_SMALL_MAX 8192u      /* blocks up to this size may use what is above large_max */

#define MEMORY_LARGE_MIN      (64u * 1024 + 1) /* larger than any block of a class */
#define MEMORY_KEPT_CLASSES   5                /* large blocks: of 128 KiB and more, doubling */
#define MEMORY_KEPT_BLOCK_MAX (2u << 20)       /* no larger one is kept */
#define MEMORY_KEPT_MAX       (8u << 20)       /* bytes of them */
#define MEMORY_KEPT_MS        1000u /* how often memory_trim() is due while any is kept */

struct memory_block;

struct memory {
	uint64_t max;
	uint64_t large_max; /* large blocks are had only up to here: who asks for little is served
			       still */
	uint64_t used;      /* handed out */
	uint64_t spare;     /* kept in the cache */
	uint64_t kept; /* likewise, of large blocks, for a second or two; they make room for what
			  comes from the system, so that all this exceeds max by what is spare */
	uint64_t kept_low; /* the least of it since memory_trim(): so much nobody needed */
	void (*on_kept)(struct memory *memory); /* one is kept, there was none; or NULL */
	uint64_t refused;
	struct memory_block *free[MEMORY_CLASSES];
	struct memory_block *large[MEMORY_KEPT_CLASSES];
};

/* Without a reserve for small blocks: whoever wants one lowers large_max. */
void memory_init(struct memory *memory, uint64_t max);

/* Gives the cache back.  Nothing may be handed out any more. */
void memory_fini(struct memory *memory);

/* Gives back what of the kept large blocks was not needed since the last call. */
void memory_trim(struct memory *memory);

/*
 * A block of at least `want` bytes; *got is its size.  NULL when the budget or the machine has no
 * more. `old` (of size old_size, first `keep` bytes of meaning) is moved and given back; NULL for a
 * new block. On failure the old block stays as it was.
 */
void *memory_resize(struct memory *memory, void *old, size_t old_size, size_t keep, size_t want,
		    size_t *got);

/* A block of MEMORY_BLOCK_MIN bytes: what almost every request and reply needs. */
void *memory_get_block(struct memory *memory);

void memory_put(struct memory *memory, void *block, size_t size);

/* What to ask for when something is to grow to `want` bytes: all of a kept block at once, if there
 * is one and the budget is wide, for then the doublings up to it need not be copied. */
static inline size_t
memory_ample(const struct memory *memory, size_t want)
{
	bool ample = memory->kept > 0 && memory->used <= memory->max / 4;

	return ample && want > MEMORY_SMALL_MAX && want < MEMORY_LARGE_MIN ? MEMORY_LARGE_MIN
									   : want;
}

/* Whether so little is left that no new clients should be let in. */
static inline bool
memory_tight(const struct memory *memory)
{
	return memory->used > memory->max / 8 * 7;
}

#endif
