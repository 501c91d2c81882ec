/*
 * link.c - drives wire/lond through connect and handshake, then carries requests.  Owns its socket,
 * its key and the requests in flight; never decides whether a link is wanted (host.c does).
 */
#include "relay/link.h"

#include "relay/courier.h"
#include "relay/host.h"
#include "relay/log.h"
#include "wire/enc.h"
#include "wire/line.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

const char *
link_state_text(enum link_state state)
{
	switch (state) {
#define X(name, text) \
	case name:    \
		return text;
		LINK_STATES(X)
#undef X
	}
	return "unknown";
}

static struct worker *
worker_of(const struct link *link)
{
	return link->host->worker;
}

static struct memory *
memory_of(const struct link *link)
{
	return &link->host->worker->memory;
}

/* --- states ----------------------------------------------------------------------------------- */

static bool
opening(enum link_state state)
{
	return state == LINK_CONNECTING || state == LINK_HANDSHAKE;
}

static bool
usable(enum link_state state)
{
	return state == LINK_READY || state == LINK_FULL;
}

static bool
legal(enum link_state from, enum link_state to)
{
	switch (to) {
	case LINK_CONNECTING:
		return false;
	case LINK_HANDSHAKE:
		return from == LINK_CONNECTING;
	case LINK_READY:
		return from == LINK_HANDSHAKE || from == LINK_FULL;
	case LINK_FULL:
		return from == LINK_READY;
	case LINK_RETIRING:
		return usable(from);
	case LINK_CLOSING:
		return from != LINK_CLOSING;
	}
	return false;
}

/* The host counts the links of its pool by what they are good for. */
static void
count(struct link *link, enum link_state state, bool enters)
{
	struct host *host = link->host;
	uint32_t one = enters ? 1 : (uint32_t)-1;

	if (link->courier != NULL)
		return;
	if (opening(state))
		host->opening += one;
	if (usable(state))
		host->usable += one;
	if ((opening(state) || usable(state)) && link->generation == host->generation)
		host->current += one;
}

/* Whether a link in this state is one that host_submit() may use. */
static bool
in_pool(const struct link *link, enum link_state state)
{
	return state == LINK_READY && link->courier == NULL;
}

static void
link_set_state(struct link *link, enum link_state next)
{
	struct host *host = link->host;

	assert(legal(link->state, next));
	if (in_pool(link, link->state))
		TAILQ_REMOVE(&host->ready, link, entry);
	else
		TAILQ_REMOVE(&host->others, link, entry);
	count(link, link->state, false);
	link->state = next;
	count(link, next, true);
	/* At the head: the most recently used link is the next to be used. */
	if (in_pool(link, next))
		TAILQ_INSERT_HEAD(&host->ready, link, entry);
	else
		TAILQ_INSERT_HEAD(&host->others, link, entry);
}

static bool
has_room(const struct link *link)
{
	return link->in_flight_count < link->host->settings.pipeline &&
	       buffer_len(&link->out) <= LINK_OUT_HIGH;
}

/* READY or FULL, whichever is true now. */
static void
update_room(struct link *link)
{
	if (link->state == LINK_READY && !has_room(link))
		link_set_state(link, LINK_FULL);
	else if (link->state == LINK_FULL && has_room(link))
		link_set_state(link, LINK_READY);
}

/* --- clocks ----------------------------------------------------------------------------------- */

static uint64_t
deadline(const struct link *link)
{
	const struct host_settings *set = &link->host->settings;

	if (opening(link->state))
		return link->opened_at + ms_to_ns(set->connect_timeout_ms);
	bool courier = link->courier != NULL;
	if (link->in_flight_count > 0)
		return TAILQ_FIRST(&link->in_flight)->since +
		       ms_to_ns(courier ? COURIER_REPLY_MS : set->reply_timeout_ms);
	return link->used_at + ms_to_ns(courier ? COURIER_IDLE_MS : set->idle_timeout_ms);
}

/* Only ever moves the timer forward in time to an earlier moment: a due timer looks again, so the
 * hot path rarely touches it. */
static void
arm(struct link *link)
{
	uint64_t at = deadline(link);

	if (!uring_timer_armed(&link->timer) || link->timer.at > at)
		uring_timer_set(worker_of(link)->ring, &link->timer, at);
}

static void
on_due(struct uring_timer *timer)
{
	struct link *link = uring_container_of(timer, struct link, timer);

	if (link->state == LINK_CLOSING)
		return;
	if (worker_now(worker_of(link)) < deadline(link)) {
		arm(link);
		return;
	}
	if (opening(link->state))
		link_close(link, REQUEST_LINK_LOST, "connect or handshake timed out");
	else if (link->in_flight_count > 0)
		link_close(link, REQUEST_REPLY_TIMEOUT, "no reply in time");
	else
		link_dismiss(link, LINK_END_IDLE, "idle");
}

void
link_on_settings(struct link *link)
{
	if (link->state == LINK_CLOSING)
		return;
	update_room(link);
	arm(link);
}

/* --- closing ---------------------------------------------------------------------------------- */

static void
finish_if_drained(struct link *link)
{
	struct host *host = link->host;

	if (link->connect.in_flight || link->recv.in_flight || link->writable.in_flight ||
	    link->send.op.in_flight)
		return;
	uring_close(host->worker->ring, link->fd);
	TAILQ_REMOVE(&host->others, link, entry);
	host->links_count--;
	buffer_release(&link->in, &host->worker->memory);
	buffer_release(&link->out, &host->worker->memory);
	idea_key_wipe(&link->key);
	slab_put(&host->worker->links, link);
}

static void
cancel(struct link *link, struct uring_op *op)
{
	if (op->in_flight)
		uring_cancel(worker_of(link)->ring, op);
}

/* The request as its client sent it, rebuilt from the bytes that never left. */
static bool
recover_body(struct link *link, struct request *request)
{
	struct memory *memory = memory_of(link);
	const uint8_t *at = buffer_at(&link->out) + (request->out_start - link->out_given);
	struct wire_span line = wire_span(at, (size_t)(request->out_end - request->out_start) - 1);

	if (!request->encrypted)
		return buffer_append(&request->body, memory, line.data, line.len);
	size_t bound = enc_decoded_bound(line);
	uint8_t *room = buffer_room(&request->body, memory, ENC_REQUEST_PREFIX_LEN + bound);
	if (room == NULL)
		return false;
	struct wire_out out = wire_out(room, ENC_REQUEST_PREFIX_LEN + bound);
	wire_out_bytes(&out, ENC_REQUEST_PREFIX, ENC_REQUEST_PREFIX_LEN);
	if (enc_decode(&out, &link->key, line) != WIRE_OK)
		return false;
	buffer_grow(&request->body, out.len);
	return true;
}

/* Untouched requests go back to the queue, the youngest first so that their order stays. */
static void
requeue_untouched(struct link *link)
{
	struct request *request;

	while ((request = TAILQ_LAST(&link->in_flight, request_list)) != NULL &&
	       request->out_start >= link->out_given) {
		/* An abandoned one has nobody left to serve. */
		if (request->reply != NULL && !recover_body(link, request)) {
			buffer_release(&request->body, memory_of(link));
			return;
		}
		TAILQ_REMOVE(&link->in_flight, request, entry);
		link->in_flight_count--;
		request->link = NULL;
		if (request->reply == NULL) {
			request->state = REQUEST_IDLE;
			request->done(request, REQUEST_LINK_LOST);
		} else {
			host_requeue(link->host, request);
		}
	}
}

static void
lose_in_flight(struct link *link, enum request_result result)
{
	struct request *request;

	while ((request = TAILQ_FIRST(&link->in_flight)) != NULL) {
		TAILQ_REMOVE(&link->in_flight, request, entry);
		link->in_flight_count--;
		request->link = NULL;
		request->state = REQUEST_IDLE;
		request->done(request, result);
	}
}

static void
end_link(struct link *link, enum link_end end, enum request_result result, const char *why)
{
	struct host *host = link->host;
	struct worker *worker = host->worker;

	assert(link->state != LINK_CLOSING);
	link_set_state(link, LINK_CLOSING);
	uring_timer_clear(worker->ring, &link->timer);
	if (link->dirty) {
		TAILQ_REMOVE(&worker->dirty_links, link, dirty_entry);
		link->dirty = false;
	}
	cancel(link, &link->connect);
	cancel(link, &link->recv);
	cancel(link, &link->writable);
	struct courier *courier = link->courier;
	if (courier == NULL)
		requeue_untouched(link);
	lose_in_flight(link, result);
	finish_if_drained(link);
	if (courier != NULL)
		courier_on_link_closed(courier);
	else
		host_on_link_closed(host, end, why);
}

void
link_close(struct link *link, enum request_result result, const char *why)
{
	uint64_t age = worker_now(worker_of(link)) - link->ready_at;
	const struct request *first = TAILQ_FIRST(&link->in_flight);
	/* Lost with a request on it: what a client asked for must not cost the other clients a
	 * pause. */
	bool carried = first != NULL && first->out_start < link->out_given;
	bool worked =
	    link->ready_at != 0 && (carried || link->answered > 0 || age >= ms_to_ns(LINK_GOOD_MS));

	end_link(link, worked ? LINK_END_WORKED : LINK_END_FAILED, result, why);
}

void
link_dismiss(struct link *link, enum link_end end, const char *why)
{
	end_link(link, end, REQUEST_STOPPED, why);
}

void
link_retire(struct link *link)
{
	assert(usable(link->state));
	if (link->in_flight_count == 0)
		link_dismiss(link, LINK_END_UNWANTED, "renewed");
	else
		link_set_state(link, LINK_RETIRING);
}

/* --- output ----------------------------------------------------------------------------------- */

static void
mark_dirty(struct link *link)
{
	if (!link->dirty && !link->writable.in_flight)
		worker_dirty_link(worker_of(link), link);
}

void
link_flush(struct link *link)
{
	size_t len = buffer_len(&link->out);

	if (link->state == LINK_CLOSING || len == 0 || link->writable.in_flight ||
	    link->send.op.in_flight)
		return;
	uring_send(worker_of(link)->ring, &link->send, link->fd, buffer_at(&link->out),
		   len > INT32_MAX ? INT32_MAX : len);
	/* It has room for requests again once this is taken. */
	if (link->state == LINK_FULL && link->in_flight_count < link->host->settings.pipeline)
		worker_hurry(worker_of(link));
}

static void
on_sent(struct uring_op *op, int res, const uint8_t *data)
{
	struct link *link = uring_container_of(op, struct link, send.op);

	(void)data;
	if (link->state == LINK_CLOSING) {
		finish_if_drained(link);
		return;
	}
	if (res < 0 && res != -EAGAIN) {
		link_close(link, REQUEST_LINK_LOST, strerror(-res));
		return;
	}
	if (res > 0) {
		buffer_consume(&link->out, (size_t)res);
		link->out_given += (uint64_t)res;
	}
	if (buffer_len(&link->out) > 0) {
		uring_poll(worker_of(link)->ring, &link->writable, link->fd, POLLOUT);
		return;
	}
	buffer_release(&link->out, memory_of(link));
	if (link->state == LINK_FULL) {
		update_room(link);
		host_pump(link->host);
	}
}

static void
on_writable(struct uring_op *op, int res, const uint8_t *data)
{
	struct link *link = uring_container_of(op, struct link, writable);

	(void)data;
	if (link->state == LINK_CLOSING) {
		finish_if_drained(link);
		return;
	}
	if (res < 0)
		link_close(link, REQUEST_LINK_LOST, strerror(-res));
	else
		mark_dirty(link); /* an error on the socket shows in the send */
}

/* --- requests --------------------------------------------------------------------------------- */

static bool
write_request(struct link *link, struct request *request, struct wire_span line)
{
	struct wire_span prefix = wire_span(ENC_REQUEST_PREFIX, ENC_REQUEST_PREFIX_LEN);
	bool encrypted = wire_span_starts(line, prefix);
	struct wire_span plain = line;

	if (encrypted)
		plain = wire_span(line.data + prefix.len, line.len - prefix.len);
	size_t size = (encrypted ? enc_frame_size(plain.len) : plain.len) + 1;
	uint8_t *room = buffer_room(&link->out, memory_of(link), size);
	if (room == NULL)
		return false;
	struct wire_out out = wire_out(room, size);
	if (encrypted)
		enc_encode(&out, &link->key, plain);
	else
		wire_out_bytes(&out, plain.data, plain.len);
	wire_out_bytes(&out, "\n", 1);
	assert(!out.overflow && out.len == size);
	request->encrypted = encrypted;
	request->out_start = link->out_given + buffer_len(&link->out);
	request->out_end = request->out_start + size;
	buffer_grow(&link->out, size);
	return true;
}

bool
link_take(struct link *link, struct request *request, struct wire_span line)
{
	assert(link->state == LINK_READY && request->state != REQUEST_IN_FLIGHT);
	if (!write_request(link, request, line))
		return false;
	request->state = REQUEST_IN_FLIGHT;
	request->link = link;
	request->since = worker_now(worker_of(link));
	TAILQ_INSERT_TAIL(&link->in_flight, request, entry);
	link->in_flight_count++;
	update_room(link);
	arm(link);
	mark_dirty(link);
	return true;
}

/* Appends the reply to where the owner wants it.  `whole`: the buffer that holds this line with its
 * LF and nothing else. */
static bool
deliver(struct link *link, struct request *request, struct wire_span line, struct buffer *whole)
{
	struct memory *memory = memory_of(link);
	struct buffer *reply = request->reply;

	if (reply == NULL)
		return true; /* its client left */
	if (!enc_is_frame(line)) {
		if (whole == NULL || buffer_len(reply) > 0)
			return buffer_append(reply, memory, line.data, line.len + 1);
		buffer_take(reply, whole, memory);
		return true;
	}
	size_t bound = enc_decoded_bound(line);
	uint8_t *room = buffer_room(reply, memory, bound + 1);
	if (room == NULL)
		return false;
	struct wire_out out = wire_out(room, bound);
	if (enc_decode(&out, &link->key, line) != WIRE_OK)
		return false;
	size_t len = line_flatten(room, out.len);
	if (len > link->host->settings.line_max)
		return false;
	room[len] = '\n';
	buffer_grow(reply, len + 1);
	return true;
}

/* Whether a request has left whole and has no reply yet. */
static bool
expects_reply(const struct link *link)
{
	const struct request *request = TAILQ_FIRST(&link->in_flight);

	return request != NULL && request->out_end <= link->out_given;
}

static void
on_reply(struct link *link, struct wire_span line, struct buffer *whole)
{
	struct request *request = TAILQ_FIRST(&link->in_flight);

	if (!expects_reply(link)) {
		link_close(link, REQUEST_LINK_LOST, "reply without a request");
		return;
	}
	TAILQ_REMOVE(&link->in_flight, request, entry);
	link->in_flight_count--;
	link->answered++;
	link->used_at = worker_now(worker_of(link));
	bool delivered = deliver(link, request, line, whole);
	request->link = NULL;
	request->state = REQUEST_IDLE;
	update_room(link);
	if (link->in_flight_count == 0)
		arm(link); /* the idle clock may be shorter than the one of replies */
	struct host *host = link->host;
	request->done(request, delivered ? REQUEST_ANSWERED : REQUEST_TOO_LONG);
	/* Not before: the end of its link would be the end of a courier that has its answer. */
	if (link->state == LINK_RETIRING && link->in_flight_count == 0)
		link_dismiss(link, LINK_END_UNWANTED, "renewed");
	host_pump(host);
}

/* --- handshake -------------------------------------------------------------------------------- */

static bool
say(struct link *link, const struct wire_out *out)
{
	if (out->overflow || out->len == 0)
		return !out->overflow;
	buffer_grow(&link->out, out->len);
	mark_dirty(link);
	return true;
}

static void
become_ready(struct link *link, struct wire_span build_key)
{
	struct host *host = link->host;
	uint8_t raw[IDEA_KEY_SIZE];
	struct idea_key *key = &link->key;

	lond_key(raw, wire_span_str(host->id), wire_span_str(host->local_id), build_key);
	idea_key_init(key, raw);
	explicit_bzero(raw, sizeof raw);
	link->ready_at = link->used_at = worker_now(host->worker);
	link_set_state(link, LINK_READY);
	uring_timer_clear(host->worker->ring, &link->timer);
	arm(link);
	if (link->courier != NULL)
		courier_on_link_ready(link->courier);
	else
		host_on_link_ready(host);
}

static void
on_handshake_line(struct link *link, struct wire_span line)
{
	struct wire_span build_key = { 0 };
	uint8_t *room = buffer_room(&link->out, memory_of(link), LOND_OUT_MAX);

	if (room == NULL) {
		link_close(link, REQUEST_LINK_LOST, "no memory");
		return;
	}
	struct wire_out out = wire_out(room, LOND_OUT_MAX);
	enum wire_status status = lond_on_line(&link->lond, line, &out, &build_key);
	if (status != WIRE_OK || !say(link, &out)) {
		char why[64];
		snprintf(why, sizeof why, "handshake: %s", wire_status_text(status));
		link_close(link, REQUEST_LINK_LOST, why);
		return;
	}
	if (buffer_len(&link->out) == 0)
		buffer_release(&link->out, memory_of(link));
	if (link->lond.state == LOND_READY)
		become_ready(link, build_key);
}

/* --- input ------------------------------------------------------------------------------------ */

/* The longest line that may come now; an encrypted one is about twice its plaintext. */
static size_t
line_max(const struct link *link, const uint8_t *data, size_t len)
{
	uint64_t max = link->host->settings.line_max;

	if (link->state == LINK_HANDSHAKE)
		return LOND_LINE_MAX;
	if (memcmp(data, "enc:", len < 4 ? len : 4) == 0)
		return 2 * max + 64;
	return max;
}

static void
on_line(struct link *link, struct wire_span line, struct buffer *whole)
{
	if (link->state == LINK_HANDSHAKE)
		on_handshake_line(link, line);
	else
		on_reply(link, line, whole);
}

/* Handles all complete lines of [data, data + len); returns how many bytes they were. */
static size_t
take_lines(struct link *link, const uint8_t *data, size_t len, size_t scanned, bool stashed)
{
	const uint8_t *src = data;
	const uint8_t *end = data + len;

	while (src < end && link->state != LINK_CLOSING) {
		struct wire_span line;
		size_t left = (size_t)(end - src);
		bool first = src == data;
		enum wire_status status =
		    line_next(&line, &src, end, first ? scanned : 0, line_max(link, src, left));
		if (status == WIRE_MORE)
			break;
		if (status != WIRE_OK) {
			link_close(link, REQUEST_LINK_LOST, "the peer sent too long a line");
			break;
		}
		on_line(link, line, stashed && first && src == end ? &link->in : NULL);
	}
	return (size_t)(src - data);
}

static void
on_input(struct link *link, const uint8_t *data, size_t len)
{
	struct memory *memory = memory_of(link);
	bool stashed = buffer_len(&link->in) > 0;
	size_t used = stashed ? 0 : take_lines(link, data, len, 0, false);

	if (link->state == LINK_CLOSING || used == len)
		return;
	if (!buffer_append(&link->in, memory, data + used, len - used)) {
		link_close(link, REQUEST_LINK_LOST, "no memory for the reply");
		return;
	}
	if (stashed) {
		used = take_lines(link, buffer_at(&link->in), buffer_len(&link->in), link->scanned,
				  true);
		if (link->state == LINK_CLOSING)
			return;
		if (buffer_len(&link->in) > 0) /* else the reply took it over */
			buffer_consume(&link->in, used);
	}
	link->scanned = buffer_len(&link->in);
	if (link->scanned == 0)
		buffer_release(&link->in, memory);
	else if (link->state != LINK_HANDSHAKE && !expects_reply(link))
		/* It would become the beginning of the next reply. */
		link_close(link, REQUEST_LINK_LOST, "reply without a request");
}

static void
on_recv(struct uring_op *op, int res, const uint8_t *data)
{
	struct link *link = uring_container_of(op, struct link, recv);

	if (link->state == LINK_CLOSING) {
		finish_if_drained(link);
		return;
	}
	if (res > 0)
		on_input(link, data, (size_t)res);
	else if (res == 0)
		link_close(link, REQUEST_LINK_LOST, "closed by the peer");
	else
		link_close(link, REQUEST_LINK_LOST, strerror(-res));
}

/* --- opening ---------------------------------------------------------------------------------- */

static void
on_connected(struct uring_op *op, int res, const uint8_t *data)
{
	struct link *link = uring_container_of(op, struct link, connect);
	struct worker *worker = worker_of(link);

	(void)data;
	if (link->state == LINK_CLOSING) {
		finish_if_drained(link);
		return;
	}
	uint8_t *room = res == 0 ? buffer_room(&link->out, &worker->memory, LOND_OUT_MAX) : NULL;
	if (room == NULL) {
		link_close(link, REQUEST_LINK_LOST, res < 0 ? strerror(-res) : "no memory");
		return;
	}
	link_set_state(link, LINK_HANDSHAKE);
	struct wire_out out = wire_out(room, LOND_OUT_MAX);
	lond_start(&link->lond, false, &out);
	say(link, &out);
	uring_recv(worker->ring, &link->recv, link->fd);
}

struct link *
link_open(struct host *host, struct courier *courier)
{
	struct worker *worker = host->worker;
	int fd = -EADDRNOTAVAIL; /* as long as its name is not resolved */

	if (host->address_len > 0)
		fd = uring_tcp_socket(worker->ring, host->address.ss_family);
	struct link *link = fd < 0 ? NULL : slab_get(&worker->links);
	if (link == NULL) {
		errno = fd < 0 ? -fd : ENOMEM;
		if (fd >= 0)
			uring_close(worker->ring, fd);
		return NULL;
	}
	link->host = host;
	link->courier = courier;
	link->fd = fd;
	link->generation = host->generation;
	link->opened_at = worker_now(worker);
	link->connect.done = on_connected;
	link->recv.done = on_recv;
	link->writable.done = on_writable;
	link->send.op.done = on_sent;
	link->timer.due = on_due;
	TAILQ_INIT(&link->in_flight);
	link->state = LINK_CONNECTING;
	TAILQ_INSERT_HEAD(&host->others, link, entry);
	host->links_count++;
	count(link, LINK_CONNECTING, true);
	worker->stats->connects++;
	link->address = host->address;
	uring_connect(worker->ring, &link->connect, fd, (const struct sockaddr *)&link->address,
		      host->address_len);
	arm(link);
	return link;
}
