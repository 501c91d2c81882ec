/*
 * buffer.c - see buffer.h.
 */
#include "relay/buffer.h"

#include <assert.h>
#include <string.h>

static uint8_t *
move_to_front(struct buffer *buffer)
{
	size_t len = buffer_len(buffer);

	memmove(buffer->data, buffer_at(buffer), len);
	buffer->head = 0;
	buffer->tail = len;
	return buffer->data + len;
}

uint8_t *
buffer_make_room(struct buffer *buffer, struct memory *memory, size_t n)
{
	size_t len = buffer_len(buffer);

	if (buffer->cap == 0 && n <= MEMORY_BLOCK_MIN) {
		buffer->data = memory_get_block(memory);
		if (buffer->data != NULL)
			buffer->cap = MEMORY_BLOCK_MIN;
		return buffer->data;
	}
	/* Move to the front only when that frees half of the memory: otherwise it would be done
	 * over and over. */
	if (n <= buffer->cap - len && buffer->head >= buffer->cap / 2 && buffer->data != NULL)
		return move_to_front(buffer);
	/* The consumed part is kept while growing: simpler, and gone at the next time that the
	 * buffer runs empty. */
	if (n > SIZE_MAX / 4 - buffer->tail)
		return NULL;
	size_t want = buffer->tail + n;
	if (buffer->cap > 0 && want < buffer->cap * 2)
		want = buffer->cap * 2;
	want = memory_ample(memory, want);
	size_t got;
	uint8_t *data = memory_resize(memory, buffer->data, buffer->cap, buffer->tail, want, &got);
	if (data == NULL && want > buffer->tail + n && buffer->tail + n > buffer->cap)
		data = memory_resize(memory, buffer->data, buffer->cap, buffer->tail,
				     buffer->tail + n, &got);
	if (data == NULL) /* over the budget: then moving is worth it at any rate */
		return n <= buffer->cap - len && buffer->data != NULL ? move_to_front(buffer)
								      : NULL;
	buffer->data = data;
	buffer->cap = got;
	return data + buffer->tail;
}

bool
buffer_append(struct buffer *buffer, struct memory *memory, const void *bytes, size_t n)
{
	if (n == 0)
		return true;
	uint8_t *at = buffer_room(buffer, memory, n);
	if (at == NULL)
		return false;
	memcpy(at, bytes, n);
	buffer_grow(buffer, n);
	return true;
}

void
buffer_consume(struct buffer *buffer, size_t n)
{
	assert(n <= buffer_len(buffer));
	buffer->head += n;
	if (buffer->head == buffer->tail)
		buffer->head = buffer->tail = 0;
}

void
buffer_release(struct buffer *buffer, struct memory *memory)
{
	memory_put(memory, buffer->data, buffer->cap);
	*buffer = (struct buffer){ 0 };
}

void
buffer_take(struct buffer *to, struct buffer *from, struct memory *memory)
{
	assert(buffer_len(to) == 0);
	buffer_release(to, memory);
	*to = *from;
	*from = (struct buffer){ 0 };
}
