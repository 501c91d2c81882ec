/*
 * session.c - the session of a client: asked for, kept alive, lost, and what the caller is told.
 *
 *   greeting --welcome--> established --new_session, bye, silence--> greeting
 *
 * What was sent in a session ends with it; what waits for one goes on waiting.
 */
#include "relay/msg/session_state.h"

#include <assert.h>
#include <stdlib.h>

uint64_t
session_below(struct session *s, uint64_t below)
{
	uint64_t number;

	s->world.random(s->world.context, &number, sizeof number);
	return number % below;
}

uint64_t
session_backoff(struct session *s, uint32_t tries)
{
	uint64_t wait = (uint64_t)s->settings.resend_first_ms << (tries < 20 ? tries : 20);

	if (wait > s->settings.resend_max_ms)
		wait = s->settings.resend_max_ms;
	return wait - wait / 4 + session_below(s, wait / 2 + 1);
}

struct session *
session_new(const struct session_settings *settings, const struct session_world *world,
	    uint64_t now_ms)
{
	struct session *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->out = malloc(settings->size);
	if (s->out == NULL) {
		free(s);
		return NULL;
	}
	s->settings = *settings;
	s->world = *world;
	if (settings->key != NULL)
		datagram_cipher_init(&s->cipher, settings->client, settings->key);
	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->sent);
	TAILQ_INIT(&s->ended);
	s->phase = SESSION_ESTABLISHED;
	session_end(s, now_ms, now_ms);
	s->tell_offline = false;
	return s;
}

static void
free_list(struct session *s, struct session_opens *list)
{
	while (!TAILQ_EMPTY(list))
		open_free(s, TAILQ_FIRST(list));
}

void
session_free(struct session *s)
{
	if (s->phase == SESSION_ESTABLISHED)
		(void)send_fresh(s, DATAGRAM_BYE, s->fresh_ms);
	free_list(s, &s->waiting);
	free_list(s, &s->sent);
	free_list(s, &s->ended);
	arrived_fini(s);
	assert(s->join_memory == 0 && s->open_count == 0);
	datagram_wipe(&s->cipher, sizeof s->cipher);
	free(s->out);
	free(s);
}

/* --- from session to session */

void
session_end(struct session *s, uint64_t now_ms, uint64_t hello_ms)
{
	assert(s->phase == SESSION_ESTABLISHED);
	s->phase = SESSION_GREETING;
	open_end_all(s, false, RELAY_MSG_CON_LOST);
	arrived_drop_incomplete(s);
	s->owed_count = 0;
	s->unacked_count = 0;
	/* What the caller never heard of need not be taken back. */
	if (s->tell_online)
		s->tell_online = false;
	else
		s->tell_offline = true;
	s->heard_ms = now_ms;
	s->hello = session_below(s, UINT64_MAX) + 1;
	s->hello_ms = hello_ms;
	s->hello_tries = 0;
	s->hello_code = DATAGRAM_FINE;
}

void
session_begin(struct session *s, uint64_t id, const struct datagram_welcome *terms, uint64_t now_ms)
{
	s->phase = SESSION_ESTABLISHED;
	s->id = id;
	s->terms = *terms;
	s->number = 0;
	s->in = (struct datagram_window){ 0 };
	s->heard_ms = now_ms;
	s->tell_online = true;
	/* The session begins with the first datagram in it: a request, if one waits. */
	open_tick(s, now_ms);
	if (s->number == 0)
		(void)send_fresh(s, DATAGRAM_KEEP_ALIVE, now_ms);
}

/* --- time */

static void
greet(struct session *s, uint64_t now_ms)
{
	if (now_ms < s->hello_ms)
		return;
	send_hello(s);
	s->hello_ms = now_ms + session_backoff(s, s->hello_tries++);
}

/* A third of the patience; more often once the relay has not been heard for half of it. */
static uint64_t
keep_alive_ms(const struct session *s)
{
	uint64_t third = s->terms.keep_alive_ms / 3 + 1;
	uint64_t regular = s->fresh_ms + third;
	uint64_t first = s->settings.resend_first_ms < third ? s->settings.resend_first_ms : third;
	uint64_t worried = s->heard_ms + s->terms.keep_alive_ms / 2;

	if (worried < s->fresh_ms + first)
		worried = s->fresh_ms + first;
	return regular < worried ? regular : worried;
}

static void
keep_alive(struct session *s, uint64_t now_ms)
{
	if (now_ms - s->heard_ms >= s->terms.keep_alive_ms) {
		session_end(s, now_ms, now_ms);
		greet(s, now_ms);
		return;
	}
	if (now_ms >= keep_alive_ms(s) && !send_fresh(s, DATAGRAM_KEEP_ALIVE, now_ms))
		s->fresh_ms = now_ms; /* no number: what is sent again keeps it alive */
}

void
session_tick(struct session *s, uint64_t now_ms)
{
	if (s->phase == SESSION_GREETING)
		greet(s, now_ms);
	open_tick(s, now_ms);
	if (s->phase == SESSION_ESTABLISHED) {
		unacked_tick(s, now_ms);
		keep_alive(s, now_ms);
	}
}

uint64_t
session_due_ms(struct session *s)
{
	uint64_t due = open_due_ms(s), other;

	if (s->phase == SESSION_GREETING)
		return s->hello_ms < due ? s->hello_ms : due;
	other = keep_alive_ms(s);
	if (s->heard_ms + s->terms.keep_alive_ms < other)
		other = s->heard_ms + s->terms.keep_alive_ms;
	if (s->unacked_count > 0 && s->unacked_ms < other)
		other = s->unacked_ms;
	return other < due ? other : due;
}

/* --- to the caller */

static void
release(struct session *s, uint64_t now_ms)
{
	struct session_open *open = s->shown;
	uint8_t id[NOTICE_ID_SIZE];

	arrived_release(s, now_ms);
	if (open == NULL)
		return;
	s->shown = NULL;
	if (open->held != 0) {
		/* If the confirm is lost with its session, the reply comes again as a late one. */
		datagram_put_u64(id, open->session);
		datagram_put_u64(id + 8, open->number);
		arrived_remember(s, id);
		if (s->phase == SESSION_ESTABLISHED && open->session == s->id)
			send_owe(s, open->held);
	}
	open_free(s, open);
}

static bool
show_ended(struct session *s, uint64_t only_id, struct relay_msg_event *event)
{
	struct session_open *open;

	TAILQ_FOREACH(open, &s->ended, next)
		if (only_id == 0 || open->id == only_id)
			break;
	if (open == NULL)
		return false;
	*event = (struct relay_msg_event){ .what = RELAY_MSG_ANSWER,
					   .outcome = open->outcome,
					   .id = open->id,
					   .session = open->session,
					   .number = open->number };
	if (open->outcome == RELAY_MSG_ANSWERED) {
		event->bytes = open->reply.whole;
		event->length = open->reply.join.total;
	}
	s->shown = open;
	return true;
}

static bool
show_session(struct session *s, struct relay_msg_event *event)
{
	if (!s->tell_offline && !s->tell_online)
		return false;
	*event = (struct relay_msg_event){ .what = RELAY_MSG_OFFLINE };
	if (s->tell_offline) {
		s->tell_offline = false;
		return true;
	}
	s->tell_online = false;
	event->what = RELAY_MSG_ONLINE;
	event->session = s->id;
	return true;
}

bool
session_next(struct session *s, uint64_t only_id, struct relay_msg_event *event, uint64_t now_ms)
{
	release(s, now_ms);
	if (show_ended(s, only_id, event))
		return true;
	if (only_id == 0 && (show_session(s, event) || arrived_show(s, event)))
		return true;
	send_owed(s, now_ms);
	return false;
}

size_t
session_unconfirmed(const struct session *s)
{
	return s->unacked_count;
}
