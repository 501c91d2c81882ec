/*
 * test_datagram_body.c - what the bodies of the examples say, and bodies that are none.
 */
#include <criterion/criterion.h>

#include "tests/vectors.h"
#include "wire/datagram.h"

#define CLIENT UINT64_C(0x0123456789abcdef)

static const struct datagram_terms of_client = { DATAGRAM_OF_CLIENT, false, 1232 };
static const struct datagram_terms of_relay = { DATAGRAM_OF_RELAY, false, 1232 };

static enum datagram_fault
look(struct datagram *datagram, const struct vector *vector)
{
	bool by_relay = (vector->bytes[10] & DATAGRAM_RELAY) != 0;

	return datagram_look(datagram, vector_span(vector), by_relay ? &of_relay : &of_client);
}

Test(datagram_body, bodies_say_what_the_examples_say)
{
	struct vector hello = vector_read("hello"), welcome = vector_read("welcome");
	struct vector request = vector_read("request"), confirmed = vector_read("confirmed");
	struct datagram datagram;
	struct datagram_hello hi;
	struct datagram_welcome terms;
	struct datagram_request asked;
	struct datagram_seen seen;

	cr_assert_eq(look(&datagram, &hello), DATAGRAM_OK);
	cr_assert_eq(datagram_hello_get(&hi, &datagram), DATAGRAM_OK);
	cr_assert_eq(hi.receive_max, 1232);
	cr_assert_eq(look(&datagram, &welcome), DATAGRAM_OK);
	cr_assert_eq(datagram_welcome_get(&terms, &datagram), DATAGRAM_OK);
	cr_assert_eq(terms.size_max, 1232);
	cr_assert_eq(terms.reply_max, 1 << 20);
	cr_assert_eq(terms.keep_alive_ms, 120000);
	cr_assert_eq(terms.open_max, 64);
	cr_assert_eq(terms.span_max, 1024);
	cr_assert_eq(look(&datagram, &request), DATAGRAM_OK);
	cr_assert_eq(datagram_request_get(&asked, &datagram), DATAGRAM_OK);
	cr_assert(wire_span_equal(asked.host, wire_span_str("msul1")));
	cr_assert(wire_span_equal(asked.line, wire_span_str("ping")));
	cr_assert_eq(look(&datagram, &confirmed), DATAGRAM_OK);
	cr_assert_eq(datagram_confirmed_get(&seen, &datagram), DATAGRAM_OK);
	cr_assert_eq(seen.top, 4);
	cr_assert_eq(seen.bits, 7);
}

Test(datagram_body, reply_out_of_the_store_says_what_it_answered)
{
	struct vector vector = vector_read("reply-stored");
	struct datagram datagram;
	struct datagram_part part;
	struct datagram_stored stored;
	uint8_t bytes[64];
	struct wire_out out = wire_out(bytes, sizeof bytes);

	cr_assert_eq(look(&datagram, &vector), DATAGRAM_OK);
	cr_assert_eq(datagram_part_get(&part, &datagram, 1000), DATAGRAM_OK);
	cr_assert_eq(datagram_stored_get(&stored, part.bytes), DATAGRAM_OK);
	cr_assert_eq(stored.session, 0x77);
	cr_assert_eq(stored.number, 9);
	cr_assert(wire_span_equal(stored.line, wire_span_str("late")));
	datagram_stored_put(&out, &stored);
	cr_assert(wire_span_equal(wire_span(bytes, out.len), part.bytes));
	part.bytes.len = DATAGRAM_STORED_PREFIX - 1;
	cr_assert_eq(datagram_stored_get(&stored, part.bytes), DATAGRAM_BAD_SHORT);
	memset(bytes, 0, sizeof bytes);
	cr_assert_eq(datagram_stored_get(&stored, wire_span(bytes, 20)), DATAGRAM_BAD_BODY);
}

/* --- bodies that are none */

static struct datagram
looked(const struct vector *vector)
{
	struct datagram datagram;

	cr_assert_eq(look(&datagram, vector), DATAGRAM_OK);
	return datagram;
}

Test(datagram_body, reserved_bytes_are_zero)
{
	for (size_t at = 4; at < DATAGRAM_HELLO_BODY; at++) {
		struct vector hello = vector_read("hello"), welcome = vector_read("welcome");
		struct datagram_hello hi;
		struct datagram_welcome terms;
		struct datagram datagram;

		hello.bytes[DATAGRAM_HEADER_SIZE + at] ^= 0x80;
		datagram = looked(&hello);
		cr_assert_eq(datagram_hello_get(&hi, &datagram), DATAGRAM_BAD_BODY);
		if (at < 20)
			continue;
		welcome.bytes[DATAGRAM_HEADER_SIZE + at] ^= 0x80;
		datagram = looked(&welcome);
		cr_assert_eq(datagram_welcome_get(&terms, &datagram), DATAGRAM_BAD_BODY);
	}
}

static enum datagram_fault
hello_of(uint32_t receive_max)
{
	struct vector vector = vector_read("hello");
	struct datagram datagram = looked(&vector);
	struct datagram_hello hello;

	datagram_put_u32(vector.bytes + DATAGRAM_HEADER_SIZE, receive_max);
	return datagram_hello_get(&hello, &datagram);
}

static enum datagram_fault
welcome_of(size_t field, uint32_t value)
{
	struct vector vector = vector_read("welcome");
	struct datagram datagram = looked(&vector);
	struct datagram_welcome welcome;

	datagram_put_u32(vector.bytes + DATAGRAM_HEADER_SIZE + 4 * field, value);
	return datagram_welcome_get(&welcome, &datagram);
}

Test(datagram_body, sizes_of_hello_and_welcome_are_bounded)
{
	cr_assert_eq(hello_of(DATAGRAM_SIZE_MIN), DATAGRAM_OK);
	cr_assert_eq(hello_of(DATAGRAM_SIZE_MIN - 1), DATAGRAM_BAD_BODY);
	cr_assert_eq(hello_of(DATAGRAM_SIZE_MAX), DATAGRAM_OK);
	cr_assert_eq(hello_of(DATAGRAM_SIZE_MAX + 1), DATAGRAM_BAD_BODY);
	cr_assert_eq(welcome_of(0, DATAGRAM_SIZE_MIN - 1), DATAGRAM_BAD_BODY);
	cr_assert_eq(welcome_of(0, DATAGRAM_SIZE_MAX), DATAGRAM_OK);
	cr_assert_eq(welcome_of(1, 0), DATAGRAM_BAD_BODY);
	cr_assert_eq(welcome_of(1, DATAGRAM_JOINED_MAX), DATAGRAM_OK);
	cr_assert_eq(welcome_of(1, DATAGRAM_JOINED_MAX + 1), DATAGRAM_BAD_BODY);
	cr_assert_eq(welcome_of(2, 0), DATAGRAM_BAD_BODY);
	cr_assert_eq(welcome_of(3, 0), DATAGRAM_BAD_BODY);
	cr_assert_eq(welcome_of(4, 63), DATAGRAM_BAD_BODY);
	cr_assert_eq(welcome_of(4, 64), DATAGRAM_OK);
	cr_assert_eq(welcome_of(4, DATAGRAM_SPAN_MAX + 1), DATAGRAM_BAD_BODY);
}

static enum datagram_fault
request_of(const char *body, size_t len, struct datagram_request *request)
{
	struct vector vector = vector_read("request");
	struct datagram datagram;
	static uint8_t bytes[VECTOR_MAX];

	memcpy(bytes, vector.bytes, DATAGRAM_HEADER_SIZE);
	memcpy(bytes + DATAGRAM_HEADER_SIZE, body, len);
	cr_assert_eq(
	    datagram_look(&datagram, wire_span(bytes, DATAGRAM_HEADER_SIZE + len), &of_client),
	    DATAGRAM_OK);
	return datagram_request_get(request, &datagram);
}

Test(datagram_body, request_is_a_host_and_one_line)
{
	struct datagram_request request;

	cr_assert_eq(request_of("\1hline", 6, &request), DATAGRAM_OK);
	cr_assert(wire_span_equal(request.host, wire_span_str("h")));
	cr_assert(wire_span_equal(request.line, wire_span_str("line")));
	cr_assert_eq(request_of("\1h", 2, &request), DATAGRAM_OK);
	cr_assert_eq(request.line.len, 0);
	cr_assert_eq(request_of("\1h\0\r\xff", 5, &request), DATAGRAM_OK);
	cr_assert_eq(request.line.len, 3);
	cr_assert_eq(request_of("\0hline", 6, &request), DATAGRAM_BAD_BODY);
	cr_assert_eq(request_of("\6hline", 6, &request), DATAGRAM_BAD_BODY);
	cr_assert_eq(request_of("\1hline\n", 7, &request), DATAGRAM_BAD_BODY);
	cr_assert_eq(request_of("\1hli\nne", 7, &request), DATAGRAM_BAD_BODY);
}

Test(datagram_body, longest_line_fills_the_datagram)
{
	static uint8_t bytes[1300], line[1300];
	struct datagram_header header = {
		.client = CLIENT, .kind = DATAGRAM_REQUEST, .session = 1, .number = 1
	};
	struct datagram_request request = { .host = wire_span_str("msul1") };
	struct wire_out out;

	for (int sealed = 0; sealed < 2; sealed++) {
		header.flags = sealed ? DATAGRAM_SEALED : 0;
		out = wire_out(bytes, sizeof bytes);
		request.line = wire_span(line, datagram_line_max(1232, 5, sealed));
		datagram_begin(&out, &header);
		datagram_request_put(&out, &request);
		datagram_end(&out, &header);
		cr_assert_eq(out.len, 1232);
	}
	cr_assert_eq(datagram_line_max(60, 5, true), 0);
}
