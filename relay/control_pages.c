/*
 * control_pages.c - see control_pages.h.
 */
#include "relay/control_pages.h"

#include <stdint.h>
#include <string.h>

static size_t *
count_of(ProtobufCMessage *body, const ProtobufCFieldDescriptor *field)
{
	return (size_t *)(void *)((uint8_t *)body + field->quantifier_offset);
}

static void **
value_of(ProtobufCMessage *body, const ProtobufCFieldDescriptor *field)
{
	return (void **)(void *)((uint8_t *)body + field->offset);
}

void
control_pages_begin(struct control_pages *pages, ProtobufCMessage *body)
{
	memset(pages, 0, sizeof *pages);
	pages->body = body;
	for (unsigned i = 0; body && i < body->descriptor->n_fields && !pages->field; i++) {
		const ProtobufCFieldDescriptor *field = &body->descriptor->fields[i];

		if (field->label == PROTOBUF_C_LABEL_REPEATED &&
		    field->type == PROTOBUF_C_TYPE_MESSAGE)
			pages->field = field;
	}
}

/* Growing by doubling wastes as much of the arena as is used of it, at most. */
static bool
add_rows(struct control_pages *pages, struct control_arena *arena, ProtobufCMessage *page)
{
	size_t *have = count_of(pages->body, pages->field);
	void **array = value_of(pages->body, pages->field);
	size_t n = *count_of(page, pages->field);

	if (n == 0)
		return true;
	if (*have + n > pages->capacity) {
		size_t capacity = (*have + n) * 2;
		void **grown = control_arena_alloc(arena, capacity * sizeof *grown);

		if (!grown)
			return false;
		if (*have > 0)
			memcpy(grown, *array, *have * sizeof *grown);
		*array = grown;
		pages->capacity = capacity;
	}
	memcpy((void **)*array + *have, *value_of(page, pages->field), n * sizeof(void *));
	*have += n;
	return true;
}

/* What is beside the rows may stand in any page: the first to bring it wins. */
static void
take_missing(struct control_pages *pages, ProtobufCMessage *page)
{
	for (unsigned i = 0; i < page->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &page->descriptor->fields[i];

		if (field == pages->field)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			if (*count_of(pages->body, field) > 0)
				continue;
			*count_of(pages->body, field) = *count_of(page, field);
			*value_of(pages->body, field) = *value_of(page, field);
		} else if (field->type == PROTOBUF_C_TYPE_MESSAGE &&
			   !*value_of(pages->body, field)) {
			*value_of(pages->body, field) = *value_of(page, field);
		}
	}
}

enum control_pages_result
control_pages_add(struct control_pages *pages, struct control_arena *arena, ProtobufCMessage *page)
{
	if (!pages->field || !page || page->descriptor != pages->body->descriptor)
		return CONTROL_PAGES_STRANGE;
	if (!add_rows(pages, arena, page))
		return CONTROL_PAGES_FULL;
	take_missing(pages, page);
	return CONTROL_PAGES_OK;
}
