/*
 * control_frame.h - frames of the control socket: a 4-byte big-endian length, then one protobuf
 * message (control.proto) of that many bytes.
 *
 * Pure: the caller brings all memory.  Unpacking takes it from an arena of fixed size, because a
 * small hostile message can unpack to many times its length (200 kB of empty sub-messages: 13 MB);
 * when the arena is full, it fails.
 */
#ifndef WIRE_CONTROL_FRAME_H
#define WIRE_CONTROL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#define CONTROL_FRAME_HEADER 4
#define CONTROL_FRAME_MAX    (4u * 1024 * 1024) /* bytes of a message */

/* What one Request may unpack to: its body and arguments, and something for the rest. */
#define CONTROL_REQUEST_ARENA (CONTROL_FRAME_MAX + 64u * 1024)
#define CONTROL_ARGUMENTS_MAX 64

enum control_frame_result {
	CONTROL_FRAME_OK,
	CONTROL_FRAME_PARTIAL,  /* more bytes are needed */
	CONTROL_FRAME_TOO_LONG, /* the length is over the limit; nothing more can be read */
	CONTROL_FRAME_EMPTY,    /* length 0; likewise */
};

/*
 * Looks at the start of `bytes`.  OK: the message is bytes[4 .. *total).  PARTIAL: *total bytes are
 * needed in all, as far as is known now (4 while the length is incomplete).
 */
enum control_frame_result control_frame_look(const uint8_t *bytes, size_t len, size_t message_max,
					     size_t *total);

void control_frame_put_length(uint8_t header[static CONTROL_FRAME_HEADER], size_t message_len);

/* An allocator in the caller's memory; what is freed is not used again until control_arena_init().
 */
struct control_arena {
	ProtobufCAllocator allocator; /* give its address to protobuf-c; do not move the arena */
	uint8_t *memory;
	size_t size;
	size_t used;
	bool full; /* something did not fit */
};

void control_arena_init(struct control_arena *arena, void *memory, size_t size);

/* Zeroed and aligned; NULL when it does not fit. */
void *control_arena_alloc(struct control_arena *arena, size_t size);

/*
 * Unpacks and checks: every text (in messages below too) is UTF-8 without NUL.  NULL: malformed, or
 * too much for the arena (arena->full).  The result lives in the arena.
 */
ProtobufCMessage *control_unpack(const ProtobufCMessageDescriptor *type,
				 struct control_arena *arena, const uint8_t *bytes, size_t len);

/* Whether it is UTF-8 by RFC 3629 (no surrogates, nothing overlong) without NUL. */
bool control_text_valid(const char *text, size_t len);

#endif
