/*
 * control_frame.c - lengths of frames, memory for unpacking, and the check of texts.
 *
 * Never allocates but from the caller's arena, never trusts a length.  protobuf-c takes any bytes
 * for a string: what it unpacked is walked once more.  Owns nothing.
 */
#include "wire/control_frame.h"

#include <stdalign.h>
#include <string.h>

/* --- frames */

enum control_frame_result
control_frame_look(const uint8_t *bytes, size_t len, size_t message_max, size_t *total)
{
	size_t message;

	*total = CONTROL_FRAME_HEADER;
	if (len < CONTROL_FRAME_HEADER)
		return CONTROL_FRAME_PARTIAL;
	message = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 |
		  (size_t)bytes[3];
	if (message == 0)
		return CONTROL_FRAME_EMPTY;
	if (message > message_max)
		return CONTROL_FRAME_TOO_LONG;
	*total += message;
	return len < *total ? CONTROL_FRAME_PARTIAL : CONTROL_FRAME_OK;
}

void
control_frame_put_length(uint8_t header[static CONTROL_FRAME_HEADER], size_t message_len)
{
	header[0] = (uint8_t)(message_len >> 24);
	header[1] = (uint8_t)(message_len >> 16);
	header[2] = (uint8_t)(message_len >> 8);
	header[3] = (uint8_t)message_len;
}

/* --- the arena */

/* In front of what was taken: a text with a NUL inside is shorter than its memory. */
struct block {
	alignas(max_align_t) size_t size;
};

/* protobuf-c fills what it takes: only control_arena_alloc() promises zeros. */
static void *
take(void *context, size_t size)
{
	struct control_arena *arena = context;
	size_t at = (arena->used + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	struct block *block;

	if (at > arena->size || arena->size - at < sizeof *block ||
	    size > arena->size - at - sizeof *block) {
		arena->full = true;
		return NULL;
	}
	block = (struct block *)(void *)(arena->memory + at);
	block->size = size;
	arena->used = at + sizeof *block + size;
	return block + 1;
}

static void
give_back(void *context, void *memory)
{
	(void)context, (void)memory;
}

void
control_arena_init(struct control_arena *arena, void *memory, size_t size)
{
	size_t off = (size_t)((uintptr_t)memory & (alignof(max_align_t) - 1));
	size_t skip = off ? alignof(max_align_t) - off : 0;

	if (skip > size)
		skip = size;
	arena->allocator = (ProtobufCAllocator){ take, give_back, arena };
	arena->memory = (uint8_t *)memory + skip;
	arena->size = size - skip;
	arena->used = 0;
	arena->full = false;
}

void *
control_arena_alloc(struct control_arena *arena, size_t size)
{
	void *memory = take(arena, size);

	return memory ? memset(memory, 0, size) : NULL;
}

/* --- texts */

/* Bytes of the character at `at`, 0 = it is none: the well-formed sequences of RFC 3629. */
static size_t
character(const uint8_t *at, size_t len)
{
	size_t n = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	uint8_t low = at[0] == 0xe0 ? 0xa0 : at[0] == 0xf0 ? 0x90 : 0x80;
	uint8_t high = at[0] == 0xed ? 0x9f : at[0] == 0xf4 ? 0x8f : 0xbf;

	if (at[0] == 0 || at[0] > 0xf4 || n > len)
		return 0;
	if (n > 1 && (at[1] < low || at[1] > high))
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool
control_text_valid(const char *text, size_t len)
{
	const uint8_t *at = (const uint8_t *)text;

	while (len > 0) {
		size_t n = character(at, len);

		if (n == 0)
			return false;
		at += n;
		len -= n;
	}
	return true;
}

/* --- unpacking */

static bool texts_valid(const struct control_arena *arena, const ProtobufCMessage *message);

/* Texts that were not sent are a constant outside the arena. */
static bool
is_whole(const struct control_arena *arena, const char *text, size_t len)
{
	uintptr_t at = (uintptr_t)text;
	uintptr_t from = (uintptr_t)arena->memory;

	if (at < from || at >= from + arena->used)
		return true;
	return ((const struct block *)(const void *)text)[-1].size == len + 1;
}

static bool
item_valid(const struct control_arena *arena, const ProtobufCFieldDescriptor *field,
	   const void *item)
{
	const void *value = *(const void *const *)item;
	size_t len;

	if (!value)
		return true;
	if (field->type != PROTOBUF_C_TYPE_STRING)
		return texts_valid(arena, value);
	len = strlen(value);
	return is_whole(arena, value, len) && control_text_valid(value, len);
}

static bool
field_valid(const struct control_arena *arena, const ProtobufCMessage *message,
	    const ProtobufCFieldDescriptor *field)
{
	const uint8_t *base = (const uint8_t *)message;
	const void *member = base + field->offset;
	const void *quantifier = base + field->quantifier_offset;
	const uint8_t *items;

	if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
		return true;
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
	    *(const uint32_t *)quantifier != field->id)
		return true;
	if (field->label != PROTOBUF_C_LABEL_REPEATED)
		return item_valid(arena, field, member);
	items = *(const uint8_t *const *)member;
	for (size_t i = 0; i < *(const size_t *)quantifier; i++)
		if (!item_valid(arena, field, items + i * sizeof(void *)))
			return false;
	return true;
}

/* No message of ours holds itself, so the depth is that of control.proto. */
static bool
texts_valid(const struct control_arena *arena, const ProtobufCMessage *message)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++)
		if (!field_valid(arena, message, &message->descriptor->fields[i]))
			return false;
	return true;
}

ProtobufCMessage *
control_unpack(const ProtobufCMessageDescriptor *type, struct control_arena *arena,
	       const uint8_t *bytes, size_t len)
{
	ProtobufCMessage *message = protobuf_c_message_unpack(type, &arena->allocator, len, bytes);

	return message && texts_valid(arena, message) ? message : NULL;
}
