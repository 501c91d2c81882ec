/*
 * sim_peer_open.c - the peers' side of the handshake, and all that can be wrong with it.
 */
#include "tests/sim_peer.h"

#include "wire/lond.h"

#include <string.h>

static void
make_challenge(struct sim_peer *peer)
{
	size_t len = (size_t)sim_below(peer->sim, CHALLENGE_MAX);

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)sim_below(peer->sim, 256);
		peer->challenge[i] = byte == '\n' ? '.' : byte;
	}
	peer->challenge_len = len;
	sim_peer_say(peer, peer->challenge, len);
	sim_peer_say(peer, "\n", 1);
}

static void
make_key(struct sim_peer *peer)
{
	uint8_t raw[IDEA_KEY_SIZE];
	char build_key[40];
	size_t len = 1 + (size_t)sim_below(peer->sim, sizeof build_key - 1);

	for (size_t i = 0; i < len; i++)
		build_key[i] = "0123456789ABCDEFxyz-"[sim_below(peer->sim, 20)];
	lond_key(raw, wire_span_str(peer->host->id), wire_span_str("local"),
		 wire_span(build_key, len));
	idea_key_init(&peer->key, raw);
	sim_peer_say(peer, build_key, len);
	sim_peer_say(peer, "\n", 1);
}

/* A fault of the handshake strikes at a random step of it.  true = it did. */
static bool
spoils_handshake(struct sim_peer *peer)
{
	if (peer->fault < FAULT_OPEN_CLOSE || peer->fault > FAULT_OPEN_LONG ||
	    (peer->step != STEP_EKEY && sim_chance(peer->sim, 600)))
		return false;
	sim_peer_struck(peer);
	peer->step = STEP_MUTE;
	if (peer->fault == FAULT_OPEN_LONG)
		sim_peer_say_noise(peer, LOND_LINE_MAX + 1 + sim_below(peer->sim, 5000));
	else if (peer->fault == FAULT_OPEN_HALF)
		sim_peer_say_noise(peer, 5);
	if (peer->fault == FAULT_OPEN_HALF || peer->fault == FAULT_OPEN_CLOSE)
		peer->act_at = sim_now(peer->sim) + sim_below(peer->sim, MS(5)) + 1;
	return true;
}

static void
expect(struct sim_peer *peer, struct wire_span line, struct wire_span want)
{
	if (!wire_span_equal(line, want))
		sim_fail(peer->sim, "link %u: wrong line in the handshake, step %d", peer->serial,
			 (int)peer->step);
}

static void
on_echo(struct sim_peer *peer, struct wire_span line)
{
	expect(peer, line, wire_span(peer->challenge, peer->challenge_len));
	if (peer->fault == FAULT_REFUSE) {
		sim_peer_struck(peer);
		sim_peer_say(peer, "sorry\n", 6);
		peer->step = STEP_MUTE;
		return;
	}
	sim_peer_say(peer, "ok\n", 3);
	peer->step = STEP_EKEY;
}

static void
on_ekey(struct sim_peer *peer, struct wire_span line)
{
	expect(peer, line, wire_span_str("ekey"));
	if (peer->fault == FAULT_EMPTY_KEY) {
		sim_peer_struck(peer);
		sim_peer_say(peer, "\n", 1);
		peer->step = STEP_MUTE;
		return;
	}
	make_key(peer);
	peer->step = STEP_SERVING;
	if (peer->fault == FAULT_KEY_LINE || peer->fault == FAULT_KEY_PART)
		sim_peer_say_unasked(peer, peer->fault == FAULT_KEY_LINE);
	else if (peer->fault == FAULT_IDLE_CLOSE)
		peer->act_at = sim_now(peer->sim) + sim_below(peer->sim, SECONDS(5));
	else if ((peer->fault == FAULT_DEAF_CLOSE || peer->fault == FAULT_DEAF_RESET) &&
		 peer->fault_at == 0)
		sim_peer_go_deaf(peer);
}

void
sim_peer_handshake(struct sim_peer *peer, struct wire_span line)
{
	switch (peer->step) {
	case STEP_INIT:
		expect(peer, line, wire_span_str("init"));
		if (spoils_handshake(peer))
			return;
		make_challenge(peer);
		peer->step = STEP_ECHO;
		return;
	case STEP_ECHO:
		if (!spoils_handshake(peer))
			on_echo(peer, line);
		return;
	case STEP_EKEY:
		if (!spoils_handshake(peer))
			on_ekey(peer, line);
		return;
	case STEP_SERVING:
	case STEP_MUTE:
		sim_fail(peer->sim, "link %u: a line after the handshake", peer->serial);
	}
}
