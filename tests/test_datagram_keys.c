/*
 * test_datagram_keys.c - key files that are read, and those refused with their line.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/datagram_keys.h"

#define ROOM 4

#define K1 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define K2 "FFfe02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct datagram_key keys[ROOM];
static size_t count;
static uint32_t line;

static enum datagram_keys_fault
parse(const char *text)
{
	memset(keys, 0xa5, sizeof keys);
	count = 99;
	line = 99;
	return datagram_keys_parse(keys, ROOM, &count, wire_span_str(text), &line);
}

Test(datagram_keys, are_sorted_and_found)
{
	cr_assert_eq(parse("00000000000000ff " K1 "\n# comment\n\n \t\n"
			   "\tABCDEF0123456789\t" K2 " \r\n"
			   "0000000000000001  " K1),
		     DATAGRAM_KEYS_FINE);
	cr_assert_eq(count, 3);
	cr_assert_eq(keys[0].client, 1);
	cr_assert_eq(keys[0].line, 6);
	cr_assert_eq(keys[1].client, 0xff);
	cr_assert_eq(keys[1].line, 1);
	cr_assert_eq(keys[2].client, UINT64_C(0xabcdef0123456789));
	cr_assert_eq(keys[2].line, 5);
	cr_assert_arr_eq(keys[2].secret, "\xff\xfe\x02\x03", 4);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(datagram_keys_find(keys, count, keys[i].client), &keys[i]);
	cr_assert_null(datagram_keys_find(keys, count, 2));
	cr_assert_null(datagram_keys_find(keys, count, 0));
	cr_assert_null(datagram_keys_find(keys, count, UINT64_MAX));
	cr_assert_null(datagram_keys_find(keys, 0, 1));
}

Test(datagram_keys, nothing_is_a_file_without_keys)
{
	cr_assert_eq(parse(""), DATAGRAM_KEYS_FINE);
	cr_assert_eq(count, 0);
	cr_assert_eq(parse("#\n\n"), DATAGRAM_KEYS_FINE);
	cr_assert_eq(count, 0);
}

static void
refused(const char *text, enum datagram_keys_fault fault, uint32_t at)
{
	cr_assert_eq(parse(text), fault, "%s", text);
	cr_assert_eq(line, at, "%s", text);
	cr_assert_eq(count, 0);
	cr_assert(datagram_keys_fault_text(fault)[0] != '\0');
}

Test(datagram_keys, one_bad_line_refuses_all)
{
#define GOOD "0000000000000001 " K1 "\n"
	refused(GOOD "0000000000000002\n", DATAGRAM_KEYS_BAD_LINE, 2);
	refused(GOOD "\n0000000000000002 " K1 " more\n", DATAGRAM_KEYS_BAD_LINE, 3);
	refused(GOOD "000000000000002 " K1, DATAGRAM_KEYS_BAD_ID, 2);
	refused(GOOD "00000000000000002 " K1, DATAGRAM_KEYS_BAD_ID, 2);
	refused(GOOD "000000000000000g " K1, DATAGRAM_KEYS_BAD_ID, 2);
	refused(GOOD "0x00000000000002 " K1, DATAGRAM_KEYS_BAD_ID, 2);
	refused(GOOD "0000000000000000 " K1, DATAGRAM_KEYS_ZERO_ID, 2);
	refused(GOOD "0000000000000002 " K1 "0", DATAGRAM_KEYS_BAD_KEY, 2);
	refused(GOOD "0000000000000002 z123", DATAGRAM_KEYS_BAD_KEY, 2);
	refused(GOOD "0000000000000002 "
		     "0000000000000000000000000000000000000000000000000000000000000000",
		DATAGRAM_KEYS_ZERO_KEY, 2);
}

Test(datagram_keys, later_one_of_two_is_named)
{
	refused(GOOD "0000000000000002 " K1 "\n#\n0000000000000001 " K2 "\n", DATAGRAM_KEYS_TWICE,
		4);
	refused(GOOD GOOD GOOD, DATAGRAM_KEYS_TWICE, 2);
	refused("0000000000000002 " K1 "\n" GOOD "0000000000000002 " K1 "\n" GOOD,
		DATAGRAM_KEYS_TWICE, 3);
}

Test(datagram_keys, there_is_room_for_so_many)
{
	static const char four[] =
	    GOOD "0000000000000002 " K1 "\n0000000000000003 " K1 "\n0000000000000004 " K1 "\n";
	char five[600];

	cr_assert_eq(parse(four), DATAGRAM_KEYS_FINE);
	cr_assert_eq(count, 4);
	(void)snprintf(five, sizeof five, "%s0000000000000005 " K1 "\n", four);
	refused(five, DATAGRAM_KEYS_MANY, 5);
}

Test(datagram_keys, nul_is_no_digit)
{
	static const char text[] = "0000000000000001 \0" K1;

	cr_assert_eq(
	    datagram_keys_parse(keys, ROOM, &count, wire_span(text, sizeof text - 1), &line),
	    DATAGRAM_KEYS_BAD_KEY);
}

Test(datagram_keys, text_is_bounded)
{
	char *text = malloc(DATAGRAM_KEYS_TEXT_MAX + 1);

	cr_assert_not_null(text);
	memset(text, '\n', DATAGRAM_KEYS_TEXT_MAX + 1);
	cr_assert_eq(
	    datagram_keys_parse(keys, ROOM, &count, wire_span(text, DATAGRAM_KEYS_TEXT_MAX), &line),
	    DATAGRAM_KEYS_FINE);
	cr_assert_eq(datagram_keys_parse(keys, ROOM, &count,
					 wire_span(text, DATAGRAM_KEYS_TEXT_MAX + 1), &line),
		     DATAGRAM_KEYS_LONG);
	free(text);
}

Test(datagram_keys, of_a_refused_file_none_is_left)
{
	static const uint8_t zeros[2 * sizeof(struct datagram_key)] = { 0 };

	refused(GOOD "0000000000000002 " K1 "0", DATAGRAM_KEYS_BAD_KEY, 2);
	cr_assert_arr_eq(keys, zeros, sizeof zeros);
}

/* Any order gives the same. */
Test(datagram_keys, many_are_sorted)
{
	enum {
		MANY = 1000
	};
	static struct datagram_key many[MANY];
	static char text[MANY * 90];
	size_t len = 0;

	for (unsigned i = 0; i < MANY; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%016x " K1 "\n",
					i * 7919 % 1009 + 1);
	cr_assert_eq(datagram_keys_parse(many, MANY, &count, wire_span(text, len), &line),
		     DATAGRAM_KEYS_FINE);
	cr_assert_eq(count, MANY);
	for (unsigned i = 1; i < MANY; i++)
		cr_assert_lt(many[i - 1].client, many[i].client);
}
