/*
 * session_send.c - datagrams on their way to the relay, and the confirms in their headers.
 *
 * Every datagram says what was received; one of its own goes out for that only if nothing else
 * did.  Never decides when to send.
 */
#include "relay/msg/session_state.h"

#include <assert.h>

/* The highest number that is owed and what is around it; of nothing owed, what came last. */
static struct datagram_seen
seen_now(struct session *s)
{
	struct datagram_seen seen;
	uint64_t top = 0;
	size_t kept = 0;

	for (size_t i = 0; i < s->owed_count; i++)
		if (s->owed[i] > top)
			top = s->owed[i];
	seen = datagram_window_show(&s->in, top);
	for (size_t i = 0; i < s->owed_count; i++)
		if (!datagram_seen_has(&seen, s->owed[i]))
			s->owed[kept++] = s->owed[i];
	s->owed_count = kept;
	return seen;
}

static struct wire_out
begin(struct session *s, struct datagram_header *header)
{
	struct wire_out out = wire_out(s->out, s->settings.size);

	header->client = s->settings.client;
	if (s->settings.key != NULL)
		header->flags |= DATAGRAM_SEALED;
	datagram_begin(&out, header);
	return out;
}

static void
end(struct session *s, struct wire_out *out, const struct datagram_header *header)
{
	uint8_t nonce[DATAGRAM_NONCE_SIZE];

	datagram_end(out, header);
	assert(!out->overflow);
	if (s->settings.key != NULL) {
		s->world.random(s->world.context, nonce, sizeof nonce);
		if (!datagram_seal(&s->cipher, out->data, out->len, nonce))
			return;
	}
	s->world.send(s->world.context, out->data, out->len);
}

void
send_hello(struct session *s)
{
	struct datagram_header header = { .kind = DATAGRAM_HELLO, .number = s->hello };
	struct datagram_hello hello = { .receive_max = s->settings.size };
	struct wire_out out = begin(s, &header);

	datagram_hello_put(&out, &hello);
	end(s, &out, &header);
}

/* The oldest number that must stay in the relay's window: received ones are remembered there. */
bool
send_has_number(const struct session *s)
{
	const struct session_open *open;
	uint64_t oldest = s->number + 1;

	TAILQ_FOREACH(open, &s->sent, next)
		if (!open->is_received && open->number < oldest)
			oldest = open->number;
	return s->number + 1 - oldest < s->terms.span_max;
}

bool
send_fresh(struct session *s, uint8_t kind, uint64_t now_ms)
{
	struct datagram_header header = { .kind = kind, .session = s->id };

	assert(s->phase == SESSION_ESTABLISHED);
	if (!send_has_number(s))
		return false;
	header.number = ++s->number;
	header.seen = seen_now(s);
	struct wire_out out = begin(s, &header);
	end(s, &out, &header);
	s->fresh_ms = now_ms;
	return true;
}

void
send_open(struct session *s, const struct session_open *open)
{
	struct datagram_header header = {
		.kind = open->kind,
		.session = s->id,
		.number = open->number,
		.seen = seen_now(s),
	};

	assert(s->phase == SESSION_ESTABLISHED && open->session == s->id);
	if (open->kind == DATAGRAM_NOTICE)
		header.flags = DATAGRAM_LAST;
	else if (open->is_durable)
		header.flags = DATAGRAM_DURABLE;
	struct wire_out out = begin(s, &header);
	wire_out_bytes(&out, open->body, open->body_len);
	end(s, &out, &header);
}

void
send_owe(struct session *s, uint64_t number)
{
	(void)datagram_window_mark(&s->in, number);
	/* Without room the repeat of the relay asks for it again. */
	if (s->owed_count < SESSION_OWED)
		s->owed[s->owed_count++] = number;
}

void
send_owed(struct session *s, uint64_t now_ms)
{
	if (s->phase != SESSION_ESTABLISHED)
		return;
	while (s->owed_count > 0)
		if (!send_fresh(s, DATAGRAM_CONFIRM, now_ms))
			return; /* repeats of what fills the span will carry it */
}
