/*
 * sim_peer_talk.c - requests as they arrive at peers, held to the rules, and what peers say.
 */
#include "tests/sim_peer.h"

#include "wire/enc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what requests were seen ------------------------------------------------------------------ */

static void
note(struct sim_peer *peer, uint32_t number, bool whole)
{
	struct sim *sim = peer->sim;
	struct sim_request *request = &sim->requests[number];

	if (request->host != peer->host->index)
		sim_fail(sim, "request %u of host %u came to host %u", number, request->host,
			 peer->host->index);
	if (request->link != 0 && request->link != peer->serial)
		sim_fail(sim, "request %u was given to link %u and to link %u", number,
			 request->link, peer->serial);
	if (request->whole)
		sim_fail(sim, "request %u came twice on link %u", number, peer->serial);
	request->link = peer->serial;
	request->whole = whole;
}

/* Of an encrypted line that has only begun: its first block, once that is there. */
static bool
first_block(const struct sim_peer *peer, uint8_t plain[IDEA_BLOCK_SIZE])
{
	uint8_t frame[32 + 2 * IDEA_BLOCK_SIZE];
	const uint8_t *colon =
	    peer->in_len > 4 ? memchr(peer->in + 4, ':', peer->in_len - 4) : NULL;

	if (colon == NULL)
		return false;
	size_t head = (size_t)(colon + 1 - peer->in);
	if (head > 32 || peer->in_len < head + 2 * IDEA_BLOCK_SIZE)
		return false;
	size_t len = head + 2 * IDEA_BLOCK_SIZE;
	memcpy(frame, peer->in, len);
	uint8_t room[64];
	struct wire_out out = wire_out(room, sizeof room);
	if (enc_decode(&out, &peer->key, wire_span(frame, len)) != WIRE_OK ||
	    out.len < IDEA_BLOCK_SIZE)
		return false;
	memcpy(plain, room, IDEA_BLOCK_SIZE);
	return true;
}

/* A request of which a part came is this link's for ever. */
void
sim_peer_note_part(struct sim_peer *peer)
{
	uint8_t plain[IDEA_BLOCK_SIZE];

	if (peer->step != STEP_SERVING && peer->step != STEP_MUTE)
		return;
	if (peer->in_len >= SIM_NUMBER_LEN && peer->in[0] != 'e')
		note(peer, sim_number(peer->sim, peer->in, "a part of a request"), false);
	else if (peer->in_len > 0 && peer->in[0] == 'e' && first_block(peer, plain))
		note(peer, sim_number(peer->sim, plain, "a part of a request"), false);
}

static void
add_pending(struct sim_peer *peer, uint32_t number)
{
	struct sim *sim = peer->sim;
	uint64_t due = sim_now(sim) + sim_below(sim, peer->host->reply_delay_ns);

	if (peer->pending_count == PENDING_MAX)
		sim_fail(sim, "link %u carries more than %d requests", peer->serial, PENDING_MAX);
	if (peer->pending_count > 0) {
		sim_cover(sim, SIM_PIPELINED);
		if (peer->pending[peer->pending_count - 1].due > due)
			due = peer->pending[peer->pending_count - 1].due;
	}
	peer->pending[peer->pending_count++] =
	    (struct pending){ .number = number, .since = sim_now(sim), .due = due };
}

void
sim_peer_request(struct sim_peer *peer, struct wire_span line)
{
	struct sim *sim = peer->sim;
	bool encrypted = enc_is_frame(line);
	uint8_t *plain = sim->scratch[0];

	if (line.len > SIM_TEXT_MAX)
		sim_fail(sim, "link %u: a request of %zu bytes", peer->serial, line.len);
	if (encrypted) {
		struct wire_out out = wire_out(plain, SIM_TEXT_MAX);
		if (enc_decode(&out, &peer->key, line) != WIRE_OK)
			sim_fail(sim, "link %u: a request that is no frame", peer->serial);
		line = wire_span(plain, out.len);
	}
	if (line.len < SIM_NUMBER_LEN)
		sim_fail(sim, "link %u: a request of %zu bytes", peer->serial, line.len);
	uint32_t number = sim_number(sim, line.data, "a request");
	note(peer, number, true);
	if (encrypted != sim->requests[number].encrypted)
		sim_fail(sim, "request %u came %s", number, encrypted ? "encrypted" : "in clear");
	size_t len = sim_request_plain(sim, number, sim->scratch[1]);
	if (!wire_span_equal(line, wire_span(sim->scratch[1], len)))
		sim_fail(sim, "request %u came changed", number);
	sim_trace(sim, "link %u: request %u", peer->serial, number);
	add_pending(peer, number);
}

/* --- output ----------------------------------------------------------------------------------- */

static uint8_t *
room(struct sim_peer *peer, size_t len)
{
	peer->out = realloc(peer->out, peer->out_len + len);
	if (peer->out == NULL)
		abort();
	return peer->out + peer->out_len;
}

void
sim_peer_say(struct sim_peer *peer, const void *bytes, size_t len)
{
	memcpy(room(peer, len), bytes, len);
	peer->out_len += len;
}

/* A stretch without a LF. */
void
sim_peer_say_noise(struct sim_peer *peer, size_t len)
{
	uint8_t *at = room(peer, len);

	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)('a' + sim_below(peer->sim, 26));
	peer->out_len += len;
}

void
sim_peer_say_encrypted(struct sim_peer *peer, const uint8_t *plain, size_t len)
{
	size_t size = enc_frame_size(len);
	struct wire_out out = wire_out(room(peer, size), size);

	enc_encode(&out, &peer->key, wire_span(plain, len));
	peer->out_len += out.len;
	sim_peer_say(peer, "\n", 1);
}

void
sim_peer_say_reply(struct sim_peer *peer, uint32_t number)
{
	struct sim *sim = peer->sim;
	const struct sim_request *request = &sim->requests[number];
	size_t len = sim_reply_plain(sim, number, sim->scratch[0]);

	if (request->reply_lines)
		sim_cover(sim, SIM_FLATTENED);
	if (request->reply_like_enc)
		sim_cover(sim, SIM_LIKE_ENC);
	if (request->reply_encrypted) {
		sim_cover(sim, request->encrypted ? SIM_ENC_REPLY : SIM_PLAIN_TO_ENC);
		sim_peer_say_encrypted(peer, sim->scratch[0], len);
		return;
	}
	sim_cover(sim, request->encrypted ? SIM_ENC_TO_PLAIN : SIM_PLAIN_REPLY);
	sim_peer_say(peer, sim->scratch[0], len);
	sim_peer_say(peer, "\n", 1);
}

void
sim_peer_write(struct sim_peer *peer)
{
	size_t len = peer->out_len;

	if (len == 0)
		return;
	if (peer->piece != 0 && len > peer->piece)
		len = (size_t)fake_between(&peer->sim->random, 1, peer->piece);
	ssize_t put = fake_write(peer->end, peer->out, len);
	if (put < 0)
		peer->out_len = 0;
	if (put <= 0)
		return;
	memmove(peer->out, peer->out + put, peer->out_len - (size_t)put);
	peer->out_len -= (size_t)put;
	peer->written += (uint64_t)put;
	if (peer->out_len > 0 && peer->piece != 0)
		sim_peer_wake(peer, sim_now(peer->sim) + sim_below(peer->sim, MS(2)));
}

/* An unasked line, or the beginning of one, when nothing is asked: the relay can tell. */
void
sim_peer_say_unasked(struct sim_peer *peer, bool whole)
{
	char text[32];
	int len = snprintf(text, sizeof text, "extra:%u%s", peer->serial, whole ? "\n" : "");

	sim_peer_say(peer, text, (size_t)len);
	peer->extra_end = peer->written + peer->out_len;
	peer->quiet_given = peer->read_total;
	peer->step = STEP_MUTE;
	sim_peer_struck(peer);
}
