/*
 * test_pattern.c - the bytes by which a reply shows whose it is: head and tail of pattern_reply,
 * and its edges.
 */
#include "bench/pattern.h"

#include <criterion/criterion.h>

#define HEAD_MAX  40
#define REPLY_LEN 96

static const char head_text[HEAD_MAX + 1] = "0123456789abcdef0123456789abcdefghijklmn";

static size_t
differing(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += a[i] != b[i];
	return count;
}

/* Each byte of the head has its part in the tail: no two of them may be mistaken for each other. */
Test(pattern, every_byte_of_the_head_moves_the_tail)
{
	uint8_t head[HEAD_MAX], one[REPLY_LEN], other[REPLY_LEN];

	for (size_t len = 1; len <= HEAD_MAX; len++) {
		memcpy(head, head_text, len);
		pattern_reply(one, REPLY_LEN, wire_span(head, len));
		cr_assert_eq(memcmp(one, head, len), 0, "the head stands first");
		for (size_t i = 0; i < len; i++) {
			head[i] ^= 1;
			pattern_reply(other, REPLY_LEN, wire_span(head, len));
			cr_expect_gt(differing(one + len, other + len, REPLY_LEN - len), 20,
				     "byte %zu of %zu", i, len);
			head[i] ^= 1;
		}
	}
}

/* So has its length, also where only zeros were added. */
Test(pattern, the_length_of_the_head_moves_the_tail)
{
	const uint8_t zeros[HEAD_MAX] = { 0 };
	uint8_t one[REPLY_LEN], other[REPLY_LEN];

	for (size_t len = 1; len < HEAD_MAX; len++) {
		pattern_reply(one, REPLY_LEN, wire_span(zeros, len));
		pattern_reply(other, REPLY_LEN, wire_span(zeros, len + 1));
		cr_expect_gt(differing(one + HEAD_MAX, other + HEAD_MAX, REPLY_LEN - HEAD_MAX), 20,
			     "%zu", len);
	}
}

Test(pattern, a_short_reply_is_the_beginning_of_the_head)
{
	uint8_t reply[HEAD_MAX + 1];

	for (size_t n = 0; n <= HEAD_MAX; n++) {
		memset(reply, 0, sizeof reply);
		pattern_reply(reply, n, wire_span(head_text, HEAD_MAX));
		cr_expect_eq(memcmp(reply, head_text, n), 0);
		cr_expect_eq(reply[n], 0, "nothing is written behind the end");
	}
}

/* A phase is a place in one endless pattern, wherever it is taken up. */
Test(pattern, phases_are_places_of_one_pattern)
{
	static uint8_t whole[40 * PATTERN_PERIOD], part[PATTERN_PERIOD];

	pattern_fill(whole, sizeof whole, 0);
	cr_assert_null(memchr(whole, '\n', sizeof whole));
	for (size_t phase = 0; phase < sizeof whole - sizeof part; phase += 97) {
		pattern_fill(part, sizeof part, phase);
		cr_expect_eq(memcmp(part, whole + phase, sizeof part), 0, "%zu", phase);
	}
}
