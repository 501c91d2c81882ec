/*
 * control_pages.h - an answer of the control socket that comes in pages, joined into its first one.
 *
 * Knows no message by its name: the rows are the first field of the body that repeats a message.
 * Pure: works in the arena that the pages were unpacked into.
 */
#ifndef RELAY_CONTROL_PAGES_H
#define RELAY_CONTROL_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "wire/control_frame.h"

struct control_pages {
	ProtobufCMessage *body; /* of the first page, which gets all rows */
	const ProtobufCFieldDescriptor *field;
	size_t capacity; /* 0 = the array is the first page's own */
};

enum control_pages_result {
	CONTROL_PAGES_OK,
	CONTROL_PAGES_STRANGE, /* it is no page of this answer */
	CONTROL_PAGES_FULL,    /* the arena is */
};

/* `body` may be NULL: then no page can follow. */
void control_pages_begin(struct control_pages *pages, ProtobufCMessage *body);

enum control_pages_result control_pages_add(struct control_pages *pages,
					    struct control_arena *arena, ProtobufCMessage *page);

#endif
