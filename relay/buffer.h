/*
 * buffer.h - a growing byte queue from the worker's memory budget.
 *
 *     data          head            tail           cap
 *      | consumed    |  to be read   |  room         |
 *
 * An empty buffer may be without memory; buffer_release gives it back.
 */
#ifndef RELAY_BUFFER_H
#define RELAY_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/memory.h"

struct buffer {
	uint8_t *data;
	size_t head;
	size_t tail;
	size_t cap;
};

static inline size_t
buffer_len(const struct buffer *buffer)
{
	return buffer->tail - buffer->head;
}

static inline uint8_t *
buffer_at(const struct buffer *buffer)
{
	return buffer->data + buffer->head;
}

/* For buffer_room() alone: when there is no room behind the tail. */
uint8_t *buffer_make_room(struct buffer *buffer, struct memory *memory, size_t n);

/* Room for n bytes behind the tail, or NULL if the budget does not allow it.  buffer_grow() makes
 * them part of it. */
static inline uint8_t *
buffer_room(struct buffer *buffer, struct memory *memory, size_t n)
{
	if (n <= buffer->cap - buffer->tail && buffer->data != NULL)
		return buffer->data + buffer->tail;
	return buffer_make_room(buffer, memory, n);
}

static inline void
buffer_grow(struct buffer *buffer, size_t n)
{
	buffer->tail += n;
}

/* Appends; false (and nothing appended) if the budget does not allow it. */
bool buffer_append(struct buffer *buffer, struct memory *memory, const void *bytes, size_t n);

/* Drops n bytes at the head. */
void buffer_consume(struct buffer *buffer, size_t n);

/* Gives all memory back; the content is gone. */
void buffer_release(struct buffer *buffer, struct memory *memory);

/* Moves everything from `from` to the empty `to`. */
void buffer_take(struct buffer *to, struct buffer *from, struct memory *memory);

#endif
