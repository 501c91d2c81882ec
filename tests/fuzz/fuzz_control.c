/*
 * fuzz_control.c - frames of the control socket: whatever is unpacked lives in the arena, has valid
 * texts, and says the same after it was packed and unpacked again.
 *
 * Input: a byte for the arena's size, a byte that says which of the three messages it is, then the
 * frame.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control.pb-c.h"
#include "wire/control_frame.h"

enum {
	ARENA = 1 << 16,
	MESSAGE_MAX = 4096
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool holds)
{
	if (!holds)
		abort();
}

static bool has_unknown(const ProtobufCMessage *message);

static bool
field_has_unknown(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const uint8_t *base = (const uint8_t *)message;
	const void *member = base + field->offset;

	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return false;
	if (field->label != PROTOBUF_C_LABEL_REPEATED) {
		bool set =
		    !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
		    *(const uint32_t *)(const void *)(base + field->quantifier_offset) == field->id;
		const ProtobufCMessage *inner = set ? *(ProtobufCMessage *const *)member : NULL;
		return inner != NULL && has_unknown(inner);
	}
	size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
	for (size_t i = 0; i < count; i++)
		if (has_unknown((*(ProtobufCMessage *const *const *)member)[i]))
			return true;
	return false;
}

/* protobuf-c keeps fields that it does not know, and packs some of them in a form that it does not
 * take back. */
static bool
has_unknown(const ProtobufCMessage *message)
{
	if (message->n_unknown_fields != 0)
		return true;
	for (unsigned i = 0; i < message->descriptor->n_fields; i++)
		if (field_has_unknown(message, &message->descriptor->fields[i]))
			return true;
	return false;
}

/* What may be packed again: an arena is only overrun by what grew on the way, which nothing does.
 */
static void
again(const ProtobufCMessageDescriptor *type, const ProtobufCMessage *message)
{
	static _Alignas(16) uint8_t memory[4 * ARENA];
	struct control_arena arena;
	size_t len = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(len + 1), *twice = malloc(len + 1);

	must(bytes != NULL && twice != NULL);
	must(protobuf_c_message_pack(message, bytes) == len);
	control_arena_init(&arena, memory, sizeof memory);
	ProtobufCMessage *copy = control_unpack(type, &arena, bytes, len);
	must(copy != NULL);
	must(protobuf_c_message_get_packed_size(copy) == len);
	must(protobuf_c_message_pack(copy, twice) == len);
	must(memcmp(bytes, twice, len) == 0);
	free(bytes);
	free(twice);
}

static void
unpack(const ProtobufCMessageDescriptor *type, size_t room, const uint8_t *bytes, size_t len)
{
	uint8_t *memory = malloc(room + 1); /* its end is watched */
	struct control_arena arena;

	must(memory != NULL);
	control_arena_init(&arena, memory, room);
	ProtobufCMessage *message = control_unpack(type, &arena, bytes, len);
	must(arena.used <= arena.size);
	if (message != NULL) {
		must((uint8_t *)message >= memory && (uint8_t *)message < memory + room);
		if (!has_unknown(message))
			again(type, message);
	}
	free(memory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *types[] = {
		&relay__control__request__descriptor,
		&relay__control__reply__descriptor,
		&relay__control__hello__descriptor,
	};
	size_t total;

	if (size < 2)
		return 0;
	size_t room = data[0] < 64 ? data[0] * 16u : ARENA;
	const ProtobufCMessageDescriptor *type = types[data[1] % 3];
	data += 2;
	size -= 2;
	enum control_frame_result result = control_frame_look(data, size, MESSAGE_MAX, &total);
	must(total >= CONTROL_FRAME_HEADER && total <= CONTROL_FRAME_HEADER + MESSAGE_MAX);
	must((result == CONTROL_FRAME_OK) <= (total <= size));
	must(result != CONTROL_FRAME_PARTIAL || total > size);
	if (result == CONTROL_FRAME_OK)
		unpack(type, room, data + CONTROL_FRAME_HEADER, total - CONTROL_FRAME_HEADER);
	/* Most inputs have no true length in front: their bytes are worth trying too. */
	unpack(type, room, data, size);
	return 0;
}
