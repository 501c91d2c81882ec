/*
 * test_datagram_overload.c - what a host that is too slow says to clients of both kinds, and that
 * nobody's flood delays others by more than a round of the queue.
 */
#include "tests/datagram_client.h"

#define BUSY_MS 30

static struct udp_client carol;
static int stream_fd = -1;

static void
up(void)
{
	peer_silent = true;
	clients_plain();
}

static void
down(void)
{
	udp_close(&carol);
	if (stream_fd >= 0)
		close(stream_fd);
	clients_down();
}

TestSuite(datagram_overload, .init = up, .fini = down, .timeout = 60);

static void
judge_after(uint64_t busy_ms)
{
	site_settings.busy_queue_time_ms = busy_ms;
	site_settings.busy_clear_time_ms = 10;
	site_give_settings(&site);
}

/* The host, with one link: what it does next is then what the queue says. */
static struct host *
narrow_host(void)
{
	TURN_UNTIL(site.worker.hosts_count > 0);
	site.worker.hosts[0]->settings.links_max = 1;
	return site.worker.hosts[0];
}

static void
pass(uint64_t ms)
{
	uint64_t from = worker_now(&site.worker);

	TURN_UNTIL(worker_now(&site.worker) - from > ms * MS);
}

static void
stream_say(const char *line)
{
	struct sockaddr_in address;

	if (stream_fd < 0) {
		stream_fd = site_bound(SOCK_STREAM, &address);
		(void)connect(stream_fd, (const struct sockaddr *)&host_address,
			      sizeof host_address);
	}
	TURN_UNTIL(send(stream_fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line));
}

static void
stream_expect(const char *line)
{
	char got[64];
	ssize_t len = -1;

	TURN_UNTIL((len = read(stream_fd, got, sizeof got)) > 0);
	cr_assert_eq(len, (ssize_t)strlen(line));
	cr_assert_arr_eq(got, line, strlen(line));
}

/* Answers what the peer was asked, in its order, until it was asked so often. */
static void
serve(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		TURN_UNTIL(peer_lines_count > i);
		peer_say(peer_line_fds[i], "x", 1);
	}
}

/* The peer has one request, another waits in the queue for longer than is good. */
static struct host *
make_overloaded(void)
{
	struct host *host = narrow_host();

	judge_after(BUSY_MS);
	udp_begin(&alice, 0xa);
	udp_begin(&bob, 0xb);
	udp_ask(&alice, "msul1", "a", 0);
	TURN_UNTIL(peer_lines_count == 1);
	udp_ask(&bob, "msul1", "b", 0);
	TURN_UNTIL(host->queue_count == 1);
	pass(BUSY_MS + 10);
	return host;
}

Test(datagram_overload, a_stream_client_gets_the_busy_line_until_it_is_over)
{
	struct host *host = make_overloaded();

	snprintf(host->settings.busy_line, sizeof host->settings.busy_line, "come later");
	stream_say("s\n");
	stream_expect("come later\n");
	cr_assert_eq(host->queue_count, 1u, "busy has no place in the queue");
	cr_assert_eq(stats_get(&host->stats->results[REQUEST_OVERLOAD]), 1u);
	peer_say(peer_line_fds[0], "A", 1);
	TURN_UNTIL(peer_lines_count == 2);
	cr_assert_not(host->overloaded, "nothing waits any more, and nobody had to ask");
	stream_say("s\n");
	TURN_UNTIL(host->queue_count == 1);
	peer_say(peer_line_fds[1], "B", 1);
	TURN_UNTIL(peer_lines_count == 3);
	peer_say(peer_line_fds[2], "S", 1);
	stream_expect("S\n");
}

Test(datagram_overload, between_the_bounds_it_stays_as_it_was)
{
	struct host *host = narrow_host();

	judge_after(BUSY_MS);
	stream_say("a\n");
	TURN_UNTIL(peer_lines_count == 1);
	udp_begin(&bob, 0xb);
	udp_ask(&bob, "msul1", "b", 0);
	TURN_UNTIL(host->queue_count == 1);
	pass(15);
	struct request *oldest = TAILQ_FIRST(&host->queue);
	oldest->since = worker_now(&site.worker) - (BUSY_MS - 5) * (uint64_t)MS;
	cr_assert_not(host_overloaded(host));
	oldest->since -= 10 * (uint64_t)MS;
	cr_assert(host_overloaded(host));
	oldest->since += 10 * (uint64_t)MS;
	cr_assert(host_overloaded(host), "less than the upper bound, more than the lower one");
	oldest->since = worker_now(&site.worker) - 10 * (uint64_t)MS;
	cr_assert_not(host_overloaded(host));
	oldest->since -= 10 * (uint64_t)MS;
	cr_assert_not(host_overloaded(host));
	serve(2);
	TURN_UNTIL(host->queue_count == 0);
}

Test(datagram_overload, a_paused_host_lets_its_clients_wait)
{
	struct host *host = make_overloaded();

	host_set_hold(host, HOST_HOLD_PAUSED);
	stream_say("s\n");
	TURN_UNTIL(host->queue_count == 2);
	host_set_hold(host, HOST_HOLD_NONE);
	serve(3);
	stream_expect("x\n");
}

Test(datagram_overload, a_clients_own_requests_that_wait_make_it_busy_too)
{
	struct host *host = narrow_host();

	judge_after(BUSY_MS);
	udp_begin(&alice, 0xa);
	udp_ask(&alice, "msul1", "a1", 0);
	udp_ask(&alice, "msul1", "a2", 0);
	TURN_UNTIL(peer_lines_count == 1);
	pass(BUSY_MS + 10);
	cr_assert_eq(host->queue_count, 0u);
	uint64_t number = udp_ask(&alice, "msul1", "a3", 0);
	udp_expect(&alice, DATAGRAM_BUSY, number);
	udp_begin(&bob, 0xb);
	udp_ask(&bob, "msul1", "b", 0);
	TURN_UNTIL(host->queue_count == 1); /* that is nothing to others */
	cr_assert_eq(site_count(DATAGRAM_COUNT_BUSY), 1u);
	serve(3);
	TURN_UNTIL(host->queue_count == 0);
}

Test(datagram_overload, a_flood_delays_others_by_one_round)
{
	char order[64] = "";

	narrow_host();
	udp_begin(&alice, 0xa);
	udp_begin(&bob, 0xb);
	udp_begin(&carol, 0xc);
	for (int i = 0; i < 40; i++)
		udp_ask(&alice, "msul1", "a", 0);
	TURN_UNTIL(peer_lines_count == 1);
	for (int i = 0; i < 4; i++)
		udp_ask(&bob, "msul1", "b", 0);
	udp_ask(&carol, "msul1", "c", 0);
	stream_say("s\ns\ns\n");
	TURN_UNTIL(site.worker.hosts[0]->queue_count == 3);
	serve(48);
	for (unsigned i = 0; i < 48; i++)
		strcat(order, peer_lines[i]);
	/* Whose turn it is within a round is by who came first; it stays so. */
	for (unsigned round = 0; round < 3; round++) {
		const char *at = order + 1 + (round == 0 ? 0 : 4 + (round - 1) * 3);
		size_t len = round == 0 ? 4 : 3;
		cr_assert(memchr(at, 'a', len) && memchr(at, 'b', len) && memchr(at, 's', len),
			  "round %u of %s", round, order);
	}
	cr_assert(memchr(order, 'c', 5) != NULL, "one request among a flood: %s", order);
	cr_assert_eq(strspn(order + 13, "a"), 35u, "the rest of the flood: %s", order);
}
