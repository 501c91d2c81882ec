/*
 * load_client.c - one client: opens its connection, keeps as many requests in flight as it may,
 * compares each reply with the one that is right.
 *
 * Owns its socket and buffers.  Never decides whether a request may begin (load_next does), never
 * retries a request: what was in flight when the connection ended is counted as cut off.
 */
#include "bench/load.h"

#include "bench/clock.h"
#include "bench/load_udp.h"
#include "bench/resp.h"
#include "wire/line.h"

#include <assert.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES ((size_t)256 << 10)
#define KEEP_BYTES    ((size_t)64 << 10)
/* A frame of the longest reply, with room to spare. */
#define WIRE_LINE_MAX (2 * LOAD_LINE_MAX + 64)
#define FULL_WAIT_NS  (1 * NS_PER_MS)  /* the listen queue is full: soon there will be room */
#define RETRY_WAIT_NS (10 * NS_PER_MS) /* nobody listens */

static void
watch(struct client *c, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = c };

	if (events == c->events)
		return;
	int op = c->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	if (epoll_ctl(c->load->epoll_fd, op, c->fd, &e) != 0)
		err(1, "epoll_ctl");
	c->events = events;
}

/* Closes the socket; what was in flight stays unanswered, what was not sent yet waits for the next.
 */
static void
drop(struct client *c, enum client_state next)
{
	struct load *load = c->load;
	size_t kept = c->unsent && next != CLIENT_CLOSED ? 1 : 0;

	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->events = 0;
	if (c->state == CLIENT_READY && load->phase == LOAD_CONNECTING)
		load->ready--;
	load_rise(load, c);
	load->counts.cut_off += c->in_flight - kept;
	load->in_flight -= c->in_flight - kept;
	c->in_flight = c->asked_here = kept;
	bytes_clear(&c->in, 0);
	bytes_clear(&c->out, KEEP_BYTES);
	c->scanned = 0;
	c->state = next;
}

static void
open_later(struct client *c, int error)
{
	struct load *load = c->load;
	bool full = error == EAGAIN;

	if (full)
		load->counts.waits++;
	else
		load->counts.refused++;
	load->last_errno = error;
	drop(c, CLIENT_WAITING);
	wakes_set(&load->wakes, &c->wake, load->now_ns + (full ? FULL_WAIT_NS : RETRY_WAIT_NS));
}

/* The other side ended the connection, or broke it. */
static void
on_end(struct client *c)
{
	struct load *load = c->load;

	load->counts.ended++;
	if (c->idle) {
		load->counts.idle_ended++;
		drop(c, CLIENT_CLOSED);
		return;
	}
	drop(c, CLIENT_WAITING);
	/* A pause keeps a peer that closes at once from making this a busy loop. */
	c->fresh_ns = load->now_ns;
	wakes_set(&load->wakes, &c->wake, load->now_ns + FULL_WAIT_NS);
}

static bool
flush(struct client *c)
{
	struct wire_span s = bytes_span(&c->out);

	if (s.len > 0) {
		ssize_t n = send(c->fd, s.data, s.len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			on_end(c);
			return false;
		}
		if (n > 0)
			bytes_drop(&c->out, (size_t)n);
	}
	if (bytes_used(&c->out) > 0) {
		watch(c, EPOLLIN | EPOLLOUT);
		return true;
	}
	bytes_clear(&c->out, KEEP_BYTES);
	watch(c, EPOLLIN);
	return true;
}

static void
push(struct client *c, const struct ask *ask)
{
	size_t depth = c->load->options->depth;
	size_t at = c->first + c->in_flight;

	c->asks[at < depth ? at : at - depth] = *ask;
	c->in_flight++;
	c->asked_here++;
	c->load->in_flight++;
	c->load->counts.sent++;
}

static struct ask
pop(struct client *c)
{
	struct ask ask = c->asks[c->first];

	c->first = c->first + 1 == c->load->options->depth ? 0 : c->first + 1;
	c->in_flight--;
	c->load->in_flight--;
	return ask;
}

/* This connection has had its share of requests. */
static bool
is_worn(const struct client *c)
{
	uint64_t per = c->load->options->connect_per;

	return per != 0 && c->asked_here >= per;
}

static bool
has_turn(const struct client *c)
{
	return c->in_flight < c->load->options->depth && !is_worn(c);
}

/* Bytes that came although nothing was asked. */
static void
check_silence(struct client *c)
{
	uint8_t *at = bytes_room(&c->in, KEEP_BYTES);
	ssize_t n = recv(c->fd, at, KEEP_BYTES, MSG_DONTWAIT);

	if (n > 0)
		bytes_grow(&c->in, (size_t)n);
	if (bytes_used(&c->in) > 0)
		load_complain(c->load, "unasked", 0, bytes_span(&c->in), wire_span(NULL, 0));
}

/* This connection has had its share: the next request gets a new one, whose making counts as part
 * of it. */
static void
reopen(struct client *c)
{
	check_silence(c);
	drop(c, CLIENT_WAITING);
	c->fresh_ns = c->load->now_ns;
	client_open(c);
}

static void
on_ready(struct client *c)
{
	struct load *load = c->load;

	c->state = CLIENT_READY;
	load->counts.connected++;
	load->progress_ns = load->now_ns;
	if (load->phase == LOAD_CONNECTING)
		load->ready++;
	if (c->unsent) {
		c->unsent = false;
		load_request_add(load, c, c->asks[c->first].serial, &c->out);
	}
	watch(c, EPOLLIN);
}

static void
on_connected(struct client *c)
{
	const struct load_options *o = c->load->options;

	if (!o->tcp || o->protocol != PROTOCOL_LOND) {
		on_ready(c);
		client_ask(c);
		return;
	}
	struct wire_out out = wire_out(bytes_room(&c->out, LOND_OUT_MAX), LOND_OUT_MAX);
	c->state = CLIENT_SHAKING;
	lond_start(&c->lond, false, &out);
	bytes_grow(&c->out, out.len);
	flush(c);
}

void
client_open(struct client *c)
{
	const struct load_options *o = c->load->options;
	int on = 1;

	const struct load_target *target = c->target;

	if (c->udp != NULL) {
		udp_open(c);
		return;
	}
	c->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		err(1, "socket");
	if (o->tcp)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(c->fd, (const struct sockaddr *)&target->address, target->address_len) == 0) {
		on_connected(c);
	} else if (errno == EINPROGRESS) {
		c->state = CLIENT_CONNECTING;
		watch(c, EPOLLOUT);
	} else {
		open_later(c, errno);
	}
}

static void
finish_connect(struct client *c)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error != 0)
		open_later(c, error);
	else
		on_connected(c);
}

/* Sends what it has and gets in line for the next request. */
static void
flush_and_rest(struct client *c)
{
	if (flush(c) && (has_turn(c) || (is_worn(c) && c->in_flight == 0)))
		load_rest(c->load, c);
}

/* A request that needs a new connection is begun before that is made: its making counts. */
void
client_begin(struct client *c)
{
	struct load *load = c->load;
	struct ask ask;

	if (c->udp != NULL) {
		udp_begin(c);
		return;
	}
	if (!load_next(load, &ask)) {
		load_rest(load, c);
		return;
	}
	if (is_worn(c)) {
		check_silence(c);
		drop(c, CLIENT_WAITING);
		push(c, &ask);
		c->unsent = true;
		client_open(c);
		return;
	}
	push(c, &ask);
	load_request_add(load, c, ask.serial, &c->out);
	flush_and_rest(c);
}

void
client_ask(struct client *c)
{
	struct load *load = c->load;
	struct ask ask;

	if (c->udp != NULL) {
		udp_ask(c);
		return;
	}
	if (c->state != CLIENT_READY || c->idle)
		return;
	if (load_is_open(load)) {
		flush_and_rest(c);
		return;
	}
	while (has_turn(c) && load_next(load, &ask)) {
		if (c->fresh_ns != 0)
			ask.since_ns = c->fresh_ns;
		push(c, &ask);
		load_request_add(load, c, ask.serial, &c->out);
	}
	c->fresh_ns = 0;
	if (!flush(c))
		return;
	if (c->in_flight == 0 && !has_turn(c) && load_asking(load))
		reopen(c);
}

static void
on_reply(struct client *c, struct wire_span line, bool lost)
{
	struct load *load = c->load;

	if (c->in_flight == 0) {
		load_complain(load, "unasked", 0, line, wire_span(NULL, 0));
		drop(c, CLIENT_CLOSED);
		return;
	}
	struct ask ask = pop(c);
	load->progress_ns = load->now_ns;
	if (lost || wire_span_equal(line, wire_span_str("con_lost"))) {
		load->counts.con_lost++;
		return;
	}
	struct wire_span expected = load_reply_expected(load, c, ask.serial);
	if (!wire_span_equal(line, expected)) {
		/* From here on nothing on this connection could be told apart. */
		load_complain(load, "wrong reply", ask.serial, line, expected);
		drop(c, CLIENT_CLOSED);
		return;
	}
	load->counts.replies++;
	if (ask.counted)
		hist_add(&load->hist, load->now_ns - ask.since_ns);
}

static void
on_handshake(struct client *c, struct wire_span line)
{
	const struct load_options *o = c->load->options;
	struct wire_out out = wire_out(bytes_room(&c->out, LOND_OUT_MAX), LOND_OUT_MAX);
	struct wire_span build_key;
	uint8_t raw[IDEA_KEY_SIZE];

	if (lond_on_line(&c->lond, line, &out, &build_key) != WIRE_OK)
		errx(1, "%s: the handshake was refused", c->target->name);
	bytes_grow(&c->out, out.len);
	if (c->lond.state != LOND_READY)
		return;
	if (o->encrypt != 0) {
		lond_key(raw, wire_span_str(o->id), wire_span_str(o->local), build_key);
		idea_key_init(&c->key, raw);
	}
	on_ready(c);
}

/* The next reply, or step of a handshake; *lost: the relay says that there is none. */
static enum wire_status
next_line(const struct client *c, struct wire_span *line, bool *lost, const uint8_t **src,
	  const uint8_t *end, size_t scanned)
{
	*lost = false;
	if (c->load->options->protocol == PROTOCOL_REDIS)
		return resp_reply_next(line, lost, src, end, WIRE_LINE_MAX);
	return line_next(line, src, end, scanned, WIRE_LINE_MAX);
}

/* How many bytes of `input` were complete lines. */
static size_t
handle_lines(struct client *c, struct wire_span input, size_t scanned)
{
	const uint8_t *src = input.data, *end = input.data + input.len;
	struct wire_span line;
	enum wire_status status;
	bool lost;

	while ((status = next_line(c, &line, &lost, &src, end, scanned)) == WIRE_OK) {
		scanned = 0;
		if (c->state == CLIENT_SHAKING)
			on_handshake(c, line);
		else
			on_reply(c, line, lost);
		if (c->state == CLIENT_CLOSED)
			return input.len;
	}
	if (status != WIRE_MORE)
		errx(1, "%s: a reply that is %s", c->target->name, wire_status_text(status));
	return (size_t)(src - input.data);
}

/* False if the connection is no more. */
static bool
receive(struct client *c)
{
	struct load *load = c->load;
	size_t held = bytes_used(&c->in);
	size_t room = held > RECEIVE_BYTES ? held : RECEIVE_BYTES;
	struct bytes *to = held > 0 ? &c->in : &load->receive;
	uint8_t *at = bytes_room(to, room);
	ssize_t n = recv(c->fd, at, room, MSG_DONTWAIT);

	load->now_ns = clock_now_ns();
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0) {
		on_end(c);
		return false;
	}
	if (held == 0) {
		size_t used = handle_lines(c, wire_span(at, (size_t)n), 0);
		if (c->state != CLIENT_CLOSED)
			bytes_add(&c->in, at + used, (size_t)n - used);
	} else {
		bytes_grow(&c->in, (size_t)n);
		size_t used = handle_lines(c, bytes_span(&c->in), c->scanned);
		if (c->state != CLIENT_CLOSED)
			bytes_drop(&c->in, used);
	}
	c->scanned = bytes_used(&c->in);
	if (c->scanned == 0)
		bytes_clear(&c->in, KEEP_BYTES);
	return c->state != CLIENT_CLOSED;
}

void
client_on_events(struct client *c, uint32_t events)
{
	if (c->udp != NULL) {
		udp_on_events(c);
		return;
	}
	if (c->fd < 0)
		return; /* closed earlier in this turn */
	if (c->state == CLIENT_CONNECTING) {
		finish_connect(c);
		return;
	}
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !receive(c))
		return;
	if (c->state == CLIENT_READY && !c->idle)
		client_ask(c);
	else
		flush(c);
}

void
client_on_wake(struct client *c)
{
	if (c->udp != NULL) {
		udp_on_wake(c);
		return;
	}
	assert(c->state == CLIENT_WAITING);
	client_open(c);
}

void
client_finish(struct client *c)
{
	if (c->udp != NULL)
		udp_finish(c);
	wakes_clear(&c->load->wakes, &c->wake);
	if (c->fd >= 0 && c->state == CLIENT_READY && c->in_flight == 0)
		check_silence(c);
	drop(c, CLIENT_CLOSED);
	bytes_free(&c->in);
	bytes_free(&c->out);
	idea_key_wipe(&c->key);
}
