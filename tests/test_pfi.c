/*
 * test_pfi.c - messages and status words of the prefork-interp protocol.
 *
 * The yardsticks are bytes that the original client sent, what the original library made of bytes
 * sent to it, and what the C library makes of a wait status.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "wire/pfi.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Bytes of a literal without the NUL that the compiler adds. */
#define BYTES(literal) wire_span(literal, sizeof(literal) - 1)

Test(pfi, greeting_as_seen)
{
	static const uint8_t seen[] = { 0x50, 0x46, 0x49, 0x0a, 0, 0, 0, 0 };
	uint8_t bytes[PFI_GREETING_SIZE + 1];

	memset(bytes, 0xa5, sizeof bytes);
	pfi_put_greeting(bytes);
	cr_assert_eq(sizeof seen, PFI_GREETING_SIZE);
	cr_assert_arr_eq(bytes, seen, sizeof seen);
	cr_assert_eq(bytes[PFI_GREETING_SIZE], 0xa5);
}

Test(pfi, words_are_big_endian)
{
	static const uint8_t seen[] = { 0x00, 0x00, 0x05, 0x81 };
	uint8_t bytes[4];

	pfi_put_word(bytes, 1409);
	cr_assert_arr_eq(bytes, seen, sizeof seen);
	cr_assert_eq(pfi_get_word(seen), 1409);
	pfi_put_word(bytes, 0xfedcba98);
	cr_assert_eq(pfi_get_word(bytes), 0xfedcba98);
}

/* --- messages: whether they are well-formed, and what is in them */

struct row {
	struct wire_span bytes;
	enum pfi_fault fault;
	size_t good; /* bytes before the fault */
	const char *settings[3], *arguments[4];
};

#define GOOD(literal)                                                                    \
	.bytes = { (const uint8_t *)(literal), sizeof(literal) - 1 }, .fault = PFI_FINE, \
	.good = sizeof(literal) - 1
#define BAD(literal, why, at) \
	.bytes = { (const uint8_t *)(literal), sizeof(literal) - 1 }, .fault = (why), .good = (at)

static const struct row rows[] = {
	{ GOOD("A=1\0B=\0\0exit\0007\0"), .settings = { "A=1", "B=" },
	  .arguments = { "exit", "7" } },
	{ GOOD("\0perl\0svc.pl\0show\0"), .arguments = { "perl", "svc.pl", "show" } },
	/* What may be missing. */
	{ GOOD("\0") },
	{ GOOD("A=b\0"), .settings = { "A=b" } },
	{ GOOD("A=b\0\0"), .settings = { "A=b" } },
	{ GOOD("A=b\0C=d\0"), .settings = { "A=b", "C=d" } },
	/* The empty name, and empty arguments. */
	{ GOOD("=v\0\0\0"), .settings = { "=v" }, .arguments = { "" } },
	{ GOOD("\0\0"), .arguments = { "" } },
	{ GOOD("\0\0\0a\0"), .arguments = { "", "", "a" } },
	{ GOOD("=\0\0=\0"), .settings = { "=" }, .arguments = { "=" } },
	/* Any other byte is data; only the first '=' divides. */
	{ GOOD("A=b=c\0\xff\n= \0\0\xc3\x28=\0"), .settings = { "A=b=c", "\xff\n= " },
	  .arguments = { "\xc3\x28=" } },
	/* A name twice is two strings. */
	{ GOOD("A=1\0A=2\0\0"), .settings = { "A=1", "A=2" } },
	{ BAD("x", PFI_NO_NUL, 0) },
	{ BAD("A=b", PFI_NO_NUL, 2) },
	{ BAD("A=b\0\0x", PFI_NO_NUL, 5) },
	{ BAD("A=b\0C=", PFI_NO_NUL, 5) },
	{ BAD("\0a\0b", PFI_NO_NUL, 3) },
	{ BAD("noequals\0\0", PFI_NO_EQUALS, 8) },
	{ BAD("A=b\0noequals\0\0x\0", PFI_NO_EQUALS, 12) },
	{ BAD("A=b\0x\0", PFI_NO_EQUALS, 5) },
	/* False in the original's language: it stops there, and takes the rest for arguments. */
	{ BAD("0\0A=b\0\0x\0", PFI_NO_EQUALS, 1) },
	{ BAD("A=b\0000\0C=d\0\0", PFI_NO_EQUALS, 5) },
};

static void
assert_strings(struct wire_span bytes, uint32_t count, const char *const *want, size_t want_max)
{
	const uint8_t *end = bytes.data + bytes.len;
	struct wire_span string;
	size_t n = 0;

	while (pfi_string_next(&string, &bytes)) {
		cr_assert_lt(n, want_max);
		cr_assert_not_null(want[n]);
		cr_assert(wire_span_equal(string, wire_span_str(want[n])), "%s", want[n]);
		cr_assert_eq(string.data[string.len], '\0', "a C string");
		n++;
	}
	cr_assert_eq(n, count);
	cr_assert(n == want_max || want[n] == NULL);
	cr_assert_eq(bytes.data, end);
}

Test(pfi, messages)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		struct pfi_message untouched, message;

		memset(&message, 0xa5, sizeof message);
		untouched = message;
		cr_assert_eq(pfi_message_open(&message, row->bytes), row->fault, "row %zu", i);
		if (row->fault != PFI_FINE) {
			cr_assert_arr_eq(&message, &untouched, sizeof message);
			continue;
		}
		assert_strings(message.settings_bytes, message.settings, row->settings,
			       COUNT(row->settings));
		assert_strings(message.argument_bytes, message.arguments, row->arguments,
			       COUNT(row->arguments));
	}
}

/* The same in two pieces and byte by byte: same fault, same place, same counts. */
Test(pfi, scan_does_not_depend_on_pieces)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		for (size_t first = 0; first <= row->bytes.len; first++) {
			for (size_t piece = 1; piece <= row->bytes.len; piece++) {
				struct pfi_scan scan = { .state = PFI_AT_SETTING };
				enum pfi_fault fault = PFI_FINE;
				size_t at = 0;

				while (at < row->bytes.len) {
					size_t left = row->bytes.len - at;
					size_t n = at == 0 && first > 0 ? first : piece;
					n = n < left ? n : left;
					size_t good =
					    pfi_scan(&scan, wire_span(row->bytes.data + at, n),
						     n == left, &fault);
					at += good;
					if (good < n)
						break;
				}
				cr_assert_eq(fault, row->fault, "row %zu", i);
				cr_assert_eq(at, row->good, "row %zu", i);
			}
		}
	}
}

Test(pfi, nothing_is_no_message)
{
	struct pfi_message message;
	struct pfi_scan scan = { .state = PFI_IN_NAME };
	enum pfi_fault fault = PFI_FINE;

	cr_assert_eq(pfi_message_open(&message, wire_span(NULL, 0)), PFI_EMPTY);
	cr_assert_eq(pfi_scan(&scan, wire_span(NULL, 0), false, &fault), 0);
	cr_assert_eq(fault, PFI_FINE);
}

Test(pfi, environment_strings_are_split_at_the_first_equals)
{
	struct wire_span name, value;

	cr_assert(pfi_setting_split(BYTES("A=b=c"), &name, &value));
	cr_assert(wire_span_equal(name, BYTES("A")));
	cr_assert(wire_span_equal(value, BYTES("b=c")));
	cr_assert(pfi_setting_split(BYTES("=v"), &name, &value));
	cr_assert_eq(name.len, 0);
	cr_assert(wire_span_equal(value, BYTES("v")));
	cr_assert(pfi_setting_split(BYTES("B="), &name, &value));
	cr_assert(wire_span_equal(name, BYTES("B")));
	cr_assert_eq(value.len, 0);
	cr_assert_not(pfi_setting_split(BYTES("noequals"), &name, &value));
	cr_assert_not(pfi_setting_split(wire_span(NULL, 0), &name, &value));
}

Test(pfi, a_string_without_its_nul_is_not_taken)
{
	struct wire_span rest = BYTES("a\0b"), string;

	cr_assert(pfi_string_next(&string, &rest));
	cr_assert_not(pfi_string_next(&string, &rest));
	cr_assert(wire_span_equal(rest, BYTES("b")));
	rest = wire_span(NULL, 0);
	cr_assert_not(pfi_string_next(&string, &rest));
}

/* --- making messages */

static char set_a[] = "A=1", set_b[] = "B=", no_equals[] = "noequals", nothing[] = "",
	    no_name[] = "=v", exit_arg[] = "exit", seven[] = "7";

Test(pfi, message_as_seen)
{
	static const uint8_t seen[] = { 0x00, 0x00, 0x00, 0x0f, 0x41, 0x3d, 0x31, 0x00, 0x42, 0x3d,
					0x00, 0x00, 0x65, 0x78, 0x69, 0x74, 0x00, 0x37, 0x00 };
	char *environment[] = { no_equals, set_a, nothing, set_b, NULL };
	char *arguments[] = { exit_arg, seven, NULL };
	uint8_t room[sizeof seen];
	struct wire_out out = wire_out(room, sizeof room);

	cr_assert_eq(pfi_message_size(environment, arguments), 15);
	cr_assert_eq(pfi_put_message(&out, environment, arguments, PFI_MESSAGE_MAX), PFI_FINE);
	cr_assert_not(out.overflow);
	cr_assert_eq(out.len, sizeof seen);
	cr_assert_arr_eq(room, seen, sizeof seen);
}

Test(pfi, smallest_message_and_empty_strings)
{
	char *none[] = { NULL };
	char *nameless[] = { no_name, NULL };
	char *empty[] = { nothing, nothing, NULL };
	uint8_t room[16];
	struct wire_out out = wire_out(room, sizeof room);

	cr_assert_eq(pfi_put_message(&out, none, none, 1), PFI_FINE);
	cr_assert_eq(out.len, 5);
	cr_assert_arr_eq(room, "\0\0\0\1\0", 5);

	out = wire_out(room, sizeof room);
	cr_assert_eq(pfi_put_message(&out, nameless, empty, PFI_MESSAGE_MAX), PFI_FINE);
	cr_assert_eq(out.len, 10);
	cr_assert_arr_eq(room, "\0\0\0\6=v\0\0\0\0", 10);
}

Test(pfi, message_bound_exact_and_one_over)
{
	char *environment[] = { set_a, NULL };
	char *arguments[] = { exit_arg, NULL };
	uint8_t room[4 + 10];
	struct wire_out out = wire_out(room, sizeof room);

	cr_assert_eq(pfi_message_size(environment, arguments), 10);
	cr_assert_eq(pfi_put_message(&out, environment, arguments, 9), PFI_TOO_LONG);
	cr_assert_eq(out.len, 0);
	cr_assert_not(out.overflow, "not a matter of room");
	cr_assert_eq(pfi_put_message(&out, environment, arguments, 10), PFI_FINE);
	cr_assert_eq(out.len, 14);
	cr_assert_not(out.overflow);
}

Test(pfi, too_little_room_writes_nothing)
{
	char *environment[] = { set_a, NULL };
	char *arguments[] = { exit_arg, NULL };

	for (size_t cap = 0; cap < 14; cap++) {
		uint8_t room[14], untouched[14];
		struct wire_out out = wire_out(room, cap);

		memset(room, 0xa5, sizeof room);
		memset(untouched, 0xa5, sizeof untouched);
		cr_assert_eq(pfi_put_message(&out, environment, arguments, 10), PFI_FINE);
		cr_assert(out.overflow);
		cr_assert_eq(out.len, 0);
		cr_assert_arr_eq(room, untouched, sizeof room);
	}
}

/* --- status words */

Test(pfi, status_words_as_seen)
{
	static const struct {
		uint8_t bytes[4];
		enum pfi_outcome_kind kind;
		int exit_code, signal;
	} seen[] = {
		{ { 0, 0, 7, 0 }, PFI_EXITED, 7, 0 },
		{ { 0, 0, 0, 9 }, PFI_KILLED, PFI_EXIT_FAILED, SIGKILL },
		{ { 0, 0, 0, 11 }, PFI_CRASHED, PFI_EXIT_FAILED, SIGSEGV },
		{ { 0, 0, 0, 15 }, PFI_KILLED, PFI_EXIT_FAILED, SIGTERM },
		{ { 0, 0, 0, 10 }, PFI_CRASHED, PFI_EXIT_FAILED, SIGUSR1 },
		{ { 0, 0, 0, 2 }, PFI_KILLED, PFI_EXIT_FAILED, SIGINT },
		{ { 0, 0, 0, 0x8b }, PFI_CRASHED, PFI_EXIT_FAILED, SIGSEGV },
	};

	for (size_t i = 0; i < COUNT(seen); i++) {
		struct pfi_outcome outcome = pfi_outcome(pfi_get_word(seen[i].bytes));
		cr_assert_eq(outcome.kind, seen[i].kind, "row %zu", i);
		cr_assert_eq(outcome.exit_code, seen[i].exit_code, "row %zu", i);
		cr_assert_eq(outcome.signal, seen[i].signal, "row %zu", i);
		cr_assert_eq(outcome.core, seen[i].bytes[3] >= 0x80, "row %zu", i);
	}
}

static bool
passed_on(int sig)
{
	return sig == SIGINT || sig == SIGTERM || sig == SIGHUP || sig == SIGPIPE || sig == SIGKILL;
}

/* Every status of two bytes, and of more, as the macros of the C library have it. */
Test(pfi, outcomes_as_the_c_library)
{
	for (uint32_t word = 0; word < 0x30000; word++) {
		struct pfi_outcome outcome = pfi_outcome(word);
		int status = (int)word;

		cr_assert_eq(outcome.kind == PFI_EXITED, WIFEXITED(status), "%x", word);
		cr_assert_eq(outcome.kind == PFI_KILLED || outcome.kind == PFI_CRASHED,
			     WIFSIGNALED(status), "%x", word);
		cr_assert_eq(outcome.exit_code, WIFEXITED(status) ? WEXITSTATUS(status) : 127);
		cr_assert_eq(outcome.signal, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
		cr_assert_eq(outcome.core, WIFSIGNALED(status) && WCOREDUMP(status));
		cr_assert_eq(outcome.kind == PFI_KILLED, WIFSIGNALED(status) &&
							     !WCOREDUMP(status) &&
							     passed_on(WTERMSIG(status)));
	}
}

Test(pfi, a_negative_word_is_no_status)
{
	static const uint32_t words[] = { 0x80000000, 0x80000700, 0xffffffff, 0x80000002 };

	for (size_t i = 0; i < COUNT(words); i++) {
		cr_assert_eq(pfi_outcome(words[i]).kind, PFI_GARBLED);
		cr_assert_eq(pfi_outcome(words[i]).exit_code, 127);
		cr_assert_eq(pfi_outcome(words[i]).signal, 0);
	}
	cr_assert_eq(pfi_outcome(0x7fffff00).kind, PFI_EXITED);
	cr_assert_eq(pfi_outcome(0x7fffff00).exit_code, 255);
	cr_assert_eq(pfi_outcome(0x7f).kind, PFI_GARBLED, "stopped, not ended");
}

Test(pfi, status_words_made_mean_what_they_say)
{
	for (int code = 0; code < 256; code++) {
		struct pfi_outcome outcome = pfi_outcome(pfi_status_exited((uint8_t)code));
		cr_assert_eq(outcome.kind, PFI_EXITED);
		cr_assert_eq(outcome.exit_code, code);
	}
	for (unsigned number = 1; number < 0x7f; number++) {
		struct pfi_outcome plain = pfi_outcome(pfi_status_killed(number, false));
		struct pfi_outcome core = pfi_outcome(pfi_status_killed(number, true));
		cr_assert_eq(plain.signal, (int)number);
		cr_assert_not(plain.core);
		cr_assert_eq(core.signal, (int)number);
		cr_assert(core.core);
		cr_assert_eq(core.kind, PFI_CRASHED);
	}
}

Test(pfi, texts)
{
	cr_assert_str_eq(pfi_fault_text(PFI_FINE), "no fault");
	cr_assert_str_eq(pfi_fault_text(PFI_NO_EQUALS), "an environment string without =");
	cr_assert_str_eq(pfi_fault_text((enum pfi_fault)(PFI_EXTRA_BYTES + 1)), "unknown fault");
	cr_assert_str_eq(pfi_outcome_text(PFI_GARBLED), "garbled");
	cr_assert_str_eq(pfi_outcome_text((enum pfi_outcome_kind)(PFI_GARBLED + 1)),
			 "unknown outcome");
}
