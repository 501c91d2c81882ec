/*
 * test_pfi_signal.c - the extension: its greeting, and the bytes that stand for signals.
 */
#include <criterion/criterion.h>
#include <signal.h>

#include "wire/pfi_client.h"
#include "wire/pfi_server.h"
#include "wire/pfi_signal.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* "PFI\n" 4:32 "RLX1" */
static const uint8_t greeting[] = { 0x50, 0x46, 0x49, 0x0a, 0x00, 0x00,
				    0x00, 0x04, 0x52, 0x4c, 0x58, 0x31 };

static const struct {
	uint8_t code;
	int number;
	bool is_final;
	const char *text;
} codes[] = {
	{ 1, SIGHUP, true, "SIGHUP" },      { 2, SIGINT, true, "SIGINT" },
	{ 3, SIGQUIT, true, "SIGQUIT" },    { 4, SIGTERM, true, "SIGTERM" },
	{ 5, SIGTSTP, false, "SIGTSTP" },   { 6, SIGCONT, false, "SIGCONT" },
	{ 7, SIGWINCH, false, "SIGWINCH" },
};

Test(pfi_signal, greeting_is_that_of_the_extension)
{
	uint8_t bytes[PFI_EXTENDED_GREETING_SIZE + 1];

	memset(bytes, 0xa5, sizeof bytes);
	pfi_put_extended_greeting(bytes);
	cr_assert_eq(sizeof greeting, PFI_EXTENDED_GREETING_SIZE);
	cr_assert_arr_eq(bytes, greeting, sizeof greeting);
	cr_assert_eq(bytes[PFI_EXTENDED_GREETING_SIZE], 0xa5);
}

Test(pfi_signal, codes_and_numbers)
{
	for (size_t i = 0; i < COUNT(codes); i++) {
		cr_assert_eq(pfi_signal_number(codes[i].code), codes[i].number);
		cr_assert_eq(pfi_signal_code(codes[i].number), codes[i].code);
		cr_assert_eq(pfi_signal_is_final(codes[i].code), codes[i].is_final);
		cr_assert_str_eq(pfi_signal_text(codes[i].code), codes[i].text);
	}
}

/* Nothing else can be forwarded: not KILL, which nobody can catch, nor what is no signal. */
Test(pfi_signal, no_other_code_and_no_other_number)
{
	size_t known = 0;

	for (int number = -300; number < 600; number++) {
		uint8_t code = pfi_signal_code(number);
		known += code != PFI_SIGNAL_NONE;
		cr_assert(code == PFI_SIGNAL_NONE || pfi_signal_number(code) == number);
	}
	cr_assert_eq(known, COUNT(codes));
	cr_assert_eq(pfi_signal_code(SIGKILL), PFI_SIGNAL_NONE);
	for (int code = 0; code < 256; code++) {
		if (code >= 1 && code <= 7)
			continue;
		cr_assert_eq(pfi_signal_number((uint8_t)code), 0);
		cr_assert_not(pfi_signal_is_final((uint8_t)code));
		cr_assert_str_eq(pfi_signal_text((uint8_t)code), "unknown signal");
	}
}

/* --- who reads the greeting */

/* All of it in pieces of at most `piece` bytes; the event that was not "more". */
static enum pfi_client_event
read_greeting(struct pfi_client *client, const uint8_t *data, size_t len, size_t piece,
	      size_t *taken)
{
	*taken = 0;
	while (*taken < len) {
		size_t n = len - *taken < piece ? len - *taken : piece;
		struct wire_span bytes = wire_span(data + *taken, n);
		enum pfi_client_event event = pfi_client_next(client, &bytes);

		*taken += n - bytes.len;
		if (event != PFI_ANSWER_MORE)
			return event;
		cr_assert_eq(bytes.len, 0);
	}
	return PFI_ANSWER_MORE;
}

Test(pfi_signal, greeting_is_taken_where_allowed)
{
	for (size_t piece = 1; piece <= sizeof greeting; piece++) {
		struct pfi_client client;
		size_t taken;

		pfi_client_init(&client);
		pfi_client_allow_extended(&client);
		cr_assert_eq(read_greeting(&client, greeting, sizeof greeting, piece, &taken),
			     PFI_ANSWER_GREETED);
		cr_assert_eq(taken, sizeof greeting);
		cr_assert_eq(client.state, PFI_CLIENT_STATUS);
		cr_assert(client.extended);
	}
}

Test(pfi_signal, greeting_is_refused_elsewhere)
{
	for (size_t piece = 1; piece <= sizeof greeting; piece++) {
		struct pfi_client client;
		size_t taken;

		pfi_client_init(&client);
		cr_assert_eq(read_greeting(&client, greeting, sizeof greeting, piece, &taken),
			     PFI_ANSWER_BAD);
		cr_assert_eq(client.fault, PFI_EXTRA_DATA);
		cr_assert_eq(taken, 7);
		cr_assert_not(client.extended);
	}
}

/* Who may be greeted by either is greeted by the plain one as ever. */
Test(pfi_signal, plain_greeting_and_status_where_extended_is_allowed)
{
	static const uint8_t answer[] = { 0x50, 0x46, 0x49, 0x0a, 0, 0, 0, 0, 0, 0, 7, 0 };
	struct wire_span bytes = wire_span(answer, sizeof answer);
	struct pfi_client client;

	pfi_client_init(&client);
	pfi_client_allow_extended(&client);
	cr_assert_eq(pfi_client_next(&client, &bytes), PFI_ANSWER_GREETED);
	cr_assert_eq(bytes.len, 4);
	cr_assert_not(client.extended);
	cr_assert_eq(pfi_client_next(&client, &bytes), PFI_ANSWER_STATUS);
	cr_assert_eq(client.status, 0x700);
}

/* Every byte of it changed to every other value, where both greetings are allowed. */
Test(pfi_signal, no_other_greeting_is_taken)
{
	for (size_t at = 0; at < sizeof greeting; at++) {
		for (int value = 0; value < 256; value++) {
			uint8_t bytes[sizeof greeting];
			struct pfi_client client;
			size_t taken;
			bool plain = at == 7 && value == 0;

			if (value == greeting[at])
				continue;
			memcpy(bytes, greeting, sizeof bytes);
			bytes[at] = (uint8_t)value;
			pfi_client_init(&client);
			pfi_client_allow_extended(&client);
			cr_assert_eq(
			    read_greeting(&client, bytes, sizeof bytes, sizeof bytes, &taken),
			    plain ? PFI_ANSWER_GREETED : PFI_ANSWER_BAD);
			cr_assert_eq(client.fault, plain    ? PFI_FINE
						   : at < 4 ? PFI_BAD_MAGIC
							    : PFI_EXTRA_DATA);
		}
	}
}

Test(pfi_signal, greeting_that_breaks_off)
{
	for (size_t len = 0; len < sizeof greeting; len++) {
		struct pfi_client client;
		size_t taken;

		pfi_client_init(&client);
		pfi_client_allow_extended(&client);
		cr_assert_eq(read_greeting(&client, greeting, len, 1, &taken), PFI_ANSWER_MORE);
		cr_assert_eq(pfi_client_end(&client), PFI_NO_GREETING);
	}
}

/* --- who reads the signals */

/* A server whose client has sent the smallest request. */
static struct pfi_server
after_request(bool extended)
{
	static const uint8_t tail[] = { 0, 0, 0, 1, 0 };
	static const uint8_t zero;
	struct pfi_server server;
	struct pfi_input input = { .data = &zero, .len = 1 };
	struct wire_span body;

	pfi_server_init(&server, PFI_MESSAGE_MAX);
	if (extended)
		pfi_server_allow_signals(&server);
	cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_MORE);
	for (int i = 0; i < PFI_FDS; i++) {
		input = (struct pfi_input){ .data = &zero, .len = 1, .fds = 1 };
		cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_FD);
	}
	input = (struct pfi_input){ .data = tail, .len = sizeof tail };
	cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_LENGTH);
	cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_WHOLE);
	return server;
}

Test(pfi_signal, signals_follow_the_request)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 7, 1 };
	struct pfi_server server = after_request(true);
	struct pfi_input input = { .data = bytes, .len = sizeof bytes };
	struct wire_span body;

	for (size_t i = 0; i < sizeof bytes; i++) {
		cr_assert_eq(pfi_server_want(&server), 1);
		cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_SIGNAL);
		cr_assert_eq(server.signal, bytes[i]);
		cr_assert_eq(input.len, sizeof bytes - 1 - i);
	}
	cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_MORE);
	cr_assert_eq(pfi_server_end(&server), PFI_FINE);
}

Test(pfi_signal, every_other_byte_breaks_the_protocol)
{
	for (int byte = 0; byte < 256; byte++) {
		uint8_t bytes[] = { PFI_SIGNAL_WINCH, (uint8_t)byte };
		struct pfi_server server = after_request(true);
		struct pfi_input input = { .data = bytes, .len = sizeof bytes };
		struct wire_span body;
		bool known = byte >= 1 && byte <= 7;

		cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_SIGNAL);
		cr_assert_eq(pfi_server_next(&server, &input, &body),
			     known ? PFI_REQUEST_SIGNAL : PFI_REQUEST_BAD);
		cr_assert_eq(pfi_server_end(&server), known ? PFI_FINE : PFI_UNKNOWN_SIGNAL);
		cr_assert_eq(input.len, known ? 0 : 1);
	}
}

Test(pfi_signal, a_signal_brings_no_descriptor)
{
	static const uint8_t byte = PFI_SIGNAL_INT;
	struct pfi_server server = after_request(true);
	struct pfi_input input = { .data = &byte, .len = 1, .fds = 1 };
	struct wire_span body;

	cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_BAD);
	cr_assert_eq(server.fault, PFI_STRAY_FD);
}

Test(pfi_signal, none_in_version_1)
{
	for (size_t i = 0; i < COUNT(codes); i++) {
		struct pfi_server server = after_request(false);
		struct pfi_input input = { .data = &codes[i].code, .len = 1 };
		struct wire_span body;

		cr_assert_eq(pfi_server_next(&server, &input, &body), PFI_REQUEST_BAD);
		cr_assert_eq(server.fault, PFI_EXTRA_BYTES);
	}
}
