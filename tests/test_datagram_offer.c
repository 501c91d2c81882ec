/*
 * test_datagram_offer.c - sessions offered, while somebody says recorded hellos from many addresses
 * to push offers out: on a real ring; and the numbers that say what was offered.
 */
#include "tests/datagram_client.h"

static struct udp_client replayer;

static void
down(void)
{
	udp_close(&replayer);
	clients_down();
}

TestSuite(datagram_offer, .init = clients_plain, .fini = down, .timeout = 60);
TestSuite(datagram_offer_sealed, .init = clients_sealed, .fini = down, .timeout = 60);

/* Says a hello of this client from ports that nobody has used before, and hears none of the
 * answers. */
static void
replay(uint64_t client, unsigned times)
{
	uint8_t bytes[65536], body[DATAGRAM_HELLO_BODY];
	struct wire_out out = wire_out(body, sizeof body);
	uint64_t heard = site_count(DATAGRAM_COUNT_KIND_HELLO);
	size_t len = 0;

	datagram_hello_put(&out, &(struct datagram_hello){ .receive_max = 1232 });
	for (unsigned i = 0; i < times; i++) {
		udp_open(&replayer, client);
		if (len == 0)
			len = udp_write(
			    &replayer, bytes,
			    (struct datagram_header){ .kind = DATAGRAM_HELLO, .number = 5 },
			    wire_span(body, out.len));
		udp_send_raw(&replayer, bytes, len);
		TURN_UNTIL(site_count(DATAGRAM_COUNT_KIND_HELLO) == heard + i + 1);
		udp_close(&replayer);
	}
}

static void
expect_refused(struct udp_client *client, uint64_t session, uint64_t number)
{
	client->session = session;
	udp_ask(client, "msul1", "void", number);
	udp_expect(client, DATAGRAM_ERROR, number);
	cr_assert_eq(client->got.header.code, DATAGRAM_NEW_SESSION);
}

/* Hello, then the first request with others between: it is answered in the session offered. */
static void
begins_among_replays(void)
{
	udp_begin(&alice, SITE_CLIENT);
	replay(SITE_CLIENT, 20);
	uint64_t number = udp_ask(&alice, "msul1", "first", 0);
	udp_expect_reply(&alice, number, "re:first");
	udp_confirm(&alice);
	replay(SITE_CLIENT, 20);
	number = udp_ask(&alice, "msul1", "second", 0);
	udp_expect_reply(&alice, number, "re:second");
	cr_assert_eq(site.worker.datagrams->sessions_count, 1u);
	cr_assert_eq(site_count(DATAGRAM_COUNT_NEW_SESSION), 0u);
}

Test(datagram_offer, who_answers_gets_his_session_whoever_else_says_hello)
{
	begins_among_replays();
}

Test(datagram_offer_sealed, who_answers_gets_his_session_whoever_else_says_hello)
{
	begins_among_replays();
}

/* The offer is forgotten: what it said of sizes is not. */
Test(datagram_offer, a_forgotten_offer_keeps_its_size)
{
	uint8_t body[DATAGRAM_HELLO_BODY];
	struct wire_out out = wire_out(body, sizeof body);

	udp_open(&alice, SITE_CLIENT);
	datagram_hello_put(&out, &(struct datagram_hello){ .receive_max = 600 });
	udp_send(&alice, (struct datagram_header){ .kind = DATAGRAM_HELLO, .number = 9 },
		 wire_span(body, out.len));
	udp_expect(&alice, DATAGRAM_WELCOME, 9);
	alice.session = alice.got.header.session;
	replay(SITE_CLIENT, 8);
	uint64_t number = udp_ask(&alice, "msul1", "x", 0);
	udp_expect_reply(&alice, number, "re:x");
	cr_assert_eq(session_find(site.worker.datagrams, SITE_CLIENT)->size, 600u);
}

/* Nothing that is forgotten begins a session a second time, or ends one that came after it. */
Test(datagram_offer, what_began_or_is_older_is_void_although_it_is_forgotten)
{
	udp_begin(&alice, SITE_CLIENT);
	uint64_t older = alice.session;
	replay(SITE_CLIENT, 8);
	udp_hello(&alice, 78);
	udp_expect(&alice, DATAGRAM_WELCOME, 78);
	uint64_t begun = alice.got.header.session;
	replay(SITE_CLIENT, 8);
	alice.session = begun;
	uint64_t number = udp_ask(&alice, "msul1", "once", 0);
	udp_expect_reply(&alice, number, "re:once");
	udp_confirm(&alice);
	expect_refused(&alice, older, 40);
	alice.session = begun;
	number = udp_say(&alice, DATAGRAM_BYE, 41, wire_span(NULL, 0));
	udp_expect(&alice, DATAGRAM_BYE, number);
	replay(SITE_CLIENT, 8);
	expect_refused(&alice, begun, 42);
	expect_refused(&alice, older, 43);
	cr_assert_eq(site.worker.datagrams->sessions_count, 0u);
	cr_assert_eq(peer_lines_count, 1u);
}

Test(datagram_offer, a_forgotten_offer_is_of_its_address_alone)
{
	udp_begin(&alice, SITE_CLIENT);
	replay(SITE_CLIENT, 8);
	udp_open(&replayer, SITE_CLIENT);
	expect_refused(&replayer, alice.session, 1);
	uint64_t number = udp_ask(&alice, "msul1", "hers", 0);
	udp_expect_reply(&alice, number, "re:hers");
}

/* ---- numbers ---- */

static const struct datagram_cookie_keys cookie_keys = { { 1, 2 }, { 3, 4 } };

static union dgram_address
address_of(uint16_t port)
{
	union dgram_address address = { .ip4 = { .sin_family = AF_INET, .sin_port = htons(port) } };

	address.ip4.sin_addr.s_addr = htonl(0x7f000001);
	return address;
}

Test(datagram_cookie, says_what_was_offered_until_it_is_over)
{
	const union dgram_address address = address_of(7);
	const uint64_t tick = 1000000;
	struct datagram_cookie made = { 0x2a, &address, tick, 1232 };
	uint64_t number = datagram_cookie_make(&cookie_keys, &made);

	for (uint64_t later = 0; later <= 30000; later += 500) {
		struct datagram_cookie read = { .client = 0x2a, .address = &address };
		cr_assert(datagram_cookie_read(&cookie_keys, &read, number, tick + later, 30000));
		cr_assert_eq(read.tick, tick);
		cr_assert_eq(read.size, 1232u);
	}
	struct datagram_cookie read = { .client = 0x2a, .address = &address };
	cr_assert_not(datagram_cookie_read(&cookie_keys, &read, number, tick + 30001, 30000));
	cr_assert_not(datagram_cookie_read(&cookie_keys, &read, number, tick - 1, 30000));
	/* All that it says of time comes round: it does not become true again. */
	cr_assert_not(datagram_cookie_read(&cookie_keys, &read, number, tick + 65536, 30000));
	cr_assert_not(datagram_cookie_read(&cookie_keys, &read, number, tick % 65536, 30000));
}

Test(datagram_cookie, is_of_one_client_address_and_key)
{
	const struct datagram_cookie_keys others[] = { { { 1, 9 }, { 3, 4 } },
						       { { 1, 2 }, { 3, 9 } } };
	const union dgram_address address = address_of(7);
	const union dgram_address elsewhere = address_of(8);
	struct datagram_cookie made = { 0x2a, &address, 1000000, 65507 };
	uint64_t number = datagram_cookie_make(&cookie_keys, &made);
	struct datagram_cookie read = { .client = 0x2b, .address = &address };

	cr_assert_not(datagram_cookie_read(&cookie_keys, &read, number, 1000000, 30000));
	read = (struct datagram_cookie){ .client = 0x2a, .address = &elsewhere };
	cr_assert_not(datagram_cookie_read(&cookie_keys, &read, number, 1000000, 30000));
	read = (struct datagram_cookie){ .client = 0x2a, .address = &address };
	for (unsigned i = 0; i < 2; i++)
		cr_assert_not(datagram_cookie_read(&others[i], &read, number, 1000000, 30000));
	for (unsigned bit = 0; bit < 64; bit++)
		cr_assert_not(datagram_cookie_read(&cookie_keys, &read, number ^ UINT64_C(1) << bit,
						   1000000, 30000));
	cr_assert(datagram_cookie_read(&cookie_keys, &read, number, 1000000, 30000));
	cr_assert_eq(read.size, 65507u);
}

Test(datagram_cookie, tells_scopes_of_link_local_addresses_apart)
{
	union dgram_address address = { .ip6 = { .sin6_family = AF_INET6, .sin6_port = 7 } };
	union dgram_address scoped = address;
	struct datagram_cookie made = { 0x2a, &address, 1000000, 1232 };

	scoped.ip6.sin6_scope_id = 3;
	uint64_t number = datagram_cookie_make(&cookie_keys, &made);
	struct datagram_cookie read = { .client = 0x2a, .address = &scoped };
	cr_assert_not(datagram_cookie_read(&cookie_keys, &read, number, 1000000, 30000));
	read.address = &address;
	cr_assert(datagram_cookie_read(&cookie_keys, &read, number, 1000000, 30000));
}
