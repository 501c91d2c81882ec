/*
 * metrics_text.h - Prometheus text (0.0.4) being written: samples, escaped labels, numbers that no
 * locale changes.
 *
 * Grows on the heap up to a bound; what does not fit sets `full`, which sticks, and is left out.
 * Never does I/O.  Owns its bytes.
 */
#ifndef RELAY_METRICS_TEXT_H
#define RELAY_METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct metrics_text {
	char *bytes; /* not terminated */
	size_t len;
	size_t cap;
	size_t max;
	bool full;
};

void metrics_text_init(struct metrics_text *text, size_t max);
void metrics_text_fini(struct metrics_text *text);

/* Empties it, keeping its memory. */
void metrics_text_clear(struct metrics_text *text);

/* False: it does not fit. */
bool metrics_text_make_room(struct metrics_text *text, size_t more);

/* Here, because a scrape calls it a hundred thousand times. */
static inline void
metrics_text_put_bytes(struct metrics_text *text, const char *bytes, size_t len)
{
	if (len == 0)
		return;
	if ((text->full || len > text->cap - text->len) && !metrics_text_make_room(text, len))
		return;
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static inline void
metrics_text_put(struct metrics_text *text, const char *string)
{
	metrics_text_put_bytes(text, string, strlen(string));
}

void metrics_text_put_number(struct metrics_text *text, uint64_t number);

/* Microseconds as decimal seconds, without needless zeros: 1500000 is 1.5. */
void metrics_text_put_seconds(struct metrics_text *text, uint64_t us);

/* name="value" with backslash, quote and line feed escaped. */
void metrics_text_put_label(struct metrics_text *text, const char *name, const char *value);

#endif
