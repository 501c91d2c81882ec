/*
 * session_arrived.c - notices and replies out of the store: joined from their parts, shown once,
 * confirmed when the caller has taken them.
 *
 * The part that completes one is confirmed last, so that the relay keeps it until then.  Memory is
 * bounded by the number of them and by the bytes of all that is being joined.
 */
#include "relay/msg/session_state.h"

#include <stdlib.h>

/* --- wholes, also those of replies */

enum datagram_joined
join_take(struct session *s, struct session_join *join, const struct datagram_part *part,
	  uint32_t index)
{
	size_t marks = (size_t)part->total / 8 + 1;

	if (join->whole == NULL) {
		size_t memory = part->total + marks;
		if (memory > 4 * ((size_t)s->settings.reply_max + NOTICE_SIZE_MAX) - s->join_memory)
			return DATAGRAM_JOIN_FULL;
		join->whole = calloc(1, memory);
		if (join->whole == NULL)
			return DATAGRAM_JOIN_FULL;
		join->join = (struct datagram_join){ 0 };
		join->join.total = part->total;
		join->memory = memory;
		s->join_memory += memory;
	}
	/* Also before a part has been taken: there is room for this total alone. */
	if (part->total != join->join.total)
		return DATAGRAM_JOIN_BAD;
	enum datagram_joined joined = datagram_join_take(&join->join, part, index, join->whole,
							 join->whole + part->total, marks);
	/* A first part that cannot be must not say what the others have to be like. */
	if (join->join.have == 0)
		join_clear(s, join);
	return joined;
}

void
join_clear(struct session *s, struct session_join *join)
{
	free(join->whole);
	s->join_memory -= join->memory;
	*join = (struct session_join){ 0 };
}

/* --- what was shown before */

/* Of a late reply, which has no id of 128 bits, session and number are as good. */
static bool
id_of(const struct session *s, const struct session_arrived *arrived, uint8_t id[NOTICE_ID_SIZE])
{
	struct wire_span whole = wire_span(arrived->parts.whole, arrived->parts.join.total);
	struct datagram_stored stored;
	struct notice notice;

	if (arrived->kind == DATAGRAM_NOTICE) {
		if (notice_get(&notice, whole) != NOTICE_FINE || !notice_has_id(&notice) ||
		    notice.to != s->settings.client)
			return false;
		memcpy(id, notice.id, NOTICE_ID_SIZE);
		return true;
	}
	if (datagram_stored_get(&stored, whole) != DATAGRAM_OK)
		return false;
	datagram_put_u64(id, stored.session);
	datagram_put_u64(id + 8, stored.number);
	return true;
}

void
arrived_remember(struct session *s, const uint8_t id[NOTICE_ID_SIZE])
{
	memcpy(s->remembered[s->remembered_count++ % SESSION_REMEMBERED], id, NOTICE_ID_SIZE);
}

static bool
is_remembered(const struct session *s, const uint8_t id[NOTICE_ID_SIZE])
{
	size_t count =
	    s->remembered_count < SESSION_REMEMBERED ? s->remembered_count : SESSION_REMEMBERED;

	for (size_t i = 0; i < count; i++)
		if (memcmp(s->remembered[i], id, NOTICE_ID_SIZE) == 0)
			return true;
	return false;
}

static bool
is_waiting(const struct session *s, const struct session_arrived *but,
	   const uint8_t id[NOTICE_ID_SIZE])
{
	uint8_t other[NOTICE_ID_SIZE];

	for (size_t i = 0; i < SESSION_JOINS; i++) {
		const struct session_arrived *arrived = &s->arrived[i];
		if (arrived != but && arrived->is_whole && id_of(s, arrived, other) &&
		    memcmp(other, id, NOTICE_ID_SIZE) == 0)
			return true;
	}
	return false;
}

/* Whether it is the reply to a request whose answer the caller has not taken yet: it came in the
 * session before, and its confirm has ended with that. */
static bool
is_answered(const struct session *s, const struct session_arrived *arrived,
	    const uint8_t id[NOTICE_ID_SIZE])
{
	const struct session_open *open;

	TAILQ_FOREACH(open, &s->ended, next)
		if (arrived->kind == DATAGRAM_REPLY && open->held != 0 &&
		    open->session == datagram_get_u64(id) &&
		    open->number == datagram_get_u64(id + 8))
			return true;
	return false;
}

/* --- from the relay */

static void
drop(struct session *s, struct session_arrived *arrived)
{
	join_clear(s, &arrived->parts);
	*arrived = (struct session_arrived){ 0 };
}

/* The place of this whole, or a new one, if need be that of the oldest that never became whole. */
static struct session_arrived *
place_of(struct session *s, const struct datagram_header *header)
{
	struct session_arrived *place = NULL;

	for (size_t i = 0; i < SESSION_JOINS; i++) {
		struct session_arrived *at = &s->arrived[i];
		if (at->serial != 0 && at->session == s->id && at->first == header->about)
			return at->kind == header->kind ? at : NULL;
		if (!at->is_whole && (place == NULL || at->serial < place->serial))
			place = at;
	}
	if (place == NULL)
		return NULL;
	drop(s, place);
	place->kind = header->kind;
	place->session = s->id;
	place->first = header->about;
	place->serial = ++s->serial;
	return place;
}

/* Complete: kept to be shown, or seen to be a repeat or no notice at all. */
static void
complete(struct session *s, struct session_arrived *arrived, uint64_t number)
{
	uint8_t id[NOTICE_ID_SIZE];

	arrived->serial = ++s->serial;
	if (!id_of(s, arrived, id) || is_remembered(s, id)) {
		send_owe(s, number);
		drop(s, arrived);
		return;
	}
	if (is_waiting(s, arrived, id) || is_answered(s, arrived, id)) {
		/* It came in the session before as well: its repeat after that is confirmed. */
		drop(s, arrived);
		return;
	}
	arrived->is_whole = true;
	arrived->held = number;
}

void
arrived_take(struct session *s, const struct datagram *datagram)
{
	const struct datagram_header *header = &datagram->header;
	struct session_arrived *arrived;
	struct datagram_part part;
	/* The store's prefix is no part of the reply that the caller bounds. */
	uint32_t max = header->kind == DATAGRAM_NOTICE
			   ? NOTICE_SIZE_MAX
			   : s->settings.reply_max + DATAGRAM_STORED_PREFIX;

	if (datagram_part_get(&part, datagram, max) != DATAGRAM_OK)
		return;
	arrived = place_of(s, header);
	if (arrived == NULL)
		return;
	if (arrived->is_whole) {
		if (header->number != arrived->held)
			send_owe(s, header->number);
		return;
	}
	switch (join_take(s, &arrived->parts, &part, header->value)) {
	case DATAGRAM_JOIN_MORE:
	case DATAGRAM_JOIN_REPEAT:
		send_owe(s, header->number);
		break;
	case DATAGRAM_JOIN_WHOLE:
		complete(s, arrived, header->number);
		break;
	case DATAGRAM_JOIN_BAD:
	case DATAGRAM_JOIN_FULL:
		break;
	}
}

void
arrived_drop_incomplete(struct session *s)
{
	for (size_t i = 0; i < SESSION_JOINS; i++)
		if (!s->arrived[i].is_whole)
			drop(s, &s->arrived[i]);
}

void
arrived_fini(struct session *s)
{
	for (size_t i = 0; i < SESSION_JOINS; i++)
		drop(s, &s->arrived[i]);
}

/* --- to the caller */

static void
show_notice(struct relay_msg_event *event, struct wire_span whole)
{
	struct notice notice = { 0 };

	if (notice_get(&notice, whole) != NOTICE_FINE)
		return;
	event->what = RELAY_MSG_NOTICE;
	memcpy(event->notice, notice.id, NOTICE_ID_SIZE);
	event->from = notice.from;
	event->time_ms = notice.time_ms;
	event->bytes = notice.text.data;
	event->length = notice.text.len;
	event->sender = (const char *)notice.sender.data;
	event->sender_length = notice.sender.len;
	event->mail = (const char *)notice.mail.data;
	event->mail_length = notice.mail.len;
}

static void
show_late(struct relay_msg_event *event, struct wire_span whole)
{
	struct datagram_stored stored = { 0 };

	if (datagram_stored_get(&stored, whole) != DATAGRAM_OK)
		return;
	event->what = RELAY_MSG_LATE;
	event->session = stored.session;
	event->number = stored.number;
	event->bytes = stored.line.data;
	event->length = stored.line.len;
}

bool
arrived_show(struct session *s, struct relay_msg_event *event)
{
	struct session_arrived *oldest = NULL;

	for (size_t i = 0; i < SESSION_JOINS; i++) {
		struct session_arrived *at = &s->arrived[i];
		if (at->is_whole && (oldest == NULL || at->serial < oldest->serial))
			oldest = at;
	}
	if (oldest == NULL)
		return false;
	struct wire_span whole = wire_span(oldest->parts.whole, oldest->parts.join.total);
	*event = (struct relay_msg_event){ 0 };
	if (oldest->kind == DATAGRAM_NOTICE)
		show_notice(event, whole);
	else
		show_late(event, whole);
	s->shown_arrived = oldest;
	return true;
}

void
arrived_release(struct session *s, uint64_t now_ms)
{
	struct session_arrived *arrived = s->shown_arrived;
	uint8_t id[NOTICE_ID_SIZE];

	if (arrived == NULL)
		return;
	s->shown_arrived = NULL;
	if (id_of(s, arrived, id))
		arrived_remember(s, id);
	/* Of an earlier session: the relay sends it again in this one, and that is confirmed. */
	if (s->phase == SESSION_ESTABLISHED && arrived->session == s->id) {
		send_owe(s, arrived->held);
		if (s->unacked_count == 0)
			s->unacked_ms = now_ms + session_backoff(s, 0);
		if (s->unacked_count < SESSION_UNACKED)
			s->unacked[s->unacked_count++] =
			    (struct session_unacked){ .number = arrived->held };
	}
	drop(s, arrived);
}
