/*
 * test_datagram.c - the examples of DATAGRAM.md there and back, and every header that is none.
 */
#include <criterion/criterion.h>

#include "tests/vectors.h"
#include "wire/datagram.h"

#define CLIENT  UINT64_C(0x0123456789abcdef)
#define SESSION UINT64_C(0x5e5510000000a1b2)

static const struct datagram_terms of_client = { DATAGRAM_OF_CLIENT, false, 1232 };
static const struct datagram_terms of_relay = { DATAGRAM_OF_RELAY, false, 1232 };

static const struct datagram_terms *
terms_of(const uint8_t *bytes)
{
	return (bytes[10] & DATAGRAM_RELAY) != 0 ? &of_relay : &of_client;
}

static enum datagram_fault
look(struct datagram *datagram, const struct vector *vector)
{
	return datagram_look(datagram, vector_span(vector), terms_of(vector->bytes));
}

/* --- there and back */

static const struct example {
	const char *name;
	struct datagram_header header;
} examples[] = {
	{ "hello", { .kind = DATAGRAM_HELLO, .number = UINT64_C(0x1122334455667788) } },
	{ "welcome",
	  { .kind = DATAGRAM_WELCOME,
	    .flags = DATAGRAM_RELAY,
	    .session = SESSION,
	    .about = UINT64_C(0x1122334455667788) } },
	{ "request",
	  { .kind = DATAGRAM_REQUEST,
	    .flags = DATAGRAM_DURABLE,
	    .session = SESSION,
	    .number = 1 } },
	{ "reply",
	  { .kind = DATAGRAM_REPLY,
	    .flags = DATAGRAM_RELAY | DATAGRAM_LAST,
	    .session = SESSION,
	    .number = 1,
	    .about = 1,
	    .seen = { 1, 0 } } },
	{ "reply-part-0",
	  { .kind = DATAGRAM_REPLY,
	    .flags = DATAGRAM_RELAY,
	    .session = SESSION,
	    .number = 2,
	    .about = 2,
	    .seen = { 2, 1 } } },
	{ "reply-part-2",
	  { .kind = DATAGRAM_REPLY,
	    .flags = DATAGRAM_RELAY | DATAGRAM_LAST,
	    .value = 2,
	    .session = SESSION,
	    .number = 4,
	    .about = 2,
	    .seen = { 2, 1 } } },
	{ "reply-con-lost",
	  { .kind = DATAGRAM_REPLY,
	    .flags = DATAGRAM_RELAY | DATAGRAM_LAST,
	    .code = DATAGRAM_CON_LOST,
	    .session = SESSION,
	    .number = 5,
	    .about = 3,
	    .seen = { 3, 3 } } },
	{ "reply-stored",
	  { .kind = DATAGRAM_REPLY,
	    .flags = DATAGRAM_RELAY | DATAGRAM_LAST | DATAGRAM_DURABLE,
	    .session = SESSION,
	    .number = 6,
	    .about = 6,
	    .seen = { 3, 3 } } },
	{ "confirm",
	  { .kind = DATAGRAM_CONFIRM, .session = SESSION, .number = 4, .seen = { 4, 7 } } },
	{ "confirmed",
	  { .kind = DATAGRAM_CONFIRMED,
	    .flags = DATAGRAM_RELAY,
	    .session = SESSION,
	    .number = 7,
	    .seen = { 4, 7 } } },
	{ "busy",
	  { .kind = DATAGRAM_BUSY,
	    .flags = DATAGRAM_RELAY,
	    .value = 250,
	    .session = SESSION,
	    .number = 8,
	    .about = 5,
	    .seen = { 4, 7 } } },
	{ "keep-alive",
	  { .kind = DATAGRAM_KEEP_ALIVE, .session = SESSION, .number = 6, .seen = { 7, 0x3f } } },
	{ "keep-alive-answer",
	  { .kind = DATAGRAM_KEEP_ALIVE,
	    .flags = DATAGRAM_RELAY,
	    .session = SESSION,
	    .number = 9,
	    .about = 6,
	    .seen = { 6, 0x1f } } },
	{ "notice-to-client",
	  { .kind = DATAGRAM_NOTICE,
	    .flags = DATAGRAM_RELAY | DATAGRAM_LAST,
	    .session = SESSION,
	    .number = 10,
	    .about = 10,
	    .seen = { 6, 0x1f } } },
	{ "notice-of-client",
	  { .kind = DATAGRAM_NOTICE,
	    .flags = DATAGRAM_LAST,
	    .session = SESSION,
	    .number = 7,
	    .seen = { 10, 0x1ff } } },
	{ "accepted",
	  { .kind = DATAGRAM_ACCEPTED,
	    .flags = DATAGRAM_RELAY,
	    .session = SESSION,
	    .number = 11,
	    .about = 7,
	    .seen = { 7, 0x3f } } },
	{ "bye", { .kind = DATAGRAM_BYE, .session = SESSION, .number = 8, .seen = { 11, 0x3ff } } },
	{ "error",
	  { .kind = DATAGRAM_ERROR,
	    .flags = DATAGRAM_RELAY,
	    .code = DATAGRAM_NEW_SESSION,
	    .session = SESSION,
	    .about = 8 } },
};

#define EXAMPLES (sizeof examples / sizeof examples[0])

/* Takes the body apart and writes what it found. */
static void
copy_body(struct wire_out *out, const struct datagram *datagram)
{
	union {
		struct datagram_hello hello;
		struct datagram_welcome welcome;
		struct datagram_request request;
		struct datagram_seen confirmed;
		struct datagram_part part;
	} body;

	switch (datagram->header.kind) {
	case DATAGRAM_HELLO:
		cr_assert_eq(datagram_hello_get(&body.hello, datagram), DATAGRAM_OK);
		datagram_hello_put(out, &body.hello);
		return;
	case DATAGRAM_WELCOME:
		cr_assert_eq(datagram_welcome_get(&body.welcome, datagram), DATAGRAM_OK);
		datagram_welcome_put(out, &body.welcome);
		return;
	case DATAGRAM_REQUEST:
		cr_assert_eq(datagram_request_get(&body.request, datagram), DATAGRAM_OK);
		datagram_request_put(out, &body.request);
		return;
	case DATAGRAM_CONFIRMED:
		cr_assert_eq(datagram_confirmed_get(&body.confirmed, datagram), DATAGRAM_OK);
		datagram_confirmed_put(out, &body.confirmed);
		return;
	case DATAGRAM_REPLY:
	case DATAGRAM_NOTICE:
		if (datagram->header.code != 0)
			return;
		cr_assert_eq(datagram_part_get(&body.part, datagram, 1000), DATAGRAM_OK);
		datagram_part_put(out, &body.part);
		return;
	default:
		cr_assert_eq(datagram->body.len, 0);
	}
}

static void
check_header(const struct datagram_header *got, const struct datagram_header *want)
{
	cr_assert_eq(got->client, CLIENT);
	cr_assert_eq(got->kind, want->kind);
	cr_assert_eq(got->flags, want->flags);
	cr_assert_eq(got->code, want->code);
	cr_assert_eq(got->value, want->value);
	cr_assert_eq(got->session, want->session);
	cr_assert_eq(got->number, want->number);
	cr_assert_eq(got->about, want->about);
	cr_assert_eq(got->seen.top, want->seen.top);
	cr_assert_eq(got->seen.bits, want->seen.bits);
}

Test(datagram, examples_are_read_and_written)
{
	for (size_t i = 0; i < EXAMPLES; i++) {
		struct vector vector = vector_read(examples[i].name);
		struct datagram_header header = examples[i].header;
		struct datagram datagram;
		uint8_t bytes[VECTOR_MAX];
		struct wire_out out = wire_out(bytes, sizeof bytes);

		cr_assert_eq(look(&datagram, &vector), DATAGRAM_OK, "%s", examples[i].name);
		check_header(&datagram.header, &header);
		cr_assert_eq(datagram.body_at, DATAGRAM_HEADER_SIZE);
		cr_assert_eq(datagram.body.len, vector.len - DATAGRAM_HEADER_SIZE);
		header.client = CLIENT;
		datagram_begin(&out, &header);
		copy_body(&out, &datagram);
		datagram_end(&out, &header);
		cr_assert(wire_span_equal(wire_span(bytes, out.len), vector_span(&vector)), "%s",
			  examples[i].name);
	}
}

/* Every kind is among the examples: none is left untested. */
Test(datagram, examples_are_of_every_kind)
{
	for (uint8_t kind = 1; kind <= DATAGRAM_KIND_MAX; kind++) {
		size_t of_it = 0;

		for (size_t i = 0; i < EXAMPLES; i++)
			of_it += examples[i].header.kind == kind;
		cr_assert_gt(of_it, 0, "%s", datagram_kind_name(kind));
	}
}

/* --- headers that are none */

Test(datagram, cut_at_every_length)
{
	for (size_t i = 0; i < EXAMPLES; i++) {
		struct vector vector = vector_read(examples[i].name);
		size_t whole = vector.len;
		bool is_open = vector.bytes[9] == DATAGRAM_REQUEST ||
			       vector.bytes[9] == DATAGRAM_REPLY ||
			       vector.bytes[9] == DATAGRAM_NOTICE;

		for (vector.len = 0; vector.len < whole; vector.len++) {
			struct datagram datagram = { .body_at = 99 };
			enum datagram_fault fault = look(&datagram, &vector);

			if (is_open && vector.len > DATAGRAM_HEADER_SIZE + DATAGRAM_PART_PREFIX) {
				cr_assert_eq(fault, DATAGRAM_OK);
				continue;
			}
			cr_assert(fault == DATAGRAM_BAD_SHORT || is_open, "%s, %zu bytes: %s",
				  examples[i].name, vector.len, datagram_fault_text(fault));
			cr_assert(vector.len >= DATAGRAM_HEADER_SIZE || datagram.body_at == 99);
		}
	}
}

Test(datagram, one_byte_more_is_refused_where_the_length_is_fixed)
{
	for (size_t i = 0; i < EXAMPLES; i++) {
		struct vector vector = vector_read(examples[i].name);
		uint8_t kind = vector.bytes[9], code = vector.bytes[11];
		bool is_open = kind == DATAGRAM_REQUEST || kind == DATAGRAM_NOTICE ||
			       (kind == DATAGRAM_REPLY && code == 0);
		struct datagram datagram;

		vector.len++;
		cr_assert_eq(look(&datagram, &vector), is_open ? DATAGRAM_OK : DATAGRAM_BAD_LONG,
			     "%s", examples[i].name);
	}
}

Test(datagram, length_is_bounded)
{
	static uint8_t bytes[2000];
	struct vector vector = vector_read("request");
	struct datagram datagram;

	memset(bytes, 'x', sizeof bytes);
	memcpy(bytes, vector.bytes, vector.len);
	cr_assert_eq(datagram_look(&datagram, wire_span(bytes, 1232), &of_client), DATAGRAM_OK);
	cr_assert_eq(datagram_look(&datagram, wire_span(bytes, 1233), &of_client),
		     DATAGRAM_BAD_LONG);
}

Test(datagram, every_other_version_is_refused)
{
	struct vector vector = vector_read("keep-alive");
	struct datagram datagram;

	for (unsigned version = 0; version < 256; version++) {
		vector.bytes[8] = (uint8_t)version;
		cr_assert_eq(look(&datagram, &vector),
			     version == DATAGRAM_VERSION ? DATAGRAM_OK : DATAGRAM_BAD_SPEECH);
	}
}

Test(datagram, every_unknown_kind_is_refused)
{
	struct vector vector = vector_read("keep-alive");
	struct datagram datagram;

	for (unsigned kind = 0; kind < 256; kind++) {
		bool is_known = kind >= 1 && kind <= DATAGRAM_KIND_MAX;

		vector.bytes[9] = (uint8_t)kind;
		cr_assert_eq(look(&datagram, &vector) == DATAGRAM_BAD_KIND, !is_known, "%u", kind);
		cr_assert_eq(strcmp(datagram_kind_name((uint8_t)kind), "unknown") != 0, is_known);
	}
}

/* All flags with all kinds, against the table of kinds read once more. */
Test(datagram, every_other_flag_is_refused)
{
	static const struct {
		uint8_t by, flags;
	} table[] = {

#define X(symbol, number, name, may, more) [number] = { (may), (more) },
		DATAGRAM_KINDS(X)
#undef X
	};

	for (size_t i = 0; i < EXAMPLES; i++) {
		struct vector vector = vector_read(examples[i].name);
		uint8_t kind = vector.bytes[9];

		for (unsigned flags = 0; flags < 256; flags++) {
			bool by_relay = (flags & DATAGRAM_RELAY) != 0;
			bool may = (table[kind].by &
				    (by_relay ? DATAGRAM_BY_RELAY : DATAGRAM_BY_CLIENT)) != 0;
			uint8_t known = table[kind].flags | DATAGRAM_RELAY;
			struct datagram datagram;
			enum datagram_fault fault;

			vector.bytes[10] = (uint8_t)flags;
			fault = look(&datagram, &vector);
			if (!may)
				cr_assert_eq(fault, DATAGRAM_BAD_SIDE);
			else if ((flags & DATAGRAM_SEALED) != 0)
				cr_assert_eq(fault, DATAGRAM_NOT_SEALED);
			else if ((flags & ~known) != 0)
				cr_assert_eq(fault, DATAGRAM_BAD_FLAGS, "%s, flags %02x",
					     examples[i].name, flags);
			else
				cr_assert(fault != DATAGRAM_NOT_SEALED &&
					  fault != DATAGRAM_BAD_SIDE);
		}
	}
}

Test(datagram, what_the_relay_sent_is_refused_by_it_and_the_other_way_round)
{
	for (size_t i = 0; i < EXAMPLES; i++) {
		struct vector vector = vector_read(examples[i].name);
		bool by_relay = (vector.bytes[10] & DATAGRAM_RELAY) != 0;
		struct datagram datagram;

		cr_assert_eq(datagram_look(&datagram, vector_span(&vector),
					   by_relay ? &of_client : &of_relay),
			     DATAGRAM_BAD_SIDE, "%s", examples[i].name);
	}
}

Test(datagram, client_is_not_zero)
{
	struct vector vector = vector_read("hello");
	struct datagram datagram;
	uint64_t client;

	cr_assert(datagram_client(&client, vector_span(&vector)));
	cr_assert_eq(client, CLIENT);
	cr_assert(!datagram_client(&client, wire_span(vector.bytes, 7)));
	memset(vector.bytes, 0, 8);
	cr_assert_eq(look(&datagram, &vector), DATAGRAM_BAD_CLIENT);
}

static enum datagram_fault
with_field(const char *name, size_t at, uint8_t byte)
{
	struct vector vector = vector_read(name);
	struct datagram datagram;

	vector.bytes[at] = byte;
	return look(&datagram, &vector);
}

static enum datagram_fault
without_field(const char *name, size_t at)
{
	struct vector vector = vector_read(name);
	struct datagram datagram;

	memset(vector.bytes + at, 0, 8);
	return look(&datagram, &vector);
}

/* Of session, number, about: what is 0 may not be set, what is set may not be 0. */
Test(datagram, fields_that_a_kind_does_not_have_are_refused)
{
	static const size_t places[] = { 16, 24, 32 };

	for (size_t i = 0; i < EXAMPLES; i++) {
		const char *name = examples[i].name;
		const uint64_t is_set[] = { examples[i].header.session, examples[i].header.number,
					    examples[i].header.about };
		uint8_t kind = examples[i].header.kind;

		for (size_t j = 0; j < 3; j++) {
			bool is_any =
			    kind == DATAGRAM_ERROR || (kind == DATAGRAM_BUSY && places[j] != 32);
			enum datagram_fault fault = is_set[j] != 0 ? without_field(name, places[j])
								   : with_field(name, places[j], 1);

			cr_assert_eq(fault, is_any ? DATAGRAM_OK : DATAGRAM_BAD_FIELD,
				     "%s, field at %zu", name, places[j]);
		}
	}
}

Test(datagram, value_is_of_parts_and_busy_alone)
{
	for (size_t i = 0; i < EXAMPLES; i++) {
		const struct datagram_header *header = &examples[i].header;
		bool by_relay = (header->flags & DATAGRAM_RELAY) != 0;
		bool may = header->kind == DATAGRAM_BUSY ||
			   (header->kind == DATAGRAM_REPLY && header->code == 0) ||
			   (header->kind == DATAGRAM_NOTICE && by_relay);

		cr_assert_eq(with_field(examples[i].name, 15, 1),
			     may ? DATAGRAM_OK : DATAGRAM_BAD_FIELD, "%s", examples[i].name);
	}
}

Test(datagram, code_is_of_errors_and_whole_replies_alone)
{
	for (unsigned code = 0; code < 256; code++) {
		bool is_known = code <= DATAGRAM_CODE_MAX;

		cr_assert_eq(with_field("error", 11, (uint8_t)code),
			     is_known && code != 0 ? DATAGRAM_OK : DATAGRAM_BAD_FIELD);
		cr_assert_eq(with_field("accepted", 11, (uint8_t)code),
			     code == 0 ? DATAGRAM_OK : DATAGRAM_BAD_FIELD);
		cr_assert_eq(with_field("reply-part-0", 11, (uint8_t)code),
			     code == 0 ? DATAGRAM_OK : DATAGRAM_BAD_FIELD);
		cr_assert_eq(with_field("reply-stored", 11, (uint8_t)code),
			     code == 0 ? DATAGRAM_OK : DATAGRAM_BAD_FIELD);
		cr_assert_eq(strcmp(datagram_code_name((uint8_t)code), "unknown") != 0, is_known);
	}
	cr_assert_eq(with_field("reply-con-lost", 11, 0), DATAGRAM_BAD_SHORT);
}

Test(datagram, notice_of_a_client_is_one_part)
{
	cr_assert_eq(with_field("notice-of-client", 10, 0), DATAGRAM_BAD_FLAGS);
	cr_assert_eq(with_field("notice-to-client", 10, DATAGRAM_RELAY), DATAGRAM_OK);
}

Test(datagram, seen_speaks_of_no_number_below_one)
{
	struct datagram_seen seen = { .top = 0, .bits = 0 };

	cr_assert(datagram_seen_valid(&seen));
	seen.bits = 1;
	cr_assert(!datagram_seen_valid(&seen));
	for (seen.top = 1; seen.top <= 64; seen.top++) {
		seen.bits = (UINT64_C(1) << (seen.top - 1)) - 1;
		cr_assert(datagram_seen_valid(&seen));
		seen.bits = UINT64_C(1) << (seen.top - 1);
		cr_assert(!datagram_seen_valid(&seen), "%zu", (size_t)seen.top);
	}
	seen = (struct datagram_seen){ .top = 65, .bits = UINT64_MAX };
	cr_assert(datagram_seen_valid(&seen));
	cr_assert_eq(with_field("keep-alive", 55, 0xff), DATAGRAM_BAD_FIELD);
	cr_assert_eq(without_field("confirm", 40), DATAGRAM_BAD_FIELD);
}

Test(datagram, seen_has_top_and_set_bits)
{
	struct datagram_seen seen = { .top = 100, .bits = UINT64_C(1) << 63 | 1 };

	for (uint64_t number = 0; number < 200; number++)
		cr_assert_eq(datagram_seen_has(&seen, number),
			     number == 100 || number == 99 || number == 36, "%zu", (size_t)number);
	seen = (struct datagram_seen){ .top = UINT64_MAX, .bits = 0 };
	cr_assert(datagram_seen_has(&seen, UINT64_MAX));
	cr_assert(!datagram_seen_has(&seen, 0));
	seen.top = 0;
	cr_assert(!datagram_seen_has(&seen, 0));
}

Test(datagram, nothing_is_written_beyond_the_room)
{
	for (size_t i = 0; i < EXAMPLES; i++) {
		struct vector vector = vector_read(examples[i].name);
		struct datagram datagram;

		cr_assert_eq(look(&datagram, &vector), DATAGRAM_OK);
		for (size_t cap = 0; cap <= vector.len; cap++) {
			uint8_t bytes[VECTOR_MAX + 1];
			struct wire_out out = wire_out(bytes, cap);

			bytes[cap] = 0xa5;
			datagram_begin(&out, &datagram.header);
			copy_body(&out, &datagram);
			datagram_end(&out, &datagram.header);
			cr_assert_eq(out.overflow, cap < vector.len);
			cr_assert_eq(bytes[cap], 0xa5);
		}
	}
}

/* --- answers to who has not proven himself */

Test(datagram, no_answer_is_longer_than_what_came)
{
	static const char *const asked[] = { "hello",      "request",          "confirm",
					     "keep-alive", "notice-of-client", "bye" };
	size_t error = vector_read("error").len, busy = vector_read("busy").len;

	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		size_t came = vector_read(asked[i]).len;

		cr_assert(datagram_may_answer(error, came));
		cr_assert(datagram_may_answer(busy, came));
	}
	cr_assert(datagram_may_answer(vector_read("welcome").len, vector_read("hello").len));
	cr_assert(!datagram_may_answer(vector_read("welcome").len, vector_read("bye").len));
	cr_assert_eq(error, DATAGRAM_HEADER_SIZE);
}

Test(datagram, every_fault_has_words_and_a_code)
{
#define X(fault, words)                                      \
	cr_assert_str_eq(datagram_fault_text(fault), words); \
	cr_assert_eq(datagram_fault_code(fault) == DATAGRAM_FINE, fault == DATAGRAM_OK);
	DATAGRAM_FAULTS(X)
#undef X
	cr_assert_eq(datagram_fault_code(DATAGRAM_BAD_SPEECH), DATAGRAM_BAD_VERSION);
	cr_assert_str_eq(datagram_fault_text((enum datagram_fault)99), "unknown fault");
}
