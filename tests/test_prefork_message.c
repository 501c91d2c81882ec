/*
 * test_prefork_message.c - the message of a call taken apart: environment and arguments, and what
 * is no such message.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/prefork/message.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
/* Of a literal that ends with the message's own NUL. */
#define BYTES(text) (text), (sizeof(text) - 1)

static const struct {
	const char *bytes;
	size_t length;
	int result;
	const char *shown; /* environment | arguments */
} rows[] = {
	{ BYTES("A=1\0B=\0\0exit\0"
		"7\0"),
	  0, "<A=1><B=>|<exit><7>" },
	{ BYTES("\0"), 0, "|" },
	{ BYTES("\0\0"), 0, "|<>" },
	{ BYTES("\0a\0\0b\0"), 0, "|<a><><b>" },
	{ BYTES("A=b\0"), 0, "<A=b>|" },
	{ BYTES("A=b\0\0"), 0, "<A=b>|" },
	{ BYTES("=v\0\0\0"), 0, "<=v>|<>" },
	{ BYTES("A=\0A=2\0\0"), 0, "<A=><A=2>|" },
	{ BYTES("A==\0\0A=b\0"), 0, "<A==>|<A=b>" },
	{ BYTES("\0noequals\0"), 0, "|<noequals>" },
	{ BYTES(""), -EBADMSG, NULL },
	{ BYTES("x"), -EBADMSG, NULL },
	{ BYTES("A=b\0\0x"), -EBADMSG, NULL },
	{ BYTES("noequals\0\0"), -EBADMSG, NULL },
	{ BYTES("0\0\0"), -EBADMSG, NULL },
	{ BYTES("A=b\0c\0"), -EBADMSG, NULL },
};

static void
show(char *text, size_t room, const struct prefork_message *message)
{
	size_t length = 0;

	for (char **string = message->environment; *string != NULL; string++)
		length += (size_t)snprintf(text + length, room - length, "<%s>", *string);
	length += (size_t)snprintf(text + length, room - length, "|");
	for (int i = 0; i < message->argc; i++)
		length += (size_t)snprintf(text + length, room - length, "<%s>", message->argv[i]);
	cr_assert_null(message->argv[message->argc]);
}

/* In memory that ends where the message does, so that a sanitizer sees who reads on. */
static int
decode(const char *bytes, size_t length, char **copy, struct prefork_message *message)
{
	*copy = malloc(length > 0 ? length : 1);
	cr_assert_not_null(*copy);
	memcpy(*copy, bytes, length);
	return prefork_message_decode(*copy, length, message);
}

Test(prefork_message, each_row)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct prefork_message message;
		char shown[256] = "";
		char *copy;
		int result = decode(rows[i].bytes, rows[i].length, &copy, &message);

		cr_assert_eq(result, rows[i].result, "row %zu: %d", i, result);
		if (result == 0) {
			show(shown, sizeof shown, &message);
			cr_assert_str_eq(shown, rows[i].shown, "row %zu", i);
			free(message.environment);
		}
		free(copy);
	}
}

Test(prefork_message, cut_off_anywhere)
{
	static const char whole[] = "A=1\0BC=2\0\0one\0\0three";

	for (size_t length = 0; length <= sizeof whole; length++) {
		struct prefork_message message;
		char *copy;
		int result = decode(whole, length, &copy, &message);
		bool ends = length > 0 && whole[length - 1] == '\0';

		cr_assert_eq(result, ends ? 0 : -EBADMSG, "%zu bytes: %d", length, result);
		if (result == 0)
			free(message.environment);
		free(copy);
	}
}

Test(prefork_message, as_many_strings_as_may_be)
{
	const size_t most = PREFORK_STRINGS_MAX;
	struct prefork_message message;
	char *bytes = calloc(most + 1, 1);

	cr_assert_not_null(bytes);
	cr_assert_eq(prefork_message_decode(bytes, most, &message), 0);
	cr_assert_eq(message.argc, (int)most - 1);
	free(message.environment);
	cr_assert_eq(prefork_message_decode(bytes, most + 1, &message), -E2BIG);
	free(bytes);
}
