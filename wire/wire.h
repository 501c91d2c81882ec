/*
 * wire.h - what every codec of this folder shares: views, a bounded output and one status enum.
 *
 * Codecs here are pure: bytes in, bytes and decisions out.  They do no I/O, read no clock, log
 * nothing and allocate nothing.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What a decoder found.  WIRE_MORE is a normal answer: nothing was consumed, come again with more.
 */
#define WIRE_STATUSES(X)                                                                           \
	X(WIRE_OK, "ok")                                                                           \
	X(WIRE_MORE, "more")                                                                       \
	X(WIRE_SKIP, "skip")           /* well-formed but carries nothing (comment, short line) */ \
	X(WIRE_BAD_LONG, "too long")   /* a bound of the format was exceeded */                    \
	X(WIRE_BAD_FORM, "malformed")  /* not this format at all */                                \
	X(WIRE_BAD_ID, "bad id")       /* a host id that cannot name a socket */                   \
	X(WIRE_BAD_ORDER, "disorder")  /* right bytes at the wrong time */                         \
	X(WIRE_BAD_REFUSED, "refused") /* the peer said no */

enum wire_status {
#define X(name, text) name,
	WIRE_STATUSES(X)
#undef X
};

#define WIRE_MUST_CHECK __attribute__((warn_unused_result))

/* The status as words for a log line.  Never NULL. */
const char *wire_status_text(enum wire_status status);

/* A view of bytes that belong to somebody else. */
struct wire_span {
	const uint8_t *data;
	size_t len;
};

static inline struct wire_span
wire_span(const void *data, size_t len)
{
	return (struct wire_span){ .data = data, .len = len };
}

static inline struct wire_span
wire_span_str(const char *text)
{
	return wire_span(text, strlen(text));
}

static inline bool
wire_span_equal(struct wire_span a, struct wire_span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool
wire_span_starts(struct wire_span s, struct wire_span prefix)
{
	return s.len >= prefix.len && memcmp(s.data, prefix.data, prefix.len) == 0;
}

/* Whether what is there so far, maybe not all of it, begins like `prefix`.  With a prefix of known
 * length the usual case is one comparison of words. */
static inline bool
wire_may_start(const uint8_t *data, size_t len, struct wire_span prefix)
{
	if (len >= prefix.len)
		return memcmp(data, prefix.data, prefix.len) == 0;
	return memcmp(data, prefix.data, len) == 0;
}

/*
 * The caller's bounded output.  Bytes [0, len) are written, [len, cap) are room.
 * Writing past the end writes nothing and sets `overflow`, which sticks: check once at the end.
 */
struct wire_out {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool overflow;
};

static inline struct wire_out
wire_out(void *data, size_t cap)
{
	return (struct wire_out){ .data = data, .len = 0, .cap = cap, .overflow = false };
}

/* Room for n more bytes, already counted as written, or NULL (then overflow is set). */
static inline uint8_t *
wire_out_room(struct wire_out *out, size_t n)
{
	if (out->overflow || n > out->cap - out->len) {
		out->overflow = true;
		return NULL;
	}
	uint8_t *at = out->data + out->len;
	out->len += n;
	return at;
}

static inline void
wire_out_bytes(struct wire_out *out, const void *bytes, size_t n)
{
	uint8_t *at = wire_out_room(out, n);
	if (at != NULL && n > 0)
		memcpy(at, bytes, n);
}

#endif
