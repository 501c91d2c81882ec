/*
 * test_gateway.c - a gateway in a worker: who is let in, what passes through, and what each side
 * sees of the other one's end.
 */
#include "tests/gateway_site.h"

TestSuite(gateway, .init = site_up, .fini = site_down);

/* --- who comes in ----------------------------------------------------------------------------- */

/* The usual client, through to the lond. */
struct pair {
	struct somebody body;
	struct remote remote;
	int lond;
};

static struct pair
pair_open(void)
{
	struct pair pair = { .body = somebody_new(site_ca, "relay.example", 7200), .lond = -1 };

	pair.remote = remote_new(pair.body.context);
	REMOTE_UNTIL(&pair.remote, (pair.lond = lond_accepted()) >= 0);
	return pair;
}

static void
pair_close(struct pair *pair)
{
	remote_free(&pair->remote);
	somebody_free(&pair->body);
	if (pair->lond >= 0)
		close(pair->lond);
}

Test(gateway, passes_bytes_both_ways)
{
	site_serve();
	struct pair pair = pair_open();

	remote_say(&pair.remote, "init\n");
	lond_expect(pair.lond, "init\n");
	cr_assert_eq(send(pair.lond, "12345\n", 6, 0), 6);
	remote_expect(&pair.remote, "12345\n");
	cr_assert_str_eq(tls_peer_name(pair.remote.tls), "gateway.example");
	struct stats_gateway sum = { .accepted = 0 };
	cr_assert(stats_gateway_add(&site.stats->gateways, "east", &sum));
	cr_assert_eq(stats_get(&sum.accepted), 1u);
	cr_assert_eq(stats_get(&sum.open), 1u);
	cr_assert_eq(stats_get(&sum.bytes_in), 5u);
	cr_assert_eq(stats_get(&sum.bytes_out), 6u);
	cr_assert_eq(histogram_total(&sum.handshake), 1u);
	cr_assert_gt(stats_get(&sum.own_expiry), (uint64_t)time(NULL));
	pair_close(&pair);
}

/* Who comes before it knows whom to let in waits. */
Test(gateway, waits_for_credentials)
{
	struct somebody body = somebody_new(site_ca, "relay.example", 7200);

	site_gateway("relay.example");
	site_give_door();
	struct remote remote = remote_new(body.context);
	remote_send(&remote);
	turn_for_nothing();
	cr_assert_eq(site_open(), 0u);
	site_credentials(1, site_ca);
	site_gateway("relay.example");
	REMOTE_UNTIL(&remote, tls_state(remote.tls) == TLS_READY);
	remote_free(&remote);
	somebody_free(&body);
}

/* The reason is counted, the client is told, and the lond has heard nothing. */
static void
expect_refused(const struct tls_identity *ca, const char *name, int64_t until, enum tunnel_end end)
{
	struct somebody body = somebody_new(ca, name, until);
	struct remote remote = remote_new(body.context);

	REMOTE_UNTIL(&remote, remote.ended && site_open() == 0);
	cr_assert_eq(site_ended(end), 1u, "%s", tunnel_end_text(end));
	cr_assert_eq(tls_failure(remote.tls), TLS_REFUSED, "%s", tunnel_end_text(end));
	cr_assert_eq(lond_accepted(), -1);
	remote_free(&remote);
	somebody_free(&body);
}

Test(gateway, refuses_by_reason)
{
	struct tls_identity *other = site_identity(NULL, NULL, 7200);

	site_serve();
	expect_refused(other, "relay.example", 7200, TUNNEL_UNTRUSTED);
	expect_refused(site_ca, "other.example", 7200, TUNNEL_WRONG_NAME);
	expect_refused(site_ca, "relay.example", -3600, TUNNEL_EXPIRED);
	tls_identity_free(other);
}

static void
expect_dropped(const char *bytes, size_t len, bool cut, enum tunnel_end end)
{
	int fd = remote_connect();
	uint64_t before = site_ended(end);

	cr_assert_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	if (cut)
		shutdown(fd, SHUT_WR);
	TURN_UNTIL(site_ended(end) == before + 1);
	close(fd);
	cr_assert_eq(lond_accepted(), -1);
}

Test(gateway, drops_what_is_no_tls)
{
	static const char zeros[3000];

	site_wish.handshake_timeout_ms = HOUR_MS;
	site_serve();
	expect_dropped("init\n\n", 6, false, TUNNEL_PROTOCOL);
	expect_dropped(zeros, sizeof zeros, false, TUNNEL_PROTOCOL);
	expect_dropped("\x16\x03\x01\x02\x00\x01", 6, true, TUNNEL_CLOSED_EARLY);
	site_wish.handshake_timeout_ms = 20;
	site_gateway("relay.example");
	expect_dropped("\x16", 1, false, TUNNEL_HANDSHAKE_TIMEOUT);
	TURN_UNTIL(site_open() == 0);
}

/* More than clients_max stay in the listen queue until there is room. */
Test(gateway, has_room_for_so_many)
{
	site_wish.clients_max = 2;
	site_serve();
	struct pair first = pair_open();
	struct pair second = pair_open();
	struct remote third = remote_new(first.body.context);

	for (int i = 0; i < 12; i++) {
		remote_pump(&third);
		turn();
	}
	cr_assert_eq(tls_state(third.tls), TLS_HANDSHAKE);
	cr_assert_eq(site_open(), 2u);
	pair_close(&second);
	REMOTE_UNTIL(&third, tls_state(third.tls) == TLS_READY);
	remote_free(&third);
	pair_close(&first);
}

/* The last place is no more the first door's than another one's. */
Test(gateway, has_room_at_every_door)
{
	struct channel_message message = { .type = CHANNEL_GATEWAY_DOOR };
	int other = site_door;
	struct sockaddr_in address;

	site_wish.clients_max = 1;
	site_wish.doors = 2;
	site_serve();
	site_door = site_listen(&address);
	message.gateway_door =
	    (struct channel_gateway_door){ .index = site_wish.index, .number = 1 };
	site_say(&message, dup(site_door));
	for (int i = 0; i < 2; i++) {
		struct pair pair = pair_open();
		struct remote second = remote_new(pair.body.context);

		for (int k = 0; k < 12; k++) {
			remote_pump(&second);
			turn();
		}
		cr_assert_eq(tls_state(second.tls), TLS_HANDSHAKE);
		cr_assert_eq(site_open(), 1u);
		remote_free(&second);
		pair_close(&pair);
		TURN_UNTIL(site_open() == 0);
	}
	close(other);
}

/* Whoever can connect can stay for a while: descriptors are left for the hosts. */
Test(gateway, leaves_room_for_hosts)
{
	struct somebody body = somebody_new(site_ca, "relay.example", 7200);
	struct remote remotes[8];

	site.worker.clients_max = 12;
	site_serve();
	for (int i = 0; i < 8; i++)
		remotes[i] = remote_new(body.context);
	TURN_UNTIL(site_open() == 3);
	turn_for_nothing();
	cr_assert_eq(site_open(), 3u);
	cr_assert(worker_accepting(&site.worker));
	for (int i = 0; i < 8; i++)
		remote_free(&remotes[i]);
	/* All of them come in some time. */
	TURN_UNTIL(stats_get(&site.stats->gateways.block[0].accepted) == 8 && site_open() == 0);
	somebody_free(&body);
}

/* --- ends ------------------------------------------------------------------------------------- */

Test(gateway, passes_ends_on_in_order)
{
	site_serve();
	struct pair pair = pair_open();

	remote_say(&pair.remote, "last\n");
	tls_close(pair.remote.tls);
	remote_send(&pair.remote);
	lond_expect(pair.lond, "last\n");
	cr_assert_eq(lond_end(pair.lond), 0);
	cr_assert_eq(send(pair.lond, "words\n", 6, 0), 6);
	remote_expect(&pair.remote, "words\n");
	cr_assert_eq(site_open(), 1u, "half of it still works");
	close(pair.lond);
	pair.lond = -1;
	REMOTE_UNTIL(&pair.remote, tls_state(pair.remote.tls) == TLS_CLOSED);
	TURN_UNTIL(site_ended(TUNNEL_FINISHED) == 1);
	cr_assert_eq(site_open(), 0u);
	pair_close(&pair);
}

Test(gateway, shows_the_lond_what_was_cut_off)
{
	site_serve();
	struct pair pair = pair_open();
	struct pair rude = pair_open();

	remote_say(&pair.remote, "half");
	lond_expect(pair.lond, "half");
	shutdown(pair.remote.fd, SHUT_WR);
	cr_assert_eq(lond_end(pair.lond), ECONNRESET);
	TURN_UNTIL(site_ended(TUNNEL_CLOSED_EARLY) == 1);
	remote_pump(&rude.remote);
	close_rudely(rude.remote.fd);
	rude.remote.fd = -1;
	cr_assert_eq(lond_end(rude.lond), ECONNRESET);
	TURN_UNTIL(site_ended(TUNNEL_RESET) == 1);
	cr_assert_eq(site_open(), 0u);
	pair_close(&pair);
	pair_close(&rude);
}

Test(gateway, shows_the_client_what_was_cut_off)
{
	site_serve();
	struct pair pair = pair_open();

	close_rudely(pair.lond);
	pair.lond = -1;
	REMOTE_UNTIL(&pair.remote, pair.remote.ended);
	cr_assert_eq(tls_state(pair.remote.tls), TLS_READY, "nothing was said of an end");
	TURN_UNTIL(site_ended(TUNNEL_LOND_RESET) == 1 && site_open() == 0);
	pair_close(&pair);
}

/* Nobody there, or nobody knows where: the client is let go of in order, control looks again. */
Test(gateway, without_a_lond)
{
	struct somebody body = somebody_new(site_ca, "relay.example", 7200);

	close(site_lond);
	site_lond = -1;
	for (unsigned i = 1; i <= 2; i++) {
		site_credentials(1, site_ca);
		site_gateway("relay.example");
		site_give_door();
		struct remote remote = remote_new(body.context);
		REMOTE_UNTIL(&remote, tls_state(remote.tls) == TLS_CLOSED);
		close(remote.fd);
		TURN_UNTIL(site_ended(TUNNEL_CONNECT_FAILED) == i);
		cr_assert_eq(site_resolves, i);
		tls_session_free(remote.tls);
		site_remove();
		TURN_UNTIL(!worker_has_gateways(&site.worker));
		site_wish.addresses.count = 0;
	}
	somebody_free(&body);
}

/* A lond that says nothing at all may be one that has moved. */
Test(gateway, looks_for_a_silent_lond)
{
	struct somebody body = somebody_new(site_ca, "relay.example", 7200);
	const union resolve_address *address = &site_wish.addresses.address[0];
	int full[2];

	/* Its listen queue is full, so that the kernel drops who else comes. */
	cr_assert_eq(listen(site_lond, 0), 0);
	for (int i = 0; i < 2; i++) {
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		cr_assert(connect(full[i], &address->any, resolve_length(address)) == 0 ||
			  errno == EINPROGRESS);
	}
	site_wish.connect_timeout_ms = 20;
	site_serve();
	struct remote remote = remote_new(body.context);
	REMOTE_UNTIL(&remote, tls_state(remote.tls) == TLS_CLOSED);
	close(remote.fd);
	TURN_UNTIL(site_ended(TUNNEL_CONNECT_TIMEOUT) == 1);
	cr_assert_eq(site_resolves, 1u);
	tls_session_free(remote.tls);
	for (int i = 0; i < 2; i++)
		close(full[i]);
	somebody_free(&body);
}

/* A port where nobody listens, or to whom all that comes is dropped; -1: it is not to be closed. */
static union resolve_address
elsewhere(int *fd, bool silent, int full[2])
{
	union resolve_address address = { .v4 = { 0 } };

	*fd = site_listen(&address.v4);
	if (!silent) {
		close(*fd);
		*fd = -1;
		return address;
	}
	cr_assert_eq(listen(*fd, 0), 0);
	for (int i = 0; i < 2; i++) {
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		cr_assert(connect(full[i], &address.any, sizeof address.v4) == 0 ||
			  errno == EINPROGRESS);
	}
	return address;
}

/* Of a name with several addresses each is tried, in turn: those that refuse, one that says
 * nothing, and then the one that is it. */
Test(gateway, tries_all_addresses)
{
	struct resolve_list *list = &site_wish.addresses;
	int silent, nobody, full[2];

	list->address[3] = list->address[0];
	list->address[0] = elsewhere(&nobody, false, full);
	list->address[1] = elsewhere(&silent, true, full);
	list->address[2] = list->address[0];
	list->count = 4;
	site_wish.connect_timeout_ms = 300;
	site_serve();
	struct pair pair = pair_open();
	remote_say(&pair.remote, "init\n");
	lond_expect(pair.lond, "init\n");
	cr_assert_eq(site_resolves, 0u, "it was reached");
	pair_close(&pair);
	for (int i = 0; i < 2; i++)
		close(full[i]);
	close(silent);
}

/* The last one's reason counts, once. */
Test(gateway, no_address_is_left)
{
	struct somebody body = somebody_new(site_ca, "relay.example", 7200);
	struct resolve_list *list = &site_wish.addresses;
	int silent, nobody, full[2];

	list->address[0] = elsewhere(&silent, true, full);
	list->address[1] = elsewhere(&nobody, false, full);
	list->count = 2;
	site_wish.connect_timeout_ms = 40;
	site_serve();
	struct remote remote = remote_new(body.context);
	REMOTE_UNTIL(&remote, tls_state(remote.tls) == TLS_CLOSED);
	remote_free(&remote);
	TURN_UNTIL(site_open() == 0);
	cr_assert_eq(site_ended(TUNNEL_CONNECT_FAILED), 1u);
	cr_assert_eq(site_ended(TUNNEL_CONNECT_TIMEOUT), 0u);
	cr_assert_eq(site_resolves, 1u);
	for (int i = 0; i < 2; i++)
		close(full[i]);
	close(silent);
	somebody_free(&body);
}

Test(gateway, closes_who_is_idle)
{
	site_serve();
	struct pair pair = pair_open();

	site_wish.idle_timeout_ms = 20;
	site_gateway("relay.example");
	REMOTE_UNTIL(&pair.remote, tls_state(pair.remote.tls) == TLS_CLOSED);
	cr_assert_eq(lond_end(pair.lond), 0);
	remote_free(&pair.remote);
	TURN_UNTIL(site_ended(TUNNEL_IDLE) == 1);
	close(pair.lond);
	somebody_free(&pair.body);
}

/* --- much ------------------------------------------------------------------------------------- */

enum {
	MUCH = 24 * 1024 * 1024,
	/* Of it in the worker: what one turn can bring in beyond the bound, the ring's buffers, in
	 * a buffer that doubles. */
	KEPT_MAX = 2 * 512 * 4096 + 1024 * 1024,
};

/* As much as the socket takes of bytes that count up; how many. */
static size_t
lond_pour(int fd, size_t at)
{
	uint8_t bytes[8192];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)((at + i) % 251);
	ssize_t sent =
	    send(fd, bytes, at + sizeof bytes > MUCH ? MUCH - at : sizeof bytes, MSG_NOSIGNAL);
	return sent > 0 ? (size_t)sent : 0;
}

/* A client that does not read: what waits for it has a bound, and none of it is lost. */
Test(gateway, keeps_a_bounded_part)
{
	site_serve();
	struct pair pair = pair_open();
	size_t poured = 0;
	int stuck = 0;

	REMOTE_UNTIL(&pair.remote, tls_state(pair.remote.tls) == TLS_READY);
	while (poured < MUCH && stuck < 50) {
		size_t n = lond_pour(pair.lond, poured);
		poured += n;
		stuck = n > 0 ? 0 : stuck + 1;
		turn();
		cr_assert_lt(site.worker.memory.used, KEPT_MAX);
	}
	while (pair.remote.got < MUCH) {
		if (poured < MUCH)
			poured += lond_pour(pair.lond, poured);
		size_t before = pair.remote.got;
		REMOTE_UNTIL(&pair.remote, pair.remote.got > before);
		cr_assert_lt(site.worker.memory.used, KEPT_MAX);
	}
	cr_assert_eq(pair.remote.got, MUCH);
	for (size_t i = MUCH - sizeof pair.remote.last; i < MUCH; i++)
		cr_assert_eq(pair.remote.last[i % sizeof pair.remote.last], (uint8_t)(i % 251));
	pair_close(&pair);
}

/* A lond that does not read, likewise. */
Test(gateway, keeps_a_bounded_part_for_the_lond)
{
	static char bytes[16384];
	static char got[65536];
	size_t given = 0, taken = 0;
	int stuck = 0;

	site_serve();
	struct pair pair = pair_open();
	memset(bytes, 'x', sizeof bytes);
	REMOTE_UNTIL(&pair.remote, tls_state(pair.remote.tls) == TLS_READY);
	while (given < MUCH && stuck < 50) {
		bool room = tls_output(pair.remote.tls).len == 0;
		if (room)
			cr_assert(tls_write(pair.remote.tls, bytes, sizeof bytes));
		given += room ? sizeof bytes : 0;
		stuck = room ? 0 : stuck + 1;
		remote_send(&pair.remote);
		turn();
		cr_assert_lt(site.worker.memory.used, KEPT_MAX);
	}
	tls_close(pair.remote.tls);
	ssize_t n = -1;
	while (n != 0) {
		TURN_UNTIL((remote_send(&pair.remote), n = recv(pair.lond, got, sizeof got, 0)) >=
			   0);
		for (ssize_t i = 0; i < n; i++)
			cr_assert_eq(got[i], 'x');
		taken += (size_t)n;
	}
	cr_assert_eq(taken, given, "all of it, and then the end");
	pair_close(&pair);
}
