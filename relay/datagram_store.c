/*
 * datagram_store.c - what control has to write down for clients, and what it has written: notices
 * of clients to be accepted, durable replies nobody confirmed, confirms of what came out of the
 * store.
 *
 * Each is a token until control has answered it; a new control process is told all that are open.
 * Nobody hears accepted or confirmed before COMMITTED.  Owns the tokens and their memfds; has at
 * most DATAGRAM_TOKENS_MAX of them.  Replies beyond that wait, without a descriptor.
 */
#include "relay/datagrams.h"

#include "relay/port.h"
#include "wire/notice.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* --- telling control -------------------------------------------------------------------------- */

static struct channel_message
message_of(const struct token *token)
{
	struct channel_message message = { .type = token->type };

	if (token->type == CHANNEL_CONFIRMED) {
		message.confirmed.token = token->number;
		message.confirmed.client = token->client;
		message.confirmed.kind = token->kind;
		memcpy(message.confirmed.id, token->id, sizeof token->id);
		return message;
	}
	message.accept.token = token->number;
	message.accept.client = token->client;
	message.accept.session = token->session;
	message.accept.number = token->about;
	message.accept.length = token->length;
	return message;
}

void
tokens_tell(struct datagrams *plane)
{
	struct port *control = plane->worker->control;
	struct token *token;

	TAILQ_FOREACH(token, &plane->tokens, entry) {
		if (token->told || control == NULL)
			continue;
		const struct channel_message message = message_of(token);
		if (port_send(control, &message, token->memfd) != 0) {
			datagrams_tell_later(plane);
			return;
		}
		token->told = true;
	}
}

static void
token_free(struct datagrams *plane, struct token *token)
{
	TAILQ_REMOVE(&plane->tokens, token, entry);
	plane->tokens_count--;
	if (token->memfd >= 0)
		close(token->memfd);
	free(token);
}

static void
remain_free(struct datagrams *plane, struct remain *remain)
{
	struct memory *memory = &plane->worker->memory;

	TAILQ_REMOVE(&plane->remains, remain, entry);
	buffer_release(&remain->bytes, memory);
	memory_put(memory, remain, remain->block);
}

void
tokens_forget(struct datagrams *plane, bool told_too)
{
	struct token *token;
	struct token *next;

	while (told_too && !TAILQ_EMPTY(&plane->remains))
		remain_free(plane, TAILQ_FIRST(&plane->remains));
	for (token = TAILQ_FIRST(&plane->tokens); token != NULL; token = next) {
		next = TAILQ_NEXT(token, entry);
		token->told = false;
		if (told_too)
			token_free(plane, token);
	}
}

/* Takes the memfd in any case.  NULL: there are too many. */
static struct token *
token_new(struct datagrams *plane, const struct token *what)
{
	struct token *token =
	    plane->tokens_count < DATAGRAM_TOKENS_MAX ? calloc(1, sizeof *token) : NULL;

	if (token == NULL) {
		datagrams_count(plane, DATAGRAM_COUNT_NO_ROOM);
		if (what->memfd >= 0)
			close(what->memfd);
		return NULL;
	}
	*token = *what;
	token->number = ++plane->last_token;
	TAILQ_INSERT_TAIL(&plane->tokens, token, entry);
	plane->tokens_count++;
	tokens_tell(plane);
	return token;
}

static int
make_memfd(struct wire_span bytes)
{
	int fd = memfd_create("message", MFD_CLOEXEC);
	size_t at = 0;

	while (fd >= 0 && at < bytes.len) {
		ssize_t put = pwrite(fd, bytes.data + at, bytes.len - at, (off_t)at);
		if (put <= 0) {
			close(fd);
			return -1;
		}
		at += (size_t)put;
	}
	return fd;
}

static void
write_down(struct datagrams *plane, uint64_t client, uint64_t session, uint64_t number,
	   const struct buffer *line)
{
	const struct wire_span bytes = wire_span(buffer_at(line), buffer_len(line));
	struct token what = {
		.type = CHANNEL_STORE_REPLY,
		.client = client,
		.session = session,
		.about = number,
		.length = bytes.len,
		.memfd = make_memfd(bytes),
	};

	if (what.memfd >= 0)
		(void)token_new(plane, &what);
	else
		datagrams_count(plane, DATAGRAM_COUNT_NO_ROOM);
}

static void
store_remains(struct datagrams *plane)
{
	struct remain *remain;

	while (plane->tokens_count < DATAGRAM_TOKENS_MAX &&
	       (remain = TAILQ_FIRST(&plane->remains)) != NULL) {
		write_down(plane, remain->client, remain->session, remain->number, &remain->bytes);
		remain_free(plane, remain);
	}
}

/* Many may end in one turn, with their sessions. */
void
store_reply(struct datagrams *plane, uint64_t client, uint64_t session, uint64_t number,
	    struct buffer *line)
{
	struct memory *memory = &plane->worker->memory;
	struct remain *remain;
	size_t block;

	if (plane->tokens_count < DATAGRAM_TOKENS_MAX) {
		write_down(plane, client, session, number, line);
		return;
	}
	remain = memory_resize(memory, NULL, 0, 0, sizeof *remain, &block);
	if (remain == NULL) {
		datagrams_count(plane, DATAGRAM_COUNT_NO_ROOM);
		return;
	}
	*remain = (struct remain){
		.client = client, .session = session, .number = number, .block = block
	};
	buffer_take(&remain->bytes, line, memory);
	TAILQ_INSERT_TAIL(&plane->remains, remain, entry);
}

/* --- notices of clients ----------------------------------------------------------------------- */

static uint64_t
wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* The notice as the store shall have it, or why not. */
static enum datagram_code
read_notice(struct session *session, const struct datagram *datagram, struct wire_out *out)
{
	struct datagram_part part;
	struct notice notice;

	if (datagram_part_get(&part, datagram, NOTICE_SIZE_MAX) != DATAGRAM_OK || !part.is_last ||
	    part.offset != 0)
		return DATAGRAM_MALFORMED;
	enum notice_fault fault = notice_get(&notice, part.bytes);
	if (fault == NOTICE_TOO_LONG)
		return DATAGRAM_TOO_LONG;
	if (fault != NOTICE_FINE)
		return DATAGRAM_MALFORMED;
	if (notice.origin != NOTICE_OF_CLIENT || notice.from != session->client)
		return DATAGRAM_NOT_ALLOWED;
	if (!notice_has_id(&notice))
		datagrams_random(session->plane, notice.id, sizeof notice.id);
	notice.time_ms = wall_ms();
	return notice_put(out, &notice) == NOTICE_FINE ? DATAGRAM_FINE : DATAGRAM_MALFORMED;
}

static void
take_notice(struct session *session, const struct datagram *datagram)
{
	const struct datagram_header *header = &datagram->header;
	struct datagrams *plane = session->plane;
	uint8_t bytes[NOTICE_SIZE_MAX];
	struct wire_out out = wire_out(bytes, sizeof bytes);
	enum datagram_code code = read_notice(session, datagram, &out);

	if (code != DATAGRAM_FINE) {
		datagrams_count(plane, DATAGRAM_COUNT_MALFORMED);
		route_error(&session->route, header, code);
		return;
	}
	struct token what = {
		.type = CHANNEL_ACCEPT,
		.client = session->client,
		.session = session->id,
		.about = header->number,
		.length = out.len,
		.memfd = make_memfd(wire_span(bytes, out.len)),
	};
	struct token *token = what.memfd < 0 ? NULL : token_new(plane, &what);
	if (token == NULL) {
		route_busy(&session->route, header);
		return;
	}
	token->slot = session_take_slot(session, datagram);
}

void
session_on_notice(struct session *session, const struct datagram *datagram)
{
	const struct datagram_header *header = &datagram->header;

	if (!session_is_new(session, header->number)) {
		session_on_repeat(session, datagram);
		return;
	}
	if (!session_has_slot(session) || !session_may_ask(session)) {
		route_busy(&session->route, header);
		return;
	}
	take_notice(session, datagram);
}

/* --- answers of control ----------------------------------------------------------------------- */

static enum datagram_code
code_of(enum channel_refusal why)
{
	switch (why) {
	case CHANNEL_REFUSED_MALFORMED:
		return DATAGRAM_MALFORMED;
	case CHANNEL_REFUSED_TOO_LONG:
		return DATAGRAM_TOO_LONG;
	case CHANNEL_REFUSED_UNKNOWN_CLIENT:
		return DATAGRAM_UNKNOWN_CLIENT;
	case CHANNEL_REFUSED_FULL:
		return DATAGRAM_STORE_FULL;
	case CHANNEL_REFUSED_FAILED:
	case CHANNEL_REFUSED_BUSY:
		break;
	}
	return DATAGRAM_STORE_FAILED;
}

static void
answer_notice(struct session *session, const struct token *token, bool committed, uint32_t why)
{
	const struct parcel what = {
		.kind = committed ? DATAGRAM_ACCEPTED : DATAGRAM_ERROR,
		.code = committed ? DATAGRAM_FINE : (uint8_t)code_of((enum channel_refusal)why),
		.about = token->about,
		.slot = (int)token->slot,
	};
	struct buffer none = { 0 };

	if (!committed && why == CHANNEL_REFUSED_BUSY)
		session_refuse(session, token->about, token->slot);
	else if (parcel_new(session, &what, &none) == NULL)
		datagram_once_forget(&session->once, token->slot);
}

void
session_say_confirmed(struct session *session, const struct datagram_seen *seen)
{
	uint8_t bytes[DATAGRAM_CONFIRMED_BODY];
	struct wire_out body = wire_out(bytes, sizeof bytes);
	struct letter letter = { .header = { .kind = DATAGRAM_CONFIRMED,
					     .number = session_number(session) } };

	datagram_confirmed_put(&body, seen);
	letter.body = wire_span(bytes, body.len);
	if (letter.header.number != 0)
		session_send(session, &letter);
}

/* Remembered, in case the word of it is lost. */
static void
confirm_is_committed(struct session *session, const struct token *token)
{
	const struct datagram_seen *seen = &token->seen;

	for (uint64_t below = 0; below <= 64 && below < seen->top; below++) {
		if (datagram_seen_has(seen, seen->top - below))
			(void)datagram_window_mark(&session->committed, seen->top - below);
	}
	session_say_confirmed(session, seen);
}

static void
count_answer(struct datagrams *plane, enum channel_type type, bool committed)
{
	if (type == CHANNEL_ACCEPT)
		datagrams_count(plane, committed ? DATAGRAM_COUNT_NOTICES : DATAGRAM_COUNT_REFUSED);
	else if (type == CHANNEL_STORE_REPLY)
		datagrams_count(plane, committed ? DATAGRAM_COUNT_STORED : DATAGRAM_COUNT_GIVEN_UP);
	else if (committed)
		datagrams_count(plane, DATAGRAM_COUNT_DELIVERED);
}

void
store_on_answer(struct datagrams *plane, const struct channel_answer *answer, bool committed)
{
	struct token *token;

	TAILQ_FOREACH(token, &plane->tokens, entry) {
		if (token->number == answer->token)
			break;
	}
	if (token == NULL)
		return;
	/* A client that gave a notice is told to come again; nobody would come with these. */
	if (!committed && answer->why == CHANNEL_REFUSED_BUSY && token->type != CHANNEL_ACCEPT) {
		token->told = false;
		datagrams_tell_later(plane);
		return;
	}
	struct session *session = session_find(plane, token->client);
	if (session != NULL && session->id != token->session)
		session = NULL;
	if (session != NULL && token->type == CHANNEL_ACCEPT)
		answer_notice(session, token, committed, answer->why);
	if (session != NULL && token->type == CHANNEL_CONFIRMED && committed)
		confirm_is_committed(session, token);
	count_answer(plane, token->type, committed);
	if (session != NULL && token->type == CHANNEL_CONFIRMED && !committed)
		session_missed(session);
	token_free(plane, token);
	store_remains(plane);
}

/* --- out of the store ------------------------------------------------------------------------- */

static bool
is_under_way(const struct session *session, const uint8_t *id)
{
	const struct parcel *parcel;
	const struct token *token;

	TAILQ_FOREACH(parcel, &session->outbox, entry) {
		if (parcel->stored != 0 && memcmp(parcel->id, id, CHANNEL_ID_SIZE) == 0)
			return true;
	}
	TAILQ_FOREACH(token, &session->plane->tokens, entry) {
		if (token->type == CHANNEL_CONFIRMED && token->session == session->id &&
		    memcmp(token->id, id, CHANNEL_ID_SIZE) == 0)
			return true;
	}
	return false;
}

static bool
read_stored(struct buffer *bytes, struct memory *memory, const struct channel_notice *notice,
	    int memfd)
{
	uint8_t prefix[DATAGRAM_STORED_PREFIX];
	struct stat st;

	if (memfd < 0 || fstat(memfd, &st) != 0 || (uint64_t)st.st_size < notice->length ||
	    notice->length > DATAGRAM_JOINED_MAX - sizeof prefix)
		return false;
	datagram_put_u64(prefix, notice->session);
	datagram_put_u64(prefix + 8, notice->number);
	if (notice->kind == CHANNEL_STORED_REPLY &&
	    !buffer_append(bytes, memory, prefix, sizeof prefix))
		return false;
	uint8_t *room = buffer_room(bytes, memory, notice->length);
	if (room == NULL || pread(memfd, room, notice->length, 0) != (ssize_t)notice->length)
		return false;
	buffer_grow(bytes, notice->length);
	return true;
}

void
store_on_notice(struct datagrams *plane, const struct channel_notice *notice, int memfd)
{
	struct session *session = plane->table == NULL ? NULL : session_find(plane, notice->client);
	struct memory *memory = &plane->worker->memory;
	bool is_reply = notice->kind == CHANNEL_STORED_REPLY;
	struct parcel what = {
		.kind = is_reply ? DATAGRAM_REPLY : DATAGRAM_NOTICE,
		.flags = is_reply ? DATAGRAM_DURABLE : 0,
		.slot = -1,
		.stored = notice->kind,
	};
	struct buffer bytes = { 0 };

	memcpy(what.id, notice->id, sizeof what.id);
	if (session == NULL || is_under_way(session, notice->id))
		return;
	bool is_read = read_stored(&bytes, memory, notice, memfd);
	if (!is_read)
		buffer_release(&bytes, memory);
	if (!is_read || parcel_new(session, &what, &bytes) == NULL) {
		datagrams_count(plane, DATAGRAM_COUNT_NO_ROOM);
		session_missed(session);
	}
}

/* The client has confirmed all of it; without a token it comes again. */
void
store_confirm(const struct parcel *parcel)
{
	struct session *session = parcel->session;
	struct token what = {
		.type = CHANNEL_CONFIRMED,
		.client = session->client,
		.session = session->id,
		.kind = parcel->stored,
		.seen = parcel->confirmed,
		.memfd = -1,
	};

	memcpy(what.id, parcel->id, sizeof what.id);
	if (token_new(session->plane, &what) == NULL)
		session_missed(session);
}
