/*
 * test_pfi_server.c - requests of prefork-interp clients: whole ones in any pieces, and everything
 * that may be wrong with one.
 *
 * The yardstick is what the original client sends, and what its library was seen to do with other
 * things; where this codec is meant to be stricter the row says so.
 */
#include <criterion/criterion.h>

#include "tests/pfi_record.h"
#include "wire/pfi_server.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Without the NUL that the compiler adds. */
#define PUT(stream, literal, fds) pfi_stream_put(stream, literal, sizeof(literal) - 1, fds)

/* Environment A=1 and B=, arguments exit and 7. */
#define SEEN_LENGTH  "\0\0\0\x0f"
#define SEEN_MESSAGE "A=1\0B=\0\0exit\0007\0"

static const size_t all_at_once[] = { PFI_STREAM_MAX };

static void
seen_call(struct pfi_stream *stream)
{
	pfi_stream_begin(stream);
	PUT(stream, SEEN_LENGTH SEEN_MESSAGE, 0);
}

static void
record_of(struct pfi_record *record, const struct pfi_stream *stream, const size_t *sizes,
	  size_t count)
{
	struct pfi_server server;

	pfi_server_init(&server, PFI_MESSAGE_MAX);
	pfi_record_make(record, &server, stream, sizes, count);
}

/* --- whole calls */

static void
assert_seen_call(const struct pfi_record *record)
{
	static const struct pfi_step want[] = {
		{ PFI_REQUEST_FD, 2, 1 },
		{ PFI_REQUEST_FD, 3, 2 },
		{ PFI_REQUEST_FD, 4, 3 },
		{ PFI_REQUEST_LENGTH, 8, 15 },
		{ PFI_REQUEST_WHOLE, 23, 2 << 16 | 2 },
	};

	cr_assert_eq(record->count, COUNT(want));
	for (size_t i = 0; i < COUNT(want); i++) {
		cr_assert_eq(record->steps[i].event, want[i].event, "step %zu", i);
		cr_assert_eq(record->steps[i].at, want[i].at, "step %zu", i);
		cr_assert_eq(record->steps[i].detail, want[i].detail, "step %zu", i);
	}
	cr_assert_eq(record->message_len, sizeof SEEN_MESSAGE - 1);
	cr_assert_arr_eq(record->message, SEEN_MESSAGE, record->message_len);
	cr_assert_eq(record->end, PFI_FINE);
}

Test(pfi_server, call_at_every_two_split_points)
{
	static struct pfi_record record;
	static struct pfi_stream stream;

	seen_call(&stream);
	cr_assert_eq(stream.len, 23);
	for (size_t first = 1; first <= stream.len; first++) {
		for (size_t second = 1; second <= stream.len; second++) {
			size_t sizes[] = { first, second, PFI_STREAM_MAX };
			record_of(&record, &stream, sizes, COUNT(sizes));
			assert_seen_call(&record);
		}
	}
}

Test(pfi_server, call_in_equal_pieces)
{
	static struct pfi_record record;
	static struct pfi_stream stream;

	seen_call(&stream);
	for (size_t size = 1; size <= stream.len; size++) {
		record_of(&record, &stream, &size, 1);
		assert_seen_call(&record);
	}
}

/* A service that is slow to read finds everything at once, but for the descriptors' own reads. */
Test(pfi_server, call_at_once)
{
	static struct pfi_record record;
	static struct pfi_stream stream;

	seen_call(&stream);
	record_of(&record, &stream, all_at_once, 1);
	assert_seen_call(&record);
}

/* What is to be read next never goes over the border of a thing. */
Test(pfi_server, reads_of_what_it_wants)
{
	static const size_t want[] = { 1, 1, 1, 1, 4, 15, 1 };
	static struct pfi_stream stream;
	struct pfi_server server;
	size_t at = 0, i = 0;

	seen_call(&stream);
	pfi_server_init(&server, PFI_MESSAGE_MAX);
	for (; at < stream.len; at += want[i++]) {
		struct pfi_input input = { .data = stream.bytes + at, .len = want[i] };
		struct wire_span body;
		enum pfi_server_event event;

		cr_assert_eq(pfi_server_want(&server), want[i]);
		cr_assert_eq(pfi_server_fd_at(&server, want[i]), 0);
		input.fds = stream.fds[at];
		event = pfi_server_next(&server, &input, &body);
		cr_assert_neq(event, PFI_REQUEST_BAD);
		cr_assert_eq(input.len, 0);
	}
	cr_assert_eq(server.state, PFI_SERVER_WHOLE);
	cr_assert_eq(pfi_server_want(&server), want[i]);
}

/* After part of a number or of a message it wants the rest. */
Test(pfi_server, wants_the_rest)
{
	static struct pfi_stream stream;

	seen_call(&stream);
	for (size_t len = 4; len < stream.len; len++) {
		static struct pfi_record record;
		struct pfi_server server;
		struct pfi_stream part = stream;

		pfi_server_init(&server, PFI_MESSAGE_MAX);
		part.len = len;
		memset(&record, 0, sizeof record);
		for (size_t at = 0; at < len; at++)
			cr_assert(
			    pfi_record_read(&record, &server, pfi_stream_read(&part, at, 1), at));
		cr_assert_eq(pfi_server_want(&server), len < 8 ? 8 - len : 23 - len);
	}
}

/* --- what is refused, and where */

struct part {
	const char *bytes;
	size_t len;
	uint8_t fds; /* with the first byte */
};

#define PART(literal, fd_count)                                                   \
	{                                                                         \
		.bytes = (literal), .len = sizeof(literal) - 1, .fds = (fd_count) \
	}
#define FD PART("\0", 1)

struct row {
	const char *name;
	struct part parts[8];
	enum pfi_fault fault;
	size_t at; /* the byte that breaks it */
};

#define SIGNAL PART("\0", 0)

static const struct row rows[] = {
	{ "signalling byte", { PART("\x01", 0) }, PFI_BAD_SIGNAL, 0 },
	{ "signalling byte 255", { PART("\xff", 0), FD }, PFI_BAD_SIGNAL, 0 },
	{ "signalling byte with a descriptor", { FD }, PFI_STRAY_FD, 0 },
	{ "no descriptor 0", { SIGNAL, SIGNAL }, PFI_NO_FD, 1 },
	{ "no descriptor 1", { SIGNAL, FD, SIGNAL }, PFI_NO_FD, 2 },
	{ "no descriptor 2", { SIGNAL, FD, FD, SIGNAL }, PFI_NO_FD, 3 },
	{ "three descriptors at once", { SIGNAL, PART("\0", 3) }, PFI_MANY_FDS, 1 },
	{ "byte of descriptor 0", { SIGNAL, PART("\x01", 1) }, PFI_BAD_FD_BYTE, 1 },
	{ "byte of descriptor 2", { SIGNAL, FD, FD, PART("f", 1) }, PFI_BAD_FD_BYTE, 3 },
	/* The original takes the first of them. */
	{ "20 descriptors with each", { SIGNAL, PART("\0", 20) }, PFI_MANY_FDS, 1 },
	{ "two descriptors with the last", { SIGNAL, FD, FD, PART("\0", 2) }, PFI_MANY_FDS, 3 },
	{ "a fourth descriptor", { SIGNAL, FD, FD, FD, FD }, PFI_STRAY_FD, 4 },
	{ "a descriptor within the length",
	  { SIGNAL, FD, FD, FD, PART("\0\0", 0), FD },
	  PFI_STRAY_FD,
	  6 },
	{ "a descriptor with the message",
	  { SIGNAL, FD, FD, FD, PART("\0\0\0\4", 0), PART("A=b\0", 1) },
	  PFI_STRAY_FD,
	  8 },
	{ "a descriptor within the message",
	  { SIGNAL, FD, FD, FD, PART("\0\0\0\4A=", 0), PART("b\0", 1) },
	  PFI_STRAY_FD,
	  10 },
	{ "length 0", { SIGNAL, FD, FD, FD, PART("\0\0\0\0", 0) }, PFI_EMPTY, 7 },
	{ "length 0xffffffff",
	  { SIGNAL, FD, FD, FD, PART("\xff\xff\xff\xff", 0) },
	  PFI_TOO_LONG,
	  7 },
	{ "message x", { SIGNAL, FD, FD, FD, PART("\0\0\0\1x", 0) }, PFI_NO_NUL, 8 },
	{ "no trailing NUL", { SIGNAL, FD, FD, FD, PART("\0\0\0\6A=b\0\0x", 0) }, PFI_NO_NUL, 13 },
	{ "noequals",
	  { SIGNAL, FD, FD, FD, PART("\0\0\0\x0bnoequals\0\0x", 0) },
	  PFI_NO_EQUALS,
	  16 },
	/* The original takes it for the end of the environment. */
	{ "environment string 0",
	  { SIGNAL, FD, FD, FD,
	    PART("\0\0\0\3"
		 "0\0\0",
		 0) },
	  PFI_NO_EQUALS,
	  9 },
	{ "a byte behind the message",
	  { SIGNAL, FD, FD, FD, PART("\0\0\0\1\0x", 0) },
	  PFI_EXTRA_BYTES,
	  9 },
	{ "a descriptor behind the message",
	  { SIGNAL, FD, FD, FD, PART("\0\0\0\1\0", 0), FD },
	  PFI_EXTRA_BYTES,
	  9 },
	/* What may be missing. */
	{ "message NUL", { SIGNAL, FD, FD, FD, PART("\0\0\0\1\0", 0) }, PFI_FINE, 9 },
	{ "no empty string", { SIGNAL, FD, FD, FD, PART("\0\0\0\4A=b\0", 0) }, PFI_FINE, 12 },
	{ "no name", { SIGNAL, FD, FD, FD, PART("\0\0\0\5=v\0\0\0", 0) }, PFI_FINE, 13 },
};

static void
stream_of(struct pfi_stream *stream, const struct row *row)
{
	memset(stream, 0, sizeof *stream);
	for (size_t i = 0; i < COUNT(row->parts) && row->parts[i].len > 0; i++)
		pfi_stream_put(stream, row->parts[i].bytes, row->parts[i].len, row->parts[i].fds);
}

static void
assert_row(const struct row *row, const struct pfi_record *record)
{
	const struct pfi_step *last = &record->steps[record->count - 1];

	cr_assert_gt(record->count, 0, "%s", row->name);
	cr_assert_eq(last->at, row->at, "%s: at %zu", row->name, last->at);
	cr_assert_eq(record->end, row->fault, "%s: %s", row->name, pfi_fault_text(record->end));
	if (row->fault == PFI_FINE) {
		cr_assert_eq(last->event, PFI_REQUEST_WHOLE, "%s", row->name);
		return;
	}
	cr_assert_eq(last->event, PFI_REQUEST_BAD, "%s", row->name);
	cr_assert_eq(last->detail, (uint32_t)row->fault, "%s", row->name);
}

Test(pfi_server, violations_in_any_pieces)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		static struct pfi_record record;
		static struct pfi_stream stream;

		stream_of(&stream, &rows[i]);
		record_of(&record, &stream, all_at_once, 1);
		assert_row(&rows[i], &record);
		for (size_t size = 1; size < stream.len; size++) {
			size_t cut_once[] = { size, PFI_STREAM_MAX };
			record_of(&record, &stream, &size, 1);
			assert_row(&rows[i], &record);
			record_of(&record, &stream, cut_once, 2);
			assert_row(&rows[i], &record);
		}
	}
}

Test(pfi_server, a_fault_is_for_ever)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		static struct pfi_record record;
		static struct pfi_stream stream;
		struct pfi_server server;
		struct wire_span body;

		if (rows[i].fault == PFI_FINE)
			continue;
		stream_of(&stream, &rows[i]);
		pfi_server_init(&server, PFI_MESSAGE_MAX);
		pfi_record_make(&record, &server, &stream, all_at_once, 1);
		seen_call(&stream);
		for (size_t at = 0; at < stream.len; at++) {
			struct pfi_input input = pfi_stream_read(&stream, at, 1);
			cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_BAD);
			cr_assert_eq(input.len, 1);
			cr_assert_eq(server.fault, rows[i].fault);
		}
		cr_assert_eq(pfi_server_want(&server), 0);
		cr_assert_eq(pfi_server_end(&server), rows[i].fault);
	}
}

Test(pfi_server, end_at_every_byte)
{
	static struct pfi_record record;
	static struct pfi_stream stream;

	seen_call(&stream);
	for (size_t len = 0; len < 23; len++) {
		stream.len = len;
		record_of(&record, &stream, all_at_once, 1);
		cr_assert_eq(record.end, PFI_EARLY_END, "after %zu bytes", len);
		cr_assert_not(record.whole);
	}
}

Test(pfi_server, descriptors_without_a_byte)
{
	struct pfi_server server;
	struct pfi_input none = { .len = 0, .fds = 0 }, some = { .len = 0, .fds = 1 };
	struct wire_span body;

	pfi_server_init(&server, PFI_MESSAGE_MAX);
	cr_assert_eq(pfi_server_next(&server, &none, &body), PFI_REQUEST_MORE);
	cr_assert_eq(pfi_server_next(&server, &some, &body), PFI_REQUEST_BAD);
	cr_assert_eq(server.fault, PFI_STRAY_FD);
}

/* A place behind the bytes of the read is no place. */
Test(pfi_server, descriptors_behind_the_read)
{
	static const uint8_t zero;
	struct pfi_server server;
	struct pfi_input input = { .data = &zero, .len = 1, .fd_at = 1, .fds = 1 };
	struct wire_span body;

	pfi_server_init(&server, PFI_MESSAGE_MAX);
	cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_BAD);
	cr_assert_eq(server.fault, PFI_STRAY_FD);
}

/* --- bounds */

/* What is said to a length, where `max` is allowed. */
static enum pfi_server_event
length_event(uint32_t length, uint32_t max, struct pfi_server *server)
{
	static struct pfi_stream stream;
	static struct pfi_record record;
	uint8_t word[PFI_LENGTH_SIZE];

	pfi_stream_begin(&stream);
	pfi_put_word(word, length);
	pfi_stream_put(&stream, word, sizeof word, 0);
	pfi_server_init(server, max);
	memset(&record, 0, sizeof record);
	for (size_t at = 0; at < stream.len; at++)
		if (!pfi_record_read(&record, server, pfi_stream_read(&stream, at, 1), at))
			break;
	return record.steps[record.count - 1].event;
}

Test(pfi_server, length_exact_and_one_over)
{
	static const uint32_t bounds[] = { 1, 2, 255, 256, 65536, PFI_MESSAGE_MAX, 0x7fffffff };
	struct pfi_server server;

	for (size_t i = 0; i < COUNT(bounds); i++) {
		cr_assert_eq(length_event(bounds[i], bounds[i], &server), PFI_REQUEST_LENGTH);
		cr_assert_eq(server.message_len, bounds[i]);
		cr_assert_eq(pfi_server_want(&server), bounds[i]);
		cr_assert_eq(length_event(bounds[i] + 1, bounds[i], &server), PFI_REQUEST_BAD);
		cr_assert_eq(server.fault, PFI_TOO_LONG);
		cr_assert_eq(server.message_len, bounds[i] + 1, "for the log line");
	}
	cr_assert_eq(length_event(UINT32_MAX, UINT32_MAX, &server), PFI_REQUEST_LENGTH);
	cr_assert_eq(length_event(0, 0, &server), PFI_REQUEST_BAD);
	cr_assert_eq(server.fault, PFI_EMPTY);
}

/* An environment of 1 MiB, and a message of just the bound, as they come from a socket. */
static void
assert_long_message(uint32_t len)
{
	enum {
		PIECE = 65521
	};

	static uint8_t piece[PIECE];
	struct pfi_server server;
	uint32_t fed = 0;

	cr_assert_eq(length_event(len, PFI_MESSAGE_MAX, &server), PFI_REQUEST_LENGTH);
	while (fed < len) {
		uint32_t n = len - fed < PIECE ? len - fed : PIECE;
		struct pfi_input input = { .data = piece, .len = n };
		struct wire_span body;

		memset(piece, 'v', n);
		if (fed == 0)
			memcpy(piece, "A=", 2);
		if (fed + n == len)
			piece[n - 1] = '\0';
		fed += n;
		cr_assert_eq(pfi_server_next(&server, &input, &body),
			     fed < len ? PFI_REQUEST_BODY : PFI_REQUEST_WHOLE);
		cr_assert_eq(body.len, n);
		cr_assert_eq(input.len, 0);
	}
	cr_assert_eq(server.scan.settings, 1);
}

Test(pfi_server, long_messages)
{
	assert_long_message(1024 * 1024);
	assert_long_message(PFI_MESSAGE_MAX);
}

Test(pfi_server, states_have_names)
{
	cr_assert_str_eq(pfi_server_state_text(PFI_SERVER_SIGNAL), "signal");
	cr_assert_str_eq(pfi_server_state_text(PFI_SERVER_FAILED), "failed");
	cr_assert_str_eq(pfi_server_state_text((enum pfi_server_state)(PFI_SERVER_FAILED + 1)),
			 "unknown state");
}
