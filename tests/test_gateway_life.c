/*
 * test_gateway_life.c - a gateway while control changes it, is another process, or has the worker
 * stop: who is in stays in, who comes is judged by what counts now.
 */
#include "tests/gateway_site.h"

TestSuite(gateway_life, .init = site_up, .fini = site_down);

/* Whether somebody is let in; if so, whether by a ticket. */
static bool
comes_in(struct somebody *body, bool *resumed)
{
	struct remote remote = remote_new(body->context);
	uint64_t before = site_open();
	int lond = -1;

	REMOTE_UNTIL(&remote, remote.ended || (lond = lond_accepted()) >= 0);
	bool in = lond >= 0;
	if (in) {
		/* The ticket comes before the answer. */
		cr_assert_eq(send(lond, "x", 1, 0), 1);
		REMOTE_UNTIL(&remote, remote.got == 1);
		*resumed = tls_resumed(remote.tls);
		tls_close(remote.tls);
		remote_send(&remote);
		cr_assert_eq(lond_end(lond), 0);
		close(lond);
	}
	remote_free(&remote);
	TURN_UNTIL(site_open() == before);
	return in;
}

Test(gateway_life, follows_who_is_allowed)
{
	struct somebody one = somebody_new(site_ca, "relay.example", 7200);
	struct somebody two = somebody_new(site_ca, "second.example", 7200);
	bool resumed;

	site_serve();
	cr_assert(comes_in(&one, &resumed));
	cr_assert(!comes_in(&two, &resumed));
	struct remote stays = remote_new(one.context);
	int lond = -1;
	REMOTE_UNTIL(&stays, (lond = lond_accepted()) >= 0);
	site_gateway("second.example");
	cr_assert(comes_in(&two, &resumed));
	cr_assert(!comes_in(&one, &resumed));
	remote_say(&stays, "still\n");
	lond_expect(lond, "still\n");
	remote_free(&stays);
	close(lond);
	somebody_free(&one);
	somebody_free(&two);
}

Test(gateway_life, follows_whom_it_trusts)
{
	struct tls_identity *other = site_identity(NULL, NULL, 7200);
	struct somebody one = somebody_new(site_ca, "relay.example", 7200);
	struct somebody two = somebody_new(other, "relay.example", 7200);
	bool resumed;

	site_serve();
	site_credentials(2, other);
	site_wish.credentials = 2;
	site_gateway("relay.example");
	cr_assert(!comes_in(&one, &resumed));
	cr_assert(comes_in(&two, &resumed));
	/* Of what cannot be used nothing is taken over. */
	site_wish.credentials = 3;
	site_gateway("relay.example");
	cr_assert(comes_in(&two, &resumed));
	somebody_free(&one);
	somebody_free(&two);
	tls_identity_free(other);
}

/* A ticket is good for who may come in now, and only with the keys and the context of now. */
Test(gateway_life, resumes_who_is_still_allowed)
{
	struct somebody one = somebody_new(site_ca, "relay.example", 7200);
	bool resumed = true;

	site_serve();
	cr_assert(comes_in(&one, &resumed));
	cr_assert(comes_in(&one, &resumed));
	cr_assert(!resumed, "without keys there are no tickets");
	site_ticket_keys(1);
	cr_assert(comes_in(&one, &resumed));
	cr_assert(!resumed);
	cr_assert(comes_in(&one, &resumed));
	cr_assert(resumed);
	cr_assert_eq(stats_get(&site.stats->gateways.block[0].resumed), 1u);
	site_ticket_keys(2);
	cr_assert(comes_in(&one, &resumed));
	cr_assert(!resumed, "other keys, another context");
	cr_assert(comes_in(&one, &resumed));
	cr_assert(resumed);
	uint64_t refused = site_ended(TUNNEL_WRONG_NAME);
	site_gateway("second.example");
	cr_assert(!comes_in(&one, &resumed), "the keys are the same, but it is not allowed");
	cr_assert_eq(site_ended(TUNNEL_WRONG_NAME), refused + 1);
	somebody_free(&one);
}

/* An address that it cannot have is not served by the socket of the one before. */
Test(gateway_life, closes_a_door)
{
	struct somebody one = somebody_new(site_ca, "relay.example", 7200);
	const struct channel_message message = {
		.type = CHANNEL_GATEWAY_DOOR,
		.gateway_door = { .index = site_wish.index, .closed = 1 },
	};
	struct gateway_door *door;
	bool resumed;

	site_serve();
	cr_assert(comes_in(&one, &resumed));
	door = &site_found()->doors[0];
	site_say(&message, -1);
	TURN_UNTIL(door->listener < 0 && !door->op.in_flight);
	site_give_door();
	cr_assert(comes_in(&one, &resumed));
	somebody_free(&one);
}

/* A lond that has moved: nobody is brought to where the one before was. */
Test(gateway_life, forgets_another_lond)
{
	struct somebody one = somebody_new(site_ca, "relay.example", 7200);
	bool resumed;

	site_serve();
	site_wish.addresses.count = 0;
	site_gateway("relay.example");
	cr_assert(comes_in(&one, &resumed), "the same words, not looked up yet");
	site_wish.connect_mark = 2;
	site_gateway("relay.example");
	struct remote remote = remote_new(one.context);
	REMOTE_UNTIL(&remote, tls_state(remote.tls) == TLS_CLOSED);
	cr_assert_lt(lond_accepted(), 0);
	remote_free(&remote);
	TURN_UNTIL(site_ended(TUNNEL_CONNECT_FAILED) == 1);
	cr_assert_eq(site_resolves, 1u);
	somebody_free(&one);
}

/* A gateway that leaves lets a question be answered, and then ends in order. */
Test(gateway_life, leaves_when_it_is_quiet)
{
	struct somebody one = somebody_new(site_ca, "relay.example", 7200);
	struct remote idle = remote_new(one.context);
	struct remote busy = remote_new(one.context);
	int lond[2] = { -1, -1 };

	site_serve();
	REMOTE_UNTIL(&idle, (lond[0] = lond_accepted()) >= 0);
	REMOTE_UNTIL(&busy, (lond[1] = lond_accepted()) >= 0);
	remote_say(&busy, "question\n");
	lond_expect(lond[1], "question\n");
	site_remove();
	REMOTE_UNTIL(&idle, tls_state(idle.tls) == TLS_CLOSED);
	cr_assert_eq(lond_end(lond[0]), 0);
	remote_free(&idle);
	TURN_UNTIL(site_open() == 1);
	cr_assert(worker_has_gateways(&site.worker));
	cr_assert_eq(send(lond[1], "answer\n", 7, 0), 7);
	remote_expect(&busy, "answer\n");
	REMOTE_UNTIL(&busy, tls_state(busy.tls) == TLS_CLOSED);
	remote_free(&busy);
	TURN_UNTIL(!worker_has_gateways(&site.worker));
	cr_assert_eq(site_ended(TUNNEL_STOPPED), 2u);
	close(lond[0]);
	close(lond[1]);
	somebody_free(&one);
}

/* One that never rests, or is never answered, is ended in order when its time is over. */
Test(gateway_life, leaves_in_bounded_time)
{
	struct somebody one = somebody_new(site_ca, "relay.example", 7200);
	struct remote busy = remote_new(one.context);
	struct remote asks = remote_new(one.context);
	int lond[2] = { -1, -1 };

	site_wish.drain_timeout_ms = 50;
	site_serve();
	REMOTE_UNTIL(&busy, (lond[0] = lond_accepted()) >= 0);
	REMOTE_UNTIL(&asks, (lond[1] = lond_accepted()) >= 0);
	remote_say(&asks, "question\n");
	lond_expect(lond[1], "question\n");
	site_remove();
	/* Not a turn passes without a byte. */
	REMOTE_UNTIL(&busy,
		     (send(lond[0], "x", 1, MSG_NOSIGNAL), tls_state(busy.tls) == TLS_CLOSED));
	REMOTE_UNTIL(&asks, tls_state(asks.tls) == TLS_CLOSED);
	remote_free(&busy);
	remote_free(&asks);
	TURN_UNTIL(!worker_has_gateways(&site.worker));
	cr_assert_eq(site_ended(TUNNEL_STOPPED), 2u);
	close(lond[0]);
	close(lond[1]);
	somebody_free(&one);
}

/* Another control process may give it another index; one that it does not name leaves. */
Test(gateway_life, survives_control)
{
	struct somebody one = somebody_new(site_ca, "relay.example", 7200);
	bool resumed;
	int lond = -1;

	site_serve();
	struct remote stays = remote_new(one.context);
	REMOTE_UNTIL(&stays, (lond = lond_accepted()) >= 0);
	struct gateway *gateway = site_found();
	site_say_type(CHANNEL_SYNC_BEGIN);
	site_wish.index = 5;
	site_credentials(1, site_ca);
	site_gateway("relay.example");
	site_give_door();
	site_say_type(CHANNEL_SYNC_END);
	cr_assert_eq(site_found(), gateway);
	cr_assert_eq(site.worker.gateways->table[3], NULL);
	remote_say(&stays, "still\n");
	lond_expect(lond, "still\n");
	cr_assert(comes_in(&one, &resumed));
	site_say_type(CHANNEL_SYNC_BEGIN);
	site_say_type(CHANNEL_SYNC_END);
	cr_assert_eq(site_found(), NULL);
	remote_free(&stays);
	TURN_UNTIL(!worker_has_gateways(&site.worker));
	close(lond);
	somebody_free(&one);
}

/* A worker that stops ends with its tunnels, and all that they had comes back. */
Test(gateway_life, stops)
{
	struct somebody one = somebody_new(site_ca, "relay.example", 7200);
	int lond = -1;

	site_serve();
	struct remote remote = remote_new(one.context);
	REMOTE_UNTIL(&remote, (lond = lond_accepted()) >= 0);
	worker_stop(&site.worker, HOUR_MS);
	REMOTE_UNTIL(&remote, tls_state(remote.tls) == TLS_CLOSED);
	remote_free(&remote);
	TURN_UNTIL(site.worker.state == WORKER_STOPPED);
	cr_assert_eq(site.worker.memory.used, 0u);
	cr_assert_eq(site.worker.call_fds, 0u);
	cr_assert_eq(site_open(), 0u);
	close(lond);
	somebody_free(&one);
}
