/*
 * tunnel_traffic.c - the bytes of a tunnel: received, sealed or opened, sent; the ends of both
 * streams.
 *
 * Never looks at what the bytes say.  Each side is sent to once a turn.
 */
#include "relay/tunnel_internal.h"

#include <errno.h>
#include <poll.h>

/* Bytes that may wait for a side before the other one is not read from; it is again below the
 * second. */
enum {
	PENDING_HIGH = 64 * 1024,
	PENDING_LOW = 16 * 1024,
};

static struct tunnel_side *
other(struct tunnel_side *side)
{
	struct tunnel *tunnel = side->tunnel;

	return side == &tunnel->client ? &tunnel->lond : &tunnel->client;
}

static struct wire_span
pending(const struct tunnel_side *side)
{
	const struct tunnel *tunnel = side->tunnel;
	size_t len = buffer_len(&tunnel->to_lond);

	if (side == &tunnel->client)
		return tls_output(tunnel->tls);
	return wire_span(len == 0 ? NULL : buffer_at(&tunnel->to_lond), len);
}

static void
taken(struct tunnel_side *side, size_t n)
{
	struct tunnel *tunnel = side->tunnel;

	if (side == &tunnel->client) {
		tls_sent(tunnel->tls, n);
		return;
	}
	buffer_consume(&tunnel->to_lond, n);
	if (buffer_len(&tunnel->to_lond) == 0)
		buffer_release(&tunnel->to_lond, &tunnel_worker(tunnel)->memory);
}

void
tunnel_touch(struct tunnel *tunnel)
{
	if (tunnel->dirty)
		return;
	tunnel->dirty = true;
	TAILQ_INSERT_TAIL(&tunnel->gateway->worker->gateways->dirty, tunnel, dirty_entry);
}

/* --- pace ------------------------------------------------------------------------------------- */

/* Whether its bytes are wanted. */
static bool
is_wanted(struct tunnel_side *side)
{
	const struct tunnel *tunnel = side->tunnel;
	bool client = side == &tunnel->client;
	size_t bound = side->recv.in_flight ? PENDING_HIGH : PENDING_LOW;

	if (side->parting != TUNNEL_STAYS || side->fd < 0)
		return false;
	switch (tunnel->state) {
	case TUNNEL_HANDSHAKE:
		return client;
	case TUNNEL_CONNECTING:
	case TUNNEL_OPEN:
		return side->flow == TUNNEL_FLOWS && (client || tunnel->state == TUNNEL_OPEN) &&
		       pending(other(side)).len <= bound;
	case TUNNEL_ENDING: /* to be thrown away: what is unread would turn the end into a reset */
		return client && side->flow == TUNNEL_FLOWS;
	case TUNNEL_CLOSING:
		break;
	}
	return false;
}

static void
pace(struct tunnel_side *side)
{
	struct uring *ring = tunnel_worker(side->tunnel)->ring;
	bool wanted = is_wanted(side);

	if (wanted && !side->recv.in_flight)
		uring_recv(ring, &side->recv, side->fd);
	else if (!wanted && side->recv.in_flight)
		uring_cancel(ring, &side->recv);
}

void
tunnel_pace(struct tunnel *tunnel)
{
	pace(&tunnel->client);
	pace(&tunnel->lond);
}

/* --- ends of streams -------------------------------------------------------------------------- */

/* All that came from the side is sent: the other one is told that there is no more. */
static void
pass_end_on(struct tunnel_side *side)
{
	struct tunnel *tunnel = side->tunnel;
	struct tunnel_side *to = other(side);

	if (to == &tunnel->client) {
		tls_close(tunnel->tls);
		if (pending(to).len > 0) {
			tunnel_touch(tunnel);
			return; /* once more, when that is sent */
		}
	}
	uring_shutdown(tunnel_worker(tunnel)->ring, to->fd);
	side->flow = TUNNEL_DRY;
	if (to->flow == TUNNEL_DRY)
		tunnel_finish(tunnel, TUNNEL_FINISHED);
	else
		tunnel_on_change(tunnel);
}

/* Nothing waits to be sent to the side. */
static void
on_emptied(struct tunnel_side *side)
{
	struct tunnel *tunnel = side->tunnel;

	if (tunnel->state == TUNNEL_ENDING && side == &tunnel->client) {
		uring_shutdown(tunnel_worker(tunnel)->ring, side->fd);
		if (side->flow != TUNNEL_FLOWS)
			tunnel_part(side, TUNNEL_PARTS);
	} else if (tunnel->state == TUNNEL_OPEN && other(side)->flow == TUNNEL_EBBS) {
		pass_end_on(other(side));
	}
}

static void
on_broken(struct tunnel_side *side)
{
	struct tunnel *tunnel = side->tunnel;

	tunnel_finish(tunnel, side == &tunnel->client ? TUNNEL_RESET : TUNNEL_LOND_RESET);
}

/* --- output ----------------------------------------------------------------------------------- */

static void
flush(struct tunnel_side *side)
{
	struct tunnel *tunnel = side->tunnel;

	if (side->fd < 0 || side->parting != TUNNEL_STAYS || side->send.op.in_flight ||
	    side->writable.in_flight ||
	    (side == &tunnel->lond && tunnel->state == TUNNEL_CONNECTING))
		return;
	struct wire_span bytes = pending(side);
	if (bytes.len == 0) {
		on_emptied(side);
		return;
	}
	uring_send(tunnel_worker(tunnel)->ring, &side->send, side->fd, bytes.data,
		   bytes.len > INT32_MAX ? INT32_MAX : bytes.len);
	/* Nothing else may wake what goes on when this is taken. */
	if (tunnel->state == TUNNEL_ENDING || other(side)->flow == TUNNEL_EBBS ||
	    (other(side)->fd >= 0 && !other(side)->recv.in_flight))
		worker_hurry(tunnel_worker(tunnel));
}

void
tunnel_flush(struct tunnel *tunnel)
{
	flush(&tunnel->lond);
	flush(&tunnel->client);
}

static void
on_sent(struct uring_op *op, int res, const uint8_t *data)
{
	struct tunnel_side *side = uring_container_of(op, struct tunnel_side, send.op);
	struct tunnel *tunnel = side->tunnel;

	(void)data;
	if (side->parting != TUNNEL_STAYS) {
		tunnel_settle(side);
		return;
	}
	if (res < 0 && res != -EAGAIN) {
		on_broken(side);
		return;
	}
	if (res > 0) {
		taken(side, (size_t)res);
		if (tunnel->state == TUNNEL_OPEN)
			tunnel->since = worker_now(tunnel_worker(tunnel));
	}
	if (pending(side).len > 0)
		uring_poll(tunnel_worker(tunnel)->ring, &side->writable, side->fd, POLLOUT);
	else
		on_emptied(side);
	tunnel_pace(tunnel);
}

static void
on_writable(struct uring_op *op, int res, const uint8_t *data)
{
	struct tunnel_side *side = uring_container_of(op, struct tunnel_side, writable);

	(void)data;
	if (side->parting != TUNNEL_STAYS)
		tunnel_settle(side);
	else if (res < 0)
		on_broken(side);
	else
		tunnel_touch(side->tunnel); /* an error on the socket shows in the send */
}

/* --- input ------------------------------------------------------------------------------------ */

/* Everything that TLS can make of what it was given.  False: there is no memory for it. */
static bool
open_bytes(struct tunnel *tunnel)
{
	static uint8_t room[TLS_RECORD_MAX];
	struct worker *worker = tunnel_worker(tunnel);
	size_t len;

	while ((len = tls_read(tunnel->tls, room, sizeof room)) > 0) {
		if (!buffer_append(&tunnel->to_lond, &worker->memory, room, len))
			return false;
		histogram_bump(&tunnel->gateway->stats->bytes_in, len);
		tunnel->asked = true;
	}
	return true;
}

static void
on_client_bytes(struct tunnel *tunnel, const uint8_t *data, size_t len)
{
	tls_receive(tunnel->tls, data, len);
	bool kept = open_bytes(tunnel);

	/* Answers of TLS's own, too. */
	tunnel_touch(tunnel);
	if (!kept) {
		tunnel_finish(tunnel, TUNNEL_NO_MEMORY);
		return;
	}
	if (tls_state(tunnel->tls) == TLS_FAILED) {
		tunnel_on_tls_failure(tunnel);
		return;
	}
	if (tls_state(tunnel->tls) == TLS_CLOSED)
		tunnel->client.flow = TUNNEL_EBBS;
	if (tunnel->state == TUNNEL_HANDSHAKE && tls_state(tunnel->tls) != TLS_HANDSHAKE)
		tunnel_on_secure(tunnel);
}

static void
on_lond_bytes(struct tunnel *tunnel, const uint8_t *data, size_t len)
{
	if (!tls_write(tunnel->tls, data, len)) {
		tunnel_on_tls_failure(tunnel);
		return;
	}
	tunnel->asked = false;
	if (tunnel->gateway->leaving)
		tunnel_on_change(tunnel); /* this may have been all that it waited for */
	histogram_bump(&tunnel->gateway->stats->bytes_out, len);
	tunnel_touch(tunnel);
}

static void
on_bytes(struct tunnel_side *side, const uint8_t *data, size_t len)
{
	struct tunnel *tunnel = side->tunnel;

	if (side->flow != TUNNEL_FLOWS || tunnel->state == TUNNEL_ENDING)
		return; /* what comes now means nothing */
	if (tunnel->state == TUNNEL_OPEN)
		tunnel->since = worker_now(tunnel_worker(tunnel));
	if (side == &tunnel->client)
		on_client_bytes(tunnel, data, len);
	else
		on_lond_bytes(tunnel, data, len);
}

/* A client that we have told that no more comes may go without another word. */
static void
on_client_end(struct tunnel *tunnel)
{
	tls_receive_end(tunnel->tls);
	if (tls_state(tunnel->tls) != TLS_FAILED)
		return;
	if (tunnel->lond.flow == TUNNEL_DRY)
		tunnel_finish(tunnel, TUNNEL_FINISHED);
	else
		tunnel_on_tls_failure(tunnel);
}

static void
on_stream_end(struct tunnel_side *side)
{
	struct tunnel *tunnel = side->tunnel;
	bool first = side->flow == TUNNEL_FLOWS;

	if (first)
		side->flow = TUNNEL_EBBS;
	if (tunnel->state == TUNNEL_ENDING) {
		tunnel_part(side, TUNNEL_PARTS);
		return;
	}
	tunnel_touch(tunnel);
	if (side == &tunnel->client)
		on_client_end(tunnel);
}

static void
on_recv(struct uring_op *op, int res, const uint8_t *data)
{
	struct tunnel_side *side = uring_container_of(op, struct tunnel_side, recv);
	struct tunnel *tunnel = side->tunnel;

	if (side->parting != TUNNEL_STAYS) {
		tunnel_settle(side);
		return;
	}
	if (res > 0)
		on_bytes(side, data, (size_t)res);
	else if (res == 0)
		on_stream_end(side);
	else if (res != -ECANCELED && tunnel->state == TUNNEL_ENDING)
		tunnel_part(side, TUNNEL_PARTS);
	else if (res != -ECANCELED)
		on_broken(side);
	tunnel_pace(tunnel);
}

void
tunnel_side_init(struct tunnel *tunnel, struct tunnel_side *side, int fd)
{
	side->tunnel = tunnel;
	side->fd = fd;
	side->recv.done = on_recv;
	side->writable.done = on_writable;
	side->send.op.done = on_sent;
}
