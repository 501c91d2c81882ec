/*
 * provided.h - receive buffers that are provided to the kernel ahead: it picks one per receive, its
 * owner gives it back.  Inside uring/ only: liburing's types show.
 */
#ifndef URING_PROVIDED_H
#define URING_PROVIDED_H

#include <liburing.h>
#include <stdint.h>

/* All of one size.  Zeroed = there are none. */
struct provided {
	struct io_uring_buf_ring *ring;
	uint8_t *memory;
	unsigned count; /* a power of two */
	unsigned size;
};

/*
 * Registers `count` buffers (0: none) as a group of the ring and gives them all.  0 or a negative
 * errno; provided_fini() is due in any case, after the ring was closed.
 */
int provided_init(struct provided *provided, struct io_uring *ring, uint16_t group, unsigned count,
		  unsigned size);
void provided_fini(struct provided *provided);

static inline uint8_t *
provided_at(const struct provided *provided, unsigned id)
{
	return provided->memory + (size_t)id * provided->size;
}

/* The kernel may use it again. */
static inline void
provided_give(struct provided *provided, unsigned id)
{
	io_uring_buf_ring_add(provided->ring, provided_at(provided, id), provided->size,
			      (unsigned short)id, io_uring_buf_ring_mask(provided->count), 0);
	io_uring_buf_ring_advance(provided->ring, 1);
}

#endif
