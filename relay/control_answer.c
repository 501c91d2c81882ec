/*
 * control_answer.c - the answers of the control socket (control_call.h): the memory that they are
 * built in, texts that a terminal may get, and the end of a call with the last of them.
 */
#include "relay/control_server.h"

#include "relay/child.h"
#include "relay/control.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_ROOM (64 * 1024)
#define ANSWER_MAX (16 * 1024 * 1024) /* memory for building one answer */

/* Memory for building an answer; the list is freed when it was packed. */
struct control_chunk {
	struct control_chunk *next;
	size_t size;
	size_t used;
	alignas(max_align_t) uint8_t bytes[];
};

static struct control_pending *
pending_of(struct control_call *call)
{
	return (struct control_pending *)(void *)((char *)call -
						  offsetof(struct control_pending, call));
}

/* --- memory of an answer ---------------------------------------------------------------------- */

static void
free_answer(struct control_pending *pending)
{
	struct control_chunk *next;

	for (struct control_chunk *chunk = pending->answer; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	control_server_give(pending->connection->server, pending->answer_size);
	pending->answer = NULL;
	pending->answer_size = 0;
	pending->answer_full = false;
}

static struct control_chunk *
new_chunk(struct control_pending *pending, size_t size)
{
	size_t room = size > CHUNK_ROOM / 4 ? size : CHUNK_ROOM;

	if (room > ANSWER_MAX - pending->answer_size ||
	    !control_server_take(pending->connection, room))
		return NULL;
	struct control_chunk *chunk = malloc(sizeof *chunk + room);
	if (chunk == NULL) {
		control_server_give(pending->connection->server, room);
		return NULL;
	}
	*chunk = (struct control_chunk){ .next = pending->answer, .size = room };
	pending->answer = chunk;
	pending->answer_size += room;
	return chunk;
}

void *
control_alloc(struct control_call *call, size_t size)
{
	struct control_pending *pending = pending_of(call);
	struct control_chunk *chunk = pending->answer;

	if (size > ANSWER_MAX) {
		pending->answer_full = true;
		return NULL;
	}
	size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
	if (chunk == NULL || chunk->size - chunk->used < size)
		chunk = new_chunk(pending, size);
	if (chunk == NULL) {
		pending->answer_full = true;
		return NULL;
	}
	void *at = chunk->bytes + chunk->used;
	chunk->used += size;
	return memset(at, 0, size);
}

/* How many bytes of a character start here, or 0 if it is none that a terminal should get. */
static size_t
character(const char *text, size_t len)
{
	unsigned char first = (unsigned char)text[0];
	size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	if (first < 0x20 || first == 0x7f || size > len || !control_text_valid(text, size))
		return 0;
	/* U+0080 to U+009F are control characters as well. */
	return first == 0xc2 && (unsigned char)text[1] < 0xa0 ? 0 : size;
}

char *
control_clean(struct control_call *call, const char *text)
{
	size_t len = text == NULL ? 0 : strlen(text);
	char *copy = control_alloc(call, len + 1);

	for (size_t i = 0; copy != NULL && i < len;) {
		size_t size = character(text + i, len - i);
		if (size == 0)
			copy[i++] = '?';
		else
			memcpy(copy + i, text + i, size);
		i += size;
	}
	return copy;
}

static char *
format_text(struct control_call *call, const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		return NULL;
	char *copy = control_clean(call, text);
	free(text);
	return copy;
}

char *
control_text(struct control_call *call, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	char *text = format_text(call, format, args);
	va_end(args);
	return text;
}

/* --- answers ---------------------------------------------------------------------------------- */

void
control_call_end(struct control_pending *pending)
{
	struct control_connection *connection = pending->connection;

	connection->idle_since = child_clock_ms();
	if (connection->calls_count == CONTROL_CALLS_MAX)
		connection->in_since = connection->idle_since; /* until now we did not read */
	TAILQ_REMOVE(&connection->calls, pending, entry);
	connection->calls_count--;
	free_answer(pending);
	/* Taken with the request, whatever became of it. */
	struct control_arena *arena = pending->request_memory;
	control_server_give(connection->server, sizeof *pending + arena->size);
	free(pending->request_memory);
	free(pending);
}

static void
too_long(Relay__Control__Reply *reply)
{
	static char text[] = "there is no room for the answer: it is longer than a frame, or "
			     "too many are under way";

	relay__control__reply__init(reply);
	reply->code = RELAY__CONTROL__CODE__LIMIT;
	reply->error = text;
}

bool
control_answer(struct control_call *call, Relay__Control__Reply *reply)
{
	struct control_pending *pending = pending_of(call);
	Relay__Control__Reply full;

	if (pending->answer_full ||
	    protobuf_c_message_get_packed_size(&reply->base) > CONTROL_FRAME_MAX - 64) {
		too_long(&full);
		reply = &full;
	}
	reply->id = call->request->id;
	reply->generation = call->control->generation;
	bool more = reply->more;
	bool sent = control_connection_send(pending->connection, &reply->base);
	free_answer(pending);
	if (!sent || !more)
		control_call_end(pending);
	return sent;
}

void
control_answer_ok(struct control_call *call)
{
	Relay__Control__Reply reply;

	relay__control__reply__init(&reply);
	control_answer(call, &reply);
}

void
control_answer_error(struct control_call *call, Relay__Control__Code code, const char *format, ...)
{
	static char no_memory[] = "no memory";
	Relay__Control__Reply reply;
	va_list args;

	relay__control__reply__init(&reply);
	va_start(args, format);
	reply.code = code;
	reply.error = format_text(call, format, args);
	va_end(args);
	if (reply.error == NULL)
		reply.error = no_memory;
	control_answer(call, &reply);
}
