/*
 * tunnel.c - states, clocks and the end of a tunnel, and its way to the local lond.
 *
 * How a side is left shows the other one what happened: an end in order is one there too, and what
 * was cut off is a reset, so that half of an answer is never taken for all of it.  Owns both
 * sockets and the TLS session.
 */
#include "relay/tunnel.h"

#include "relay/log.h"
#include "relay/tunnel_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

enum {
	LINGER_MS = 1000, /* for a client to take its last words */
	QUIET_MS = 200,   /* without a byte, and nothing asked: it may be ended unnoticed */
	HALF_MS = 30000,  /* for a client to go, too, when the local lond has gone */
};

const char *
tunnel_state_text(enum tunnel_state state)
{
	switch (state) {
#define X(name, text) \
	case name:    \
		return text;
		TUNNEL_STATES(X)
#undef X
	}
	return "unknown";
}

/* --- states ----------------------------------------------------------------------------------- */

static bool
legal(enum tunnel_state from, enum tunnel_state to)
{
	switch (to) {
	case TUNNEL_HANDSHAKE:
		return false;
	case TUNNEL_CONNECTING:
		return from == TUNNEL_HANDSHAKE;
	case TUNNEL_OPEN:
		return from == TUNNEL_CONNECTING;
	case TUNNEL_ENDING:
		return from != TUNNEL_ENDING && from != TUNNEL_CLOSING;
	case TUNNEL_CLOSING:
		return from != TUNNEL_CLOSING;
	}
	return false;
}

static uint64_t
open_deadline(const struct tunnel *tunnel)
{
	const struct gateway *gateway = tunnel->gateway;
	const struct channel_gateway *set = &gateway->settings;
	uint64_t silent_ms = set->idle_timeout_ms;

	if (gateway->leaving && !tunnel->asked)
		silent_ms = QUIET_MS;
	else if (tunnel->lond.flow == TUNNEL_DRY && silent_ms > HALF_MS)
		silent_ms = HALF_MS;
	uint64_t at = tunnel->since + ms_to_ns(silent_ms);
	/* One that is never quiet, or never answered, does not keep it for ever. */
	uint64_t last = gateway->left_at + ms_to_ns(set->drain_timeout_ms);
	return gateway->leaving && last < at ? last : at;
}

static uint64_t
deadline(const struct tunnel *tunnel)
{
	const struct channel_gateway *set = &tunnel->gateway->settings;

	switch (tunnel->state) {
	case TUNNEL_HANDSHAKE:
		return tunnel->since + ms_to_ns(set->handshake_timeout_ms);
	case TUNNEL_CONNECTING:
		return tunnel->try_over ? UINT64_MAX : tunnel->try_until;
	case TUNNEL_OPEN:
		return open_deadline(tunnel);
	case TUNNEL_ENDING:
		return tunnel->since + ms_to_ns(LINGER_MS);
	case TUNNEL_CLOSING:
		break;
	}
	return UINT64_MAX;
}

/* A due timer looks again: bytes only move the moment, not the timer. */
static void
arm(struct tunnel *tunnel)
{
	uint64_t at = deadline(tunnel);

	if (at != UINT64_MAX && (!uring_timer_armed(&tunnel->timer) || tunnel->timer.at > at))
		uring_timer_set(tunnel_worker(tunnel)->ring, &tunnel->timer, at);
}

static void
set_state(struct tunnel *tunnel, enum tunnel_state next)
{
	assert(legal(tunnel->state, next));
	tunnel->state = next;
	tunnel->since = worker_now(tunnel_worker(tunnel));
	uring_timer_clear(tunnel_worker(tunnel)->ring, &tunnel->timer);
	arm(tunnel);
}

/* The next address is for when the connect is gone. */
static void
on_connect_due(struct tunnel *tunnel)
{
	if (tunnel->tried < tunnel->gateway->settings.addresses.count) {
		tunnel->try_over = true;
		uring_cancel(tunnel_worker(tunnel)->ring, &tunnel->connect);
		return;
	}
	gateway_on_unreachable(tunnel->gateway, strerror(ETIMEDOUT));
	tunnel_finish(tunnel, TUNNEL_CONNECT_TIMEOUT);
}

static void
on_due(struct uring_timer *timer)
{
	struct tunnel *tunnel = uring_container_of(timer, struct tunnel, timer);

	if (worker_now(tunnel_worker(tunnel)) < deadline(tunnel)) {
		arm(tunnel);
		return;
	}
	switch (tunnel->state) {
	case TUNNEL_HANDSHAKE:
		tunnel_finish(tunnel, TUNNEL_HANDSHAKE_TIMEOUT);
		break;
	case TUNNEL_CONNECTING:
		on_connect_due(tunnel);
		break;
	case TUNNEL_OPEN:
		tunnel_finish(tunnel, tunnel->gateway->leaving ? TUNNEL_STOPPED : TUNNEL_IDLE);
		break;
	case TUNNEL_ENDING:
		tunnel_part(&tunnel->client, TUNNEL_PARTS);
		break;
	case TUNNEL_CLOSING:
		break;
	}
}

void
tunnel_on_change(struct tunnel *tunnel)
{
	arm(tunnel);
	/* Nobody is served by one that has not begun. */
	if (tunnel->gateway->leaving && tunnel->state == TUNNEL_HANDSHAKE)
		tunnel_finish(tunnel, TUNNEL_STOPPED);
}

/* --- the end ---------------------------------------------------------------------------------- */

static bool
is_idle(const struct tunnel_side *side)
{
	const struct tunnel *tunnel = side->tunnel;

	return !side->recv.in_flight && !side->writable.in_flight && !side->send.op.in_flight &&
	       !(side == &tunnel->lond && tunnel->connect.in_flight);
}

static void
release(struct tunnel *tunnel)
{
	struct worker *worker = tunnel_worker(tunnel);

	if (tunnel->dirty)
		TAILQ_REMOVE(&worker->gateways->dirty, tunnel, dirty_entry);
	tunnel->dirty = false;
	uring_timer_clear(worker->ring, &tunnel->timer);
	buffer_release(&tunnel->to_lond, &worker->memory);
	tls_session_free(tunnel->tls);
	tunnel->tls = NULL;
	gateway_remove_tunnel(tunnel->gateway, tunnel, tunnel->end);
	slab_put(&worker->gateways->tunnels, tunnel);
}

void
tunnel_settle(struct tunnel_side *side)
{
	struct tunnel *tunnel = side->tunnel;
	struct uring *ring = tunnel_worker(tunnel)->ring;

	if (side->parting == TUNNEL_STAYS || side->fd < 0 || !is_idle(side))
		return;
	if (side->parting == TUNNEL_RESETS)
		uring_reset(ring, side->fd);
	else
		uring_close(ring, side->fd);
	side->fd = -1;
	if (tunnel->client.fd < 0 && tunnel->lond.fd < 0)
		release(tunnel);
}

static void
cancel(struct tunnel_side *side, struct uring_op *op)
{
	if (op->in_flight)
		uring_cancel(tunnel_worker(side->tunnel)->ring, op);
}

void
tunnel_part(struct tunnel_side *side, enum tunnel_parting how)
{
	struct tunnel *tunnel = side->tunnel;

	if (side->parting != TUNNEL_STAYS)
		return;
	side->parting = how;
	cancel(side, &side->recv);
	cancel(side, &side->writable);
	if (side == &tunnel->lond)
		cancel(side, &tunnel->connect);
	else if (tunnel->state == TUNNEL_ENDING)
		set_state(tunnel, TUNNEL_CLOSING);
	tunnel_settle(side);
}

/* What the two sides see. */
struct farewell {
	bool words; /* TLS says its part to the client, who is given time for it */
	enum tunnel_parting client;
	enum tunnel_parting lond;
};

static struct farewell
farewell_of(enum tunnel_end end)
{
	switch (end) {
	case TUNNEL_UNTRUSTED:
	case TUNNEL_WRONG_NAME:
	case TUNNEL_EXPIRED:
	case TUNNEL_REFUSED:
	case TUNNEL_PROTOCOL:
	case TUNNEL_CONNECT_FAILED:
	case TUNNEL_CONNECT_TIMEOUT:
		return (struct farewell){ true, TUNNEL_PARTS, TUNNEL_RESETS };
	case TUNNEL_IDLE:
	case TUNNEL_STOPPED:
		return (struct farewell){ true, TUNNEL_PARTS, TUNNEL_PARTS };
	case TUNNEL_LOND_RESET:
		return (struct farewell){ false, TUNNEL_RESETS, TUNNEL_PARTS };
	case TUNNEL_CLOSED_EARLY:
	case TUNNEL_RESET:
		return (struct farewell){ false, TUNNEL_PARTS, TUNNEL_RESETS };
	case TUNNEL_NO_MEMORY:
		return (struct farewell){ false, TUNNEL_RESETS, TUNNEL_RESETS };
	case TUNNEL_FINISHED:
	case TUNNEL_HANDSHAKE_TIMEOUT:
	case TUNNEL_END_COUNT:
		break;
	}
	return (struct farewell){ false, TUNNEL_PARTS, TUNNEL_PARTS };
}

/* What an operator may want to do something about; the others are only counted. */
static bool
is_failure(enum tunnel_end end)
{
	switch (end) {
	case TUNNEL_UNTRUSTED:
	case TUNNEL_WRONG_NAME:
	case TUNNEL_EXPIRED:
	case TUNNEL_REFUSED:
	case TUNNEL_PROTOCOL:
	case TUNNEL_CLOSED_EARLY:
	case TUNNEL_HANDSHAKE_TIMEOUT:
	case TUNNEL_CONNECT_TIMEOUT:
	case TUNNEL_NO_MEMORY:
		return true;
	case TUNNEL_CONNECT_FAILED: /* said where it is known why */
	case TUNNEL_FINISHED:
	case TUNNEL_RESET:
	case TUNNEL_LOND_RESET:
	case TUNNEL_IDLE:
	case TUNNEL_STOPPED:
	case TUNNEL_END_COUNT:
		break;
	}
	return false;
}

static void
log_end(const struct tunnel *tunnel, enum tunnel_end end)
{
	const char *peer = tls_peer_name(tunnel->tls);
	const char *detail = tls_state(tunnel->tls) == TLS_FAILED ? tls_detail(tunnel->tls) : "";

	if (!is_failure(end) || !gateway_may_log(tunnel->gateway))
		return;
	log_warning(NULL, "gateway %s: client%s%s: %s%s%s", tunnel->gateway->name,
		    *peer != '\0' ? " " : "", peer, tunnel_end_text(end),
		    *detail != '\0' ? ": " : "", detail);
}

void
tunnel_finish(struct tunnel *tunnel, enum tunnel_end end)
{
	struct farewell farewell = farewell_of(end);

	if (tunnel->state == TUNNEL_ENDING) {
		tunnel_part(&tunnel->client, TUNNEL_PARTS); /* it is deaf, or in a hurry */
		return;
	}
	if (tunnel->state == TUNNEL_CLOSING)
		return;
	log_end(tunnel, end);
	tunnel->end = end;
	if (buffer_len(&tunnel->to_lond) > 0)
		farewell.lond = TUNNEL_RESETS; /* it does not get all of what was said */
	if (farewell.words && tunnel->client.flow == TUNNEL_FLOWS) {
		set_state(tunnel, TUNNEL_ENDING);
		tls_close(tunnel->tls);
		tunnel_touch(tunnel);
		tunnel_part(&tunnel->lond, farewell.lond);
		tunnel_pace(tunnel);
		return;
	}
	set_state(tunnel, TUNNEL_CLOSING);
	/* The last one frees it. */
	tunnel_part(&tunnel->lond, farewell.lond);
	tunnel_part(&tunnel->client, farewell.client);
}

void
tunnel_on_tls_failure(struct tunnel *tunnel)
{
	static const enum tunnel_end ends[] = {
		[TLS_OK] = TUNNEL_PROTOCOL,
		[TLS_UNTRUSTED] = TUNNEL_UNTRUSTED,
		[TLS_WRONG_NAME] = TUNNEL_WRONG_NAME,
		[TLS_EXPIRED] = TUNNEL_EXPIRED,
		[TLS_REFUSED] = TUNNEL_REFUSED,
		[TLS_PROTOCOL] = TUNNEL_PROTOCOL,
		[TLS_CLOSED_EARLY] = TUNNEL_CLOSED_EARLY,
		[TLS_NO_MEMORY] = TUNNEL_NO_MEMORY,
	};

	tunnel_finish(tunnel, ends[tls_failure(tunnel->tls)]);
}

/* --- to the local lond ------------------------------------------------------------------------ */

static void
on_unreachable(struct tunnel *tunnel, int error)
{
	gateway_on_unreachable(tunnel->gateway, strerror(-error));
	tunnel_finish(tunnel, TUNNEL_CONNECT_FAILED);
}

/* Each address has its part of the time that is left, so that a silent one is not the last. */
static void
share_time(struct tunnel *tunnel)
{
	const struct channel_gateway *set = &tunnel->gateway->settings;
	uint64_t now = worker_now(tunnel_worker(tunnel));
	uint64_t end = tunnel->since + ms_to_ns(set->connect_timeout_ms);

	tunnel->try_until = resolve_try_until(now, end, set->addresses.count - tunnel->tried + 1);
	uring_timer_clear(tunnel_worker(tunnel)->ring, &tunnel->timer);
	arm(tunnel);
}

/* Begins with the next address for which there is a socket.  Without one it is over: `error` is
 * what became of the one before. */
static void
try_next(struct tunnel *tunnel, int error)
{
	const struct resolve_list *list = &tunnel->gateway->settings.addresses;
	struct uring *ring = tunnel_worker(tunnel)->ring;

	if (tunnel->lond.fd >= 0)
		uring_close(ring, tunnel->lond.fd);
	tunnel->lond.fd = -1;
	tunnel->try_over = false;
	while (tunnel->tried < list->count) {
		tunnel->address = list->address[tunnel->tried++];
		int fd = uring_tcp_socket(ring, tunnel->address.any.sa_family);
		if (fd >= 0) {
			tunnel->lond.fd = fd;
			share_time(tunnel);
			uring_connect(ring, &tunnel->connect, fd, &tunnel->address.any,
				      resolve_length(&tunnel->address));
			return;
		}
		error = fd;
	}
	on_unreachable(tunnel, error);
}

static void
on_connected(struct uring_op *op, int res, const uint8_t *data)
{
	struct tunnel *tunnel = uring_container_of(op, struct tunnel, connect);

	(void)data;
	if (tunnel->lond.parting != TUNNEL_STAYS) {
		tunnel_settle(&tunnel->lond);
		return;
	}
	if (res < 0) {
		try_next(tunnel, tunnel->try_over ? -ETIMEDOUT : res);
		return;
	}
	set_state(tunnel, TUNNEL_OPEN);
	tunnel_touch(tunnel); /* what came with the handshake */
	tunnel_pace(tunnel);
}

void
tunnel_on_secure(struct tunnel *tunnel)
{
	struct gateway *gateway = tunnel->gateway;

	histogram_add(&gateway->stats->handshake,
		      worker_now(gateway->worker) - tunnel->accepted_at);
	if (tls_resumed(tunnel->tls))
		stats_count(&gateway->stats->resumed);
	tunnel->try_until = UINT64_MAX;
	set_state(tunnel, TUNNEL_CONNECTING);
	try_next(tunnel, -EADDRNOTAVAIL); /* as long as its name is not resolved */
}

/* --- the begin -------------------------------------------------------------------------------- */

void
tunnel_accept(struct gateway *gateway, int fd)
{
	struct worker *worker = gateway->worker;
	struct tunnel *tunnel = slab_get(&worker->gateways->tunnels);
	struct tls_session *tls = NULL;

	if (tunnel != NULL)
		tls = tls_session_new(gateway->context, &worker->memory, (int64_t)time(NULL));
	if (tls == NULL) {
		if (tunnel != NULL)
			slab_put(&worker->gateways->tunnels, tunnel);
		uring_close(worker->ring, fd);
		worker_pause_accepting(worker); /* the next one would fare no better */
		return;
	}
	tunnel->gateway = gateway;
	tunnel->tls = tls;
	tunnel->state = TUNNEL_HANDSHAKE;
	tunnel->accepted_at = tunnel->since = worker_now(worker);
	tunnel->connect.done = on_connected;
	tunnel->timer.due = on_due;
	tunnel_side_init(tunnel, &tunnel->client, fd);
	tunnel_side_init(tunnel, &tunnel->lond, -1);
	gateway_add_tunnel(gateway, tunnel);
	arm(tunnel);
	tunnel_pace(tunnel);
}
