/*
 * crowd_ledger.c - what became of every notice.
 *
 * A notice's id tells its place here, so nothing is searched.  That a confirm was acknowledged is
 * read from the datagrams themselves, beside the session: a session that hides repeats from its
 * owner, as it should, would hide the fault that is looked for.
 */
#include "tests/e2e/crowd.h"

#include <err.h>
#include <stdio.h>

struct entry {
	uint64_t to;
	bool is_accepted, is_shown, is_acknowledged;
};

static struct entry entries[CROWD_NOTICES];
static struct crowd_totals totals;

bool
ledger_make(uint64_t to, uint8_t id[NOTICE_ID_SIZE], uint32_t *notice)
{
	if (totals.made == CROWD_NOTICES)
		return false;
	*notice = totals.made++;
	entries[*notice].to = to;
	datagram_put_u64(id, ~options.seed);
	datagram_put_u64(id + 8, *notice);
	return true;
}

bool
ledger_find(const uint8_t id[NOTICE_ID_SIZE], uint32_t *notice)
{
	uint8_t mine[8];
	uint64_t place = 0;

	datagram_put_u64(mine, ~options.seed);
	for (int i = 8; i < NOTICE_ID_SIZE; i++)
		place = place << 8 | id[i];
	*notice = (uint32_t)place;
	return memcmp(id, mine, sizeof mine) == 0 && place < totals.made;
}

size_t
ledger_text(uint32_t notice, char *text, size_t size)
{
	return (size_t)snprintf(text, size, "notice %u for %llx", notice,
				(unsigned long long)entries[notice].to);
}

void
ledger_accepted(uint32_t notice)
{
	struct entry *entry = &entries[notice];

	if (entry->is_accepted)
		return;
	entry->is_accepted = true;
	totals.accepted++;
	totals.missing += !entry->is_shown;
}

void
ledger_shown(uint64_t to, const struct relay_msg_event *event)
{
	char text[64];
	uint32_t notice;

	if (!ledger_find(event->notice, &notice)) {
		totals.twice++;
		return;
	}
	struct entry *entry = &entries[notice];
	if (entry->is_shown || entry->to != to ||
	    ledger_text(notice, text, sizeof text) != event->length ||
	    memcmp(text, event->bytes, event->length) != 0) {
		warnx("notice %u is shown to %llx: %s", notice, (unsigned long long)to,
		      entry->is_shown ? "again" : "wrong");
		totals.twice++;
		return;
	}
	entry->is_shown = true;
	totals.shown++;
	totals.missing -= entry->is_accepted;
}

static void
tap_notice(struct crowd_member *member, const struct datagram *datagram)
{
	struct datagram_part part;
	struct notice notice;
	uint32_t at;

	if (datagram_part_get(&part, datagram, NOTICE_SIZE_MAX) != DATAGRAM_OK ||
	    part.bytes.len != part.total || notice_get(&notice, part.bytes) != NOTICE_FINE ||
	    !ledger_find(notice.id, &at)) {
		totals.twice++;
		return;
	}
	if (entries[at].is_acknowledged) {
		warnx("notice %u comes to %llx after its confirm was acknowledged", at,
		      (unsigned long long)member->id);
		totals.again++;
		return;
	}
	const struct datagram_header *header = &datagram->header;
	for (unsigned i = 0; i < member->delivered_count; i++)
		if (member->delivered[i].session == header->session &&
		    member->delivered[i].number == header->number)
			return;
	if (member->delivered_count == CROWD_DELIVERED)
		errx(1, "more than %d notices without a confirm", CROWD_DELIVERED);
	member->delivered[member->delivered_count++] =
	    (struct crowd_delivered){ header->session, header->number, at };
}

static void
tap_confirmed(struct crowd_member *member, const struct datagram *datagram)
{
	struct datagram_seen seen;
	unsigned kept = 0;

	if (datagram_confirmed_get(&seen, datagram) != DATAGRAM_OK)
		return;
	for (unsigned i = 0; i < member->delivered_count; i++) {
		const struct crowd_delivered *delivered = &member->delivered[i];
		struct entry *entry = &entries[delivered->notice];
		if (delivered->session == datagram->header.session &&
		    datagram_seen_has(&seen, delivered->number)) {
			totals.acknowledged += !entry->is_acknowledged;
			entry->is_acknowledged = true;
		} else {
			member->delivered[kept++] = *delivered;
		}
	}
	member->delivered_count = kept;
}

void
ledger_tap(struct crowd_member *member, const uint8_t *bytes, size_t len)
{
	const struct datagram_terms terms = { .from = DATAGRAM_OF_RELAY,
					      .size_max = DATAGRAM_SIZE_DEFAULT };
	struct datagram datagram;
	unsigned kept = 0;

	if (options.keys != NULL ||
	    datagram_look(&datagram, wire_span(bytes, len), &terms) != DATAGRAM_OK)
		return;
	switch (datagram.header.kind) {
	case DATAGRAM_NOTICE:
		tap_notice(member, &datagram);
		break;
	case DATAGRAM_CONFIRMED:
		tap_confirmed(member, &datagram);
		break;
	case DATAGRAM_WELCOME:
		/* Nothing of another session will be acknowledged any more. */
		for (unsigned i = 0; i < member->delivered_count; i++)
			if (member->delivered[i].session == datagram.header.session)
				member->delivered[kept++] = member->delivered[i];
		member->delivered_count = kept;
		break;
	}
}

struct crowd_totals
ledger_totals(void)
{
	return totals;
}
