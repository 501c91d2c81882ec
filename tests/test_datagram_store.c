/*
 * test_datagram_store.c - notices and durable replies between clients and control, which the test
 * plays: nothing is accepted or confirmed before control says that it is committed.
 */
#include "tests/datagram_client.h"
#include "wire/notice.h"

static void
up(void)
{
	clients_sealed();
	udp_come_online(&alice, SITE_CLIENT);
}

TestSuite(datagram_store, .init = up, .fini = clients_down, .timeout = 60);

static void
answer(enum channel_type type, uint64_t token, enum channel_refusal why)
{
	struct channel_message message = { .type = type, .answer = { .token = token, .why = why } };

	site_say_to(&site, &message, -1);
}

/* What control was given last of this type, and the bytes of its memfd. */
static size_t
given(enum channel_type type, struct channel_message *message, uint8_t *bytes, size_t max)
{
	ssize_t got = 0;

	for (unsigned i = 0; i < told.count; i++) {
		if (told.messages[i].type != type)
			continue;
		*message = told.messages[i];
		got = pread(told.fds[i], bytes, max, 0);
	}
	cr_assert_geq(got, 0);
	return (size_t)got;
}

/* --- notices of clients ----------------------------------------------------------------------- */

static uint64_t
send_notice(uint64_t from, uint64_t to, const char *text, uint64_t number)
{
	uint8_t bytes[NOTICE_SIZE_MAX], body[NOTICE_SIZE_MAX + DATAGRAM_PART_PREFIX];
	struct wire_out encoded = wire_out(bytes, sizeof bytes);
	struct wire_out out = wire_out(body, sizeof body);
	const struct notice notice = { .id = { 1, 2, 3 },
				       .to = to,
				       .from = from,
				       .origin = NOTICE_OF_CLIENT,
				       .text = wire_span_str(text) };

	cr_assert_eq(notice_put(&encoded, &notice), NOTICE_FINE);
	datagram_part_put(&out, &(struct datagram_part){ .total = (uint32_t)encoded.len,
							 .bytes = wire_span(bytes, encoded.len) });
	return udp_say(&alice, DATAGRAM_NOTICE, number, wire_span(body, out.len));
}

Test(datagram_store, a_notice_is_accepted_when_it_is_committed)
{
	struct channel_message accept = { 0 };
	struct notice notice;
	uint8_t bytes[NOTICE_SIZE_MAX];

	uint64_t number = send_notice(SITE_CLIENT, 0x22, "hi", 0);
	TURN_UNTIL(site_told(CHANNEL_ACCEPT, NULL) == 1);
	udp_expect_nothing(&alice);
	size_t len = given(CHANNEL_ACCEPT, &accept, bytes, sizeof bytes);
	cr_assert_eq(accept.accept.length, len);
	cr_assert_eq(accept.accept.client, SITE_CLIENT);
	cr_assert_eq(notice_get(&notice, wire_span(bytes, len)), NOTICE_FINE);
	cr_assert_eq(notice.to, 0x22u);
	cr_assert_neq(notice.time_ms, 0u, "the relay says when");
	cr_assert(wire_span_equal(notice.text, wire_span_str("hi")));
	send_notice(SITE_CLIENT, 0x22, "hi", number);
	udp_expect(&alice, DATAGRAM_KEEP_ALIVE, number);
	answer(CHANNEL_COMMITTED, accept.accept.token, 0);
	udp_expect(&alice, DATAGRAM_ACCEPTED, number);
	outbox_age();
	send_notice(SITE_CLIENT, 0x22, "hi", number);
	udp_expect(&alice, DATAGRAM_ACCEPTED, number);
	udp_confirm(&alice);
	turn_for_nothing();
	cr_assert_eq(site_told(CHANNEL_ACCEPT, NULL), 1u);
}

Test(datagram_store, a_notice_is_refused)
{
	struct channel_message accept = { 0 };
	uint8_t bytes[NOTICE_SIZE_MAX];

	uint64_t number = send_notice(SITE_CLIENT, 0x22, "hi", 0);
	TURN_UNTIL(site_told(CHANNEL_ACCEPT, NULL) == 1);
	given(CHANNEL_ACCEPT, &accept, bytes, sizeof bytes);
	answer(CHANNEL_REFUSED, accept.accept.token, CHANNEL_REFUSED_FULL);
	udp_expect(&alice, DATAGRAM_ERROR, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_STORE_FULL);
	udp_confirm(&alice);
	number = send_notice(SITE_CLIENT, 0x22, "hi", 0);
	TURN_UNTIL(site_told(CHANNEL_ACCEPT, NULL) == 2);
	given(CHANNEL_ACCEPT, &accept, bytes, sizeof bytes);
	answer(CHANNEL_REFUSED, accept.accept.token, CHANNEL_REFUSED_BUSY);
	udp_expect(&alice, DATAGRAM_BUSY, number);
	send_notice(SITE_CLIENT, 0x22, "hi", number);
	TURN_UNTIL(site_told(CHANNEL_ACCEPT, NULL) == 3);
	given(CHANNEL_ACCEPT, &accept, bytes, sizeof bytes);
	answer(CHANNEL_COMMITTED, accept.accept.token, 0);
	udp_expect(&alice, DATAGRAM_ACCEPTED, number);
}

Test(datagram_store, a_notice_in_the_name_of_another)
{
	uint64_t number = send_notice(0x22, 0x22, "hi", 0);

	udp_expect(&alice, DATAGRAM_ERROR, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_NOT_ALLOWED);
	number = udp_say(&alice, DATAGRAM_NOTICE, 0, wire_span("\0\0\0\002hi", 6));
	udp_expect(&alice, DATAGRAM_ERROR, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_MALFORMED);
	cr_assert_eq(site_told(CHANNEL_ACCEPT, NULL), 0u);
}

/* --- out of the store ------------------------------------------------------------------------- */

static void
give(enum channel_stored kind, uint8_t id, const void *bytes, size_t len)
{
	struct channel_message message = {
		.type = CHANNEL_NOTICE,
		.notice = { .client = SITE_CLIENT, .length = len, .kind = kind, .id = { id } },
	};

	if (kind == CHANNEL_STORED_REPLY) {
		message.notice.session = 77;
		message.notice.number = 9;
	}
	site_say_to(&site, &message, site_memfd(bytes, len));
}

Test(datagram_store, a_notice_is_delivered_until_it_is_confirmed)
{
	struct channel_message confirmed = { 0 };
	struct datagram_seen seen;
	struct datagram_part part;

	give(CHANNEL_STORED_NOTICE, 5, "whatever it says", 16);
	for (int i = 0; i < 2; i++) {
		udp_expect(&alice, DATAGRAM_NOTICE, 0);
		cr_assert_eq(datagram_part_get(&part, &alice.got, 100), DATAGRAM_OK);
		cr_assert(wire_span_equal(part.bytes, wire_span_str("whatever it says")));
		cr_assert_eq(alice.got.header.about, alice.got.header.number);
		if (i == 0)
			outbox_due();
	}
	uint64_t number = alice.got.header.number;
	give(CHANNEL_STORED_NOTICE, 5, "whatever it says", 16);
	udp_confirm(&alice);
	TURN_UNTIL(site_told(CHANNEL_CONFIRMED, &confirmed) == 1);
	cr_assert_eq(confirmed.confirmed.client, SITE_CLIENT);
	cr_assert_eq(confirmed.confirmed.id[0], 5);
	cr_assert_eq(confirmed.confirmed.kind, (uint32_t)CHANNEL_STORED_NOTICE);
	udp_expect_nothing(&alice);
	answer(CHANNEL_COMMITTED, confirmed.confirmed.token, 0);
	for (int i = 0; i < 2; i++) {
		udp_expect(&alice, DATAGRAM_CONFIRMED, 0);
		cr_assert_eq(datagram_confirmed_get(&seen, &alice.got), DATAGRAM_OK);
		cr_assert_eq(seen.top, number);
		cr_assert_eq(seen.bits, 0u);
		udp_say(&alice, DATAGRAM_CONFIRM, 0, wire_span(NULL, 0));
	}
	udp_expect(&alice, DATAGRAM_CONFIRMED, 0);
	udp_expect_nothing(&alice);
}

/* Repeats of what is not confirmed, until there are no more. */
static void
ignore_until_given_up(void)
{
	uint64_t before = site_count(DATAGRAM_COUNT_GIVEN_UP);

	TURN_UNTIL((outbox_due(), site_count(DATAGRAM_COUNT_GIVEN_UP) > before));
	while (udp_take(&alice))
		;
}

/* As if all that was given up, and what control was told of it, had been long ago. */
static void
be_long_ago(void)
{
	struct session *session = session_find(site.worker.datagrams, SITE_CLIENT);

	session->missed_at -= RESEND_NEVER_MS * UINT64_C(1000000);
	session->again_at -= RESEND_NEVER_MS * UINT64_C(1000000);
}

Test(datagram_store, what_was_given_up_is_asked_for_when_the_client_speaks)
{
	struct channel_message online = { 0 }, confirmed = { 0 };

	cr_assert_eq(site_told(CHANNEL_ONLINE, NULL), 1u);
	udp_say(&alice, DATAGRAM_KEEP_ALIVE, 0, wire_span(NULL, 0));
	udp_expect(&alice, DATAGRAM_KEEP_ALIVE, 0);
	cr_assert_eq(site_told(CHANNEL_ONLINE, NULL), 1u, "nothing was missed");
	give(CHANNEL_STORED_NOTICE, 5, "text", 4);
	ignore_until_given_up();
	cr_assert_eq(site_told(CHANNEL_ONLINE, NULL), 1u, "it says nothing");
	be_long_ago();
	uint64_t number = udp_say(&alice, DATAGRAM_KEEP_ALIVE, 0, wire_span(NULL, 0));
	udp_expect(&alice, DATAGRAM_KEEP_ALIVE, number);
	TURN_UNTIL(site_told(CHANNEL_ONLINE, &online) == 2);
	cr_assert_eq(online.presence.client, SITE_CLIENT);
	cr_assert_eq(online.presence.session, alice.session, "it is the same session");
	number = udp_say(&alice, DATAGRAM_KEEP_ALIVE, 0, wire_span(NULL, 0));
	udp_expect(&alice, DATAGRAM_KEEP_ALIVE, number);
	cr_assert_eq(site_told(CHANNEL_ONLINE, NULL), 2u, "once");
	give(CHANNEL_STORED_NOTICE, 5, "text", 4);
	udp_expect(&alice, DATAGRAM_NOTICE, 0);
	udp_confirm(&alice);
	TURN_UNTIL(site_told(CHANNEL_CONFIRMED, &confirmed) == 1);
	answer(CHANNEL_COMMITTED, confirmed.confirmed.token, 0);
	udp_expect(&alice, DATAGRAM_CONFIRMED, 0);
}

Test(datagram_store, a_confirm_that_says_more_than_before_is_answered)
{
	struct channel_message confirmed = { 0 };
	struct datagram_seen again;

	give(CHANNEL_STORED_NOTICE, 5, "text", 4);
	udp_expect(&alice, DATAGRAM_NOTICE, 0);
	uint64_t notice = alice.got.header.number;
	udp_confirm(&alice);
	TURN_UNTIL(site_told(CHANNEL_CONFIRMED, &confirmed) == 1);
	answer(CHANNEL_COMMITTED, confirmed.confirmed.token, 0);
	udp_expect(&alice, DATAGRAM_CONFIRMED, 0);
	/* It lost that, and saw something else meanwhile: its highest number is another one. */
	udp_confirm(&alice);
	udp_expect(&alice, DATAGRAM_CONFIRMED, 0);
	cr_assert_eq(datagram_confirmed_get(&again, &alice.got), DATAGRAM_OK);
	cr_assert_eq(again.top, notice, "and nothing that is not committed");
	cr_assert_eq(again.bits, 0u);
}

Test(datagram_store, a_client_that_only_asks_gets_it_too)
{
	uint64_t number;

	give(CHANNEL_STORED_NOTICE, 5, "text", 4);
	ignore_until_given_up();
	number = udp_ask(&alice, "msul1", "at once", 0);
	udp_expect_reply(&alice, number, "re:at once");
	udp_confirm(&alice);
	cr_assert_eq(site_told(CHANNEL_ONLINE, NULL), 1u, "not so soon");
	be_long_ago();
	number = udp_ask(&alice, "msul1", "later", 0);
	udp_expect_reply(&alice, number, "re:later");
	cr_assert_eq(site_told(CHANNEL_ONLINE, NULL), 2u);
}

Test(datagram_store, busy_control_is_asked_again)
{
	struct channel_message confirmed = { 0 };

	give(CHANNEL_STORED_NOTICE, 5, "text", 4);
	udp_expect(&alice, DATAGRAM_NOTICE, 0);
	udp_confirm(&alice);
	TURN_UNTIL(site_told(CHANNEL_CONFIRMED, &confirmed) == 1);
	uint64_t token = confirmed.confirmed.token;
	answer(CHANNEL_REFUSED, token, CHANNEL_REFUSED_BUSY);
	TURN_UNTIL(site_told(CHANNEL_CONFIRMED, &confirmed) == 2);
	cr_assert_eq(confirmed.confirmed.token, token);
	answer(CHANNEL_COMMITTED, token, 0);
	udp_expect(&alice, DATAGRAM_CONFIRMED, 0);
	TURN_UNTIL(site.worker.datagrams->tokens_count == 0);
}

Test(datagram_store, a_notice_of_several_parts)
{
	static char text[3000];
	struct channel_message confirmed = { 0 };
	struct datagram_seen seen;

	memset(text, 'n', sizeof text);
	give(CHANNEL_STORED_NOTICE, 6, text, sizeof text);
	for (int i = 0; i < 3; i++) {
		udp_expect(&alice, DATAGRAM_NOTICE, 0);
		udp_saw(&alice);
	}
	uint64_t number = alice.got.header.number;
	udp_say(&alice, DATAGRAM_CONFIRM, 0, wire_span(NULL, 0));
	TURN_UNTIL(site_told(CHANNEL_CONFIRMED, &confirmed) == 1);
	answer(CHANNEL_COMMITTED, confirmed.confirmed.token, 0);
	udp_expect(&alice, DATAGRAM_CONFIRMED, 0);
	cr_assert_eq(datagram_confirmed_get(&seen, &alice.got), DATAGRAM_OK);
	cr_assert_eq(seen.top, number);
	cr_assert_eq(seen.bits, 3u);
}

Test(datagram_store, a_reply_that_nobody_confirmed_is_kept_and_delivered)
{
	struct channel_message stored = { 0 }, confirmed = { 0 };
	struct datagram_part part;
	struct datagram_stored whole;
	uint8_t bytes[1000];

	uint64_t number = udp_ask(&alice, "msul1", "not durable", 0);
	udp_expect_reply(&alice, number, "re:not durable");
	udp_confirm(&alice);
	struct datagram_header header = { .kind = DATAGRAM_REQUEST,
					  .flags = DATAGRAM_DURABLE,
					  .session = alice.session,
					  .number = alice.next++ };
	udp_send(&alice, header, wire_span("\005msul1keep", 10));
	ignore_until_given_up();
	TURN_UNTIL(site_told(CHANNEL_STORE_REPLY, NULL) == 1);
	size_t len = given(CHANNEL_STORE_REPLY, &stored, bytes, sizeof bytes);
	cr_assert_eq(stored.accept.client, SITE_CLIENT);
	cr_assert_eq(stored.accept.session, alice.session);
	cr_assert_eq(stored.accept.number, header.number);
	cr_assert(wire_span_equal(wire_span(bytes, len), wire_span_str("re:keep")));
	answer(CHANNEL_COMMITTED, stored.accept.token, 0);
	give(CHANNEL_STORED_REPLY, 7, "re:keep", 7);
	udp_expect(&alice, DATAGRAM_REPLY, 0);
	cr_assert(alice.got.header.flags & DATAGRAM_DURABLE);
	cr_assert_eq(datagram_part_get(&part, &alice.got, 1000), DATAGRAM_OK);
	cr_assert_eq(datagram_stored_get(&whole, part.bytes), DATAGRAM_OK);
	cr_assert_eq(whole.session, 77u);
	cr_assert_eq(whole.number, 9u);
	cr_assert(wire_span_equal(whole.line, wire_span_str("re:keep")));
	udp_confirm(&alice);
	TURN_UNTIL(site_told(CHANNEL_CONFIRMED, &confirmed) == 1);
	cr_assert_eq(confirmed.confirmed.kind, (uint32_t)CHANNEL_STORED_REPLY);
	answer(CHANNEL_COMMITTED, confirmed.confirmed.token, 0);
	udp_expect(&alice, DATAGRAM_CONFIRMED, 0);
}

/* As if there were as many as there can be. */
static void
take_all_tokens(bool take)
{
	uint32_t *count = &site.worker.datagrams->tokens_count;

	*count = take ? *count + DATAGRAM_TOKENS_MAX - 1 : *count - (DATAGRAM_TOKENS_MAX - 1);
}

Test(datagram_store, a_reply_for_which_there_is_no_token_waits_for_one)
{
	struct channel_message accept = { 0 }, stored = { 0 };
	uint8_t bytes[NOTICE_SIZE_MAX];

	uint64_t notice = send_notice(SITE_CLIENT, 0x22, "hi", 0);
	TURN_UNTIL(site_told(CHANNEL_ACCEPT, &accept) == 1);
	take_all_tokens(true);
	struct datagram_header header = { .kind = DATAGRAM_REQUEST,
					  .flags = DATAGRAM_DURABLE,
					  .session = alice.session,
					  .number = alice.next++ };
	udp_send(&alice, header, wire_span("\005msul1keep", 10));
	ignore_until_given_up();
	turn_for_nothing();
	cr_assert_eq(site_told(CHANNEL_STORE_REPLY, NULL), 0u);
	take_all_tokens(false);
	answer(CHANNEL_COMMITTED, accept.accept.token, 0);
	udp_expect(&alice, DATAGRAM_ACCEPTED, notice);
	TURN_UNTIL(site_told(CHANNEL_STORE_REPLY, NULL) == 1);
	size_t len = given(CHANNEL_STORE_REPLY, &stored, bytes, sizeof bytes);
	cr_assert(wire_span_equal(wire_span(bytes, len), wire_span_str("re:keep")));
	cr_assert_eq(stored.accept.session, alice.session);
	cr_assert_eq(stored.accept.number, header.number);
	answer(CHANNEL_COMMITTED, stored.accept.token, 0);
	TURN_UNTIL(site.worker.datagrams->tokens_count == 0);
}

Test(datagram_store, a_reply_that_comes_after_bye_is_kept)
{
	struct channel_message stored = { 0 };
	uint8_t bytes[100];

	peer_silent = true;
	struct datagram_header header = { .kind = DATAGRAM_REQUEST,
					  .flags = DATAGRAM_DURABLE,
					  .session = alice.session,
					  .number = alice.next++ };
	udp_send(&alice, header, wire_span("\005msul1keep", 10));
	TURN_UNTIL(peer_lines_count == 1);
	udp_say(&alice, DATAGRAM_BYE, 0, wire_span(NULL, 0));
	TURN_UNTIL(site_told(CHANNEL_OFFLINE, NULL) == 1);
	peer_say(peer_line_fds[0], "late", 4);
	TURN_UNTIL(site_told(CHANNEL_STORE_REPLY, NULL) == 1);
	size_t len = given(CHANNEL_STORE_REPLY, &stored, bytes, sizeof bytes);
	cr_assert(wire_span_equal(wire_span(bytes, len), wire_span_str("late")));
	answer(CHANNEL_COMMITTED, stored.accept.token, 0);
	TURN_UNTIL(site.worker.datagrams->tokens_count == 0);
}

/* --- a new control process -------------------------------------------------------------------- */

Test(datagram_store, a_new_control_process_is_told_everything)
{
	struct channel_message accept = { 0 }, control = { .type = CHANNEL_CONTROL };
	uint8_t bytes[NOTICE_SIZE_MAX];
	int ends[2];

	uint64_t number = send_notice(SITE_CLIENT, 0x22, "hi", 0);
	TURN_UNTIL(site_told(CHANNEL_ACCEPT, NULL) == 1);
	given(CHANNEL_ACCEPT, &accept, bytes, sizeof bytes);
	uint64_t token = accept.accept.token;
	channel_free(site.control);
	cr_assert_eq(channel_pair(ends), 0);
	site.control = channel_new(ends[0]);
	cr_assert_eq(channel_send(site.keeper, &control, ends[1]), 0);
	close(ends[1]);
	TURN_UNTIL(site_told(CHANNEL_ACCEPT, NULL) == 2);
	cr_assert_eq(site_told(CHANNEL_ONLINE, NULL), 2u);
	size_t len = given(CHANNEL_ACCEPT, &accept, bytes, sizeof bytes);
	cr_assert_eq(accept.accept.token, token);
	cr_assert_eq(accept.accept.length, len);
	answer(CHANNEL_COMMITTED, token, 0);
	udp_expect(&alice, DATAGRAM_ACCEPTED, number);
}
