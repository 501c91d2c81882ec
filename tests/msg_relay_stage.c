/*
 * msg_relay_stage.c - the small relay: sessions, requests at most once, an outbox, notices.
 */
#include "tests/msg_relay_stage.h"

#include <assert.h>
#include <stdlib.h>

#define REPLY_MAX  65536
#define UNSENT_MAX 8 /* notices on their way at a time */

uint8_t
stage_reply(uint64_t n, size_t at)
{
	return (uint8_t)fake_mix(n * 65537 + at);
}

static void
transmit(struct msg_relay *relay, const uint8_t *bytes, size_t len)
{
	uint8_t copy[DATAGRAM_SIZE_DEFAULT], nonce[DATAGRAM_NONCE_SIZE];

	memcpy(copy, bytes, len);
	for (size_t i = 0; i < sizeof nonce; i++)
		nonce[i] = (uint8_t)fake_random_next(&relay->random);
	if (relay->cipher != NULL && !datagram_seal(relay->cipher, copy, len, nonce))
		abort();
	relay->send(relay->context, copy, len);
}

static struct datagram_header
header_of(const struct msg_relay *relay, uint8_t kind, uint64_t about)
{
	return (struct datagram_header){
		.client = relay->client,
		.kind = kind,
		.flags = (uint8_t)(DATAGRAM_RELAY | (relay->cipher != NULL ? DATAGRAM_SEALED : 0)),
		.session = relay->session,
		.about = about,
		.seen = datagram_window_show(&relay->once.window, 0),
	};
}

static void
say(struct msg_relay *relay, const struct datagram_header *header, struct wire_span body)
{
	uint8_t bytes[DATAGRAM_SIZE_DEFAULT];
	struct wire_out out = wire_out(bytes, sizeof bytes);

	datagram_begin(&out, header);
	wire_out_bytes(&out, body.data, body.len);
	datagram_end(&out, header);
	assert(!out.overflow);
	transmit(relay, bytes, out.len);
}

/* --- the outbox */

static void
put_part(struct msg_relay *relay, struct datagram_header header, const struct datagram_part *part,
	 int notice, uint64_t now_ms)
{
	struct stage_sent *sent = relay->outbox;

	while (sent->number != 0)
		if (++sent == relay->outbox + STAGE_OUTBOX)
			return; /* the client asks again */
	struct wire_out out = wire_out(sent->bytes, sizeof sent->bytes);
	header.number = ++relay->number;
	if (header.kind == DATAGRAM_NOTICE && header.about == 0)
		header.about = header.number;
	if (part->is_last)
		header.flags |= DATAGRAM_LAST;
	datagram_begin(&out, &header);
	datagram_part_put(&out, part);
	datagram_end(&out, &header);
	assert(!out.overflow);
	sent->number = header.number;
	sent->notice = notice;
	sent->len = out.len;
	sent->next_ms = now_ms + relay->resend_ms;
	transmit(relay, sent->bytes, sent->len);
}

static void
put_whole(struct msg_relay *relay, struct datagram_header header, struct wire_span whole,
	  int notice, uint64_t now_ms)
{
	struct datagram_split split =
	    datagram_split((uint32_t)whole.len, DATAGRAM_SIZE_DEFAULT, relay->cipher != NULL);

	if (header.kind == DATAGRAM_NOTICE)
		header.about = relay->number + 1;
	for (uint32_t i = 0; i < split.count; i++) {
		struct datagram_part part = datagram_split_part(&split, i, whole.data);
		header.value = i;
		put_part(relay, header, &part, notice, now_ms);
	}
	if (notice >= 0)
		relay->notices[notice].parts_left = (int)split.count;
}

static void
on_seen(struct msg_relay *relay, const struct datagram_seen *seen)
{
	for (struct stage_sent *sent = relay->outbox; sent < relay->outbox + STAGE_OUTBOX; sent++) {
		if (sent->number == 0 || !datagram_seen_has(seen, sent->number))
			continue;
		sent->number = 0;
		if (sent->notice >= 0 && --relay->notices[sent->notice].parts_left == 0)
			relay->notices[sent->notice].is_gone = true;
	}
}

/* --- requests */

static void
answer(struct msg_relay *relay, uint64_t number, struct wire_span line, uint64_t now_ms)
{
	static uint8_t whole[REPLY_MAX];
	struct datagram_header header = header_of(relay, DATAGRAM_REPLY, number);
	char text[64] = "", *end;
	size_t len = line.len;

	assert(line.len < sizeof text);
	memcpy(text, line.data, line.len);
	uint64_t n = strtoul(text, &end, 10);
	memcpy(whole, line.data, line.len);
	if (end != text && *end == ':') {
		len = strtoul(end + 1, NULL, 10);
		assert(n < STAGE_TOKENS && len <= sizeof whole);
		relay->runs[n]++;
		for (size_t i = 0; i < len; i++)
			whole[i] = stage_reply(n, i);
	}
	put_whole(relay, header, wire_span(whole, len), -1, now_ms);
}

static void
on_request(struct msg_relay *relay, const struct datagram *datagram, uint64_t now_ms)
{
	struct datagram_request request;
	struct datagram_header header;
	unsigned slot;

	if (datagram_request_get(&request, datagram) != DATAGRAM_OK)
		return;
	if (datagram_window_judge(&relay->once.window, datagram->header.number) != DATAGRAM_SEEN &&
	    fake_chance(&relay->random, relay->busy_permille)) {
		header = header_of(relay, DATAGRAM_BUSY, datagram->header.number);
		header.value = 20;
		say(relay, &header, wire_span("", 0));
		return;
	}
	switch (
	    datagram_once_begin(&relay->once, datagram->header.number, DATAGRAM_OPEN_MAX, &slot)) {
	case DATAGRAM_RUN:
		answer(relay, datagram->header.number, request.line, now_ms);
		datagram_once_forget(&relay->once, slot);
		break;
	case DATAGRAM_RUNNING:
	case DATAGRAM_ANSWERED:
	case DATAGRAM_GONE: /* the outbox repeats what was not confirmed */
		break;
	case DATAGRAM_NO_SLOT:
		abort();
	}
}

static void
on_notice(struct msg_relay *relay, const struct datagram *datagram)
{
	struct datagram_header header =
	    header_of(relay, DATAGRAM_ACCEPTED, datagram->header.number);

	(void)datagram_window_mark(&relay->once.window, datagram->header.number);
	header.number = ++relay->number;
	say(relay, &header, wire_span("", 0));
}

/* --- sessions */

void
stage_restart(struct msg_relay *relay)
{
	relay->session = relay->offered = relay->hello = relay->begun = 0;
	relay->number = 0;
	relay->once = (struct datagram_once){ 0 };
	relay->is_online = false;
	for (size_t i = 0; i < STAGE_OUTBOX; i++)
		relay->outbox[i].number = 0;
	for (size_t i = 0; i < relay->notice_count; i++)
		relay->notices[i].parts_left = 0;
}

static void
on_hello(struct msg_relay *relay, const struct datagram *datagram)
{
	struct datagram_welcome welcome = { .size_max = DATAGRAM_SIZE_DEFAULT,
					    .reply_max = REPLY_MAX,
					    .keep_alive_ms = 4000,
					    .open_max = 32,
					    .span_max = 256 };
	struct datagram_header header = header_of(relay, DATAGRAM_WELCOME, datagram->header.number);
	uint8_t body[DATAGRAM_HELLO_BODY];
	struct wire_out out = wire_out(body, sizeof body);

	/* A late copy of the hello that began the session must not take the next one's offer. */
	if (datagram->header.number == relay->begun)
		return;
	if (datagram->header.number != relay->hello) {
		relay->hello = datagram->header.number;
		relay->offered = fake_random_next(&relay->random) | 1;
	}
	header.session = relay->offered;
	header.seen = (struct datagram_seen){ 0 };
	datagram_welcome_put(&out, &welcome);
	say(relay, &header, wire_span(body, out.len));
}

static bool
in_session(struct msg_relay *relay, const struct datagram_header *came)
{
	if (came->session == relay->session && relay->session != 0)
		return true;
	if (came->session == relay->offered && relay->offered != 0) {
		uint64_t offered = relay->offered, hello = relay->hello;
		stage_restart(relay);
		relay->session = offered;
		relay->begun = hello;
		return true;
	}
	struct datagram_header header = header_of(relay, DATAGRAM_ERROR, came->number);
	header.code = DATAGRAM_NEW_SESSION;
	header.session = came->session;
	header.seen = (struct datagram_seen){ 0 };
	say(relay, &header, wire_span("", 0));
	return false;
}

static void
say_confirmed(struct msg_relay *relay, const struct datagram_seen *seen)
{
	struct datagram_header header = header_of(relay, DATAGRAM_CONFIRMED, 0);
	uint8_t body[DATAGRAM_CONFIRMED_BODY];
	struct wire_out out = wire_out(body, sizeof body);

	header.number = ++relay->number;
	datagram_confirmed_put(&out, seen);
	say(relay, &header, wire_span(body, out.len));
}

static void
dispatch(struct msg_relay *relay, const struct datagram *datagram, uint64_t now_ms)
{
	const struct datagram_header *came = &datagram->header;
	struct datagram_header header;

	switch ((enum datagram_kind)came->kind) {
	case DATAGRAM_REQUEST:
		on_request(relay, datagram, now_ms);
		break;
	case DATAGRAM_NOTICE:
		on_notice(relay, datagram);
		break;
	case DATAGRAM_KEEP_ALIVE:
		(void)datagram_window_mark(&relay->once.window, came->number);
		header = header_of(relay, DATAGRAM_KEEP_ALIVE, came->number);
		header.number = ++relay->number;
		say(relay, &header, wire_span("", 0));
		break;
	case DATAGRAM_CONFIRM:
		(void)datagram_window_mark(&relay->once.window, came->number);
		say_confirmed(relay, &came->seen);
		break;
	case DATAGRAM_BYE: {
		/* Of this session: another one may be on offer. */
		uint64_t offered = relay->offered, hello = relay->hello, begun = relay->begun;
		stage_restart(relay);
		relay->offered = offered;
		relay->hello = hello;
		relay->begun = begun;
		break;
	}
	case DATAGRAM_HELLO:
	case DATAGRAM_WELCOME:
	case DATAGRAM_REPLY:
	case DATAGRAM_CONFIRMED:
	case DATAGRAM_BUSY:
	case DATAGRAM_ACCEPTED:
	case DATAGRAM_ERROR:
		break;
	}
}

void
stage_take(struct msg_relay *relay, uint8_t *bytes, size_t len, uint64_t now_ms)
{
	struct datagram_terms terms = { DATAGRAM_OF_CLIENT, relay->cipher != NULL,
					DATAGRAM_SIZE_DEFAULT };
	struct datagram datagram;

	if (datagram_look(&datagram, wire_span(bytes, len), &terms) != DATAGRAM_OK ||
	    datagram.header.client != relay->client)
		return;
	if (relay->cipher != NULL &&
	    datagram_open(relay->cipher, &datagram, bytes, len) != DATAGRAM_OK)
		return;
	if (datagram.header.kind == DATAGRAM_HELLO) {
		on_hello(relay, &datagram);
		return;
	}
	if (!in_session(relay, &datagram.header))
		return;
	relay->is_online = true;
	on_seen(relay, &datagram.header.seen);
	dispatch(relay, &datagram, now_ms);
}

/* --- notices and time */

void
stage_store(struct msg_relay *relay, struct wire_span text)
{
	struct stage_notice *stored = &relay->notices[relay->notice_count++];
	struct notice notice = {
		.to = relay->client, .origin = NOTICE_OF_WEBPAGER, .time_ms = 1, .text = text
	};
	struct wire_out out = wire_out(stored->bytes, sizeof stored->bytes);

	assert(relay->notice_count <= STAGE_NOTICES);
	*stored = (struct stage_notice){ 0 };
	datagram_put_u64(stored->id, fake_random_next(&relay->random));
	datagram_put_u64(stored->id + 8, relay->notice_count);
	memcpy(notice.id, stored->id, sizeof notice.id);
	if (notice_put(&out, &notice) != NOTICE_FINE)
		abort();
	stored->len = out.len;
}

static void
send_notices(struct msg_relay *relay, uint64_t now_ms)
{
	unsigned going = 0;

	for (size_t i = 0; i < relay->notice_count && going < UNSENT_MAX; i++) {
		const struct stage_notice *notice = &relay->notices[i];
		if (notice->is_gone)
			continue;
		going++;
		if (notice->parts_left == 0)
			put_whole(relay, header_of(relay, DATAGRAM_NOTICE, 0),
				  wire_span(notice->bytes, notice->len), (int)i, now_ms);
	}
}

void
stage_tick(struct msg_relay *relay, uint64_t now_ms)
{
	for (struct stage_sent *sent = relay->outbox; sent < relay->outbox + STAGE_OUTBOX; sent++) {
		if (sent->number == 0 || now_ms < sent->next_ms)
			continue;
		sent->next_ms = now_ms + relay->resend_ms;
		transmit(relay, sent->bytes, sent->len);
	}
	if (relay->is_online)
		send_notices(relay, now_ms);
}

uint64_t
stage_due_ms(const struct msg_relay *relay)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < STAGE_OUTBOX; i++)
		if (relay->outbox[i].number != 0 && relay->outbox[i].next_ms < due)
			due = relay->outbox[i].next_ms;
	return due;
}
