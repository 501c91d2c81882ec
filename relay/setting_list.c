/*
 * setting_list.c - reads, checks, prints and copies lists of texts.
 *
 * Never decides which setting has which list.  Owns nothing: a copy belongs to who asked for it.
 */
#include "relay/setting_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
setting_is_list(const struct setting *setting)
{
	return setting->type == SETTING_LIST || setting->type == SETTING_PATHS;
}

bool
setting_list_split(char *text, char *items[SETTINGS_LIST_MAX + 1])
{
	size_t count = 0;
	char *to = text;

	items[count++] = to;
	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '\\' && (at[1] == ',' || at[1] == '\\')) {
			*to++ = *++at;
		} else if (*at != ',') {
			*to++ = *at;
		} else {
			if (count == SETTINGS_LIST_MAX)
				return false;
			*to++ = '\0';
			items[count++] = to;
		}
	}
	*to = '\0';
	items[count] = NULL;
	return true;
}

/* Bytes of all texts with their ends; *count is how many there are. */
static size_t
measure(char *const *list, size_t *count)
{
	size_t bytes = 0, n = 0;

	for (; list[n] != NULL; n++)
		bytes += strlen(list[n]) + 1;
	*count = n;
	return bytes;
}

bool
setting_list_check(const struct setting *setting, char *const *list, char *why, size_t why_size)
{
	bool paths = setting->type == SETTING_PATHS;
	size_t count;
	size_t bytes = measure(list, &count);

	if (count < setting->min || count > setting->max) {
		snprintf(why, why_size,
			 "a list of %zu texts: allowed %" PRIu64 " to %" PRIu64 " of them", count,
			 setting->min, setting->max);
		return false;
	}
	if (bytes > SETTINGS_LIST_BYTES_MAX) {
		snprintf(why, why_size, "a list of %zu bytes: allowed up to %d, an end for each",
			 bytes, SETTINGS_LIST_BYTES_MAX);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (setting_text_is_printable(list[i]) && (!paths || list[i][0] == '/'))
			continue;
		snprintf(why, why_size, "\"%.80s\" is not %s without control characters", list[i],
			 paths ? "an absolute path" : "a text");
		return false;
	}
	return true;
}

/* Room for what may have to follow: a comma and dots, the brace and the NUL. */
#define TAIL_SIZE sizeof ", ...}"

void
setting_list_format(char *const *list, char *out, size_t size)
{
	size_t at = 0;

	if (size > 0)
		out[0] = '\0';
	if (list == NULL || size < TAIL_SIZE + 2)
		return;
	out[at++] = '{';
	for (size_t i = 0; list[i] != NULL; i++) {
		const char *between = i > 0 ? ", " : "";
		/* Each byte may need a mark; quotes stand around all. */
		size_t worst = strlen(between) + 2 * strlen(list[i]) + 2;

		if (worst + TAIL_SIZE > size - at) {
			at += (size_t)snprintf(out + at, size - at, "%s...", between);
			break;
		}
		at += (size_t)snprintf(out + at, size - at, "%s", between);
		setting_text_format(list[i], out + at, size - at);
		at += strlen(out + at);
	}
	snprintf(out + at, size - at, "}");
}

bool
setting_list_equal(char *const *a, char *const *b)
{
	size_t i = 0;

	if (a == NULL || b == NULL)
		return a == b;
	while (a[i] != NULL && b[i] != NULL && strcmp(a[i], b[i]) == 0)
		i++;
	return a[i] == NULL && b[i] == NULL;
}

char **
setting_list_copy(char *const *list)
{
	size_t count;
	size_t bytes = measure(list, &count);
	char **copy = malloc((count + 1) * sizeof *copy + bytes);

	if (copy == NULL)
		return NULL;
	/* The texts lie behind the array. */
	char *text = (char *)(copy + count + 1);
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(list[i]) + 1;

		copy[i] = memcpy(text, list[i], len);
		text += len;
	}
	copy[count] = NULL;
	return copy;
}
