/*
 * transcript.c - writes the record of connections.  Never drops a byte: a write error is fatal.
 * Owns its FILE and the bytes of unfinished lines.
 */
#include "bench/transcript.h"

#include <err.h>
#include <inttypes.h>

void
transcript_open(struct transcript *t, const char *path)
{
	t->file = fopen(path, "ae");
	if (t->file == NULL)
		err(1, "transcript %s", path);
	t->dirty = false;
}

static void
record(struct transcript *t, uint64_t conn, char direction, struct wire_span bytes)
{
	static const char digits[] = "0123456789abcdef";
	FILE *f = t->file;

	fprintf(f, "%" PRIu64 " %c ", conn, direction);
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t b = bytes.data[i];
		if (b >= 0x20 && b <= 0x7e && b != '\\') {
			putc_unlocked(b, f);
			continue;
		}
		putc_unlocked('\\', f);
		putc_unlocked('x', f);
		putc_unlocked(digits[b >> 4], f);
		putc_unlocked(digits[b & 15], f);
	}
	putc_unlocked('\n', f);
	t->dirty = true;
}

static void
add(struct transcript *t, uint64_t conn, char direction, struct bytes *held, struct wire_span bytes)
{
	while (bytes.len > 0) {
		const uint8_t *lf = memchr(bytes.data, '\n', bytes.len);
		size_t n = lf == NULL ? bytes.len : (size_t)(lf - bytes.data) + 1;
		bytes_add(held, bytes.data, n);
		if (lf != NULL) {
			record(t, conn, direction, bytes_span(held));
			bytes_clear(held, 65536);
		}
		bytes = wire_span(bytes.data + n, bytes.len - n);
	}
}

void
transcript_received(struct transcript *t, uint64_t conn, struct transcript_sides *sides,
		    struct wire_span bytes)
{
	if (t->file != NULL)
		add(t, conn, '>', &sides->received, bytes);
}

void
transcript_sent(struct transcript *t, uint64_t conn, struct transcript_sides *sides,
		struct wire_span bytes)
{
	if (t->file != NULL)
		add(t, conn, '<', &sides->sent, bytes);
}

void
transcript_event(struct transcript *t, uint64_t conn, const char *event)
{
	if (t->file != NULL)
		record(t, conn, '*', wire_span_str(event));
}

void
transcript_end(struct transcript *t, uint64_t conn, struct transcript_sides *sides,
	       const char *event)
{
	if (bytes_used(&sides->received) > 0)
		record(t, conn, '>', bytes_span(&sides->received));
	if (bytes_used(&sides->sent) > 0)
		record(t, conn, '<', bytes_span(&sides->sent));
	transcript_event(t, conn, event);
	bytes_free(&sides->received);
	bytes_free(&sides->sent);
}

void
transcript_flush(struct transcript *t)
{
	if (!t->dirty)
		return;
	if (fflush(t->file) != 0)
		err(1, "writing the transcript");
	t->dirty = false;
}

void
transcript_close(struct transcript *t)
{
	if (t->file == NULL)
		return;
	transcript_flush(t);
	if (fclose(t->file) != 0)
		err(1, "writing the transcript");
	t->file = NULL;
}
