/*
 * test_datagram_local.c - a worker whose socket has all addresses: what it answers leaves from the
 * address that was asked.  All of 127.0.0.0/8 is this machine's; a client that has connected its
 * socket hears nobody but whom it asked.
 */
#include "tests/datagram_client.h"

#include <arpa/inet.h>

static void
up(void)
{
	site_any = true;
	clients_plain();
}

TestSuite(datagram_local, .init = up, .fini = clients_down, .timeout = 60);

/* From now on the relay is asked there, and heard from there alone. */
static void
ask_at(struct udp_client *client, const char *address)
{
	struct sockaddr_in at = site_address;

	cr_assert_eq(inet_pton(AF_INET, address, &at.sin_addr), 1);
	cr_assert_eq(connect(client->fd, (struct sockaddr *)&at, sizeof at), 0);
	site_address = at;
}

static void
begin(struct udp_client *client, uint64_t id, const char *address)
{
	udp_open(client, id);
	ask_at(client, address);
	udp_greet(client);
}

Test(datagram_local, answers_leave_from_the_address_that_was_asked)
{
	begin(&alice, SITE_CLIENT, "127.0.0.3");
	uint64_t number = udp_ask(&alice, "msul1", "at three", 0);
	udp_expect_reply(&alice, number, "re:at three");
	outbox_due(); /* sent again, too */
	udp_expect_reply(&alice, number, "re:at three");
	udp_confirm(&alice);
	begin(&bob, 0x22, "127.0.0.2");
	number = udp_ask(&bob, "msul1", "at two", 0);
	udp_expect_reply(&bob, number, "re:at two");
	udp_confirm(&bob);
	/* Both at a time: each datagram of a batch has an address of its own. */
	uint64_t two = udp_ask(&bob, "msul1", "two", 0);
	ask_at(&alice, "127.0.0.3");
	uint64_t three = udp_ask(&alice, "msul1", "three", 0);
	udp_expect_reply(&bob, two, "re:two");
	udp_expect_reply(&alice, three, "re:three");
}

Test(datagram_local, so_do_errors_to_who_has_no_session)
{
	udp_open(&alice, SITE_CLIENT);
	ask_at(&alice, "127.0.0.3");
	alice.session = 99;
	uint64_t number = udp_ask(&alice, "msul1", "nothing", 0);
	udp_expect(&alice, DATAGRAM_ERROR, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_NEW_SESSION);
}

Test(datagram_local, a_session_stays_where_it_began)
{
	begin(&alice, SITE_CLIENT, "127.0.0.3");
	uint64_t number = udp_say(&alice, DATAGRAM_KEEP_ALIVE, 0, wire_span(NULL, 0));
	udp_expect(&alice, DATAGRAM_KEEP_ALIVE, number);
	struct session *session = session_find(site.worker.datagrams, SITE_CLIENT);
	cr_assert_eq(session->route.local.family, AF_INET);
	cr_assert_eq(session->route.local.address.ip4.s_addr, inet_addr("127.0.0.3"));
	session_end(session, true);
	udp_expect(&alice, DATAGRAM_BYE, 0);
}

/* ---- IPv6: what the kernel says is taken, and taken back ---- */

static int
socket_ip6(struct sockaddr_in6 *address, const struct in6_addr *at)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof *address;

	*address = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_addr = *at };
	if (fd < 0 || bind(fd, (struct sockaddr *)address, sizeof *address) != 0)
		cr_skip_test("no IPv6: %s", strerror(errno));
	cr_assert_eq(getsockname(fd, (struct sockaddr *)address, &len), 0);
	return fd;
}

Test(dgram_local, a_batch_says_addresses_of_either_family)
{
	struct sockaddr_in6 any, one;
	union dgram_address to;
	struct dgram_local from = { .family = AF_INET6, .address.ip6 = IN6ADDR_LOOPBACK_INIT };
	const struct in6_addr nobody = { .s6_addr = { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
	int sender = socket_ip6(&any, &in6addr_any);
	int receiver = socket_ip6(&one, &in6addr_loopback);
	struct dgram_batch *batch = dgram_batch_new(600, true);
	char got[8];

	cr_assert_eq(dgram_tell_local(sender, AF_INET6), 0);
	memset(&to, 0, sizeof to);
	to.ip6 = one;
	memcpy(dgram_batch_room(batch), "ours", 4);
	dgram_batch_add(batch, &to, &from, 4);
	/* Not an address of this machine: the kernel looks at it. */
	from.address.ip6 = nobody;
	memcpy(dgram_batch_room(batch), "lost", 4);
	dgram_batch_add(batch, &to, &from, 4);
	from.family = AF_UNSPEC;
	memcpy(dgram_batch_room(batch), "any", 3);
	dgram_batch_add(batch, &to, &from, 3);
	struct dgram_sent sent = dgram_batch_send(batch, sender);
	cr_assert_eq(sent.sent, 2u);
	cr_assert_eq(sent.dropped, 1u);
	cr_assert_eq(recv(receiver, got, sizeof got, 0), 4);
	cr_assert_arr_eq(got, "ours", 4);
	cr_assert_eq(recv(receiver, got, sizeof got, 0), 3);
	dgram_batch_free(batch);
	close(sender);
	close(receiver);
}
