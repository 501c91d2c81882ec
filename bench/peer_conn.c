/*
 * peer_conn.c - the receiving half of a connection: reads big chunks, answers every complete line
 * of them.
 *
 *     socket -> peer->receive -> handle_lines -> out (or the queue of pending replies) -> one send
 *                     | the rest
 *                     v
 *                  conn->in   exists only for a line in pieces, or while the output is congested
 *
 * Owns the connection.  Never sends (peer_send.c does) and never frees before the end of the turn.
 */
#include "bench/peer_conn.h"

#include "bench/clock.h"
#include "bench/pattern.h"
#include "bench/resp.h"
#include "wire/line.h"
#include "wire/lond.h"

#include <assert.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES  ((size_t)256 << 10)
#define STASH_ROOM     ((size_t)64 << 10)
#define NOISE_BYTES    ((size_t)1 << 20)
#define LONG_CHALLENGE ((size_t)64 << 10)

void
conn_set_state(struct conn *c, enum conn_state next)
{
	assert(c->state != CONN_DEAD);
	assert(c->state != CONN_LINGER || next == CONN_DEAD);
	assert(c->state != CONN_ENDING || next == CONN_LINGER || next == CONN_DEAD);
	c->state = next;
}

/* Many at a time: a system call each would be much of what a short connection costs. */
static const uint8_t *
random_bytes(struct random_pool *pool, size_t n)
{
	if (n > pool->left) {
		if (getrandom(pool->bytes, sizeof pool->bytes, 0) != (ssize_t)sizeof pool->bytes)
			err(1, "getrandom");
		pool->left = sizeof pool->bytes;
	}
	pool->left -= n;
	return pool->bytes + pool->left;
}

/* 32 upper-case hexadecimal digits, as long as a key can use. */
static struct wire_span
given_or_random(const char *given, struct random_pool *pool, char text[static 32])
{
	if (given != NULL)
		return wire_span_str(given);
	const uint8_t *raw = random_bytes(pool, 16);
	for (size_t i = 0; i < 16; i++) {
		text[2 * i] = "0123456789ABCDEF"[raw[i] >> 4];
		text[2 * i + 1] = "0123456789ABCDEF"[raw[i] & 15];
	}
	return wire_span(text, 32);
}

void
conn_new(struct peer *p, int fd)
{
	struct conn *c = calloc(1, sizeof *c);
	uint8_t raw[IDEA_KEY_SIZE];

	if (c == NULL)
		err(1, "no memory for a connection");
	c->peer = p;
	c->fd = fd;
	c->number = ++p->connections;
	c->active_ns = p->now_ns;
	c->refusal = c->number <= p->options->refuse_first ? p->options->refusal : REFUSE_NOTHING;
	c->challenge = given_or_random(p->options->challenge, &p->random, c->random_challenge);
	c->build_key = given_or_random(p->options->build_key, &p->random, c->random_key);
	lond_key(raw, wire_span_str(p->options->id), wire_span_str(p->options->local),
		 c->build_key);
	idea_key_init(&c->key, raw);
	STAILQ_INIT(&c->queue);
	/* Only a lond has a handshake. */
	if (p->options->protocol != PROTOCOL_LOND)
		c->state = CONN_READY;
	LIST_INSERT_HEAD(&p->conns, c, link);
	c->events = EPOLLIN;
	struct epoll_event e = { .events = c->events, .data.ptr = c };
	if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
		err(1, "epoll_ctl");
	transcript_event(&p->transcript, c->number, "open");
	if (p->options->close_idle_ms != 0)
		wakes_set(&p->wakes, &c->wake, p->now_ns + p->options->close_idle_ms * NS_PER_MS);
}

void
conn_kill(struct conn *c, const char *event)
{
	struct peer *p = c->peer;

	conn_set_state(c, CONN_DEAD);
	wakes_clear(&p->wakes, &c->wake);
	close(c->fd);
	c->fd = -1;
	conn_drop_output(c);
	bytes_free(&c->in);
	idea_key_wipe(&c->key);
	transcript_end(&p->transcript, c->number, &c->sides, event);
	LIST_REMOVE(c, link);
	LIST_INSERT_HEAD(&p->dead, c, link);
}

size_t
conn_bury(struct peer *p)
{
	struct conn *c;
	size_t n = 0;

	while ((c = LIST_FIRST(&p->dead)) != NULL) {
		LIST_REMOVE(c, link);
		free(c);
		n++;
	}
	return n;
}

/* One line of the handshake, and what becomes of the connection behind it. */
static void
say(struct conn *c, struct wire_span text, enum ending ending)
{
	struct bytes *reply = &c->peer->reply;

	bytes_clear(reply, RECEIVE_BYTES);
	bytes_add(reply, text.data, text.len);
	bytes_add_text(reply, "\n");
	conn_send(c, bytes_span(reply), NULL, ending);
	if (ending != END_KEEP)
		conn_set_state(c, CONN_ENDING);
}

static void
close_without_word(struct conn *c)
{
	conn_send(c, wire_span(NULL, 0), NULL, END_CLOSE);
	conn_set_state(c, CONN_ENDING);
}

/* Instead of, or behind, the challenge. */
static void
say_challenge(struct conn *c)
{
	struct bytes *reply = &c->peer->reply;

	conn_set_state(c, CONN_ECHO);
	switch (c->refusal) {
	case REFUSE_CLOSE:
		close_without_word(c);
		return;
	case REFUSE_SILENCE:
		conn_set_state(c, CONN_MUTE);
		return;
	case REFUSE_GARBAGE:
		bytes_clear(reply, RECEIVE_BYTES);
		pattern_noise(bytes_room(reply, NOISE_BYTES), NOISE_BYTES);
		bytes_grow(reply, NOISE_BYTES);
		conn_send(c, bytes_span(reply), NULL, END_KEEP);
		conn_set_state(c, CONN_MUTE);
		return;
	case REFUSE_LONG:
		bytes_clear(reply, RECEIVE_BYTES);
		pattern_fill(bytes_room(reply, LONG_CHALLENGE), LONG_CHALLENGE, 0);
		bytes_add(&c->out, reply->data, LONG_CHALLENGE);
		bytes_add_text(&c->out, "\n");
		return;
	case REFUSE_DISORDER:
		say(c, c->challenge, END_KEEP);
		say(c, wire_span_str("disorder"), END_KEEP);
		return;
	case REFUSE_NOTHING:
	case REFUSE_NO:
	case REFUSE_SILENT_OK:
	case REFUSE_CLOSE_OK:
	case REFUSE_EMPTY_KEY:
	case REFUSE_SILENT_KEY:
	case REFUSE_CLOSE_KEY:
		say(c, c->challenge, END_KEEP);
		return;
	}
}

static void
on_echo(struct conn *c, struct wire_span line)
{
	if (!wire_span_equal(line, c->challenge)) {
		say(c, wire_span_str("refused"), END_CLOSE);
	} else if (c->refusal == REFUSE_NO) {
		say(c, wire_span_str("no"), END_CLOSE);
	} else if (c->refusal == REFUSE_SILENT_OK) {
		conn_set_state(c, CONN_MUTE);
	} else if (c->refusal == REFUSE_CLOSE_OK) {
		say(c, wire_span_str("ok"), END_CLOSE);
	} else {
		conn_set_state(c, CONN_OPEN);
		say(c, wire_span_str("ok"), END_KEEP);
	}
}

static void
on_first_ekey(struct conn *c)
{
	conn_set_state(c, CONN_READY);
	if (c->refusal == REFUSE_EMPTY_KEY)
		say(c, wire_span(NULL, 0), END_KEEP);
	else if (c->refusal == REFUSE_SILENT_KEY)
		conn_set_state(c, CONN_MUTE);
	else if (c->refusal == REFUSE_CLOSE_KEY)
		close_without_word(c);
	else
		say(c, c->build_key, END_KEEP);
}

/* What answers a request, in the form of the protocol. */
static enum ending
make_reply(struct conn *c, const struct reply_link *link, struct wire_span line,
	   struct tricks *tricks, struct bytes *out)
{
	struct peer *p = c->peer;

	if (p->options->protocol != PROTOCOL_REDIS)
		return reply_make(&p->scratch, link, line, tricks, out);
	bytes_clear(&p->line, RECEIVE_BYTES);
	enum ending ending = reply_make(&p->scratch, link, line, tricks, &p->line);
	struct wire_span made = bytes_span(&p->line);
	if (made.len > 0)
		resp_add_bulk(out, wire_span(made.data, made.len - 1)); /* without its LF */
	return ending;
}

static void
on_request(struct conn *c, struct wire_span line)
{
	struct peer *p = c->peer;
	const struct peer_options *o = p->options;
	struct tricks tricks;
	struct reply_link link = { o, c->build_key, c->state == CONN_READY ? &c->key : NULL };

	p->requests++;
	c->answered++;
	bool last = c->answered == o->close_after;
	/* The ordinary case: straight into `out`. */
	if (!o->prefixes && !o->tricks.any && o->rate == 0 && STAILQ_EMPTY(&c->queue)) {
		c->ending = make_reply(c, &link, line, &tricks, &c->out);
		if (last && c->ending == END_KEEP)
			c->ending = END_CLOSE;
		if (c->ending != END_KEEP)
			conn_set_state(c, CONN_ENDING);
		return;
	}
	bytes_clear(&p->reply, RECEIVE_BYTES);
	enum ending ending = make_reply(c, &link, line, &tricks, &p->reply);
	if (last && ending == END_KEEP)
		ending = END_CLOSE;
	if (ending != END_SILENCE || bytes_used(&p->reply) > 0)
		conn_send(c, bytes_span(&p->reply), &tricks, ending);
	if (ending == END_SILENCE)
		conn_set_state(c, CONN_MUTE);
	else if (ending != END_KEEP)
		conn_set_state(c, CONN_ENDING);
}

/* Written without the command table: no trick applies to it. */
static void
say_pong(struct conn *c)
{
	char text[4096];
	int n = snprintf(text, sizeof text, "%s:relay-peer", c->peer->options->id);

	assert(n > 0 && (size_t)n < sizeof text);
	say(c, wire_span(text, (size_t)n), END_KEEP);
}

static void
on_line(struct conn *c, struct wire_span line)
{
	switch (c->state) {
	case CONN_INIT:
		if (wire_span_equal(line, wire_span_str("init")))
			say_challenge(c);
		else
			say(c, wire_span_str("refused"), END_CLOSE);
		return;
	case CONN_ECHO:
		on_echo(c, line);
		return;
	case CONN_OPEN:
		/* The steps of the handshake are exempt from all tricks. */
		if (wire_span_equal(line, wire_span_str("ekey"))) {
			on_first_ekey(c);
			return;
		}
		if (wire_span_equal(line, wire_span_str("pong"))) {
			say_pong(c);
			return;
		}
		on_request(c, line);
		return;
	case CONN_READY:
		on_request(c, line);
		return;
	case CONN_MUTE:
	case CONN_ENDING:
	case CONN_LINGER:
	case CONN_DEAD:
		return;
	}
}

static bool
takes_requests(const struct conn *c)
{
	return c->state == CONN_INIT || c->state == CONN_ECHO || c->state == CONN_OPEN ||
	       c->state == CONN_READY;
}

/* Answers the complete lines of `input`; how much of it needs no further look. */
static size_t
handle_lines(struct conn *c, struct wire_span input, size_t scanned)
{
	const uint8_t *src = input.data, *end = input.data + input.len;

	c->scanned = 0;
	while (src < end && takes_requests(c) && !conn_congested(c)) {
		struct wire_span line;
		enum wire_status status = c->peer->options->protocol == PROTOCOL_REDIS
					      ? resp_command_next(&line, &src, end, PEER_LINE_MAX)
					      : line_next(&line, &src, end, scanned, PEER_LINE_MAX);
		if (status == WIRE_MORE) {
			c->scanned = (size_t)(end - src);
			return (size_t)(src - input.data);
		}
		if (status != WIRE_OK) {
			conn_kill(c, "closed here: not a line of this protocol, or too long");
			return input.len;
		}
		scanned = 0;
		on_line(c, line);
	}
	return takes_requests(c) ? (size_t)(src - input.data) : input.len;
}

static void
handle_stash(struct conn *c)
{
	size_t used = handle_lines(c, bytes_span(&c->in), c->scanned);

	if (c->state == CONN_DEAD)
		return;
	bytes_drop(&c->in, used);
	if (bytes_used(&c->in) == 0)
		bytes_clear(&c->in, STASH_ROOM);
}

/* One read: into the shared buffer, or behind what this connection already holds. */
static void
receive(struct conn *c)
{
	struct peer *p = c->peer;
	size_t held = bytes_used(&c->in);
	struct bytes *to = held > 0 ? &c->in : &p->receive;
	size_t room = held > STASH_ROOM ? held : STASH_ROOM;

	if (held == 0) {
		bytes_clear(to, RECEIVE_BYTES);
		room = RECEIVE_BYTES;
	}
	uint8_t *at = bytes_room(to, room);
	ssize_t n = recv(c->fd, at, room, MSG_DONTWAIT);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			conn_kill(c, "reset by peer");
		return;
	}
	if (n == 0) {
		c->input_ended = true;
		if (c->state == CONN_LINGER)
			conn_kill(c, "gone");
		return;
	}
	c->active_ns = p->now_ns;
	struct wire_span got = wire_span(at, (size_t)n);
	transcript_received(&p->transcript, c->number, &c->sides, got);
	if (held > 0) {
		bytes_grow(to, got.len);
		handle_stash(c);
		return;
	}
	size_t used = handle_lines(c, got, 0);
	if (c->state != CONN_DEAD)
		bytes_add(&c->in, got.data + used, got.len - used);
}

static void
watch(struct conn *c)
{
	bool paused = takes_requests(c) && conn_congested(c);
	uint32_t events = 0;

	if (!c->input_ended && !paused)
		events |= EPOLLIN;
	if (bytes_used(&c->out) > 0)
		events |= EPOLLOUT;
	if (events == c->events)
		return;
	struct epoll_event e = { .events = events, .data.ptr = c };
	if (epoll_ctl(c->peer->epoll_fd, EPOLL_CTL_MOD, c->fd, &e) != 0)
		err(1, "epoll_ctl");
	c->events = events;
}

static bool
has_output(const struct conn *c)
{
	return !STAILQ_EMPTY(&c->queue) || bytes_used(&c->out) > 0;
}

/* When it wants to be looked at without being asked. */
static void
arm(struct conn *c)
{
	uint64_t idle_ms = c->peer->options->close_idle_ms;
	uint64_t at = UINT64_MAX;

	if (c->state == CONN_LINGER)
		return; /* armed when it began */
	if (!STAILQ_EMPTY(&c->queue))
		at = STAILQ_FIRST(&c->queue)->due_ns;
	else if (idle_ms != 0 && !has_output(c))
		at = c->active_ns + idle_ms * NS_PER_MS;
	/* One that is armed too early only looks and arms again: cheaper than moving it at each
	 * request. */
	if (at != UINT64_MAX && (!wake_armed(&c->wake) || at < c->wake.at_ns))
		wakes_set(&c->peer->wakes, &c->wake, at);
}

/* Sends what can be sent, then goes on with lines that had to wait for that. */
static void
turn(struct conn *c)
{
	for (;;) {
		conn_flush(c);
		if (c->state == CONN_DEAD)
			return;
		if (bytes_used(&c->in) == c->scanned || conn_congested(c))
			break;
		handle_stash(c);
		if (c->state == CONN_DEAD)
			return;
	}
	watch(c);
	arm(c);
}

void
conn_on_events(struct conn *c, uint32_t events)
{
	if (c->state == CONN_DEAD)
		return;
	if ((c->events & EPOLLIN) != 0 && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
		receive(c);
	else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
		conn_kill(c, "reset by peer");
	if (c->state != CONN_DEAD)
		turn(c);
}

void
conn_on_wake(struct conn *c)
{
	uint64_t idle_ms = c->peer->options->close_idle_ms;

	if (c->state == CONN_LINGER) {
		conn_kill(c, "gone");
		return;
	}
	if (idle_ms != 0 && !has_output(c) && c->state != CONN_ENDING &&
	    c->peer->now_ns >= c->active_ns + idle_ms * NS_PER_MS) {
		conn_set_state(c, CONN_ENDING);
		c->ending = END_CLOSE;
	}
	turn(c);
}
