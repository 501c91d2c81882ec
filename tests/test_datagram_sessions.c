/*
 * test_datagram_sessions.c - how sessions of datagram clients begin and end, and what is told to
 * whom has none, or lies; on a real ring.
 */
#include "relay/port.h"
#include "tests/datagram_client.h"

TestSuite(datagram_sessions, .init = clients_plain, .fini = clients_down, .timeout = 60);
TestSuite(datagram_sessions_sealed, .init = clients_sealed, .fini = clients_down, .timeout = 60);

static uint32_t
sessions(void)
{
	return site.worker.datagrams->sessions_count;
}

Test(datagram_sessions, a_hello_gets_the_same_offer_and_no_more_bytes)
{
	TURN_UNTIL(site.worker.hosts_count > 0 && site.worker.hosts[0]->state == HOST_UP);
	uint64_t used = site.worker.memory.used; /* by the link */
	udp_open(&alice, SITE_CLIENT);
	udp_hello(&alice, 77);
	udp_expect(&alice, DATAGRAM_WELCOME, 77);
	uint64_t session = alice.got.header.session;
	struct datagram_welcome welcome;
	cr_assert_eq(datagram_welcome_get(&welcome, &alice.got), DATAGRAM_OK);
	cr_assert_eq(welcome.size_max, 1232u);
	cr_assert_eq(welcome.reply_max, 1u << 20);
	cr_assert_eq(alice.len, (size_t)DATAGRAM_HEADER_SIZE + DATAGRAM_HELLO_BODY);
	udp_hello(&alice, 77);
	udp_expect(&alice, DATAGRAM_WELCOME, 77);
	cr_assert_eq(alice.got.header.session, session);
	udp_hello(&alice, 78);
	udp_expect(&alice, DATAGRAM_WELCOME, 78);
	cr_assert_neq(alice.got.header.session, session);
	cr_assert_eq(sessions(), 0u);
	cr_assert_eq(site.worker.memory.used, used, "who has proven nothing costs nothing");
}

Test(datagram_sessions_sealed, a_recorded_hello_ends_nothing)
{
	uint8_t bytes[65536], hello[DATAGRAM_HELLO_BODY];
	struct wire_out body = wire_out(hello, sizeof hello);

	udp_open(&alice, SITE_CLIENT);
	datagram_hello_put(&body, &(struct datagram_hello){ .receive_max = 1232 });
	size_t len = udp_write(&alice, bytes,
			       (struct datagram_header){ .kind = DATAGRAM_HELLO, .number = 5 },
			       wire_span(hello, body.len));
	close(alice.fd);
	udp_come_online(&alice, SITE_CLIENT);
	udp_open(&bob, SITE_CLIENT);
	udp_send_raw(&bob, bytes, len);
	udp_expect(&bob, DATAGRAM_WELCOME, 5);
	uint64_t number = udp_ask(&alice, "msul1", "still there", 0);
	udp_expect_reply(&alice, number, "re:still there");
	cr_assert_eq(sessions(), 1u);
}

Test(datagram_sessions, a_new_session_ends_the_one_before)
{
	udp_come_online(&alice, SITE_CLIENT);
	uint64_t old = alice.session;
	udp_hello(&alice, 78);
	udp_expect(&alice, DATAGRAM_WELCOME, 78);
	alice.session = alice.got.header.session;
	uint64_t number = udp_ask(&alice, "msul1", "new", 1);
	udp_expect_reply(&alice, number, "re:new");
	udp_confirm(&alice);
	cr_assert_eq(sessions(), 1u);
	cr_assert_eq(site_told(CHANNEL_OFFLINE, NULL), 1u);
	cr_assert_eq(site_told(CHANNEL_ONLINE, NULL), 2u);
	alice.session = old;
	number = udp_ask(&alice, "msul1", "old", 9);
	udp_expect(&alice, DATAGRAM_ERROR, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_NEW_SESSION);
	cr_assert_eq(alice.got.header.session, old);
	cr_assert_eq(site_count(DATAGRAM_COUNT_NEW_SESSION), 1u);
	cr_assert_eq(peer_lines_count, 1u);
}

/* It may have been recorded on its way, or be late. */
Test(datagram_sessions, an_offer_before_the_session_begins_nothing)
{
	udp_open(&alice, SITE_CLIENT);
	udp_hello(&alice, 77);
	udp_expect(&alice, DATAGRAM_WELCOME, 77);
	uint64_t older = alice.got.header.session;
	udp_hello(&alice, 78);
	udp_expect(&alice, DATAGRAM_WELCOME, 78);
	alice.session = alice.got.header.session;
	uint64_t number = udp_ask(&alice, "msul1", "first", 0);
	udp_expect_reply(&alice, number, "re:first");
	udp_confirm(&alice);
	uint64_t current = alice.session;
	alice.session = older;
	number = udp_ask(&alice, "msul1", "old", 9);
	udp_expect(&alice, DATAGRAM_ERROR, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_NEW_SESSION);
	alice.session = current;
	number = udp_ask(&alice, "msul1", "second", 10);
	udp_expect_reply(&alice, number, "re:second");
	cr_assert_eq(peer_lines_count, 2u);
}

/* What it would begin got only busy at its time, and was recorded. */
Test(datagram_sessions, an_offer_ends_when_nothing_begins_it)
{
	udp_begin(&alice, SITE_CLIENT);
	uint64_t old = alice.session;
	struct datagrams *plane = site.worker.datagrams;
	for (unsigned i = 0; i < DATAGRAM_OFFERS; i++)
		plane->offers[i].made_at -= (DATAGRAM_OFFER_MS + UINT64_C(1)) * MS;
	uint64_t number = udp_ask(&alice, "msul1", "late", 1);
	udp_expect(&alice, DATAGRAM_ERROR, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_NEW_SESSION);
	cr_assert_eq(sessions(), 0u);
	udp_hello(&alice, 77);
	udp_expect(&alice, DATAGRAM_WELCOME, 77);
	cr_assert_neq(alice.got.header.session, old);
	alice.session = alice.got.header.session;
	number = udp_ask(&alice, "msul1", "new", 1);
	udp_expect_reply(&alice, number, "re:new");
	cr_assert_eq(peer_lines_count, 1u);
}

Test(datagram_sessions, from_another_address_it_is_no_session)
{
	udp_come_online(&alice, SITE_CLIENT);
	udp_open(&bob, SITE_CLIENT);
	bob.session = alice.session;
	uint64_t number = udp_ask(&bob, "msul1", "mine", 40);
	udp_expect(&bob, DATAGRAM_ERROR, number);
	cr_assert_eq(bob.got.header.code, DATAGRAM_NEW_SESSION);
	cr_assert_leq(bob.len, (size_t)DATAGRAM_HEADER_SIZE);
	udp_expect_nothing(&alice);
	cr_assert_eq(peer_lines_count, 0u);
	number = udp_ask(&alice, "msul1", "hers", 0);
	udp_expect_reply(&alice, number, "re:hers");
}

Test(datagram_sessions, bye_ends_it)
{
	struct channel_message offline = { 0 };

	udp_come_online(&alice, SITE_CLIENT);
	uint64_t number = udp_say(&alice, DATAGRAM_BYE, 0, wire_span(NULL, 0));
	udp_expect(&alice, DATAGRAM_BYE, number);
	TURN_UNTIL(site_told(CHANNEL_OFFLINE, &offline) == 1);
	cr_assert_eq(offline.presence.client, SITE_CLIENT);
	cr_assert_eq(offline.presence.session, alice.session);
	cr_assert_eq(sessions(), 0u);
	cr_assert_eq(stats_get(&site.stats->datagrams_online), 0u);
}

/* Without that control would take it for online for ever. */
Test(datagram_sessions, its_end_is_told_later_if_control_has_no_room)
{
	const struct channel_message noise = { .type = CHANNEL_LOG };
	struct channel_message offline = { 0 };

	udp_come_online(&alice, SITE_CLIENT);
	while (port_send(site.worker.control, &noise, -1) == 0)
		;
	session_end(session_find(site.worker.datagrams, SITE_CLIENT), false);
	cr_assert_eq(sessions(), 0u);
	cr_assert_not(TAILQ_EMPTY(&site.worker.datagrams->gone), "there is no room");
	TURN_UNTIL(site_told(CHANNEL_OFFLINE, &offline) == 1);
	cr_assert_eq(offline.presence.client, SITE_CLIENT);
	cr_assert_eq(offline.presence.session, alice.session);
	cr_assert_eq(site_told(CHANNEL_ONLINE, NULL), 1u);
	udp_come_online(&bob, 0x22);
	TURN_UNTIL(site_told(CHANNEL_ONLINE, NULL) == 2);
	cr_assert_eq(site_told(CHANNEL_OFFLINE, NULL), 1u, "once");
}

Test(datagram_sessions, bye_while_a_request_runs)
{
	peer_silent = true;
	udp_begin(&alice, SITE_CLIENT);
	for (int i = 0; i < 3; i++)
		udp_ask(&alice, "msul1", "slow", 0);
	TURN_UNTIL(peer_lines_count == 1);
	uint64_t number = udp_say(&alice, DATAGRAM_BYE, 0, wire_span(NULL, 0));
	udp_expect(&alice, DATAGRAM_BYE, number);
	cr_assert_eq(site.worker.datagrams->inquiries, 1u, "the one in flight");
	peer_say(peer_line_fds[0], "late", 4);
	TURN_UNTIL(site.worker.datagrams->inquiries == 0);
	udp_expect_nothing(&alice);
	cr_assert_eq(peer_lines_count, 1u);
}

/* As if nobody had said anything for so long. */
static void
be_silent(uint64_t ms)
{
	struct datagrams *plane = site.worker.datagrams;
	struct session *session;

	TAILQ_FOREACH(session, &plane->sessions, entry)
		session->seen_at -= ms * MS;
	session_watch(plane);
}

Test(datagram_sessions, silence_ends_it_and_what_is_new_extends_it)
{
	udp_come_online(&alice, SITE_CLIENT);
	udp_come_online(&bob, 0x22);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(site_told(CHANNEL_OFFLINE, NULL), 0u);
		be_silent(site_settings.presence_timeout_ms / 3);
		uint64_t number = udp_say(&alice, DATAGRAM_KEEP_ALIVE, 0, wire_span(NULL, 0));
		udp_expect(&alice, DATAGRAM_KEEP_ALIVE, number);
		/* The same one again says nothing new. */
		udp_say(&bob, DATAGRAM_KEEP_ALIVE, 1, wire_span(NULL, 0));
	}
	struct channel_message offline = { 0 };
	TURN_UNTIL(site_told(CHANNEL_OFFLINE, &offline) == 1);
	cr_assert_eq(offline.presence.client, 0x22u, "who said nothing new goes first");
	cr_assert_eq(sessions(), 1u);
	be_silent(site_settings.presence_timeout_ms);
	TURN_UNTIL(sessions() == 0);
	cr_assert_gt(site_count(DATAGRAM_COUNT_REPLAYED), 0u);
}

Test(datagram_sessions, with_no_session_free_it_is_busy)
{
	site_settings.sessions_max = 1;
	site_give_settings(&site);
	udp_come_online(&alice, SITE_CLIENT);
	udp_open(&bob, 0x22);
	udp_hello(&bob, 3);
	udp_expect(&bob, DATAGRAM_BUSY, 3);
	cr_assert_eq(bob.got.header.value, 250u);
	cr_assert_eq(bob.len, (size_t)DATAGRAM_HEADER_SIZE);
	cr_assert_eq(site_count(DATAGRAM_COUNT_BUSY), 1u);
}

/* --- busy ------------------------------------------------------------------------------------- */

Test(datagram_sessions, beyond_its_bucket_a_client_is_told_to_wait)
{
	site_settings.rate = 1;
	site_settings.burst = 2;
	site_give_settings(&site);
	udp_begin(&alice, SITE_CLIENT);
	for (int i = 0; i < 2; i++) {
		uint64_t number = udp_ask(&alice, "msul1", "ping", 0);
		udp_expect_reply(&alice, number, "re:ping");
		udp_confirm(&alice);
	}
	uint64_t number = udp_ask(&alice, "msul1", "more", 0);
	udp_expect(&alice, DATAGRAM_BUSY, number);
	cr_assert_eq(alice.got.header.value, 250u);
	cr_assert_eq(peer_lines_count, 2u);
	site_settings.rate = 1000000;
	site_give_settings(&site);
	turn_for_nothing();
	udp_ask(&alice, "msul1", "more", number);
	udp_expect_reply(&alice, number, "re:more");
}

/* Three a second, asked for each tenth of a millisecond: after ten seconds there were thirty. */
Test(datagram_sessions, the_bucket_loses_no_fractions)
{
	unsigned had = 0;

	site_settings.rate = 3;
	site_settings.burst = 2;
	site_give_settings(&site);
	udp_come_online(&alice, SITE_CLIENT);
	struct session *session = session_find(site.worker.datagrams, SITE_CLIENT);
	session->tokens = 0;
	session->tokens_at = worker_now(&site.worker);
	for (unsigned i = 0; i < 100000; i++) {
		session->tokens_at -= 100 * 1000;
		had += session_may_ask(session);
	}
	cr_assert_eq(had, 30u);
	session->tokens_at -= UINT64_C(86400) * 1000 * MS;
	cr_assert(session_may_ask(session));
	cr_assert(session_may_ask(session));
	cr_assert_not(session_may_ask(session), "not more than fit");
}

Test(datagram_sessions, a_new_session_fills_no_bucket)
{
	site_settings.rate = 0;
	site_settings.burst = 2;
	site_give_settings(&site);
	udp_begin(&alice, SITE_CLIENT);
	for (int i = 0; i < 2; i++) {
		uint64_t number = udp_ask(&alice, "msul1", "ping", 0);
		udp_expect_reply(&alice, number, "re:ping");
		udp_confirm(&alice);
	}
	/* In place of the one before, and after its end. */
	for (uint64_t hello = 100; hello < 102; hello++) {
		udp_hello(&alice, hello);
		udp_expect(&alice, DATAGRAM_WELCOME, hello);
		alice.session = alice.got.header.session;
		uint64_t number = udp_ask(&alice, "msul1", "more", 1);
		udp_expect(&alice, DATAGRAM_BUSY, number);
		number = udp_say(&alice, DATAGRAM_BYE, 2, wire_span(NULL, 0));
		udp_expect(&alice, DATAGRAM_BYE, number);
	}
	cr_assert_eq(peer_lines_count, 2u);
}

Test(datagram_sessions, a_host_whose_queue_is_slow_is_busy_until_it_is_quick_again)
{
	peer_silent = true;
	site_settings.busy_queue_time_ms = 30;
	site_give_settings(&site);
	struct udp_client many[3];
	for (unsigned i = 0; i < 3; i++) {
		udp_begin(&many[i], 0x100 + i);
		udp_ask(&many[i], "msul1", "slow", 0);
	}
	TURN_UNTIL(peer_lines_count == 2);
	struct host *host = site.worker.hosts[0];
	TURN_UNTIL(host->queue_count == 1);
	uint64_t from = worker_now(&site.worker);
	TURN_UNTIL(worker_now(&site.worker) - from > 40u * MS);
	udp_begin(&alice, SITE_CLIENT);
	uint64_t number = udp_ask(&alice, "msul1", "too much", 0);
	udp_expect(&alice, DATAGRAM_BUSY, number);
	cr_assert_eq(host->queue_count, 1u, "busy has no place in the queue");
	peer_say(peer_line_fds[0], "x", 1);
	TURN_UNTIL(peer_lines_count == 3);
	peer_say(peer_line_fds[1], "x", 1);
	peer_say(peer_line_fds[2], "x", 1);
	udp_ask(&alice, "msul1", "again", number);
	TURN_UNTIL(peer_lines_count == 4);
	cr_assert_str_eq(peer_lines[3], "again");
	peer_say(peer_line_fds[3], "x", 1);
	udp_expect_reply(&alice, number, "x");
	for (unsigned i = 0; i < 3; i++)
		close(many[i].fd);
}

Test(datagram_sessions, a_stream_client_at_a_full_queue_gets_the_line_that_is_set)
{
	struct sockaddr_in address;
	char got[64];
	ssize_t len = -1;

	TURN_UNTIL(site.worker.hosts_count > 0);
	struct host *host = site.worker.hosts[0];
	host_set_hold(host, HOST_HOLD_PAUSED);
	host->settings.queue_max = 0;
	snprintf(host->settings.busy_line, sizeof host->settings.busy_line, "come later");
	int fd = site_bound(SOCK_STREAM, &address);
	(void)connect(fd, (const struct sockaddr *)&host_address, sizeof host_address);
	TURN_UNTIL(send(fd, "ping\n", 5, MSG_NOSIGNAL) == 5);
	TURN_UNTIL((len = read(fd, got, sizeof got)) > 0);
	cr_assert_eq(len, 11);
	cr_assert_arr_eq(got, "come later\n", 11);
	close(fd);
	cr_assert_eq(peer_lines_count, 0u);
}

/* --- hostile ---------------------------------------------------------------------------------- */

static void
expect_dropped(struct udp_client *client, enum datagram_count why, const uint8_t *bytes, size_t len)
{
	uint64_t before = site_count(why);

	udp_send_raw(client, bytes, len);
	TURN_UNTIL(site_count(why) == before + 1);
	udp_expect_nothing(client);
}

Test(datagram_sessions_sealed, what_is_not_genuine_is_dropped_in_silence)
{
	static uint8_t good[65536], bad[65536];

	udp_come_online(&alice, SITE_CLIENT);
	size_t len =
	    udp_write(&alice, good,
		      (struct datagram_header){
			  .kind = DATAGRAM_REQUEST, .session = alice.session, .number = 9 },
		      wire_span("\005msul1line", 10));
	for (size_t i = 0; i < len; i++) {
		memcpy(bad, good, len);
		bad[i] ^= 1;
		udp_send_raw(&alice, bad, len);
		turn();
	}
	TURN_UNTIL(site_count(DATAGRAM_COUNT_RECEIVED) == 2 + len);
	udp_expect_nothing(&alice);
	cr_assert_eq(site_count(DATAGRAM_COUNT_FORGED) + site_count(DATAGRAM_COUNT_MALFORMED) +
			 site_count(DATAGRAM_COUNT_UNKNOWN_CLIENT),
		     len);
	cr_assert_geq(site_count(DATAGRAM_COUNT_UNKNOWN_CLIENT), 8u);
	expect_dropped(&alice, DATAGRAM_COUNT_MALFORMED, good, 5);
	expect_dropped(&alice, DATAGRAM_COUNT_MALFORMED, good, 0);
	expect_dropped(&alice, DATAGRAM_COUNT_FORGED, good, len - 1);
	memset(bad, 0xff, sizeof bad);
	memcpy(bad, good, len);
	expect_dropped(&alice, DATAGRAM_COUNT_TOO_LONG, bad, 1233);
	expect_dropped(&alice, DATAGRAM_COUNT_TOO_LONG, bad, 60000);
	cr_assert_eq(peer_lines_count, 0u);
	udp_send_raw(&alice, good, len);
	udp_expect_reply(&alice, 9, "re:line");
	udp_confirm(&alice);
	turn_for_nothing();
	udp_send_raw(&alice, good, len);
	udp_expect(&alice, DATAGRAM_ERROR, 9);
	cr_assert_eq(alice.got.header.code, DATAGRAM_FORGOTTEN);
	cr_assert_eq(peer_lines_count, 1u, "a replay is not run");
}

Test(datagram_sessions_sealed, a_client_without_a_key_is_not_answered)
{
	udp_open(&alice, 0x99);
	udp_hello(&alice, 1);
	TURN_UNTIL(site_count(DATAGRAM_COUNT_UNKNOWN_CLIENT) == 1);
	udp_expect_nothing(&alice);
}

Test(datagram_sessions_sealed, who_loses_his_key_loses_his_session)
{
	const struct datagram_key left[] = { site_key(0x22) };

	udp_come_online(&alice, SITE_CLIENT);
	udp_come_online(&bob, 0x22);
	site_give_keys(&site, left, 1);
	TURN_UNTIL(sessions() == 1);
	uint64_t number = udp_ask(&bob, "msul1", "ping", 0);
	udp_expect_reply(&bob, number, "re:ping");
	udp_ask(&alice, "msul1", "ping", 0);
	TURN_UNTIL(site_count(DATAGRAM_COUNT_UNKNOWN_CLIENT) == 1);
	udp_expect_nothing(&alice);
}
