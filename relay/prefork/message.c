/*
 * message.c - see message.h.
 */
#include "relay/prefork/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The string behind this one.  There is a NUL: the last byte is one. */
static char *
next_string(char *string)
{
	return string + strlen(string) + 1;
}

/* How many strings, up to one more than are allowed. */
static size_t
count_strings(char *bytes, const char *end)
{
	size_t count = 0;

	for (char *at = bytes; at < end && count <= PREFORK_STRINGS_MAX; at = next_string(at))
		count++;
	return count;
}

/* Fills the environment; returns the first argument, or NULL if a string is no NAME=value. */
static char *
take_environment(char *at, const char *end, char ***place)
{
	while (at < end && *at != '\0') {
		if (strchr(at, '=') == NULL)
			return NULL;
		*(*place)++ = at;
		at = next_string(at);
	}
	*(*place)++ = NULL;
	return at < end ? at + 1 : at;
}

int
prefork_message_decode(char *bytes, size_t length, struct prefork_message *message)
{
	const char *end = bytes + length;

	if (length == 0 || end[-1] != '\0')
		return -EBADMSG;
	size_t count = count_strings(bytes, end);
	if (count > PREFORK_STRINGS_MAX)
		return -E2BIG;
	/* A NULL behind the environment, one behind the arguments. */
	char **vector = calloc(count + 2, sizeof *vector);
	if (vector == NULL)
		return -ENOMEM;
	char **place = vector;
	char *at = take_environment(bytes, end, &place);
	if (at == NULL) {
		free(vector);
		return -EBADMSG;
	}
	message->environment = vector;
	message->argv = place;
	for (; at < end; at = next_string(at))
		*place++ = at;
	message->argc = (int)(place - message->argv);
	return 0;
}
