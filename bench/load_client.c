/*
 * load_client.c - one client: opens its connection, keeps as many requests in flight as it may,
 * compares each reply with the one that is right.
 *
 * Owns its buffers; the socket is load_stream.c's.  Never decides whether a request may begin
 * (load_next does), never retries a request: what was in flight when the connection ended is
 * counted as cut off.
 */
#include "bench/load.h"

#include "bench/clock.h"
#include "bench/load_stream.h"
#include "bench/load_udp.h"
#include "bench/resp.h"
#include "wire/line.h"

#include <assert.h>
#include <err.h>
#include <errno.h>
#include <sys/socket.h>

#define KEEP_BYTES ((size_t)64 << 10)
/* A frame of the longest reply, with room to spare. */
#define WIRE_LINE_MAX (2 * LOAD_LINE_MAX + 64)
#define FULL_WAIT_NS  (1 * NS_PER_MS)  /* the listen queue is full: soon there will be room */
#define RETRY_WAIT_NS (10 * NS_PER_MS) /* nobody listens */

/* Closes the socket; what was in flight stays unanswered, what was not sent yet waits for the next.
 */
static void
drop(struct client *c, enum client_state next)
{
	struct load *load = c->load;
	size_t kept = c->unsent && next != CLIENT_CLOSED ? 1 : 0;

	stream_drop(c);
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

void
client_on_end(struct client *c)
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

/* Begins a request on the connection there is. */
static void
request(struct client *c, const struct ask *ask)
{
	push(c, ask);
	load_request_add(c->load, c, ask->serial, &c->out);
	stream_send_soon(c);
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
	ssize_t n = recv(c->stream->fd, at, KEEP_BYTES, MSG_DONTWAIT);

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
		stream_send_soon(c);
	}
}

void
client_on_connected(struct client *c, int error)
{
	const struct load_options *o = c->load->options;

	if (error != 0) {
		open_later(c, -error);
		return;
	}
	if (!o->tcp || o->protocol != PROTOCOL_LOND) {
		on_ready(c);
		client_ask(c);
		return;
	}
	struct wire_out out = wire_out(bytes_room(&c->out, LOND_OUT_MAX), LOND_OUT_MAX);
	c->state = CLIENT_SHAKING;
	lond_start(&c->lond, false, &out);
	bytes_grow(&c->out, out.len);
	stream_send_soon(c);
}

void
client_open(struct client *c)
{
	if (c->udp != NULL) {
		udp_open(c);
		return;
	}
	int error = stream_open(c);
	if (error == -EINPROGRESS)
		c->state = CLIENT_CONNECTING;
	else
		client_on_connected(c, error);
}

/* Gets in line for the next request. */
static void
rest(struct client *c)
{
	if (has_turn(c) || (is_worn(c) && c->in_flight == 0))
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
	request(c, &ask);
	rest(c);
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
		rest(c);
		return;
	}
	while (has_turn(c) && load_next(load, &ask)) {
		if (c->fresh_ns != 0)
			ask.since_ns = c->fresh_ns;
		request(c, &ask);
	}
	c->fresh_ns = 0;
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
	stream_send_soon(c);
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

/* What stands behind the last complete line waits for the rest of its own. */
static void
take_bytes(struct client *c, const uint8_t *data, size_t n)
{
	size_t used;

	if (bytes_used(&c->in) == 0) {
		used = handle_lines(c, wire_span(data, n), 0);
		if (used < n)
			bytes_add(&c->in, data + used, n - used);
	} else {
		bytes_add(&c->in, data, n);
		used = handle_lines(c, bytes_span(&c->in), c->scanned);
		if (c->state != CLIENT_CLOSED)
			bytes_drop(&c->in, used);
	}
	c->scanned = bytes_used(&c->in);
	if (c->scanned == 0)
		bytes_clear(&c->in, KEEP_BYTES);
}

void
client_on_bytes(struct client *c, const uint8_t *data, size_t n)
{
	take_bytes(c, data, n);
	if (c->state == CLIENT_READY)
		client_ask(c);
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
	if (c->stream != NULL && c->state == CLIENT_READY && c->in_flight == 0)
		check_silence(c);
	drop(c, CLIENT_CLOSED);
	bytes_free(&c->in);
	bytes_free(&c->out);
	idea_key_wipe(&c->key);
}
