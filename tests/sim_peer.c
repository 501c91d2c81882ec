/*
 * sim_peer.c - the far ends of links: small londs, honest or lying in one of many ways.
 *
 * They hold the relay to its word: a request reaches at most one link, whole or in part, once,
 * unchanged and for the right host; a link carries nothing more after a reply timed out or a line
 * came unasked.
 */
#include "tests/sim_peer.h"

#include "wire/line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- life ------------------------------------------------------------------------------------- */

void
sim_peer_wake(struct sim_peer *peer, uint64_t at)
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
	struct sim_peer *next;

	for (struct sim_peer *peer = LIST_FIRST(&sim->peers); peer != NULL; peer = next) {
		next = LIST_NEXT(peer, entry);
		fake_close(peer->end);
		free_peer(peer);
	}
}

void
sim_peer_struck(struct sim_peer *peer)
{
	peer->sim->cover->faults[peer->fault]++;
	sim_trace(peer->sim, "link %u: %s", peer->serial,
		  sim_fault_text((enum sim_fault)peer->fault));
}

void
sim_peer_go_deaf(struct sim_peer *peer)
{
	sim_peer_struck(peer);
	peer->deaf = true;
	peer->act_at = sim_now(peer->sim) + sim_below(peer->sim, SECONDS(4)) + 1;
}

/* --- closing ---------------------------------------------------------------------------------- */

/* At a stop; not every peer has manners. */
static void
on_farewell(struct sim_peer *peer)
{
	struct sim *sim = peer->sim;

	if (!sim->stopping)
		sim_fail(sim, "link %u: exit, but nobody stops", peer->serial);
	if (peer->farewell)
		sim_fail(sim, "link %u: exit twice", peer->serial);
	peer->farewell = true;
	sim_cover(sim, SIM_FAREWELL);
	if (peer->step == STEP_SERVING && !sim_chance(sim, 300))
		sim_peer_say(peer, "bye\n", 4);
}

static void
on_line(struct sim_peer *peer, struct wire_span line)
{
	bool keyed = peer->key.encrypt[0] != 0 || peer->key.encrypt[1] != 0;

	if (peer->step != STEP_SERVING && peer->step != STEP_MUTE)
		sim_peer_handshake(peer, line);
	else if (keyed && wire_span_equal(line, wire_span_str("exit")))
		on_farewell(peer);
	else if (keyed)
		sim_peer_request(peer, line);
	else
		sim_fail(peer->sim, "link %u: a line after a broken handshake", peer->serial);
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
	sim_peer_note_part(peer);
	sim_trace(peer->sim, "link %u: %s by the peer", peer->serial, reset ? "reset" : "closed");
	if (reset)
		fake_reset(peer->end);
	else
		fake_close(peer->end);
	free_peer(peer);
}

/* --- serving ---------------------------------------------------------------------------------- */

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
		sim_peer_struck(peer);
		end_peer(peer, peer->fault == FAULT_RESET);
		*gone = true;
		return true;
	case FAULT_HALF_REPLY:
		sim_peer_struck(peer);
		sim_peer_say_reply(peer, peer->pending[0].number);
		peer->out_len -= 1 + (size_t)sim_below(sim, peer->out_len - 1);
		peer->piece = 0;
		sim_peer_write(peer);
		end_peer(peer, false);
		*gone = true;
		return true;
	case FAULT_SILENT:
		sim_peer_struck(peer);
		peer->step = STEP_MUTE;
		return true;
	case FAULT_LATE:
		sim_peer_struck(peer);
		peer->fault = HONEST;
		peer->pending[0].due = peer->pending[0].since + MS(peer->host->reply_most_ms) +
				       SECONDS(2) + sim_below(sim, SECONDS(3));
		return true;
	case FAULT_HUGE:
		sim_peer_struck(peer);
		sim_peer_say_noise(peer, (size_t)(2 * line_max + 100));
		peer->step = STEP_MUTE;
		return true;
	case FAULT_HUGE_ENC:
		sim_peer_struck(peer);
		memset(sim->scratch[0], 'h', (size_t)line_max + 1);
		sim_peer_say_encrypted(peer, sim->scratch[0], (size_t)line_max + 1);
		peer->fault = HONEST;
		return false;
	case FAULT_DEAF_CLOSE:
	case FAULT_DEAF_RESET:
		sim_peer_go_deaf(peer);
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
		sim_peer_struck(peer);
		peer->piece = 0;
		sim_peer_write(peer);
		end_peer(peer, false);
		return true;
	}
	if (quiet && (peer->fault == FAULT_EXTRA_LINE || peer->fault == FAULT_EXTRA_PART))
		sim_peer_say_unasked(peer, peer->fault == FAULT_EXTRA_LINE);
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
			sim_peer_say_reply(peer, peer->pending[0].number);
		peer->served++;
		peer->pending_count--;
		memmove(peer->pending, peer->pending + 1,
			peer->pending_count * sizeof peer->pending[0]);
		if (spoils_after(peer))
			return true;
	}
	return false;
}

/* --- events ----------------------------------------------------------------------------------- */

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
		sim_peer_note_part(peer);
	if (serve(peer))
		return;
	sim_peer_write(peer);
	if (peer->act_at != 0 && peer->act_at <= now) {
		if (peer->fault == FAULT_IDLE_CLOSE && peer->pending_count > 0) {
			peer->act_at = now + MS(100);
		} else {
			if (peer->fault == FAULT_IDLE_CLOSE)
				sim_peer_struck(peer);
			end_peer(peer, peer->fault == FAULT_DEAF_RESET);
			return;
		}
	}
	if (peer->step == STEP_SERVING && peer->pending_count > 0)
		sim_peer_wake(peer, peer->pending[0].due);
	if (peer->act_at != 0)
		sim_peer_wake(peer, peer->act_at);
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
	sim_peer_wake(peer, sim_now(peer->sim) + sim_below(peer->sim, 300000));
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
	peer->piece = !sim->plan.quiet && sim_chance(sim, 200) ? 1 + (size_t)sim_below(sim, 50) : 0;
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
	const struct host *inside = sim_host_inside(sim, host);
	if (inside != NULL && inside->state != HOST_UP && inside->opening > 1)
		sim_fail(sim, "%s: %u connects at a time while it is %s", host->id, inside->opening,
			 host_state_text(inside->state));
	if (inside != NULL && inside->next_connect > sim_now(sim))
		sim_fail(sim, "%s: a connect before its time", host->id);
	*answer = (struct fake_answer){
		.delay_ns = sim_below(sim, MS(3)),
		/* A socket that is soon full, and stays so if nobody reads. */
		.room =
		    !sim->plan.quiet && sim_chance(sim, 200) ? 16 + (size_t)sim_below(sim, 200) : 0,
		.connected = on_connected,
		.context = host,
	};
	uint32_t at = (ntohl(in.sin_addr.s_addr) - INADDR_LOOPBACK) % host->addresses;
	bool bad = host->good < host->addresses && at != host->good;
	if (host->good < host->addresses && host->addresses > 1)
		sim_cover(sim, bad ? SIM_ADDRESS_BAD : SIM_ADDRESS_GOOD);
	bool refuses = host->refusing || (bad && !host->mute);
	if (refuses || (host->fault_chance > 0 && sim_chance(sim, 30)))
		answer->result = refuses ? -ECONNREFUSED : -EHOSTUNREACH;
	else
		answer->never = host->silent || bad;
}
