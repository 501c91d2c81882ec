/*
 * session_open.c - requests and notices of this client: asked, sent, sent again, ended.
 *
 *   waiting -> sent <-> busy -> ended -> shown to the caller, freed
 *
 * A number is given when a request is first sent and is its number for good: it is never sent in
 * another session.  What has begun costs no try once the relay says it was received; it is then
 * only repeated to ask for the answer.
 */
#include "relay/msg/session_state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static struct session_opens *
list_of(struct session *s, enum open_state state)
{
	switch (state) {
	case OPEN_WAITING:
		return &s->waiting;
	case OPEN_SENT:
	case OPEN_BUSY:
		return &s->sent;
	case OPEN_ENDED:
		return &s->ended;
	}
	return NULL;
}

static void
move(struct session *s, struct session_open *open, enum open_state state)
{
	struct session_opens *from = list_of(s, open->state), *to = list_of(s, state);

	open->state = state;
	if (from == to)
		return;
	TAILQ_REMOVE(from, open, next);
	TAILQ_INSERT_TAIL(to, open, next);
	s->sent_count += to == &s->sent;
	s->sent_count -= from == &s->sent;
}

/* --- from the caller */

static int
add(struct session *s, uint8_t kind, struct wire_out *body, uint64_t now_ms, uint64_t *id)
{
	struct session_open *open = calloc(1, sizeof *open);

	if (open == NULL)
		return -ENOMEM;
	open->kind = kind;
	open->body = body->data;
	open->body_len = body->len;
	open->id = *id = ++s->last_id;
	open->state = OPEN_WAITING;
	/* What cannot be sent at all waits as long as one that is sent in vain. */
	open->deadline_ms = now_ms;
	for (uint32_t i = 0; i < s->settings.tries; i++) {
		uint64_t wait = (uint64_t)s->settings.resend_first_ms << (i < 20 ? i : 20);
		uint64_t most = s->settings.resend_max_ms;
		open->deadline_ms += wait < most ? wait : most;
	}
	TAILQ_INSERT_TAIL(&s->waiting, open, next);
	s->open_count++;
	return 0;
}

/* Room for a body, if it fits a datagram. */
static int
body_new(struct session *s, struct wire_out *body, size_t len)
{
	size_t around = DATAGRAM_HEADER_SIZE + (s->settings.key != NULL ? DATAGRAM_SEAL_SIZE : 0);

	if (s->open_count >= s->settings.open_max)
		return -EAGAIN;
	if (len > s->settings.size - around)
		return -EMSGSIZE;
	uint8_t *bytes = malloc(len);
	if (bytes == NULL)
		return -ENOMEM;
	*body = wire_out(bytes, len);
	return 0;
}

int
session_request(struct session *s, struct wire_span host, struct wire_span line, bool is_durable,
		uint64_t now_ms, uint64_t *id)
{
	struct datagram_request request = { .host = host, .line = line };
	struct wire_out body;
	int error;

	if (host.len == 0 || host.len > DATAGRAM_HOST_MAX ||
	    (line.len > 0 && memchr(line.data, '\n', line.len) != NULL))
		return -EINVAL;
	if (line.len > DATAGRAM_SIZE_MAX)
		return -EMSGSIZE;
	error = body_new(s, &body, 1 + host.len + line.len);
	if (error != 0)
		return error;
	datagram_request_put(&body, &request);
	assert(!body.overflow && body.len == body.cap);
	error = add(s, DATAGRAM_REQUEST, &body, now_ms, id);
	if (error != 0) {
		free(body.data);
		return error;
	}
	TAILQ_LAST(&s->waiting, session_opens)->is_durable = is_durable;
	return 0;
}

int
session_notice(struct session *s, uint64_t to, struct wire_span text,
	       const uint8_t id_of_notice[RELAY_MSG_ID_SIZE], uint64_t now_ms, uint64_t *id)
{
	uint8_t encoded[NOTICE_SIZE_MAX];
	struct notice notice = {
		.to = to, .from = s->settings.client, .origin = NOTICE_OF_CLIENT, .text = text
	};
	struct wire_out whole = wire_out(encoded, sizeof encoded), body;
	int error;

	memcpy(notice.id, id_of_notice, NOTICE_ID_SIZE);
	if (!notice_has_id(&notice) || notice_put(&whole, &notice) != NOTICE_FINE)
		return -EINVAL;
	error = body_new(s, &body, DATAGRAM_PART_PREFIX + whole.len);
	if (error != 0)
		return error;
	datagram_part_put(&body, &(struct datagram_part){ .total = (uint32_t)whole.len,
							  .bytes = wire_span(encoded, whole.len),
							  .is_last = true });
	assert(!body.overflow && body.len == body.cap);
	error = add(s, DATAGRAM_NOTICE, &body, now_ms, id);
	if (error != 0)
		free(body.data);
	return error;
}

/* --- the end */

void
open_end(struct session *s, struct session_open *open, enum relay_msg_outcome outcome)
{
	assert(open->state != OPEN_ENDED);
	open->outcome = outcome;
	if (outcome != RELAY_MSG_ANSWERED)
		join_clear(s, &open->reply);
	free(open->body);
	open->body = NULL;
	move(s, open, OPEN_ENDED);
}

void
open_free(struct session *s, struct session_open *open)
{
	TAILQ_REMOVE(list_of(s, open->state), open, next);
	s->sent_count -= list_of(s, open->state) == &s->sent;
	s->open_count--;
	join_clear(s, &open->reply);
	free(open->body);
	free(open);
}

void
open_end_all(struct session *s, bool all, enum relay_msg_outcome outcome)
{
	while (!TAILQ_EMPTY(&s->sent))
		open_end(s, TAILQ_FIRST(&s->sent), outcome);
	while (all && !TAILQ_EMPTY(&s->waiting))
		open_end(s, TAILQ_FIRST(&s->waiting), outcome);
}

enum relay_msg_outcome
open_outcome_of(uint8_t code)
{
	switch ((enum datagram_code)code) {
	case DATAGRAM_UNKNOWN_HOST:
		return RELAY_MSG_UNKNOWN_HOST;
	case DATAGRAM_UNKNOWN_CLIENT:
		return RELAY_MSG_UNKNOWN_CLIENT;
	case DATAGRAM_NOT_ALLOWED:
		return RELAY_MSG_NOT_ALLOWED;
	case DATAGRAM_MALFORMED:
	case DATAGRAM_BAD_VERSION:
		return RELAY_MSG_MALFORMED;
	case DATAGRAM_STORE_FULL:
		return RELAY_MSG_STORE_FULL;
	case DATAGRAM_STORE_FAILED:
		return RELAY_MSG_STORE_FAILED;
	case DATAGRAM_TOO_LONG:
		return RELAY_MSG_TOO_LONG;
	case DATAGRAM_FORGOTTEN:
		return RELAY_MSG_FORGOTTEN;
	case DATAGRAM_FINE:
	case DATAGRAM_NEW_SESSION:
	case DATAGRAM_CON_LOST:
		return RELAY_MSG_CON_LOST;
	}
	return RELAY_MSG_CON_LOST;
}

/* --- from the relay */

struct session_open *
open_find(struct session *s, uint64_t number)
{
	struct session_open *open;

	TAILQ_FOREACH(open, &s->sent, next)
		if (open->number == number)
			return open;
	return NULL;
}

void
open_on_seen(struct session *s, const struct datagram_seen *seen)
{
	struct session_open *open;

	TAILQ_FOREACH(open, &s->sent, next)
		if (open->state == OPEN_SENT && datagram_seen_has(seen, open->number))
			open->is_received = true;
}

/* --- time */

static bool
fits(const struct session *s, const struct session_open *open)
{
	size_t around = DATAGRAM_HEADER_SIZE + (s->settings.key != NULL ? DATAGRAM_SEAL_SIZE : 0);

	return around + open->body_len <= s->terms.size_max;
}

static void
again(struct session *s, struct session_open *open, uint64_t now_ms)
{
	if (now_ms >= open->deadline_ms) {
		open_end(s, open,
			 open->state == OPEN_BUSY && !open->is_loose ? RELAY_MSG_BUSY
								     : RELAY_MSG_GIVEN_UP);
		return;
	}
	if (open->state == OPEN_SENT && !open->is_received && open->tries >= s->settings.tries) {
		open_end(s, open, RELAY_MSG_GIVEN_UP);
		return;
	}
	move(s, open, OPEN_SENT);
	send_open(s, open);
	open->next_ms = now_ms + session_backoff(s, open->tries++);
	/* A slow host leaves the relay nothing to say: its answer to this one tells what came. */
	if (!open->is_received && now_ms - s->fresh_ms >= s->settings.resend_first_ms)
		(void)send_fresh(s, DATAGRAM_KEEP_ALIVE, now_ms);
}

static void
launch(struct session *s, struct session_open *open, uint64_t now_ms)
{
	if (!fits(s, open)) {
		open_end(s, open, RELAY_MSG_TOO_LONG);
		return;
	}
	open->session = s->id;
	open->number = ++s->number;
	open->deadline_ms = now_ms + s->settings.timeout_ms;
	move(s, open, OPEN_SENT);
	send_open(s, open);
	s->fresh_ms = now_ms;
	open->next_ms = now_ms + session_backoff(s, open->tries++);
}

void
open_tick(struct session *s, uint64_t now_ms)
{
	struct session_open *open, *next;

	if (s->phase == SESSION_ESTABLISHED) {
		for (open = TAILQ_FIRST(&s->sent); open != NULL; open = next) {
			next = TAILQ_NEXT(open, next);
			if (now_ms >= open->next_ms || now_ms >= open->deadline_ms)
				again(s, open, now_ms);
		}
		while (!TAILQ_EMPTY(&s->waiting) && s->sent_count < s->terms.open_max &&
		       send_has_number(s))
			launch(s, TAILQ_FIRST(&s->waiting), now_ms);
		return;
	}
	while ((open = TAILQ_FIRST(&s->waiting)) != NULL && now_ms >= open->deadline_ms)
		open_end(s, open,
			 s->hello_code != DATAGRAM_FINE ? open_outcome_of(s->hello_code)
							: RELAY_MSG_UNREACHABLE);
}

uint64_t
open_due_ms(const struct session *s)
{
	const struct session_open *open;
	uint64_t due = SESSION_NEVER;

	if (s->phase != SESSION_ESTABLISHED)
		return TAILQ_EMPTY(&s->waiting) ? due : TAILQ_FIRST(&s->waiting)->deadline_ms;
	TAILQ_FOREACH(open, &s->sent, next) {
		if (open->next_ms < due)
			due = open->next_ms;
		if (open->deadline_ms < due)
			due = open->deadline_ms;
	}
	return due;
}
