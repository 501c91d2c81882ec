/*
 * session_receive.c - what comes from the relay.
 *
 * Believes nothing that is not of this client, of this session and, with a key, sealed by the
 * relay; everything else is dropped without a trace.
 */
#include "relay/msg/session_state.h"

static void
on_welcome(struct session *s, const struct datagram *datagram, uint64_t now_ms)
{
	struct datagram_welcome terms;

	if (s->phase != SESSION_GREETING || datagram->header.about != s->hello ||
	    datagram_welcome_get(&terms, datagram) != DATAGRAM_OK)
		return;
	if (terms.size_max > s->settings.size)
		return;
	session_begin(s, datagram->header.session, &terms, now_ms);
}

/* Busy and errors about the hello: the relay is there, and does not want it (now). */
static void
on_hello_answer(struct session *s, const struct datagram_header *header, uint64_t now_ms)
{
	if (header->about != s->hello)
		return;
	if (header->kind == DATAGRAM_BUSY) {
		s->hello_ms = now_ms + header->value + session_below(s, header->value / 4 + 1);
		return;
	}
	if (header->code != DATAGRAM_NEW_SESSION)
		s->hello_code = (enum datagram_code)header->code;
}

/* --- answers */

/* Whether the number is one of a durable reply that the caller has not taken yet. */
static bool
is_held(const struct session *s, uint64_t number)
{
	const struct session_open *open;

	TAILQ_FOREACH(open, &s->ended, next)
		if (open->held == number && open->session == s->id)
			return true;
	return false;
}

static void
on_part(struct session *s, struct session_open *open, const struct datagram *datagram)
{
	const struct datagram_header *header = &datagram->header;
	struct datagram_part part;

	if (datagram_part_get(&part, datagram, s->settings.reply_max) != DATAGRAM_OK)
		return;
	switch (join_take(s, &open->reply, &part, header->value)) {
	case DATAGRAM_JOIN_MORE:
	case DATAGRAM_JOIN_REPEAT:
		send_owe(s, header->number);
		break;
	case DATAGRAM_JOIN_WHOLE:
		if (open->is_durable)
			open->held = header->number;
		else
			send_owe(s, header->number);
		open_end(s, open, RELAY_MSG_ANSWERED);
		break;
	case DATAGRAM_JOIN_BAD:
	case DATAGRAM_JOIN_FULL:
		break;
	}
}

static void
on_reply(struct session *s, const struct datagram *datagram)
{
	const struct datagram_header *header = &datagram->header;

	if ((header->flags & DATAGRAM_DURABLE) != 0) {
		arrived_take(s, datagram);
		return;
	}
	struct session_open *open = open_find(s, header->about);
	if (open == NULL || open->kind != DATAGRAM_REQUEST) {
		/* Ended meanwhile: a confirm ends the repeats. */
		if (!is_held(s, header->number))
			send_owe(s, header->number);
		return;
	}
	open->is_received = true;
	if (header->code == DATAGRAM_FINE) {
		on_part(s, open, datagram);
		return;
	}
	send_owe(s, header->number);
	open_end(s, open, open_outcome_of(header->code));
}

static void
on_accepted(struct session *s, const struct datagram_header *header)
{
	struct session_open *open = open_find(s, header->about);

	if (open != NULL && open->kind == DATAGRAM_NOTICE)
		open_end(s, open, RELAY_MSG_ACCEPTED);
}

static void
on_busy(struct session *s, const struct datagram_header *header, uint64_t now_ms)
{
	struct session_open *open = open_find(s, header->about);

	if (open == NULL)
		return;
	/* The copy that this answers was not queued, so it is not under way either. */
	if (open->tries != 1 || open->is_received)
		open->is_loose = true;
	open->is_received = false;
	open->state = OPEN_BUSY;
	open->tries = 0;
	open->next_ms = now_ms + header->value + session_below(s, header->value / 4 + 1);
}

static void
on_error(struct session *s, const struct datagram_header *header, uint64_t now_ms)
{
	struct session_open *open;

	if (header->code == DATAGRAM_NEW_SESSION) {
		if (header->session == s->id)
			session_end(s, now_ms, now_ms);
		return;
	}
	open = open_find(s, header->about);
	if (open != NULL)
		open_end(s, open, open_outcome_of(header->code));
}

/* --- confirms of confirms */

static void
on_confirmed(struct session *s, const struct datagram *datagram)
{
	struct datagram_seen confirmed;
	size_t kept = 0;

	if (datagram_confirmed_get(&confirmed, datagram) != DATAGRAM_OK)
		return;
	for (size_t i = 0; i < s->unacked_count; i++)
		if (!datagram_seen_has(&confirmed, s->unacked[i].number))
			s->unacked[kept++] = s->unacked[i];
	s->unacked_count = kept;
}

void
unacked_tick(struct session *s, uint64_t now_ms)
{
	size_t kept = 0;
	uint32_t most = 0;

	if (s->unacked_count == 0 || now_ms < s->unacked_ms)
		return;
	for (size_t i = 0; i < s->unacked_count; i++) {
		struct session_unacked unacked = s->unacked[i];
		if (unacked.tries++ >= s->settings.tries)
			continue;
		if (unacked.tries > most)
			most = unacked.tries;
		send_owe(s, unacked.number);
		s->unacked[kept++] = unacked;
	}
	s->unacked_count = kept;
	s->unacked_ms = now_ms + session_backoff(s, most);
	send_owed(s, now_ms);
}

/* --- all of them */

static void
dispatch(struct session *s, const struct datagram *datagram, uint64_t now_ms)
{
	const struct datagram_header *header = &datagram->header;

	switch ((enum datagram_kind)header->kind) {
	case DATAGRAM_REPLY:
		on_reply(s, datagram);
		break;
	case DATAGRAM_NOTICE:
		arrived_take(s, datagram);
		break;
	case DATAGRAM_CONFIRMED:
		on_confirmed(s, datagram);
		break;
	case DATAGRAM_BUSY:
		on_busy(s, header, now_ms);
		break;
	case DATAGRAM_ACCEPTED:
		on_accepted(s, header);
		break;
	case DATAGRAM_BYE:
		session_end(s, now_ms, now_ms + session_backoff(s, 0));
		break;
	case DATAGRAM_ERROR:
		on_error(s, header, now_ms);
		break;
	case DATAGRAM_KEEP_ALIVE: /* that it came is all that it says */
	case DATAGRAM_WELCOME:    /* taken before; others are of the client */
	case DATAGRAM_HELLO:
	case DATAGRAM_REQUEST:
	case DATAGRAM_CONFIRM:
		break;
	}
}

/* Replies and notices are repeated until they are confirmed, also those that came before. */
static bool
is_repeat(struct session *s, const struct datagram_header *header)
{
	if (header->kind != DATAGRAM_REPLY && header->kind != DATAGRAM_NOTICE)
		return false;
	switch (datagram_window_judge(&s->in, header->number)) {
	case DATAGRAM_SEEN:
	case DATAGRAM_TOO_OLD:
		send_owe(s, header->number);
		return true;
	case DATAGRAM_NEWEST:
	case DATAGRAM_FRESH:
		return false;
	}
	return false;
}

void
session_take(struct session *s, uint8_t *bytes, size_t len, uint64_t now_ms)
{
	struct datagram_terms terms = {
		.from = DATAGRAM_OF_RELAY,
		.is_sealed = s->settings.key != NULL,
		.size_max = s->settings.size,
	};
	struct datagram datagram;

	if (datagram_look(&datagram, wire_span(bytes, len), &terms) != DATAGRAM_OK ||
	    datagram.header.client != s->settings.client)
		return;
	if (terms.is_sealed && datagram_open(&s->cipher, &datagram, bytes, len) != DATAGRAM_OK)
		return;
	if (s->phase == SESSION_GREETING) {
		if (datagram.header.kind == DATAGRAM_WELCOME)
			on_welcome(s, &datagram, now_ms);
		else if (datagram.header.kind == DATAGRAM_BUSY ||
			 datagram.header.kind == DATAGRAM_ERROR)
			on_hello_answer(s, &datagram.header, now_ms);
		return;
	}
	if (datagram.header.session != s->id)
		return;
	s->heard_ms = now_ms;
	open_on_seen(s, &datagram.header.seen);
	if (!is_repeat(s, &datagram.header))
		dispatch(s, &datagram, now_ms);
}
