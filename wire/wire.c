/*
 * wire.c - the words for the status enum that every codec answers with.
 *
 * Does nothing else, and owns nothing but the table of names.
 */
#include "wire/wire.h"

const char *
wire_status_text(enum wire_status status)
{
	static const char *const texts[] = {
#define X(name, text) [name] = (text),
		WIRE_STATUSES(X)
#undef X
	};
	size_t index = (size_t)status;

	return index < sizeof texts / sizeof texts[0] ? texts[index] : "unknown status";
}
