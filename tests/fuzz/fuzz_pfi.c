/*
 * fuzz_pfi.c - the prefork-interp protocol: any bytes with any descriptors, cut into any reads, are
 * judged as if they came byte by byte, and what the client side makes the server side takes.
 *
 * Input: a byte that says which of these, a second one with flags, a third with the number of cuts,
 * the cuts, and what is left.  In a request stream 0xfe stands before a number of descriptors and
 * the byte that they come with.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tests/pfi_record.h"
#include "wire/pfi_client.h"
#include "wire/pfi_path.h"
#include "wire/pfi_signal.h"
#include "wire/pfi_value.h"

#define CUTS_MAX    16
#define STRINGS_MAX 64
#define WITH_FDS    0xfe

static void
must(bool holds)
{
	if (!holds)
		abort();
}

struct cuts {
	size_t sizes[CUTS_MAX];
	size_t count;
};

static const size_t byte_by_byte[] = { 1 };

/* --- requests */

static void
stream_of(struct pfi_stream *stream, struct wire_span bytes)
{
	memset(stream, 0, sizeof *stream);
	for (size_t i = 0; i < bytes.len && stream->len < PFI_STREAM_MAX; i++) {
		uint8_t fds = 0;

		if (bytes.data[i] == WITH_FDS && bytes.len - i > 2) {
			fds = bytes.data[i + 1];
			i += 2;
		}
		pfi_stream_put(stream, bytes.data + i, 1, fds);
	}
}

/* A message that was accepted piece by piece is one as a whole, and all of it is strings. */
static void
check_message(const struct pfi_record *record)
{
	struct wire_span bytes = wire_span(record->message, record->message_len);
	struct wire_span string, name, value;
	struct pfi_message message;
	size_t len = 0;

	must(pfi_message_open(&message, bytes) == PFI_FINE);
	for (; pfi_string_next(&string, &message.settings_bytes); message.settings--) {
		must(pfi_setting_split(string, &name, &value));
		must(name.len + 1 + value.len == string.len);
		len += string.len + 1;
	}
	for (; pfi_string_next(&string, &message.argument_bytes); message.arguments--)
		len += string.len + 1;
	must(message.settings == 0 && message.arguments == 0);
	must(message.settings_bytes.len == 0 && message.argument_bytes.len == 0);
	/* All but the empty string between them, which may be missing. */
	must(len == bytes.len || len + 1 == bytes.len);
}

/* What no request may lack, whatever was in it. */
static void
check_whole(const struct pfi_record *record)
{
	must(record->count >= PFI_FDS + 2);
	for (size_t i = 0; i < PFI_FDS; i++)
		must(record->steps[i].event == PFI_REQUEST_FD && record->steps[i].at == i + 2);
	must(record->steps[PFI_FDS].event == PFI_REQUEST_LENGTH);
	must(record->steps[PFI_FDS].detail == record->message_len);
	must(record->steps[PFI_FDS + 1].event == PFI_REQUEST_WHOLE);
	must(record->steps[PFI_FDS + 1].at == 8 + record->message_len);
	check_message(record);
}

static void
check_request(struct wire_span bytes, uint8_t flags, const struct cuts *cuts)
{
	static struct pfi_record single, cut;
	static struct pfi_stream stream;
	struct pfi_server server;
	uint32_t message_max = flags & 2 ? 16 : PFI_MESSAGE_MAX;

	stream_of(&stream, bytes);
	for (int i = 0; i < 2; i++) {
		pfi_server_init(&server, message_max);
		if (flags & 1)
			pfi_server_allow_signals(&server);
		pfi_record_make(i == 0 ? &single : &cut, &server, &stream,
				i == 0 ? byte_by_byte : cuts->sizes, i == 0 ? 1 : cuts->count);
	}
	must(pfi_record_equal(&single, &cut));
	if (!single.whole)
		return;
	must(single.message_len <= message_max);
	check_whole(&single);
}

/* --- answers */

struct heard {
	size_t greeted_at, status_at, bad_at;
	uint32_t status;
	bool extended;
	enum pfi_fault end;
};

static struct heard
hear(struct wire_span all, bool may_extend, const size_t *sizes, size_t count)
{
	struct heard heard = { .greeted_at = 0 };
	struct pfi_client client;
	enum pfi_client_event event = PFI_ANSWER_MORE;

	pfi_client_init(&client);
	if (may_extend)
		pfi_client_allow_extended(&client);
	for (size_t i = 0, at = 0; at < all.len && event != PFI_ANSWER_BAD; i++) {
		size_t n = all.len - at < sizes[i % count] ? all.len - at : sizes[i % count];
		struct wire_span bytes = wire_span(all.data + at, n);

		do {
			event = pfi_client_next(&client, &bytes);
			if (event == PFI_ANSWER_GREETED)
				heard.greeted_at = at + n - bytes.len;
			if (event == PFI_ANSWER_STATUS)
				heard.status_at = at + n - bytes.len;
			if (event == PFI_ANSWER_BAD)
				heard.bad_at = at + n - bytes.len;
		} while (event != PFI_ANSWER_MORE && event != PFI_ANSWER_BAD);
		must(event == PFI_ANSWER_BAD || bytes.len == 0);
		at += n;
	}
	heard.extended = client.extended;
	heard.end = pfi_client_end(&client);
	heard.status = client.status;
	return heard;
}

static void
check_answer(struct wire_span bytes, uint8_t flags, const struct cuts *cuts)
{
	struct heard a = hear(bytes, flags & 1, byte_by_byte, 1);
	struct heard b = hear(bytes, flags & 1, cuts->sizes, cuts->count);

	must(a.greeted_at == b.greeted_at && a.status_at == b.status_at && a.bad_at == b.bad_at);
	must(a.status == b.status && a.extended == b.extended && a.end == b.end);
	must(!a.extended || (flags & 1));
	must(a.greeted_at == 0 ||
	     a.greeted_at == (size_t)(a.extended ? PFI_EXTENDED_GREETING_SIZE : PFI_GREETING_SIZE));
	must(a.status_at == 0 || a.status_at == a.greeted_at + PFI_STATUS_SIZE);
	if (a.status_at > 0) {
		struct pfi_outcome outcome = pfi_outcome(a.status);
		must(outcome.exit_code >= 0 && outcome.exit_code <= 255);
		must(outcome.signal >= 0 && outcome.signal < 0x7f);
	}
}

/* --- what the client side makes */

/* The C strings in `text`, which ends in NUL, up to an empty one: how much of it that was. */
static size_t
strings_of(char **strings, char *text, size_t len)
{
	size_t count = 0, at = 0;

	while (at < len && text[at] != '\0' && count < STRINGS_MAX) {
		strings[count++] = text + at;
		at += strlen(text + at) + 1;
	}
	strings[count] = NULL;
	return at < len ? at + 1 : len;
}

/* The strings come back in order, without those of an environment that are none. */
static void
check_strings(struct wire_span bytes, char *const *strings, bool settings)
{
	struct wire_span string;

	for (; *strings != NULL; strings++) {
		if (settings && strchr(*strings, '=') == NULL)
			continue;
		must(pfi_string_next(&string, &bytes));
		must(wire_span_equal(string, wire_span_str(*strings)));
	}
	must(!pfi_string_next(&string, &bytes));
}

static void
check_made(struct wire_span bytes, const struct cuts *cuts)
{
	static struct pfi_record record;
	static struct pfi_stream stream;
	static char text[PFI_STREAM_MAX / 2];
	static uint8_t room[PFI_STREAM_MAX - 4];
	char *environment[STRINGS_MAX + 1], *arguments[STRINGS_MAX + 1];
	struct wire_out out = wire_out(room, sizeof room);
	size_t len = bytes.len < sizeof text - 1 ? bytes.len : sizeof text - 1;
	struct pfi_message message;
	struct pfi_server server;

	memset(text, 0, sizeof text);
	memcpy(text, bytes.data, len);
	size_t used = strings_of(environment, text, len);
	(void)strings_of(arguments, text + used, len - used);
	must(pfi_put_message(&out, environment, arguments, PFI_MESSAGE_MAX) == PFI_FINE);
	must(!out.overflow);
	must(out.len == PFI_LENGTH_SIZE + pfi_message_size(environment, arguments));

	pfi_stream_begin(&stream);
	pfi_stream_put(&stream, room, out.len, 0);
	pfi_server_init(&server, PFI_MESSAGE_MAX);
	pfi_record_make(&record, &server, &stream, cuts->sizes, cuts->count);
	must(record.whole && record.end == PFI_FINE);
	check_whole(&record);
	must(pfi_message_open(&message, wire_span(record.message, record.message_len)) == PFI_FINE);
	check_strings(message.settings_bytes, environment, true);
	check_strings(message.argument_bytes, arguments, false);
}

/* --- the value of a start, and names */

static void
check_value(struct wire_span bytes)
{
	uint8_t room[PFI_VALUE_SIZE_MAX];
	struct wire_out out = wire_out(room, sizeof room);
	struct pfi_value value, again;

	if (pfi_value_parse(&value, bytes) != PFI_VALUE_FINE)
		return;
	pfi_value_put(&out, &value);
	must(!out.overflow);
	must(pfi_value_parse(&again, wire_span(room, out.len)) == PFI_VALUE_FINE);
	must(again.seconds == value.seconds && again.nanoseconds == value.nanoseconds);
	must(again.extended == value.extended);
	must(memcmp(again.fds, value.fds, sizeof value.fds) == 0);
}

/* The run directory up to the first NUL, then an ident: a path is that of a file just in it. */
static void
check_path(struct wire_span bytes)
{
	static uint8_t room[PFI_STREAM_MAX];
	struct wire_out out = wire_out(room, sizeof room);
	const uint8_t *nul = bytes.len > 0 ? memchr(bytes.data, '\0', bytes.len) : NULL;
	struct wire_span run = bytes, ident = wire_span(NULL, 0);

	if (nul != NULL) {
		run.len = (size_t)(nul - bytes.data);
		ident = wire_span(nul + 1, bytes.len - run.len - 1);
	}
	if (pfi_put_path(&out, run, PFI_PATH_SOCKET, ident) != WIRE_OK) {
		must(out.len == 0);
		return;
	}
	must(!out.overflow && out.len == run.len + 2 + ident.len && out.len < 108);
	must(memchr(room, '\0', out.len) == NULL);
	must(memrchr(room, '/', out.len) == room + run.len);
}

static void
check(unsigned what, struct wire_span bytes, uint8_t flags, const struct cuts *cuts)
{
	switch (what) {
	case 0:
		check_request(bytes, flags, cuts);
		break;
	case 1:
		check_answer(bytes, flags, cuts);
		break;
	case 2:
		check_made(bytes, cuts);
		break;
	case 3:
		check_value(bytes);
		break;
	default:
		check_path(bytes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cuts cuts = { .count = 0 };
	size_t at = 3;

	if (size < at)
		return 0;
	while (cuts.count < data[2] % CUTS_MAX && at < size)
		cuts.sizes[cuts.count++] = (size_t)data[at++] + 1;
	if (cuts.count == 0)
		cuts.sizes[cuts.count++] = PFI_STREAM_MAX;
	check(data[0] % 5, wire_span(data + at, size - at), data[1], &cuts);
	return 0;
}
