/*
 * bytes.h - a growing byte buffer for the bench programs.
 *
 *     data      at          len        cap
 *      | dropped | held bytes | room    |
 *
 * Unlike the daemon's buffers it has no bound of its own: its users stop reading above theirs.  Out
 * of memory ends the program.
 */
#ifndef BENCH_BYTES_H
#define BENCH_BYTES_H

#include "wire/wire.h"

struct bytes {
	uint8_t *data;
	size_t at;
	size_t len;
	size_t cap;
};

static inline size_t
bytes_used(const struct bytes *b)
{
	return b->len - b->at;
}

static inline struct wire_span
bytes_span(const struct bytes *b)
{
	/* No arithmetic on the NULL of a buffer that was never filled. */
	return wire_span(b->at == b->len ? b->data : b->data + b->at, b->len - b->at);
}

/* Private: the room that there is not yet. */
uint8_t *bytes_room_made(struct bytes *b, size_t n);

/* Makes room for `n` bytes behind the held ones and returns where it begins.  Moves the held bytes.
 */
static inline uint8_t *
bytes_room(struct bytes *b, size_t n)
{
	return n <= b->cap - b->len ? b->data + b->len : bytes_room_made(b, n);
}

/* Counts `n` bytes of the room as held. */
void bytes_grow(struct bytes *b, size_t n);

/* Appends; `data` may be anything but bytes of `b` itself. */
void bytes_add(struct bytes *b, const void *data, size_t n);

/* Here, so that the length of a literal is no work. */
static inline void
bytes_add_text(struct bytes *b, const char *text)
{
	bytes_add(b, text, strlen(text));
}

/* Drops the first `n` held bytes. */
void bytes_drop(struct bytes *b, size_t n);

/* Empties; keeps the memory unless it is more than `keep` bytes. */
void bytes_clear(struct bytes *b, size_t keep);

void bytes_free(struct bytes *b);

#endif
