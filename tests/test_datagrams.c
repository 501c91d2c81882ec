/*
 * test_datagrams.c - sessions, requests and replies of datagram clients, on a real ring.
 */
#include "tests/datagram_client.h"

#include "relay/datagram_list.h"

TestSuite(datagrams, .init = clients_plain, .fini = clients_down, .timeout = 60);
TestSuite(datagrams_sealed, .init = clients_sealed, .fini = clients_down, .timeout = 60);

static void
ask_and_confirm(void)
{
	struct channel_message online = { 0 };

	udp_begin(&alice, SITE_CLIENT);
	cr_assert_eq(site_told(CHANNEL_ONLINE, NULL), 0u, "a welcome is an offer");
	uint64_t number = udp_ask(&alice, "msul1", "ping", 0);
	udp_expect_reply(&alice, number, "re:ping");
	cr_assert(datagram_seen_has(&alice.got.header.seen, number));
	cr_assert_eq(site_told(CHANNEL_ONLINE, &online), 1u);
	cr_assert_eq(online.presence.client, SITE_CLIENT);
	cr_assert_eq(online.presence.session, alice.session);
	cr_assert_eq(online.presence.port, ntohs(alice.address.sin_port));
	udp_confirm(&alice);
	TURN_UNTIL(site.worker.datagrams->sessions.tqh_first->outbox_bytes == 0);
	cr_assert_eq(peer_lines_count, 1u);
	cr_assert_eq(site_count(DATAGRAM_COUNT_GIVEN_UP), 0u);
	cr_assert_eq(site_count(DATAGRAM_COUNT_KIND_HELLO), 1u);
	cr_assert_eq(site_count(DATAGRAM_COUNT_KIND_REQUEST), 1u);
	cr_assert_eq(site_count(DATAGRAM_COUNT_KIND_CONFIRM), 1u);
	cr_assert_eq(site_count(DATAGRAM_COUNT_RECEIVED), 3u);
	cr_assert_eq(site_count(DATAGRAM_COUNT_REPLIES), 1u);
	cr_assert_eq(site_count(DATAGRAM_COUNT_PARTS), 1u);
	cr_assert_eq(stats_get(&site.stats->datagrams_online), 1u);
	cr_assert_eq(stats_get(&site.stats->datagrams_running), 0u);
	cr_assert_eq(stats_get(&site.stats->datagrams_outbox), 0u);
	cr_assert_eq(stats_get(&site.stats->datagrams_outbox_bytes), 0u);
}

Test(datagrams, a_request_is_answered)
{
	ask_and_confirm();
}

Test(datagrams_sealed, a_request_is_answered)
{
	ask_and_confirm();
}

Test(datagrams, the_same_number_again_gets_the_same_answer)
{
	udp_begin(&alice, SITE_CLIENT);
	uint64_t number = udp_ask(&alice, "msul1", "once", 0);
	udp_expect_reply(&alice, number, "re:once");
	uint64_t first = alice.got.header.number;
	outbox_age();
	udp_ask(&alice, "msul1", "once", number);
	udp_expect_reply(&alice, number, "re:once");
	cr_assert_eq(alice.got.header.number, first, "a repeat has its number");
	cr_assert_eq(peer_lines_count, 1u);
	udp_confirm(&alice);
	turn_for_nothing();
	udp_ask(&alice, "msul1", "once", number);
	udp_expect(&alice, DATAGRAM_ERROR, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_FORGOTTEN);
	cr_assert_eq(peer_lines_count, 1u, "never run twice");
}

Test(datagrams, a_running_request_is_not_run_again)
{
	peer_silent = true;
	udp_begin(&alice, SITE_CLIENT);
	uint64_t number = udp_ask(&alice, "msul1", "slow", 0);
	TURN_UNTIL(peer_lines_count == 1);
	cr_assert_eq(stats_get(&site.stats->datagrams_running), 1u);
	udp_ask(&alice, "msul1", "slow", number);
	udp_expect(&alice, DATAGRAM_KEEP_ALIVE, number);
	turn_for_nothing();
	cr_assert_eq(peer_lines_count, 1u);
	peer_say(peer_line_fds[0], "done", 4);
	udp_expect_reply(&alice, number, "done");
	cr_assert_eq(stats_get(&site.stats->datagrams_running), 0u);
	cr_assert_eq(stats_get(&site.stats->datagrams_outbox), 1u);
	cr_assert_eq(stats_get(&site.stats->datagrams_outbox_bytes), 4u);
}

Test(datagrams, one_of_a_client_at_a_time_for_a_host)
{
	peer_silent = true;
	udp_begin(&alice, SITE_CLIENT);
	uint64_t first = udp_ask(&alice, "msul1", "a", 0);
	uint64_t second = udp_ask(&alice, "msul1", "b", 0);
	TURN_UNTIL(peer_lines_count == 1);
	udp_begin(&bob, 0x22);
	uint64_t of_bob = udp_ask(&bob, "msul1", "c", 0);
	TURN_UNTIL(peer_lines_count == 2);
	cr_assert_str_eq(peer_lines[0], "a");
	cr_assert_str_eq(peer_lines[1], "c", "bob is not behind all that alice asks");
	peer_say(peer_line_fds[0], "A", 1);
	udp_expect_reply(&alice, first, "A");
	udp_confirm(&alice);
	TURN_UNTIL(peer_lines_count == 3);
	peer_say(peer_line_fds[2], "B", 1);
	udp_expect_reply(&alice, second, "B");
	peer_say(peer_line_fds[1], "C", 1);
	udp_expect_reply(&bob, of_bob, "C");
}

Test(datagrams, an_unknown_host_and_a_line_that_is_two)
{
	const struct channel_message all_told = { .type = CHANNEL_SYNC_END };

	udp_begin(&alice, SITE_CLIENT);
	uint64_t number = udp_ask(&alice, "nowhere", "ping", 0);
	udp_expect(&alice, DATAGRAM_BUSY, number); /* it may be told yet */
	site_say_to(&site, &all_told, -1);
	turn_for_nothing();
	udp_ask(&alice, "nowhere", "ping", number);
	udp_expect(&alice, DATAGRAM_REPLY, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_UNKNOWN_HOST);
	number = udp_ask(&alice, "msul1", "one\ntwo", 0);
	udp_expect(&alice, DATAGRAM_ERROR, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_MALFORMED);
	cr_assert_eq(site_count(DATAGRAM_COUNT_MALFORMED), 1u);
	turn_for_nothing();
	cr_assert_eq(peer_lines_count, 0u);
}

Test(datagrams, a_lost_link_is_con_lost)
{
	peer_silent = true;
	udp_begin(&alice, SITE_CLIENT);
	uint64_t number = udp_ask(&alice, "msul1", "ping", 0);
	TURN_UNTIL(peer_lines_count == 1);
	shutdown(peer_line_fds[0], SHUT_RDWR);
	udp_expect(&alice, DATAGRAM_REPLY, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_CON_LOST);
}

Test(datagrams, sessions_are_listed_page_by_page)
{
	const struct channel_message all_told = { .type = CHANNEL_SYNC_END };
	struct channel_query query = { .kind = CHANNEL_SESSIONS, .max = 2 };
	struct udp_client many[5];
	uint64_t found = 0;

	site_say_to(&site, &all_told, -1);
	turn_for_nothing();
	peer_silent = true;
	for (unsigned i = 0; i < 5; i++) {
		udp_begin(&many[i], 0x100 + i);
		uint64_t number = udp_ask(&many[i], "nowhere", "x", 0);
		udp_expect(&many[i], DATAGRAM_REPLY, number);
	}
	udp_ask(&many[3], "msul1", "slow", 0);
	TURN_UNTIL(peer_lines_count == 1);
	while (query.index != CHANNEL_HOSTS_ALL) {
		struct channel_rows rows = { 0 };
		datagram_list(&site.worker, &query, &rows);
		cr_assert_leq(rows.count, 2u);
		for (uint32_t i = 0; i < rows.count; i++) {
			const struct channel_row *row = &rows.rows[i];
			uint64_t at = row->number - 0x100;
			cr_assert_lt(at, 5u);
			cr_assert_eq(found >> at & 1, 0u, "none comes twice");
			found |= UINT64_C(1) << at;
			cr_assert_eq(row->requests, 1u, "what it did not confirm");
			cr_assert_eq(row->in_flight, at == 3);
			cr_assert_eq(row->port, ntohs(many[at].address.sin_port));
		}
		query.index = rows.index;
		query.number = rows.number;
	}
	cr_assert_eq(found, 0x1fu);
	peer_say(peer_line_fds[0], "done", 4);
	TURN_UNTIL(stats_get(&site.stats->datagrams_running) == 0);
	for (unsigned i = 0; i < 5; i++)
		close(many[i].fd);
}

/* --- long replies ----------------------------------------------------------------------------- */

/* Joins a reply; every `drop`-th datagram is lost (0: none). */
static void
join_reply(struct udp_client *client, uint64_t about, uint8_t *whole, size_t len, unsigned drop)
{
	static uint8_t marks[1024];
	struct datagram_join join = { 0 };
	struct datagram_part part;
	enum datagram_joined joined = DATAGRAM_JOIN_MORE;

	memset(marks, 0, sizeof marks);
	for (unsigned i = 1; joined != DATAGRAM_JOIN_WHOLE; i++) {
		udp_expect(client, DATAGRAM_REPLY, about);
		if (drop != 0 && i % drop == 0)
			continue;
		cr_assert_leq(client->len, 1232u);
		cr_assert_eq(datagram_part_get(&part, &client->got, 1u << 20), DATAGRAM_OK);
		joined = datagram_join_take(&join, &part, client->got.header.value, whole, marks,
					    sizeof marks);
		cr_assert(joined != DATAGRAM_JOIN_BAD && joined != DATAGRAM_JOIN_FULL);
		udp_confirm(client);
	}
	cr_assert_eq(join.total, len);
}

static void
long_reply(size_t len, unsigned drop)
{
	static uint8_t line[1u << 20], whole[1u << 20];

	for (size_t i = 0; i < len; i++)
		line[i] = (uint8_t)('a' + i % 23);
	peer_silent = true;
	if (drop != 0) {
		site_settings.resend_first_ms = 40;
		site_give_settings(&site);
	}
	udp_begin(&alice, SITE_CLIENT);
	uint64_t number = udp_ask(&alice, "msul1", "all of it", 0);
	TURN_UNTIL(peer_lines_count == 1);
	int flags = fcntl(peer_line_fds[0], F_GETFL);
	cr_assert_eq(fcntl(peer_line_fds[0], F_SETFL, flags), 0);
	for (size_t at = 0; at < len;) {
		ssize_t sent = send(peer_line_fds[0], line + at, len - at, MSG_NOSIGNAL);
		cr_assert(sent > 0 || errno == EAGAIN);
		at += sent > 0 ? (size_t)sent : 0;
		turn();
	}
	cr_assert_eq(send(peer_line_fds[0], "\n", 1, MSG_NOSIGNAL), 1);
	join_reply(&alice, number, whole, len, drop);
	cr_assert_arr_eq(whole, line, len);
}

Test(datagrams, a_long_reply_comes_in_parts)
{
	long_reply(200000, 0);
	cr_assert_eq(site_count(DATAGRAM_COUNT_GIVEN_UP), 0u);
}

Test(datagrams_sealed, a_long_reply_comes_in_parts_although_some_are_lost)
{
	long_reply(100000, 5);
	cr_assert_gt(site_count(DATAGRAM_COUNT_RESENT), 0u);
	cr_assert_eq(site_count(DATAGRAM_COUNT_GIVEN_UP), 0u);
}

Test(datagrams, the_longest_reply_and_one_byte_more)
{
	static char line[2001];

	site_settings.reply_max = 2000;
	site_give_settings(&site);
	peer_silent = true;
	memset(line, 'x', sizeof line);
	udp_begin(&alice, SITE_CLIENT);
	uint64_t fits = udp_ask(&alice, "msul1", "fits", 0);
	TURN_UNTIL(peer_lines_count == 1);
	peer_say(peer_line_fds[0], line, 2000);
	udp_expect(&alice, DATAGRAM_REPLY, fits);
	udp_saw(&alice);
	udp_expect(&alice, DATAGRAM_REPLY, fits);
	udp_confirm(&alice);
	uint64_t too_long = udp_ask(&alice, "msul1", "does not", 0);
	TURN_UNTIL(peer_lines_count == 2);
	peer_say(peer_line_fds[1], line, 2001);
	udp_expect(&alice, DATAGRAM_REPLY, too_long);
	cr_assert_eq(alice.got.header.code, DATAGRAM_TOO_LONG);
}

/* --- resends ---------------------------------------------------------------------------------- */

Test(datagrams, what_is_not_confirmed_is_sent_again_and_given_up)
{
	udp_begin(&alice, SITE_CLIENT);
	uint64_t number = udp_ask(&alice, "msul1", "ping", 0);
	uint64_t first = 0;
	for (uint32_t i = 0; i < site_settings.resend_tries; i++) {
		udp_expect_reply(&alice, number, "re:ping");
		if (i == 0)
			first = alice.got.header.number;
		cr_assert_eq(alice.got.header.number, first);
		cr_assert_eq(site_count(DATAGRAM_COUNT_GIVEN_UP), 0u);
		outbox_due();
	}
	TURN_UNTIL(site_count(DATAGRAM_COUNT_GIVEN_UP) == 1);
	cr_assert_eq(site_count(DATAGRAM_COUNT_RESENT), site_settings.resend_tries - 1);
	udp_expect_nothing(&alice);
	udp_ask(&alice, "msul1", "ping", number);
	udp_expect(&alice, DATAGRAM_ERROR, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_FORGOTTEN);
}

static size_t
begun_and_asked(uint8_t *bytes, uint64_t number)
{
	udp_begin(&alice, SITE_CLIENT);
	size_t len =
	    udp_write(&alice, bytes,
		      (struct datagram_header){
			  .kind = DATAGRAM_REQUEST, .session = alice.session, .number = number },
		      wire_span("\005msul1once", 10));
	udp_send_raw(&alice, bytes, len);
	udp_expect_reply(&alice, number, "re:once");
	return len;
}

Test(datagrams_sealed, a_copy_is_not_answered_but_a_repeat_is)
{
	static uint8_t first[65536];
	size_t len = begun_and_asked(first, 5);

	for (unsigned i = 0; i < 3; i++) {
		outbox_age();
		udp_send_raw(&alice, first, len);
		udp_expect_nothing(&alice);
	}
	cr_assert_eq(site_count(DATAGRAM_COUNT_REPLAYED), 3u);
	udp_ask(&alice, "msul1", "once", 5);
	udp_expect_reply(&alice, 5, "re:once");
	cr_assert_eq(peer_lines_count, 1u);
}

Test(datagrams_sealed, a_copy_is_not_answered_while_the_request_runs)
{
	static uint8_t first[65536];

	peer_silent = true;
	udp_begin(&alice, SITE_CLIENT);
	size_t len =
	    udp_write(&alice, first,
		      (struct datagram_header){
			  .kind = DATAGRAM_REQUEST, .session = alice.session, .number = 5 },
		      wire_span("\005msul1slow", 10));
	udp_send_raw(&alice, first, len);
	TURN_UNTIL(peer_lines_count == 1);
	udp_send_raw(&alice, first, len);
	udp_expect_nothing(&alice);
	udp_ask(&alice, "msul1", "slow", 5);
	udp_expect(&alice, DATAGRAM_KEEP_ALIVE, 5);
	peer_say(peer_line_fds[0], "done", 4);
	udp_expect_reply(&alice, 5, "done");
}

Test(datagrams, repeats_draw_the_reply_not_too_soon_and_not_too_often)
{
	static uint8_t first[65536];
	size_t len = begun_and_asked(first, 5);

	udp_send_raw(&alice, first, len);
	udp_expect_nothing(&alice);
	for (unsigned i = 0; i < site_settings.resend_tries; i++) {
		outbox_age();
		udp_send_raw(&alice, first, len);
		udp_expect_reply(&alice, 5, "re:once");
		udp_send_raw(&alice, first, len);
		udp_expect_nothing(&alice);
	}
	outbox_age();
	udp_send_raw(&alice, first, len);
	udp_expect_nothing(&alice);
}

/* --- the outbox is full ----------------------------------------------------------------------- */

Test(datagrams, requests_that_wait_are_held_back_until_replies_are_confirmed)
{
	peer_silent = true;
	udp_begin(&alice, SITE_CLIENT);
	uint64_t first = udp_ask(&alice, "msul1", "a", 0);
	uint64_t second = udp_ask(&alice, "msul1", "b", 0);
	uint64_t third = udp_ask(&alice, "msul1", "c", 0);
	TURN_UNTIL(peer_lines_count == 1);
	struct session *session = session_find(site.worker.datagrams, SITE_CLIENT);
	TURN_UNTIL(site.worker.datagrams->inquiries == 3);
	session->outbox_bytes += DATAGRAM_OUTBOX_MAX; /* as if there were more */
	peer_say(peer_line_fds[0], "A", 1);
	udp_expect_reply(&alice, first, "A");
	turn_for_nothing();
	cr_assert_eq(peer_lines_count, 1u);
	session->outbox_bytes -= DATAGRAM_OUTBOX_MAX;
	udp_confirm(&alice);
	TURN_UNTIL(peer_lines_count == 2);
	peer_say(peer_line_fds[1], "B", 1);
	udp_expect_reply(&alice, second, "B");
	TURN_UNTIL(peer_lines_count == 3);
	peer_say(peer_line_fds[2], "C", 1);
	TURN_UNTIL(site.worker.datagrams->inquiries == 0);
	udp_confirm(&alice);
	udp_expect_reply(&alice, third, "C");
}

Test(datagrams, what_runs_counts_as_part_of_the_outbox)
{
	peer_silent = true;
	site_add_host(&site, 1, "msul2");
	TURN_UNTIL(site.worker.hosts_count == 2);
	udp_begin(&alice, SITE_CLIENT);
	uint64_t first = udp_ask(&alice, "msul1", "a", 0);
	TURN_UNTIL(peer_lines_count == 1);
	struct session *session = session_find(site.worker.datagrams, SITE_CLIENT);
	session->outbox_bytes += DATAGRAM_OUTBOX_MAX - 1; /* as if there were so much */
	uint64_t second = udp_ask(&alice, "msul2", "b", 0);
	udp_expect(&alice, DATAGRAM_BUSY, second);
	peer_say(peer_line_fds[0], "A", 1);
	udp_expect_reply(&alice, first, "A");
	udp_confirm(&alice);
	turn_for_nothing();
	udp_ask(&alice, "msul2", "b", second);
	TURN_UNTIL(peer_lines_count == 2);
	peer_say(peer_line_fds[1], "B", 1);
	udp_expect_reply(&alice, second, "B");
	session->outbox_bytes -= DATAGRAM_OUTBOX_MAX - 1;
}
