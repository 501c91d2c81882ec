/*
 * datagram_repeat.c - which requests and notices of a client came before, and what they are worth:
 * a repeat gets what there is, a copy of the very same datagram nothing.
 *
 * Never runs anything.  Owns nothing.
 */
#include "relay/datagrams.h"

bool
session_has_slot(const struct session *session)
{
	return (session->once.running | session->once.answered) != UINT64_MAX;
}

bool
session_is_new(const struct session *session, uint64_t number)
{
	enum datagram_age age = datagram_window_judge(&session->once.window, number);

	return age == DATAGRAM_NEWEST || age == DATAGRAM_FRESH;
}

/* Of each datagram that was sealed: a repeat is sealed anew, a copy is not.  0: not sealed. */
static uint32_t
mark_of(const struct datagram *datagram)
{
	uint32_t mark;

	if ((datagram->header.flags & DATAGRAM_SEALED) == 0)
		return 0;
	memcpy(&mark, datagram->body.data - DATAGRAM_NONCE_SIZE, sizeof mark);
	return mark != 0 ? mark : 1;
}

unsigned
session_take_slot(struct session *session, const struct datagram *datagram)
{
	unsigned slot = 0;

	(void)datagram_once_begin(&session->once, datagram->header.number, DATAGRAM_OPEN_MAX,
				  &slot);
	session->copies[slot] = (struct copies){ .next = 1, .marks = { mark_of(datagram) } };
	return slot;
}

/* Whether this very datagram came before; else it is remembered. */
static bool
is_copy(struct copies *copies, const struct datagram *datagram)
{
	uint32_t mark = mark_of(datagram);

	if (mark == 0)
		return false;
	for (unsigned i = 0; i < DATAGRAM_COPIES; i++) {
		if (copies->marks[i] == mark)
			return true;
	}
	copies->marks[copies->next++ % DATAGRAM_COPIES] = mark;
	return false;
}

void
session_on_repeat(struct session *session, const struct datagram *datagram)
{
	const struct datagram_header *header = &datagram->header;
	unsigned slot;

	datagrams_count(session->plane, DATAGRAM_COUNT_REPLAYED);
	/* Not new, so that this remembers nothing. */
	switch (datagram_once_begin(&session->once, header->number, DATAGRAM_OPEN_MAX, &slot)) {
	case DATAGRAM_ANSWERED:
		if (!is_copy(&session->copies[slot], datagram))
			parcel_repeat(session->answers[slot]);
		break;
	case DATAGRAM_RUNNING: /* says that it came */
		if (!is_copy(&session->copies[slot], datagram))
			session_send_bare(session, DATAGRAM_KEEP_ALIVE, header->number);
		break;
	case DATAGRAM_GONE:
		route_error(&session->route, header, DATAGRAM_FORGOTTEN);
		break;
	case DATAGRAM_RUN:
	case DATAGRAM_NO_SLOT:
		break;
	}
}
