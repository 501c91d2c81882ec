/*
 * link_traffic.c - what goes over a usable link: requests out, gathered into one send per turn;
 * replies in, in order.
 */
#include "relay/courier.h"
#include "relay/gather.h"
#include "relay/host.h"
#include "relay/link.h"
#include "relay/link_internal.h"
#include "wire/enc.h"
#include "wire/line.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

enum {
	TAKE_OVER_MIN = 8192 /* shorter requests share one buffer, and one send */
};

/* --- output ----------------------------------------------------------------------------------- */

void
link_mark_dirty(struct link *link)
{
	if (!link->dirty && !link->writable.in_flight)
		worker_dirty_link(link_worker(link), link);
}

void
link_flush(struct link *link)
{
	size_t len = buffer_len(&link->out);

	if (link->state == LINK_CLOSING || link->writable.in_flight || link->send.op.in_flight)
		return;
	if (link->tls != NULL)
		link_tls_flush(link);
	else if (len > 0)
		uring_send(link_worker(link)->ring, &link->send, link->fd, buffer_at(&link->out),
			   len > INT32_MAX ? INT32_MAX : len);
	/* It has room for requests again once this is taken. */
	if (link->state == LINK_FULL && link->in_flight_count < link->host->settings.pipeline)
		worker_hurry(link_worker(link));
}

/* Whether the socket took all that it was given. */
static bool
taken(struct link *link, size_t n)
{
	if (link->tls != NULL)
		return link_tls_on_taken(link, n);
	buffer_consume(&link->out, n);
	link->out_given += n;
	return buffer_len(&link->out) == 0;
}

void
link_on_sent(struct uring_op *op, int res, const uint8_t *data)
{
	struct link *link = uring_container_of(op, struct link, send.op);

	(void)data;
	if (link->state == LINK_CLOSING) {
		link_finish(link);
		return;
	}
	if (res < 0 && res != -EAGAIN) {
		link_close(link, LINK_REASON_RESET, strerror(-res));
		return;
	}
	if (!taken(link, res > 0 ? (size_t)res : 0)) {
		uring_poll(link_worker(link)->ring, &link->writable, link->fd, POLLOUT);
		return;
	}
	if (buffer_len(&link->out) == 0)
		buffer_release(&link->out, link_memory(link));
	if (link->state == LINK_FULL) {
		link_update_room(link);
		host_pump(link->host);
	}
}

void
link_on_writable(struct uring_op *op, int res, const uint8_t *data)
{
	struct link *link = uring_container_of(op, struct link, writable);

	(void)data;
	if (link->state == LINK_CLOSING) {
		link_finish(link);
		return;
	}
	if (res < 0)
		link_close(link, LINK_REASON_RESET, strerror(-res));
	else
		link_mark_dirty(link); /* an error on the socket shows in the send */
}

/* --- requests --------------------------------------------------------------------------------- */

/* A long line goes out from where it was gathered, instead of being copied into fresh memory. */
static bool
take_over(struct link *link, struct buffer *whole)
{
	if (!buffer_append(whole, link_memory(link), "\n", 1))
		return false;
	buffer_take(&link->out, whole, link_memory(link));
	return true;
}

static bool
copy_request(struct link *link, struct wire_span line, bool encrypted, size_t size)
{
	uint8_t *room = buffer_room(&link->out, link_memory(link), size);
	if (room == NULL)
		return false;
	struct wire_out out = wire_out(room, size);
	if (encrypted)
		enc_encode(&out, &link->key, line);
	else
		wire_out_bytes(&out, line.data, line.len);
	wire_out_bytes(&out, "\n", 1);
	assert(!out.overflow && out.len == size);
	buffer_grow(&link->out, size);
	return true;
}

static bool
write_request(struct link *link, struct request *request, struct wire_span line,
	      struct buffer *whole)
{
	struct wire_span prefix = wire_span(ENC_REQUEST_PREFIX, ENC_REQUEST_PREFIX_LEN);
	bool encrypted = wire_span_starts(line, prefix);
	struct wire_span plain = line;

	if (encrypted)
		plain = wire_span(line.data + prefix.len, line.len - prefix.len);
	size_t size = (encrypted ? enc_frame_size(plain.len) : plain.len) + 1;
	size_t before = buffer_len(&link->out);
	bool taken_over = whole != NULL && !encrypted && before == 0 && size > TAKE_OVER_MIN;
	if (taken_over ? !take_over(link, whole) : !copy_request(link, plain, encrypted, size))
		return false;
	request->encrypted = encrypted;
	request->out_start = link->out_given + before;
	request->out_end = request->out_start + size;
	return true;
}

bool
link_take(struct link *link, struct request *request, struct wire_span line, struct buffer *whole)
{
	assert(link->state == LINK_READY && request->state != REQUEST_IN_FLIGHT);
	if (!write_request(link, request, line, whole))
		return false;
	request->state = REQUEST_IN_FLIGHT;
	request->link = link;
	request->since = worker_now(link_worker(link));
	TAILQ_INSERT_TAIL(&link->in_flight, request, entry);
	link->in_flight_count++;
	link_update_room(link);
	link_arm(link);
	link_mark_dirty(link);
	return true;
}

/* Appends the reply to where the owner wants it.  `whole`: the buffer that holds this line with its
 * LF and nothing else. */
static bool
deliver(struct link *link, struct request *request, struct wire_span line, struct buffer *whole)
{
	struct memory *memory = link_memory(link);
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

/* Whether a request has left whole and has no reply yet.  Which records of a piece of ciphertext
 * have left is not known: the first requests of it may be answered before its rest is taken. */
static bool
expects_reply(const struct link *link)
{
	const struct request *request = TAILQ_FIRST(&link->in_flight);

	return request != NULL && request->out_end <= link_touched(link);
}

static void
on_reply(struct link *link, struct wire_span line, struct buffer *whole)
{
	struct request *request = TAILQ_FIRST(&link->in_flight);

	if (!expects_reply(link)) {
		link_close(link, LINK_REASON_DISORDER, "reply without a request");
		return;
	}
	TAILQ_REMOVE(&link->in_flight, request, entry);
	link->in_flight_count--;
	link->answered++;
	link->used_at = worker_now(link_worker(link));
	bool delivered = deliver(link, request, line, whole);
	request->link = NULL;
	request->state = REQUEST_IDLE;
	link_update_room(link);
	if (link->in_flight_count == 0)
		link_arm(link); /* the idle clock may be shorter than the one of replies */
	struct host *host = link->host;
	host_end(host, request, delivered ? REQUEST_ANSWERED : REQUEST_TOO_LONG);
	/* Not before: the end of its link would be the end of a courier that has its answer. */
	if (link->state == LINK_RETIRING && link->in_flight_count == 0)
		link_dismiss(link, link_retired(link));
	host_pump(host);
}

/* --- input ------------------------------------------------------------------------------------ */

/* The longest line that may come now; an encrypted one is about twice its plaintext. */
static size_t
line_max(const struct link *link, const uint8_t *data, size_t len)
{
	uint64_t max = link->host->settings.line_max;

	if (link->state == LINK_HANDSHAKE)
		return LOND_LINE_MAX;
	if (wire_may_start(data, len, wire_span("enc:", 4)))
		return 2 * max + 64;
	return max;
}

static void
on_line(struct link *link, struct wire_span line, struct buffer *whole)
{
	if (link->state == LINK_HANDSHAKE)
		link_on_handshake_line(link, line);
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
			link_close(link, LINK_REASON_TOO_LONG, "the peer sent too long a line");
			break;
		}
		on_line(link, line, stashed && first && src == end ? &link->in : NULL);
	}
	return (size_t)(src - data);
}

/* What is left is the beginning of a line. */
static void
keep_rest(struct link *link)
{
	link->scanned = buffer_len(&link->in);
	if (link->scanned == 0)
		buffer_release(&link->in, link_memory(link));
	else if (link->state != LINK_HANDSHAKE && !expects_reply(link))
		/* It would become the beginning of the next reply. */
		link_close(link, LINK_REASON_DISORDER, "reply without a request");
}

static __attribute__((noinline)) void
take_stashed(struct link *link)
{
	size_t used =
	    take_lines(link, buffer_at(&link->in), buffer_len(&link->in), link->scanned, true);

	if (link->state == LINK_CLOSING)
		return;
	if (buffer_len(&link->in) > 0) /* else the reply took it over */
		buffer_consume(&link->in, used);
	keep_rest(link);
}

/* Receives in the way that suits what is gathered.  Not inside TLS: its records are no lines. */
static __attribute__((noinline)) void
receive(struct link *link)
{
	struct uring *ring = link_worker(link)->ring;
	bool gathers = buffer_len(&link->in) >= link_worker(link)->gather_min;

	if (link->recv.in_flight) {
		if (gathers && !link->gathering)
			uring_cancel(ring, &link->recv);
		return;
	}
	link->gathering =
	    gathers && gather_recv(ring, &link->recv, link->fd, &link->in, link_memory(link));
	if (!link->gathering)
		uring_recv(ring, &link->recv, link->fd);
}

void
link_on_input(struct link *link, const uint8_t *data, size_t len)
{
	struct memory *memory = link_memory(link);
	bool stashed = buffer_len(&link->in) > 0;
	size_t used = stashed ? 0 : take_lines(link, data, len, 0, false);

	if (link->state == LINK_CLOSING || used == len)
		return;
	if (!buffer_append(&link->in, memory, data + used, len - used)) {
		link_close(link, LINK_REASON_NO_MEMORY, "no memory for the reply");
		return;
	}
	if (stashed)
		take_stashed(link);
	else
		keep_rest(link);
	if (link->state != LINK_CLOSING && link->tls == NULL)
		receive(link);
}

/* More of a long line, which is where it belongs. */
static __attribute__((noinline)) void
on_gathered(struct link *link, size_t len)
{
	buffer_grow(&link->in, len);
	take_stashed(link);
	if (link->state != LINK_CLOSING)
		receive(link);
}

void
link_on_recv(struct uring_op *op, int res, const uint8_t *data)
{
	struct link *link = uring_container_of(op, struct link, recv);

	if (link->state == LINK_CLOSING) {
		link_finish(link);
		return;
	}
	if (res > 0 && data == NULL)
		on_gathered(link, (size_t)res);
	else if (res > 0 && link->tls != NULL)
		link_tls_on_input(link, data, (size_t)res);
	else if (res > 0)
		link_on_input(link, data, (size_t)res);
	else if (res == -ECANCELED)
		receive(link); /* in the other way */
	else if (res == 0 && link->tls != NULL)
		link_tls_on_end(link);
	else if (res == 0)
		link_close(link, LINK_REASON_PEER_CLOSED, "closed by the peer");
	else
		link_close(link, LINK_REASON_RESET, strerror(-res));
}
