/*
 * sim_peer.c - the far ends of links: small londs, honest or lying in one of many ways.
 *
 * They hold the relay to its word: a request reaches at most one link, whole or in part, once,
 * unchanged and for the right host; a link carries nothing more after a reply timed out or a line
 * came unasked.
 */
#include "tests/sim.h"

#include "wire/enc.h"
#include "wire/line.h"
#include "wire/lond.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	HONEST = -1,
	PENDING_MAX = 64,
	CHALLENGE_MAX = 64,
	READ_SIZE = 4096
};

enum step {
	STEP_INIT,
	STEP_ECHO,
	STEP_EKEY,
	STEP_SERVING,
	STEP_MUTE, /* reads on, says nothing */
};

struct pending {
	uint32_t number;
	uint64_t since;
	uint64_t due;
};

struct sim_peer {
	LIST_ENTRY(sim_peer) entry;
	struct sim *sim;
	struct sim_host *host;
	struct fake_end *end;
	uint32_t serial;
	enum step step;
	int fault;
	unsigned fault_at; /* requests that are served well before */
	bool deaf;         /* reads no more */
	uint64_t act_at;   /* when a deaf or idle one closes; 0 = never */
	size_t piece;      /* bytes per write; 0 = all */
	struct idea_key key;
	uint8_t challenge[CHALLENGE_MAX];
	size_t challenge_len;

	uint8_t *in; /* no whole line yet */
	size_t in_len;
	uint64_t read_total;
	uint8_t *out; /* not yet written */
	size_t out_len;
	uint64_t written;
	struct pending pending[PENDING_MAX];
	unsigned pending_count;
	unsigned served;

	uint64_t given;       /* of the relay, as last seen */
	uint64_t quiet_given; /* when the unasked line was written: all of it was answered */
	uint64_t extra_end;   /* of our stream, behind the unasked line; 0 = there is none */
	bool caught;   /* the relay has it and had asked nothing: it must let go of the link */
	bool confused; /* the relay may have taken it for the reply to a new request */
	struct uring_timer timer;
};

/* --- life
 * -------------------------------------------------------------------------------------------- */

static void
wake(struct sim_peer *peer, uint64_t at)
{
	if (!uring_timer_armed(&peer->timer) || peer->timer.at > at)
		fake_timer_set(peer->sim->ring, &peer->timer, at);
}

static void
free_peer(struct sim_peer *peer)
{
	fake_timer_clear(peer->sim->ring, &peer->timer);
	LIST_REMOVE(peer, entry);
	free(peer->in);
	free(peer->out);
	free(peer);
}

void
sim_peers_fini(struct sim *sim)
{
	struct sim_peer *peer;

	while ((peer = LIST_FIRST(&sim->peers)) != NULL) {
		fake_close(peer->end);
		free_peer(peer);
	}
}

static void
struck(struct sim_peer *peer)
{
	peer->sim->cover->faults[peer->fault]++;
	sim_trace(peer->sim, "link %u: %s", peer->serial,
		  sim_fault_text((enum sim_fault)peer->fault));
}

/* --- what requests were seen
 * ------------------------------------------------------------------------- */

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
static void
note_part(struct sim_peer *peer)
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

static void
on_request(struct sim_peer *peer, struct wire_span line)
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

/* --- output
 * ------------------------------------------------------------------------------------------ */

static uint8_t *
room(struct sim_peer *peer, size_t len)
{
	peer->out = realloc(peer->out, peer->out_len + len);
	if (peer->out == NULL)
		abort();
	return peer->out + peer->out_len;
}

static void
say(struct sim_peer *peer, const void *bytes, size_t len)
{
	memcpy(room(peer, len), bytes, len);
	peer->out_len += len;
}

/* A stretch without a LF. */
static void
say_noise(struct sim_peer *peer, size_t len)
{
	uint8_t *at = room(peer, len);

	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)('a' + sim_below(peer->sim, 26));
	peer->out_len += len;
}

static void
say_encrypted(struct sim_peer *peer, const uint8_t *plain, size_t len)
{
	size_t size = enc_frame_size(len);
	struct wire_out out = wire_out(room(peer, size), size);

	enc_encode(&out, &peer->key, wire_span(plain, len));
	peer->out_len += out.len;
	say(peer, "\n", 1);
}

static void
say_reply(struct sim_peer *peer, uint32_t number)
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
		say_encrypted(peer, sim->scratch[0], len);
		return;
	}
	sim_cover(sim, request->encrypted ? SIM_ENC_TO_PLAIN : SIM_PLAIN_REPLY);
	say(peer, sim->scratch[0], len);
	say(peer, "\n", 1);
}

static void
write_out(struct sim_peer *peer)
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
		wake(peer, sim_now(peer->sim) + sim_below(peer->sim, MS(2)));
}

/* An unasked line, or the beginning of one, when nothing is asked: the relay can tell. */
static void
say_unasked(struct sim_peer *peer, bool whole)
{
	char text[32];
	int len = snprintf(text, sizeof text, "extra:%u%s", peer->serial, whole ? "\n" : "");

	say(peer, text, (size_t)len);
	peer->extra_end = peer->written + peer->out_len;
	peer->quiet_given = peer->read_total;
	peer->step = STEP_MUTE;
	struck(peer);
}

/* --- closing
 * ----------------------------------------------------------------------------------------- */

static void take_lines(struct sim_peer *peer);

static bool
read_once(struct sim_peer *peer)
{
	peer->in = realloc(peer->in, peer->in_len + READ_SIZE);
	if (peer->in == NULL)
		abort();
	ssize_t got = fake_read(peer->end, peer->in + peer->in_len, READ_SIZE);
	if (got <= 0)
		return got == -EAGAIN;
	peer->in_len += (size_t)got;
	peer->read_total += (uint64_t)got;
	take_lines(peer);
	return true;
}

/* Takes what the relay has given, so that it is known what it may not repeat.  false = the relay
 * closed. */
static bool
read_all(struct sim_peer *peer)
{
	uint64_t before;

	do {
		before = peer->read_total;
		if (!read_once(peer))
			return false;
	} while (peer->read_total > before);
	return true;
}

static void
end_peer(struct sim_peer *peer, bool reset)
{
	read_all(peer);
	note_part(peer);
	sim_trace(peer->sim, "link %u: %s by the peer", peer->serial, reset ? "reset" : "closed");
	if (reset)
		fake_reset(peer->end);
	else
		fake_close(peer->end);
	free_peer(peer);
}

/* Goes deaf: what the relay sends from now on stays in the socket. */
static void
go_deaf(struct sim_peer *peer)
{
	struck(peer);
	peer->deaf = true;
	peer->act_at = sim_now(peer->sim) + sim_below(peer->sim, SECONDS(4)) + 1;
}

/* --- handshake
 * --------------------------------------------------------------------------------------- */

static void
make_challenge(struct sim_peer *peer)
{
	size_t len = (size_t)sim_below(peer->sim, CHALLENGE_MAX);

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)sim_below(peer->sim, 256);
		peer->challenge[i] = byte == '\n' ? '.' : byte;
	}
	peer->challenge_len = len;
	say(peer, peer->challenge, len);
	say(peer, "\n", 1);
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
	say(peer, build_key, len);
	say(peer, "\n", 1);
}

/* A fault of the handshake strikes at a random step of it.  true = it did. */
static bool
spoils_handshake(struct sim_peer *peer)
{
	if (peer->fault < FAULT_OPEN_CLOSE || peer->fault > FAULT_OPEN_LONG ||
	    (peer->step != STEP_EKEY && sim_chance(peer->sim, 600)))
		return false;
	struck(peer);
	peer->step = STEP_MUTE;
	if (peer->fault == FAULT_OPEN_LONG)
		say_noise(peer, LOND_LINE_MAX + 1 + sim_below(peer->sim, 5000));
	else if (peer->fault == FAULT_OPEN_HALF)
		say_noise(peer, 5);
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
		struck(peer);
		say(peer, "sorry\n", 6);
		peer->step = STEP_MUTE;
		return;
	}
	say(peer, "ok\n", 3);
	peer->step = STEP_EKEY;
}

static void
on_ekey(struct sim_peer *peer, struct wire_span line)
{
	expect(peer, line, wire_span_str("ekey"));
	if (peer->fault == FAULT_EMPTY_KEY) {
		struck(peer);
		say(peer, "\n", 1);
		peer->step = STEP_MUTE;
		return;
	}
	make_key(peer);
	peer->step = STEP_SERVING;
	if (peer->fault == FAULT_KEY_LINE || peer->fault == FAULT_KEY_PART)
		say_unasked(peer, peer->fault == FAULT_KEY_LINE);
	else if (peer->fault == FAULT_IDLE_CLOSE)
		peer->act_at = sim_now(peer->sim) + sim_below(peer->sim, SECONDS(5));
	else if ((peer->fault == FAULT_DEAF_CLOSE || peer->fault == FAULT_DEAF_RESET) &&
		 peer->fault_at == 0)
		go_deaf(peer);
}

static void
on_line(struct sim_peer *peer, struct wire_span line)
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
		on_request(peer, line);
		return;
	case STEP_MUTE:
		/* In a broken handshake nothing more may come. */
		if (peer->key.encrypt[0] == 0 && peer->key.encrypt[1] == 0)
			sim_fail(peer->sim, "link %u: a line after a broken handshake",
				 peer->serial);
		on_request(peer, line);
		return;
	}
}

static void
take_lines(struct sim_peer *peer)
{
	const uint8_t *src = peer->in;
	const uint8_t *end = peer->in + peer->in_len;
	struct wire_span line;

	while (src < end && line_next(&line, &src, end, 0, SIZE_MAX / 2) == WIRE_OK)
		on_line(peer, line);
	size_t left = (size_t)(end - src);
	memmove(peer->in, src, left);
	peer->in_len = left;
}

/* --- serving
 * ----------------------------------------------------------------------------------------- */

/* The next request meets the fault.  true = there is no reply to it now; the peer may be gone
 * (*gone). */
static bool
spoils_reply(struct sim_peer *peer, bool *gone)
{
	struct sim *sim = peer->sim;
	uint64_t line_max = peer->host->settings.line_max;

	switch (peer->fault) {
	case FAULT_CLOSE_BEFORE:
	case FAULT_RESET:
		struck(peer);
		end_peer(peer, peer->fault == FAULT_RESET);
		*gone = true;
		return true;
	case FAULT_HALF_REPLY:
		struck(peer);
		say_reply(peer, peer->pending[0].number);
		peer->out_len -= 1 + (size_t)sim_below(sim, peer->out_len - 1);
		peer->piece = 0;
		write_out(peer);
		end_peer(peer, false);
		*gone = true;
		return true;
	case FAULT_SILENT:
		struck(peer);
		peer->step = STEP_MUTE;
		return true;
	case FAULT_LATE:
		struck(peer);
		peer->fault = HONEST;
		peer->pending[0].due = peer->pending[0].since + MS(peer->host->reply_most_ms) +
				       SECONDS(2) + sim_below(sim, SECONDS(3));
		return true;
	case FAULT_HUGE:
		struck(peer);
		say_noise(peer, (size_t)(2 * line_max + 100));
		peer->step = STEP_MUTE;
		return true;
	case FAULT_HUGE_ENC:
		struck(peer);
		memset(sim->scratch[0], 'h', (size_t)line_max + 1);
		say_encrypted(peer, sim->scratch[0], (size_t)line_max + 1);
		peer->fault = HONEST;
		return false;
	case FAULT_DEAF_CLOSE:
	case FAULT_DEAF_RESET:
		go_deaf(peer);
		peer->step = STEP_MUTE;
		return true;
	default:
		return false;
	}
}

/* After a reply.  true = the peer is gone. */
static bool
spoils_after(struct sim_peer *peer)
{
	bool quiet = peer->pending_count == 0 && peer->in_len == 0 &&
		     fake_end_given(peer->end) == peer->read_total;

	if (peer->served <= peer->fault_at)
		return false;
	if (peer->fault == FAULT_CLOSE_AFTER) {
		struck(peer);
		peer->piece = 0;
		write_out(peer);
		end_peer(peer, false);
		return true;
	}
	if (quiet && (peer->fault == FAULT_EXTRA_LINE || peer->fault == FAULT_EXTRA_PART))
		say_unasked(peer, peer->fault == FAULT_EXTRA_LINE);
	return false;
}

/* Answers what is due.  true = the peer is gone. */
static bool
serve(struct sim_peer *peer)
{
	while (peer->step == STEP_SERVING && peer->pending_count > 0 &&
	       peer->pending[0].due <= sim_now(peer->sim)) {
		bool gone = false;
		bool huge = peer->fault == FAULT_HUGE_ENC;
		if (peer->served >= peer->fault_at && spoils_reply(peer, &gone)) {
			if (gone)
				return true;
			continue;
		}
		/* The huge one was the reply, if it was given now. */
		if (!huge || peer->fault == FAULT_HUGE_ENC)
			say_reply(peer, peer->pending[0].number);
		peer->served++;
		peer->pending_count--;
		memmove(peer->pending, peer->pending + 1,
			peer->pending_count * sizeof peer->pending[0]);
		if (spoils_after(peer))
			return true;
	}
	return false;
}

/* --- events
 * ------------------------------------------------------------------------------------------ */

static void
on_due(struct uring_timer *timer)
{
	struct sim_peer *peer = uring_container_of(timer, struct sim_peer, timer);
	uint64_t now = sim_now(peer->sim);

	if (!peer->deaf && !read_all(peer)) {
		end_peer(peer, false);
		return;
	}
	if (!peer->deaf)
		note_part(peer);
	if (serve(peer))
		return;
	write_out(peer);
	if (peer->act_at != 0 && peer->act_at <= now) {
		if (peer->fault == FAULT_IDLE_CLOSE && peer->pending_count > 0) {
			peer->act_at = now + MS(100);
		} else {
			if (peer->fault == FAULT_IDLE_CLOSE)
				struck(peer);
			end_peer(peer, peer->fault == FAULT_DEAF_RESET);
			return;
		}
	}
	if (peer->step == STEP_SERVING && peer->pending_count > 0)
		wake(peer, peer->pending[0].due);
	if (peer->act_at != 0)
		wake(peer, peer->act_at);
}

/* The relay sends on a link that it should have given up. */
static void
check_given(struct sim_peer *peer, uint64_t given)
{
	struct sim *sim = peer->sim;

	if (given == peer->given)
		return;
	peer->given = given;
	if (peer->caught)
		sim_fail(sim, "link %u carries on after a line that nobody asked for",
			 peer->serial);
	if (peer->pending_count > 0 && !peer->confused &&
	    sim_now(sim) > peer->pending[0].since + MS(peer->host->reply_most_ms) + SECONDS(1))
		sim_fail(sim, "link %u carries on after the reply to request %u timed out",
			 peer->serial, peer->pending[0].number);
}

static void
on_changed(struct fake_end *end)
{
	struct sim_peer *peer = fake_end_owner(end);
	uint64_t given = fake_end_given(end);

	check_given(peer, given);
	if (peer->extra_end != 0 && fake_end_taken(end) >= peer->extra_end) {
		peer->caught = given == peer->quiet_given;
		peer->confused = !peer->caught;
		peer->extra_end = 0;
	}
	wake(peer, sim_now(peer->sim) + sim_below(peer->sim, 300000));
}

static void
on_connected(void *context, struct fake_end *end)
{
	struct sim_host *host = context;
	struct sim *sim = host->sim;
	struct sim_peer *peer = sim_alloc(sizeof *peer);

	peer->sim = sim;
	peer->host = host;
	peer->end = end;
	peer->serial = ++sim->peers_count;
	peer->fault = HONEST;
	if (sim_chance(sim, host->fault_chance))
		peer->fault = (int)sim_below(sim, SIM_FAULT_COUNT);
	peer->fault_at = (unsigned)sim_below(sim, sim_chance(sim, 500) ? 3 : 40);
	peer->piece = sim_chance(sim, 200) ? 1 + (size_t)sim_below(sim, 50) : 0;
	if (host->settings.line_max > 1000 && peer->piece != 0)
		peer->piece *= 50; /* long lines byte by byte would only take long */
	peer->timer.due = on_due;
	LIST_INSERT_HEAD(&sim->peers, peer, entry);
	fake_end_own(end, on_changed, peer);
	sim_trace(sim, "link %u: connected to %s, %s", peer->serial, host->id,
		  peer->fault == HONEST ? "honest" : sim_fault_text((enum sim_fault)peer->fault));
}

void
sim_peer_connect(void *context, const struct sockaddr *address, struct fake_answer *answer)
{
	struct sim *sim = context;
	struct sockaddr_in in;

	memcpy(&in, address, sizeof in);
	unsigned index = (ntohs(in.sin_port) - 1000u) / 2;
	if (index >= sim->hosts_count)
		sim_fail(sim, "a connect to port %u", ntohs(in.sin_port));
	struct sim_host *host = &sim->hosts[index];
	const struct host *inside = index < sim->worker.hosts_cap ? sim->worker.hosts[index] : NULL;
	if (inside != NULL && inside->state != HOST_UP && inside->opening > 1)
		sim_fail(sim, "%s: %u connects at a time while it is %s", host->id, inside->opening,
			 host_state_text(inside->state));
	if (inside != NULL && inside->next_connect > sim_now(sim))
		sim_fail(sim, "%s: a connect before its time", host->id);
	*answer = (struct fake_answer){
		.delay_ns = sim_below(sim, MS(3)),
		/* A socket that is soon full, and stays so if nobody reads. */
		.room = sim_chance(sim, 200) ? 16 + (size_t)sim_below(sim, 200) : 0,
		.connected = on_connected,
		.context = host,
	};
	if (host->refusing || (host->fault_chance > 0 && sim_chance(sim, 30)))
		answer->result = host->refusing ? -ECONNREFUSED : -EHOSTUNREACH;
	else
		answer->never = host->silent;
}
