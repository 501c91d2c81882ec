/*
 * bytes.c - the growing byte buffer.  Never shrinks while bytes are held; owns its memory.
 */
#include "bench/bytes.h"

#include <assert.h>
#include <err.h>
#include <stdlib.h>

#define FIRST_CAP 256

/* Doubling keeps the cost of a line that arrives in many pieces linear. */
static void
grow_to(struct bytes *b, size_t need)
{
	size_t cap = b->cap == 0 ? FIRST_CAP : b->cap;

	while (cap < need)
		cap *= 2;
	uint8_t *data = realloc(b->data, cap);
	if (data == NULL)
		err(1, "no memory for a buffer of %zu bytes", cap);
	b->data = data;
	b->cap = cap;
}

uint8_t *
bytes_room_made(struct bytes *b, size_t n)
{
	size_t used = bytes_used(b);

	/* Moving pays only when it frees at least as much as it copies. */
	if (b->at > 0 && b->at >= used) {
		memmove(b->data, b->data + b->at, used);
		b->at = 0;
		b->len = used;
	}
	if (n > b->cap - b->len)
		grow_to(b, b->len + n);
	return b->data + b->len;
}

void
bytes_grow(struct bytes *b, size_t n)
{
	assert(n <= b->cap - b->len);
	b->len += n;
}

void
bytes_add(struct bytes *b, const void *data, size_t n)
{
	if (n == 0)
		return;
	memcpy(bytes_room(b, n), data, n);
	b->len += n;
}

void
bytes_drop(struct bytes *b, size_t n)
{
	assert(n <= bytes_used(b));
	b->at += n;
	if (b->at == b->len)
		b->at = b->len = 0;
}

void
bytes_clear(struct bytes *b, size_t keep)
{
	b->at = b->len = 0;
	if (b->cap > keep)
		bytes_free(b);
}

void
bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){ 0 };
}
