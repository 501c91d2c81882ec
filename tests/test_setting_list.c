/*
 * test_setting_list.c - settings that are lists: taken apart, checked at their bounds, printed,
 * compared.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/setting_list.h"

static const struct setting *const command = &settings_table[SETTING_service_command];
static const struct setting *const files = &settings_table[SETTING_service_autoreload];

/* Taken apart, the texts are as many and with a '|' between them are as expected. */
static void
splits(const char *text, size_t count, const char *expect)
{
	char copy[256], joined[256] = "";
	char *items[SETTINGS_LIST_MAX + 1];
	size_t n = 0;

	snprintf(copy, sizeof copy, "%s", text);
	cr_assert(setting_list_split(copy, items), "%s", text);
	for (; items[n] != NULL; n++) {
		strcat(joined, n > 0 ? "|" : "");
		strcat(joined, items[n]);
	}
	cr_assert_eq(n, count, "%s", text);
	cr_assert_str_eq(joined, expect);
}

Test(setting_list, split)
{
	splits("perl", 1, "perl");
	splits("perl,/srv/a.pl,show", 3, "perl|/srv/a.pl|show");
	splits("", 1, "");
	splits(",", 2, "|");
	splits("a,,b,", 4, "a||b|");
	splits(" a , b", 2, " a | b");
	splits("a\\,b,c\\\\,d", 3, "a,b|c\\|d");
	/* Before anything else a backslash is one. */
	splits("\\n,a\\", 2, "\\n|a\\");
	splits("\\\\\\,", 1, "\\,");
}

Test(setting_list, split_is_bounded)
{
	char text[2 * SETTINGS_LIST_MAX + 2];
	char *items[SETTINGS_LIST_MAX + 1];

	memset(text, ',', sizeof text);
	text[SETTINGS_LIST_MAX - 1] = '\0';
	cr_assert(setting_list_split(text, items));
	cr_assert_null(items[SETTINGS_LIST_MAX]);
	memset(text, ',', sizeof text);
	text[SETTINGS_LIST_MAX] = '\0';
	cr_assert_not(setting_list_split(text, items));
}

static void
refuses(const struct setting *setting, char *const *list, const char *part)
{
	char why[256] = "";

	cr_assert_not(setting_list_check(setting, list, why, sizeof why));
	cr_assert_not_null(strstr(why, part), "%s", why);
}

Test(setting_list, check)
{
	char a[] = "/a", b[] = "b", tab[] = "/\t", empty[] = "";
	char why[256];

	cr_assert(setting_list_check(command, (char *[]){ b, a, empty, NULL }, why, sizeof why));
	cr_assert(setting_list_check(files, (char *[]){ a, a, NULL }, why, sizeof why));
	refuses(command, (char *[]){ NULL }, "a list of 0 texts: allowed 1 to 64 of them");
	refuses(command, (char *[]){ b, tab, NULL }, "is not a text without control characters");
	refuses(files, (char *[]){ a, b, NULL }, "\"b\" is not an absolute path");
	refuses(files, (char *[]){ tab, NULL }, "is not an absolute path without control");
	refuses(files, (char *[]){ empty, NULL }, "is not an absolute path");

	char *many[SETTINGS_LIST_MAX + 2];
	for (size_t i = 0; i <= SETTINGS_LIST_MAX; i++)
		many[i] = a;
	many[SETTINGS_LIST_MAX + 1] = NULL;
	refuses(command, many, "a list of 65 texts");
	many[SETTINGS_LIST_MAX] = NULL;
	cr_assert(setting_list_check(command, many, why, sizeof why));
	many[32] = a;
	refuses(&settings_table[SETTING_service_allow_uids], many, "allowed 1 to 32");
}

/* The bound of the bytes counts an end for each text. */
Test(setting_list, check_bytes)
{
	char text[SETTINGS_LIST_BYTES_MAX + 1], small[] = "x";
	char *const list[] = { text, small, NULL };
	char why[256];

	memset(text, 'y', sizeof text);
	text[SETTINGS_LIST_BYTES_MAX - 3] = '\0';
	cr_assert(setting_list_check(command, list, why, sizeof why));
	text[SETTINGS_LIST_BYTES_MAX - 3] = 'y';
	text[SETTINGS_LIST_BYTES_MAX - 2] = '\0';
	refuses(command, list, "a list of 4001 bytes: allowed up to 4000");
}

static void
prints(char *const *list, size_t size, const char *expect)
{
	char text[128];

	memset(text, '!', sizeof text);
	setting_list_format(list, text, size);
	cr_assert_str_eq(text, expect);
	for (size_t i = size; i < sizeof text; i++)
		cr_assert_eq(text[i], '!', "nothing behind the room");
}

Test(setting_list, format)
{
	char a[] = "perl", b[] = "a \"b\\${c}", empty[] = "";
	char *const list[] = { a, b, empty, NULL };

	prints(NULL, 100, "");
	prints((char *[]){ NULL }, 100, "{}");
	prints((char *[]){ a, NULL }, 100, "{\"perl\"}");
	prints(list, 100, "{\"perl\", \"a \\\"b\\\\\\${c}\", \"\"}");
	/* Only whole texts, and a sign that there were more. */
	prints(list, 30, "{\"perl\", ...}");
	prints(list, 10, "{...}");
	prints(list, 3, "");
	prints(list, 1, "");
}

/* The longest list there can be, each byte of it marked, is printed whole. */
Test(setting_list, format_has_room)
{
	static char out[SETTINGS_VALUE_TEXT_MAX];
	static char text[SETTINGS_LIST_BYTES_MAX / SETTINGS_LIST_MAX];
	char *list[SETTINGS_LIST_MAX + 1];
	char why[256];

	memset(text, '"', sizeof text - 1);
	for (size_t i = 0; i < SETTINGS_LIST_MAX; i++)
		list[i] = text;
	list[SETTINGS_LIST_MAX] = NULL;
	cr_assert(setting_list_check(command, list, why, sizeof why));
	setting_list_format(list, out, sizeof out);
	cr_assert_null(strstr(out, "..."));
	cr_assert_str_eq(out + strlen(out) - 2, "\"}");
	cr_assert_eq(strlen(out), SETTINGS_LIST_MAX * (2 * strlen(text) + 4));

	static char whole[SETTINGS_LIST_BYTES_MAX];
	memset(whole, '\\', sizeof whole - 1);
	setting_list_format((char *[]){ whole, NULL }, out, sizeof out);
	cr_assert_eq(strlen(out), 2 * strlen(whole) + 4);
}

Test(setting_list, equal)
{
	char a[] = "a", b[] = "b", again[] = "a";
	char *const one[] = { a, NULL };
	char *const same[] = { again, NULL };
	char *const two[] = { a, b, NULL };
	char *const turned[] = { b, a, NULL };

	cr_assert(setting_list_equal(NULL, NULL));
	cr_assert(setting_list_equal(one, same));
	cr_assert_not(setting_list_equal(one, NULL));
	cr_assert_not(setting_list_equal(NULL, one));
	cr_assert_not(setting_list_equal(one, two));
	cr_assert_not(setting_list_equal(two, one));
	cr_assert_not(setting_list_equal(two, turned));
	cr_assert_not(setting_list_equal((char *[]){ NULL }, one));
}

Test(setting_list, copy)
{
	char a[] = "a", b[] = "", c[] = "three";
	char *const list[] = { a, b, c, NULL };
	char **copy = setting_list_copy(list);

	cr_assert_not_null(copy);
	cr_assert(setting_list_equal(copy, list));
	a[0] = 'x';
	cr_assert_str_eq(copy[0], "a");
	free(copy);
	copy = setting_list_copy((char *[]){ NULL });
	cr_assert_null(copy[0]);
	free(copy);
}
