/*
 * test_datagram_peer.c - requests to hosts whose home is another worker: two workers in one
 * process, the channel between them as the keeper makes it.
 */
#include "tests/datagram_client.h"

static void
join_workers(void)
{
	struct channel_message message = { .type = CHANNEL_PEER };
	int ends[2];

	cr_assert_eq(channel_pair(ends), 0);
	message.peer.number = 1;
	cr_assert_eq(channel_send(site.keeper, &message, ends[0]), 0);
	message.peer.number = 0;
	cr_assert_eq(channel_send(other.keeper, &message, ends[1]), 0);
	close(ends[0]);
	close(ends[1]);
	turn_for_nothing();
}

static void
up(void)
{
	struct channel_message elsewhere = { .type = CHANNEL_ELSEWHERE,
					     .elsewhere = { .index = 3, .worker = 1 } };
	struct sockaddr_in address;

	clients_plain();
	site_worker_up(&other, &address);
	site_give_settings(&other);
	site_give_keys(&other, NULL, 0);
	join_workers();
	site_add_host(&other, 3, "far1");
	snprintf(elsewhere.elsewhere.id, sizeof elsewhere.elsewhere.id, "far1");
	site_say_to(&site, &elsewhere, -1);
	turn_for_nothing();
	udp_begin(&alice, SITE_CLIENT);
}

TestSuite(datagram_peer, .init = up, .fini = clients_down, .timeout = 60);

Test(datagram_peer, a_request_goes_to_its_hosts_home)
{
	for (int i = 0; i < 3; i++) {
		uint64_t number = udp_ask(&alice, "far1", "hello", 0);
		udp_expect_reply(&alice, number, "re:hello");
		udp_confirm(&alice);
	}
	cr_assert_eq(peer_lines_count, 3u);
	cr_assert_eq(stats_get(&other.stats->hosts[3].requests), 3u);
	cr_assert_eq(stats_get(&site.stats->hosts[3].requests), 0u);
	cr_assert_eq(site.worker.datagrams->inquiries, 0u);
}

Test(datagram_peer, one_of_a_client_at_a_time)
{
	peer_silent = true;
	uint64_t first = udp_ask(&alice, "far1", "a", 0);
	uint64_t second = udp_ask(&alice, "far1", "b", 0);
	TURN_UNTIL(peer_lines_count == 1);
	turn_for_nothing();
	cr_assert_eq(peer_lines_count, 1u);
	peer_say(peer_line_fds[0], "A", 1);
	udp_expect_reply(&alice, first, "A");
	udp_confirm(&alice);
	TURN_UNTIL(peer_lines_count == 2);
	peer_say(peer_line_fds[1], "B", 1);
	udp_expect_reply(&alice, second, "B");
}

Test(datagram_peer, the_other_worker_ends)
{
	peer_silent = true;
	uint64_t first = udp_ask(&alice, "far1", "a", 0);
	uint64_t second = udp_ask(&alice, "far1", "b", 0);
	TURN_UNTIL(peer_lines_count == 1);
	/* As its death looks from here: the channel ends, and there will be a new one. */
	join_workers();
	udp_expect(&alice, DATAGRAM_REPLY, first);
	cr_assert_eq(alice.got.header.code, DATAGRAM_CON_LOST);
	udp_confirm(&alice);
	cr_assert_leq(peer_lines_count, 2u);
	peer_say(peer_line_fds[0], "late", 4);
	TURN_UNTIL(peer_lines_count == 2 || udp_take(&alice));
	if (peer_lines_count == 2) {
		peer_say(peer_line_fds[1], "B", 1);
		udp_expect(&alice, DATAGRAM_REPLY, second);
	}
	cr_assert_eq(alice.got.header.about, second);
}

Test(datagram_peer, an_overloaded_home_says_busy_and_nothing_was_run)
{
	struct host *host = other.worker.hosts[3];
	uint32_t room = host->settings.queue_max;

	host->settings.queue_max = 0;
	uint64_t number = udp_ask(&alice, "far1", "ping", 0);
	udp_expect(&alice, DATAGRAM_BUSY, number);
	cr_assert_eq(peer_lines_count, 0u);
	host->settings.queue_max = room;
	udp_ask(&alice, "far1", "ping", number);
	udp_expect_reply(&alice, number, "re:ping");
}

Test(datagram_peer, a_host_that_is_gone_elsewhere_too)
{
	struct channel_message gone = { .type = CHANNEL_HOST_REMOVE, .name = { .index = 3 } };

	site_say_to(&site, &gone, -1);
	gone.type = CHANNEL_SYNC_END;
	site_say_to(&site, &gone, -1);
	turn_for_nothing();
	uint64_t number = udp_ask(&alice, "far1", "ping", 0);
	udp_expect(&alice, DATAGRAM_REPLY, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_UNKNOWN_HOST);
}

/* --- what the home makes of it: its peer is this test -------------------------------------------
 */

static struct channel *
join_home(void)
{
	struct channel_message message = { .type = CHANNEL_PEER, .peer = { .number = 5 } };
	int ends[2];

	cr_assert_eq(channel_pair(ends), 0);
	cr_assert_eq(channel_send(other.keeper, &message, ends[1]), 0);
	close(ends[1]);
	turn_for_nothing();
	return channel_new(ends[0]);
}

/* What `home` says to a request for `host`, which has index 3. */
static enum request_result
ask_home(struct channel *home, const char *host, int memfd, uint64_t length)
{
	struct channel_message message = {
		.type = CHANNEL_REQUEST,
		.request = { .token = 1, .length = length, .reply_max = 1000, .index = 3 }
	};
	int fd;

	snprintf(message.request.host, sizeof message.request.host, "%s", host);
	cr_assert_eq(channel_send(home, &message, memfd), 0);
	TURN_UNTIL(channel_receive(home, &message, &fd) == 1);
	cr_assert_eq(message.type, CHANNEL_REPLY);
	return (enum request_result)message.request.result;
}

/* Its writer fails, as without memory: who hears "overload" would ask again. */
Test(datagram_peer, a_reply_that_cannot_be_passed_on_is_not_as_if_nothing_was_run)
{
	struct channel *home = join_home();
	int writable = site_memfd("ping", 4);
	char path[64];

	snprintf(path, sizeof path, "/proc/self/fd/%d", writable);
	int memfd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(memfd, 0);
	cr_assert_eq(ask_home(home, "far1", memfd, 4), REQUEST_LINK_LOST);
	cr_assert_eq(peer_lines_count, 1u);
	close(memfd);
	close(writable);
	channel_free(home);
}

Test(datagram_peer, an_index_that_is_another_hosts_by_now_is_not_asked)
{
	struct channel *home = join_home();
	int memfd = site_memfd("ping", 4);

	cr_assert_eq(ask_home(home, "far0", memfd, 4), REQUEST_OVERLOAD);
	cr_assert_eq(peer_lines_count, 0u);
	cr_assert_eq(ask_home(home, "far1", memfd, 4), REQUEST_ANSWERED);
	cr_assert_eq(peer_lines_count, 1u);
	close(memfd);
	channel_free(home);
}

Test(datagram_peer, a_home_that_has_just_begun_is_asked_again)
{
	struct channel_message message = { .type = CHANNEL_HOST_REMOVE, .name = { .index = 3 } };
	struct channel *home = join_home();
	int memfd = site_memfd("ping", 4);

	site_say_to(&other, &message, -1);
	turn_for_nothing();
	cr_assert_eq(ask_home(home, "far1", memfd, 4), REQUEST_OVERLOAD);
	message.type = CHANNEL_SYNC_END;
	site_say_to(&other, &message, -1);
	turn_for_nothing();
	cr_assert_eq(ask_home(home, "far1", memfd, 4), REQUEST_STOPPED);
	close(memfd);
	channel_free(home);
}

Test(datagram_peer, a_home_that_is_being_started_again_is_asked_later)
{
	struct channel_message elsewhere = { .type = CHANNEL_ELSEWHERE,
					     .elsewhere = { .index = 4, .worker = 2 } };

	snprintf(elsewhere.elsewhere.id, sizeof elsewhere.elsewhere.id, "far2");
	site_say_to(&site, &elsewhere, -1);
	turn_for_nothing();
	uint64_t number = udp_ask(&alice, "far2", "ping", 0);
	udp_expect(&alice, DATAGRAM_BUSY, number);
}

Test(datagram_peer, an_empty_line_is_one_too)
{
	uint64_t number = udp_ask(&alice, "far1", "", 0);

	udp_expect_reply(&alice, number, "re:");
}

Test(datagram_peer, a_line_that_its_host_does_not_take)
{
	other.worker.hosts[3]->settings.line_max = 3;
	uint64_t number = udp_ask(&alice, "far1", "ping", 0);
	udp_expect(&alice, DATAGRAM_REPLY, number);
	cr_assert_eq(alice.got.header.code, DATAGRAM_TOO_LONG);
	cr_assert_eq(peer_lines_count, 0u);
}
