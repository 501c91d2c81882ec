/*
 * provided.c - a group of provided receive buffers: its memory and its registration.
 */
#include "uring/provided.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>

/* Only what is used becomes resident. */
static void *
map_pages(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

int
provided_init(struct provided *provided, struct io_uring *ring, uint16_t group, unsigned count,
	      unsigned size)
{
	assert((count & (count - 1)) == 0);
	if (count == 0)
		return 0;
	provided->count = count;
	provided->size = size;
	provided->memory = map_pages((size_t)count * size);
	provided->ring = map_pages(count * sizeof(struct io_uring_buf));
	if (provided->ring == NULL || provided->memory == NULL)
		return -ENOMEM;

	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)provided->ring,
		.ring_entries = count,
		.bgid = group,
	};
	int error = io_uring_register_buf_ring(ring, &reg, 0);
	if (error != 0)
		return error;
	io_uring_buf_ring_init(provided->ring);
	for (unsigned id = 0; id < count; id++)
		provided_give(provided, id);
	return 0;
}

void
provided_fini(struct provided *provided)
{
	if (provided->ring != NULL)
		munmap(provided->ring, provided->count * sizeof(struct io_uring_buf));
	if (provided->memory != NULL)
		munmap(provided->memory, (size_t)provided->count * provided->size);
}
