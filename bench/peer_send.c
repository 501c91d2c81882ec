/*
 * peer_send.c - the sending half of a connection: replies leave in order, at once or when they are
 * due, all that is ready in one send.
 *
 * Owns the queue of pending replies and the `out` buffer.  Never lets a reply overtake another.
 */
#include "bench/peer_conn.h"

#include "bench/clock.h"

#include <assert.h>
#include <err.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define HIGH_WATER ((size_t)1 << 20)
#define KEEP_BYTES (256 * 1024)
#define LINGER_NS  (1 * NS_PER_S)

bool
conn_congested(const struct conn *c)
{
	return bytes_used(&c->out) + c->queued_bytes >= HIGH_WATER;
}

static uint64_t
later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* When the reply to a request that has just come may leave. */
static uint64_t
due_ns(struct conn *c, const struct tricks *tricks)
{
	struct peer *p = c->peer;
	uint64_t due = p->now_ns + tricks->value[TRICK_DELAY] * NS_PER_MS;

	if (tricks->value[TRICK_WORK] != 0) {
		c->busy_ns = later(c->busy_ns, p->now_ns) + tricks->value[TRICK_WORK] * NS_PER_MS;
		due = later(due, c->busy_ns);
	}
	if (p->options->rate != 0) {
		uint64_t slot = later(p->rate_ns, p->now_ns);
		p->rate_ns = slot + NS_PER_S / p->options->rate;
		due = later(due, slot);
	}
	return due;
}

static void
enqueue(struct conn *c, struct wire_span bytes, uint64_t due, uint64_t dribble, enum ending ending)
{
	struct pending *r = malloc(sizeof *r + bytes.len);

	if (r == NULL)
		err(1, "no memory for a reply of %zu bytes", bytes.len);
	*r = (struct pending){
		.due_ns = due, .dribble_ns = dribble, .ending = ending, .len = bytes.len
	};
	if (bytes.len > 0)
		memcpy(r->data, bytes.data, bytes.len);
	STAILQ_INSERT_TAIL(&c->queue, r, next);
	c->queued_bytes += sizeof *r + r->len;
}

void
conn_send(struct conn *c, struct wire_span bytes, const struct tricks *tricks, enum ending ending)
{
	uint64_t due = tricks == NULL ? c->peer->now_ns : due_ns(c, tricks);
	uint64_t dribble = tricks == NULL ? 0 : tricks->value[TRICK_DRIBBLE] * NS_PER_MS;

	if (STAILQ_EMPTY(&c->queue) && due <= c->peer->now_ns && dribble == 0) {
		bytes_add(&c->out, bytes.data, bytes.len);
		c->ending = ending;
		return;
	}
	enqueue(c, bytes, due, dribble, ending);
}

static void
dequeue(struct conn *c)
{
	struct pending *r = STAILQ_FIRST(&c->queue);

	STAILQ_REMOVE_HEAD(&c->queue, next);
	c->queued_bytes -= sizeof *r + r->len;
	free(r);
}

void
conn_drop_output(struct conn *c)
{
	while (!STAILQ_EMPTY(&c->queue))
		dequeue(c);
	bytes_free(&c->out);
}

/* Moves due replies to `out`; a dribbling one gives a byte and is due again later. */
static void
play(struct conn *c)
{
	struct pending *r;

	while ((r = STAILQ_FIRST(&c->queue)) != NULL && r->due_ns <= c->peer->now_ns) {
		size_t n = r->len - r->sent;
		if (r->dribble_ns != 0 && n > 1) {
			bytes_add(&c->out, r->data + r->sent++, 1);
			r->due_ns = c->peer->now_ns + r->dribble_ns;
			return;
		}
		bytes_add(&c->out, r->data + r->sent, n);
		c->ending = r->ending;
		dequeue(c);
	}
}

/* True if all of `out` is on its way. */
static bool
send_out(struct conn *c)
{
	struct wire_span s = bytes_span(&c->out);

	if (s.len == 0)
		return true;
	ssize_t n = send(c->fd, s.data, s.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			conn_kill(c, "reset by peer");
		return false;
	}
	transcript_sent(&c->peer->transcript, c->number, &c->sides, wire_span(s.data, (size_t)n));
	bytes_drop(&c->out, (size_t)n);
	c->active_ns = c->peer->now_ns;
	if (bytes_used(&c->out) > 0)
		return false;
	bytes_clear(&c->out, KEEP_BYTES);
	return true;
}

/* A close with unread requests would turn into a reset and could destroy replies: shut down, then
 * linger. */
static void
end_by_close(struct conn *c)
{
	if (c->input_ended) {
		conn_kill(c, "closed here");
		return;
	}
	shutdown(c->fd, SHUT_WR);
	transcript_event(&c->peer->transcript, c->number, "closed here");
	conn_set_state(c, CONN_LINGER);
	wakes_set(&c->peer->wakes, &c->wake, c->peer->now_ns + LINGER_NS);
}

static void
end_by_reset(struct conn *c)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	conn_kill(c, "reset here");
}

void
conn_flush(struct conn *c)
{
	if (c->state == CONN_LINGER || c->state == CONN_DEAD)
		return;
	play(c);
	if (!send_out(c))
		return;
	switch (c->ending) {
	case END_KEEP:
	case END_SILENCE:
		if (c->input_ended && STAILQ_EMPTY(&c->queue) && bytes_used(&c->in) == c->scanned)
			conn_kill(c, "closed by peer");
		return;
	case END_CLOSE:
		end_by_close(c);
		return;
	case END_RESET:
		end_by_reset(c);
		return;
	}
}
