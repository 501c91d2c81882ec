/*
 * test_resp.c - the little of the redis protocol that the comparison speaks: both ends understand
 * each other at every split point, and what is not the protocol is said to be so.
 */
#include "bench/resp.h"

#include <criterion/criterion.h>

#define MAX ((size_t)1 << 20)

static struct bytes
command(struct wire_span request)
{
	struct bytes out = { 0 };

	resp_add_command(&out, request);
	return out;
}

static void
assert_text(struct wire_span got, const char *expected)
{
	cr_assert(wire_span_equal(got, wire_span_str(expected)), "got %.*s, not %s", (int)got.len,
		  (const char *)got.data, expected);
}

Test(resp, short_request_is_a_key)
{
	struct bytes b = command(wire_span_str("fill:64:x"));

	assert_text(bytes_span(&b), "*2\r\n$3\r\nGET\r\n$9\r\nfill:64:x\r\n");
	bytes_free(&b);
}

Test(resp, long_request_is_a_value)
{
	uint8_t big[RESP_KEY_MAX + 1];
	struct wire_span last;

	memset(big, 'a', sizeof big);
	struct bytes b = command(wire_span(big, sizeof big));
	cr_assert(
	    wire_span_starts(bytes_span(&b), wire_span_str("*3\r\n$6\r\nGETSET\r\n$1\r\nk\r\n")));
	const uint8_t *src = b.data, *end = b.data + b.len;
	cr_assert_eq(resp_command_next(&last, &src, end, MAX), WIRE_OK);
	cr_assert(wire_span_equal(last, wire_span(big, sizeof big)));
	cr_assert_eq(src, end);
	bytes_free(&b);
}

Test(resp, command_at_every_split_point)
{
	struct bytes b = command(wire_span_str("one"));
	size_t first = b.len;

	resp_add_command(&b, wire_span_str(""));
	for (size_t n = 0; n <= b.len; n++) {
		struct wire_span last;
		const uint8_t *src = b.data, *end = b.data + n;
		enum wire_status status = resp_command_next(&last, &src, end, MAX);
		if (n < first) {
			cr_assert_eq(status, WIRE_MORE, "%zu bytes", n);
			cr_assert_eq(src, b.data);
			continue;
		}
		cr_assert_eq(status, WIRE_OK);
		assert_text(last, "one");
		cr_assert_eq(src, b.data + first);
		status = resp_command_next(&last, &src, end, MAX);
		cr_assert_eq(status, n < b.len ? WIRE_MORE : WIRE_OK, "%zu bytes", n);
	}
	bytes_free(&b);
}

Test(resp, reply_at_every_split_point)
{
	struct bytes b = { 0 };

	resp_add_bulk(&b, wire_span("a\r\nb\0c", 6));
	bytes_add_text(&b, "-ERR no\r\n");
	size_t first = 4 + 6 + 2;
	for (size_t n = 0; n <= b.len; n++) {
		struct wire_span value;
		bool failed = true;
		const uint8_t *src = b.data, *end = b.data + n;
		enum wire_status status = resp_reply_next(&value, &failed, &src, end, MAX);
		cr_assert_eq(status, n < first ? WIRE_MORE : WIRE_OK, "%zu bytes", n);
		if (status != WIRE_OK)
			continue;
		cr_assert_not(failed);
		cr_assert(wire_span_equal(value, wire_span("a\r\nb\0c", 6)));
		status = resp_reply_next(&value, &failed, &src, end, MAX);
		cr_assert_eq(status, n < b.len ? WIRE_MORE : WIRE_OK, "%zu bytes", n);
		if (status != WIRE_OK)
			continue;
		cr_assert(failed);
		assert_text(value, "-ERR no");
	}
	bytes_free(&b);
}

static void
assert_refused(const char *text, size_t max, bool is_command, enum wire_status expected)
{
	const uint8_t *start = (const uint8_t *)text, *src = start, *end = start + strlen(text);
	struct wire_span value;
	bool failed;
	enum wire_status status = is_command ? resp_command_next(&value, &src, end, max)
					     : resp_reply_next(&value, &failed, &src, end, max);

	cr_assert_eq(status, expected, "%s: %s", text, wire_status_text(status));
	cr_assert_eq(src, start, "%s: the cursor moved", text);
}

Test(resp, what_is_not_the_protocol_is_refused)
{
	static const char *const commands[] = { "GET x\r\n",
						"*0\r\n",
						"*x\r\n",
						"*\r\n",
						"*1\n$1\r\nx\r\n",
						"*1\r\n+x\r\n",
						"*1\r\n$1\r\nxyz",
						"\n",
						"*00000000000000000000000000000000000000" };
	static const char *const replies[] = { "+OK\r\n", "$-1\r\n", "$1\r\nxx\r\n", ":1\r\n",
					       "\r\n" };

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		assert_refused(commands[i], MAX, true, WIRE_BAD_FORM);
	for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
		assert_refused(replies[i], MAX, false, WIRE_BAD_FORM);
}

Test(resp, bounds_hold_before_the_bytes_have_come)
{
	assert_refused("*1\r\n$11\r\n", 10, true, WIRE_BAD_LONG);
	assert_refused("*17\r\n", MAX, true, WIRE_BAD_LONG);
	assert_refused("$11\r\n", 10, false, WIRE_BAD_LONG);
}
