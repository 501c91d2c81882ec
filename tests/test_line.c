/*
 * test_line.c - line framing at every split point, its bounds, flattening, and the bounded output
 * of wire.h.
 *
 * The yardstick is a byte-by-byte formulation written out here.
 */
#include <criterion/criterion.h>

#include "wire/line.h"

#define LINES_MAX 64

struct lines {
	size_t count;
	size_t len[LINES_MAX];
	uint8_t bytes[LINES_MAX][32];
};

/* Every kind of line: empty, with CR, NUL, 8-bit bytes, blanks, and a fragment at the end. */
static const char stream[] = "first\n"
			     "\n"
			     "\n"
			     "cr\r\n"
			     " \t blanks \t \n"
			     "nul\0nul\n"
			     "\0\n"
			     "\xe9\xff\x80 eight\n"
			     "enc:1:5c5c291e92f43a26\n"
			     "x\n"
			     "fragment";
#define STREAM_LEN (sizeof stream - 1)
#define FRAGMENT   (sizeof "fragment" - 1)

static void
keep(struct lines *lines, struct wire_span line)
{
	cr_assert_lt(lines->count, LINES_MAX);
	cr_assert_leq(line.len, sizeof lines->bytes[0]);
	lines->len[lines->count] = line.len;
	memcpy(lines->bytes[lines->count], line.data, line.len);
	lines->count++;
}

/* The reference: no search, no spans. */
static void
reference(struct lines *lines)
{
	memset(lines, 0, sizeof *lines);
	for (size_t i = 0; i < STREAM_LEN; i++) {
		if (stream[i] == '\n')
			lines->count++;
		else
			lines->bytes[lines->count][lines->len[lines->count]++] = (uint8_t)stream[i];
	}
	/* What follows the last LF is no line. */
	memset(lines->bytes[lines->count], 0, sizeof lines->bytes[0]);
	lines->len[lines->count] = 0;
}

/* Input in pieces of the given sizes, the last one repeated; returns how much stayed unread. */
static size_t
feed(struct lines *lines, const size_t *sizes, size_t n)
{
	const uint8_t *base = (const uint8_t *)stream;
	const uint8_t *src = base;
	size_t arrived = 0, piece = 0, scanned = 0;

	memset(lines, 0, sizeof *lines);
	while (arrived < STREAM_LEN) {
		size_t size = sizes[piece < n ? piece : n - 1];
		piece++;
		arrived = size > STREAM_LEN - arrived ? STREAM_LEN : arrived + size;

		struct wire_span line;
		enum wire_status status;
		while ((status = line_next(&line, &src, base + arrived, scanned, 32)) == WIRE_OK) {
			keep(lines, line);
			scanned = 0;
		}
		cr_assert_eq(status, WIRE_MORE);
		scanned = arrived - (size_t)(src - base);
	}
	return STREAM_LEN - (size_t)(src - base);
}

static void
same_as_reference(const struct lines *got, size_t unread, size_t where)
{
	static struct lines want;

	reference(&want);
	cr_assert_eq(unread, FRAGMENT, "split at %zu", where);
	cr_assert_eq(got->count, want.count, "split at %zu", where);
	cr_assert_arr_eq(got->len, want.len, sizeof want.len, "split at %zu", where);
	cr_assert_arr_eq(got->bytes, want.bytes, sizeof want.bytes, "split at %zu", where);
}

Test(line, whole_and_byte_by_byte)
{
	static struct lines lines;
	size_t sizes[] = { STREAM_LEN, 1, 2, 3, 7 };

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t unread = feed(&lines, &sizes[i], 1);
		same_as_reference(&lines, unread, sizes[i]);
	}
	cr_assert_eq(lines.count, 10);
}

Test(line, two_pieces_at_every_position)
{
	static struct lines lines;

	for (size_t at = 1; at < STREAM_LEN; at++) {
		size_t sizes[] = { at, STREAM_LEN };
		same_as_reference(&lines, feed(&lines, sizes, 2), at);
	}
}

Test(line, three_pieces_at_every_pair_of_positions)
{
	static struct lines lines;

	for (size_t a = 1; a < STREAM_LEN; a++) {
		for (size_t b = 1; a + b < STREAM_LEN; b++) {
			size_t sizes[] = { a, b, STREAM_LEN };
			same_as_reference(&lines, feed(&lines, sizes, 3), a * 1000 + b);
		}
	}
}

Test(line, views_and_cursor)
{
	const uint8_t bytes[] = "ab\ncd";
	const uint8_t *src = bytes;
	struct wire_span line = wire_span(bytes + 4, 1);

	cr_assert_eq(line_next(&line, &src, bytes + 2, 0, 8), WIRE_MORE);
	cr_assert_eq(src, bytes);
	cr_assert_eq(line.data, bytes + 4, "a line is set on OK only");
	cr_assert_eq(line_next(&line, &src, bytes + 5, 0, 8), WIRE_OK);
	cr_assert_eq(line.data, bytes);
	cr_assert_eq(line.len, 2);
	cr_assert_eq(src, bytes + 3);
	cr_assert_eq(line_next(&line, &src, bytes + 5, 0, 8), WIRE_MORE);
	cr_assert_eq(src, bytes + 3);
	src = bytes + 5;
	cr_assert_eq(line_next(&line, &src, bytes + 5, 0, 8), WIRE_MORE, "nothing is no line");
}

Test(line, no_input_at_all)
{
	const uint8_t *src = NULL;
	struct wire_span line;

	cr_assert_eq(line_next(&line, &src, NULL, 0, 0), WIRE_MORE);
	cr_assert_null(src);
}

/* Lines of max - 1, max and max + 1 bytes, with all and with part of the input there. */
Test(line, bound_exact_and_one_over)
{
	for (size_t max = 0; max < 40; max++) {
		for (size_t len = 0; len < 45; len++) {
			uint8_t bytes[64];
			const uint8_t *src = bytes;
			struct wire_span line;

			memset(bytes, 'x', sizeof bytes);
			bytes[len] = '\n';
			for (size_t have = 0; have <= len; have++) {
				enum wire_status want = have > max ? WIRE_BAD_LONG : WIRE_MORE;
				cr_assert_eq(line_next(&line, &src, bytes + have, 0, max), want);
				cr_assert_eq(line_next(&line, &src, bytes + have, have, max), want);
				cr_assert_eq(src, bytes, "only OK moves the cursor");
			}
			enum wire_status want = len > max ? WIRE_BAD_LONG : WIRE_OK;
			cr_assert_eq(line_next(&line, &src, bytes + sizeof bytes, 0, max), want);
			cr_assert_eq(src, len > max ? bytes : bytes + len + 1);
			cr_assert(want != WIRE_OK || line.len == len);
		}
	}
}

Test(line, no_bound)
{
	const uint8_t bytes[] = "abc\n";
	const uint8_t *src = bytes;
	struct wire_span line;

	cr_assert_eq(line_next(&line, &src, bytes + 3, 0, SIZE_MAX), WIRE_MORE);
	cr_assert_eq(line_next(&line, &src, bytes + 4, 3, SIZE_MAX), WIRE_OK);
	cr_assert_eq(line.len, 3);
}

/* The only way to see that known bytes are not searched again: claim to know one that is a LF. */
Test(line, scanned_bytes_are_not_searched)
{
	const uint8_t bytes[] = "a\nb\n";
	const uint8_t *src = bytes;
	struct wire_span line;

	cr_assert_eq(line_next(&line, &src, bytes + 3, 2, 8), WIRE_MORE);
	cr_assert_eq(line_next(&line, &src, bytes + 4, 2, 8), WIRE_OK);
	cr_assert_eq(line.len, 3);
	src = bytes;
	cr_assert_eq(line_next(&line, &src, bytes + 4, 1, 8), WIRE_OK);
	cr_assert_eq(line.len, 1);
}

/* All strings of up to ten bytes over three letters against the rule written out. */
Test(line, flatten_all_short_strings)
{
	static const char letters[] = { 'a', '\n', '\0' };

	for (size_t len = 0, combinations = 1; len <= 10; len++, combinations *= 3) {
		for (size_t c = 0; c < combinations; c++) {
			uint8_t got[12], want[12];
			size_t rest = c;
			for (size_t i = 0; i < len; i++, rest /= 3)
				got[i] = (uint8_t)letters[rest % 3];
			got[len] = '\n'; /* behind the end: must stay */

			size_t want_len = len > 0 && got[len - 1] == '\n' ? len - 1 : len;
			for (size_t i = 0; i <= len; i++)
				want[i] = i < want_len && got[i] == '\n' ? ' ' : got[i];

			cr_assert_eq(line_flatten(got, len), want_len);
			cr_assert_arr_eq(got, want, len + 1);
		}
	}
	cr_assert_eq(line_flatten(NULL, 0), 0);
}

Test(wire, status_texts)
{
	cr_assert_str_eq(wire_status_text(WIRE_OK), "ok");
	cr_assert_str_eq(wire_status_text(WIRE_BAD_LONG), "too long");
	cr_assert_str_eq(wire_status_text(WIRE_BAD_REFUSED), "refused");
	cr_assert_str_eq(wire_status_text((enum wire_status)(WIRE_BAD_REFUSED + 1)),
			 "unknown status");
	for (int s = WIRE_OK; s <= WIRE_BAD_REFUSED; s++)
		for (int t = WIRE_OK; t < s; t++)
			cr_assert_str_neq(wire_status_text((enum wire_status)s),
					  wire_status_text((enum wire_status)t));
}

Test(wire, spans)
{
	cr_assert(wire_span_equal(wire_span_str("ab"), wire_span("abc", 2)));
	cr_assert_not(wire_span_equal(wire_span_str("ab"), wire_span_str("abc")));
	cr_assert_not(wire_span_equal(wire_span_str("ab"), wire_span_str("ac")));
	cr_assert(wire_span_equal(wire_span(NULL, 0), wire_span_str("")));
	cr_assert(wire_span_starts(wire_span_str("ab"), wire_span_str("ab")));
	cr_assert(wire_span_starts(wire_span_str("abc"), wire_span_str("ab")));
	cr_assert_not(wire_span_starts(wire_span_str("a"), wire_span_str("ab")));
	cr_assert_not(wire_span_starts(wire_span_str("xabc"), wire_span_str("ab")));
}

Test(wire, output_bound_and_sticking_overflow)
{
	uint8_t room[6] = { 0, 0, 0, 0, 0, '!' };
	struct wire_out out = wire_out(room, 5);

	wire_out_bytes(&out, "abc", 3);
	wire_out_bytes(&out, "", 0);
	cr_assert_eq(out.len, 3);
	wire_out_bytes(&out, "de", 2);
	cr_assert_not(out.overflow, "full is not over");
	wire_out_bytes(&out, "", 0);
	cr_assert_not(out.overflow);
	wire_out_bytes(&out, "f", 1);
	cr_assert(out.overflow);
	cr_assert_eq(out.len, 5);
	cr_assert_arr_eq(room, "abcde!", 6);

	out = wire_out(room, 5);
	cr_assert_null(wire_out_room(&out, SIZE_MAX));
	cr_assert(out.overflow);
	wire_out_bytes(&out, "x", 1);
	cr_assert(out.overflow, "what would fit again does not heal it");
	cr_assert_eq(out.len, 0);
	cr_assert_arr_eq(room, "abcde!", 6);
}
