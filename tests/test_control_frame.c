/*
 * test_control_frame.c - frames, the arena, the check of texts, and every message of control.proto
 * there and back.
 */
#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.pb-c.h"
#include "wire/control_frame.h"

#define ARENA (1u << 20)

static uint8_t memory[ARENA];
static struct control_arena arena;

static void
set_up(void)
{
	control_arena_init(&arena, memory, sizeof memory);
}

TestSuite(control_frame, .init = set_up);

/* --- frames */

Test(control_frame, is_partial_until_its_last_byte)
{
	uint8_t frame[4 + 300];
	size_t total;

	memset(frame, 'x', sizeof frame);
	control_frame_put_length(frame, 300);
	for (size_t len = 0; len < sizeof frame; len++) {
		cr_assert_eq(control_frame_look(frame, len, 300, &total), CONTROL_FRAME_PARTIAL);
		cr_assert_eq(total, len < 4 ? 4 : sizeof frame, "%zu bytes", len);
	}
	cr_assert_eq(control_frame_look(frame, sizeof frame, 300, &total), CONTROL_FRAME_OK);
	cr_assert_eq(total, sizeof frame);
}

Test(control_frame, length_is_big_endian)
{
	uint8_t header[4];

	control_frame_put_length(header, 0x01020304);
	cr_assert_arr_eq(header, "\1\2\3\4", 4);
}

Test(control_frame, length_is_bounded)
{
	uint8_t header[4];
	size_t total;

	control_frame_put_length(header, 100);
	cr_assert_eq(control_frame_look(header, 4, 100, &total), CONTROL_FRAME_PARTIAL);
	control_frame_put_length(header, 101);
	cr_assert_eq(control_frame_look(header, 4, 100, &total), CONTROL_FRAME_TOO_LONG);
	control_frame_put_length(header, 0xffffffff);
	cr_assert_eq(control_frame_look(header, 4, CONTROL_FRAME_MAX, &total),
		     CONTROL_FRAME_TOO_LONG);
	control_frame_put_length(header, 0);
	cr_assert_eq(control_frame_look(header, 4, 100, &total), CONTROL_FRAME_EMPTY);
}

/* --- the arena */

Test(control_frame, arena_is_aligned_zeroed_and_bounded)
{
	memset(memory, 0xff, sizeof memory);
	for (size_t off = 0; off < 17; off++) {
		control_arena_init(&arena, memory + off, 1000);
		size_t got = 0;
		for (uint8_t *at; (at = control_arena_alloc(&arena, 7)) != NULL; got++) {
			cr_assert_eq((uintptr_t)at % _Alignof(max_align_t), 0);
			cr_assert(at >= memory + off && at + 7 <= memory + off + 1000);
			cr_assert_arr_eq(at, "\0\0\0\0\0\0\0", 7);
		}
		cr_assert(arena.full);
		cr_assert_gt(got, 20);
	}
}

Test(control_frame, arena_refuses_sizes_that_wrap)
{
	cr_assert_null(control_arena_alloc(&arena, SIZE_MAX));
	cr_assert_null(control_arena_alloc(&arena, SIZE_MAX - 32));
	cr_assert_null(control_arena_alloc(&arena, ARENA));
	cr_assert(arena.full);
}

/* Each empty sub-message is two bytes on the wire and more than a hundred unpacked. */
Test(control_frame, small_message_that_unpacks_large_is_refused)
{
	static uint8_t bytes[200000];

	for (size_t i = 0; i < sizeof bytes; i += 2) {
		bytes[i] = 4 << 3 | 2; /* Reply.findings */
		bytes[i + 1] = 0;
	}
	cr_assert_null(
	    control_unpack(&relay__control__reply__descriptor, &arena, bytes, sizeof bytes));
	cr_assert(arena.full);
	cr_assert_leq(arena.used, ARENA);
}

/* --- texts */

static bool
valid(const char *text)
{
	return control_text_valid(text, strlen(text));
}

Test(control_frame, texts_are_utf8)
{
	cr_assert(valid(""));
	cr_assert(valid("plain \t\n"));
	cr_assert(valid("\x7f"));
	cr_assert(valid("\xc2\x80"));
	cr_assert(valid("\xdf\xbf"));
	cr_assert(valid("\xe0\xa0\x80"));
	cr_assert(valid("\xed\x9f\xbf"));
	cr_assert(valid("\xee\x80\x80"));
	cr_assert(valid("\xf0\x90\x80\x80"));
	cr_assert(valid("\xf4\x8f\xbf\xbf"));
}

Test(control_frame, texts_that_are_no_utf8)
{
	static const char *const bad[] = {
		"\x80",             /* a continuation alone */
		"\xc2",             /* cut off */
		"\xe2\x82",         /* likewise */
		"\xf0\x90\x80",     /* likewise */
		"\xc2\x20",         /* not continued */
		"\xe2\x82\x20",     /* likewise */
		"\xc0\xaf",         /* overlong */
		"\xc1\xbf",         /* likewise */
		"\xe0\x9f\xbf",     /* likewise */
		"\xf0\x8f\xbf\xbf", /* likewise */
		"\xed\xa0\x80",     /* surrogate */
		"\xf4\x90\x80\x80", /* above U+10FFFF */
		"\xf5\x80\x80\x80", /* likewise */
		"\xff",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[16];
		snprintf(text, sizeof text, "a%sz", bad[i]);
		cr_assert_not(valid(bad[i]), "case %zu", i);
		cr_assert_not(valid(text), "case %zu, between others", i);
	}
	cr_assert_not(control_text_valid("a\0b", 3));
}

/* --- unpacking */

static ProtobufCMessage *
unpack_request(const void *bytes, size_t len)
{
	return control_unpack(&relay__control__request__descriptor, &arena, bytes, len);
}

Test(control_frame, texts_of_a_message_are_checked)
{
	cr_assert_not_null(unpack_request("\x12\x03\x61\x62\x63", 5)); /* verb = "abc" */
	cr_assert_null(unpack_request("\x12\x03\x61\x00\x63", 5));     /* NUL inside */
	cr_assert_null(unpack_request("\x12\x03\x61\xff\x63", 5));
	cr_assert_null(unpack_request("\x1a\x01\x61\x1a\x01\xff", 6)); /* the second argument */
	cr_assert_not_null(
	    unpack_request("\x22\x03\x61\x00\xff", 5)); /* body: bytes may be anything */
}

Test(control_frame, texts_of_inner_messages_are_checked)
{
	/* findings { text: ... } */
	cr_assert_not_null(control_unpack(&relay__control__reply__descriptor, &arena,
					  (const uint8_t *)"\x22\x03\x22\x01\x61", 5));
	cr_assert_null(control_unpack(&relay__control__reply__descriptor, &arena,
				      (const uint8_t *)"\x22\x03\x22\x01\xff", 5));
	/* text (bytes) in the oneof, then info { version: ... } in its place */
	cr_assert_null(control_unpack(&relay__control__reply__descriptor, &arena,
				      (const uint8_t *)"\x82\x01\x03\x0a\x01\xff", 6));
}

Test(control_frame, garbage_and_cut_messages_are_refused)
{
	Relay__Control__Request request;
	char verb[] = "hosts list";
	uint8_t bytes[64];

	relay__control__request__init(&request);
	request.id = 7;
	request.verb = verb;
	size_t len = relay__control__request__pack(&request, bytes);
	/* id alone is a whole message, and so is nothing at all. */
	for (size_t cut = 3; cut < len; cut++)
		cr_assert_null(unpack_request(bytes, cut), "%zu of %zu bytes", cut, len);
	cr_assert_not_null(unpack_request(bytes, len));
	cr_assert_null(unpack_request("\xff\xff\xff\xff\xff", 5));
	cr_assert_not_null(unpack_request("", 0));
}

Test(control_frame, unknown_fields_are_skipped)
{
	/* verb = "a", field 1000 = 5 */
	Relay__Control__Request *request = (void *)unpack_request("\x12\x01\x61\xc0\x3e\x05", 6);

	cr_assert_not_null(request);
	cr_assert_str_eq(request->verb, "a");
}

/* --- every message there and back */

static void fill(ProtobufCMessage *message, unsigned *seed);

static void
fill_value(const ProtobufCFieldDescriptor *field, void *value, unsigned *seed)
{
	const ProtobufCMessageDescriptor *inner = field->descriptor;
	ProtobufCMessage *message;
	char *text;

	++*seed;
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		text = control_arena_alloc(&arena, 32);
		snprintf(text, 32, "text %u \xc3\xa9", *seed);
		*(char **)value = text;
		break;
	case PROTOBUF_C_TYPE_BYTES:
		text = control_arena_alloc(&arena, 4);
		memcpy(text, "\0\xff\n", 3);
		*(ProtobufCBinaryData *)value = (ProtobufCBinaryData){ 3, (uint8_t *)text };
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		message = control_arena_alloc(&arena, inner->sizeof_message);
		protobuf_c_message_init(inner, message);
		fill(message, seed);
		*(ProtobufCMessage **)value = message;
		break;
	case PROTOBUF_C_TYPE_UINT64:
		*(uint64_t *)value = UINT64_MAX - *seed;
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)value = 1;
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_ENUM:
		*(uint32_t *)value = field->type == PROTOBUF_C_TYPE_ENUM ? 6 : *seed;
		break;
	default:
		cr_assert_fail("a type that this test does not know: %s", field->name);
	}
}

/* Every field; of a oneof the first, of a list two. */
static void
fill(ProtobufCMessage *message, unsigned *seed)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		uint8_t *base = (uint8_t *)message;
		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
			uint32_t *which = (void *)(base + field->quantifier_offset);
			if (*which != 0)
				continue;
			*which = field->id;
			fill_value(field, base + field->offset, seed);
		} else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			uint8_t *items = control_arena_alloc(&arena, 2 * sizeof(void *));
			size_t size = field->type == PROTOBUF_C_TYPE_UINT32 ? 4 : 8;
			fill_value(field, items, seed);
			fill_value(field, items + size, seed);
			*(size_t *)(void *)(base + field->quantifier_offset) = 2;
			*(void **)(void *)(base + field->offset) = items;
		} else {
			fill_value(field, base + field->offset, seed);
		}
	}
}

static void
there_and_back(const ProtobufCMessageDescriptor *type)
{
	static uint8_t room[ARENA], bytes[65536], again[65536];
	struct control_arena other;
	ProtobufCMessage *message = control_arena_alloc(&arena, type->sizeof_message);
	unsigned seed = 0;

	protobuf_c_message_init(type, message);
	fill(message, &seed);
	size_t len = protobuf_c_message_get_packed_size(message);
	cr_assert_leq(len, sizeof bytes);
	protobuf_c_message_pack(message, bytes);
	control_arena_init(&other, room, sizeof room);
	ProtobufCMessage *copy = control_unpack(type, &other, bytes, len);
	cr_assert_not_null(copy, "%s", type->name);
	cr_assert_eq(protobuf_c_message_get_packed_size(copy), len);
	protobuf_c_message_pack(copy, again);
	cr_assert_arr_eq(again, bytes, len, "%s", type->name);
	cr_assert_gt(len, 0);
}

Test(control_frame, every_message_there_and_back)
{
	there_and_back(&relay__control__hello__descriptor);
	there_and_back(&relay__control__request__descriptor);
	there_and_back(&relay__control__reply__descriptor);
	/* The bodies of a reply, one by one: a oneof holds but the first above. */
	const ProtobufCMessageDescriptor *reply = &relay__control__reply__descriptor;
	unsigned bodies = 0;
	for (unsigned i = 0; i < reply->n_fields; i++) {
		if (!(reply->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
			continue;
		there_and_back(reply->fields[i].descriptor);
		bodies++;
	}
	cr_assert_gt(bodies, 5);
}
