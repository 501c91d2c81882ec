/*
 * client.c - reads lines from a legacy client, hands them to its host one at a time, writes the
 * replies.
 *
 * Bytes that hold a whole line are passed on straight from the receive buffer; only what is left
 * over is copied.  Owns the connection; never looks at what a line says.
 */
#include "relay/client.h"

#include "relay/gather.h"
#include "relay/log.h"
#include "relay/stats.h"
#include "wire/enc.h"
#include "wire/line.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

static const char CON_LOST[] = "con_lost\n";

static void request_on_done(struct request *request, enum request_result result);
static void on_sent(struct uring_op *op, int res, const uint8_t *data);
static void on_writable(struct uring_op *op, int res, const uint8_t *data);
static void on_stalled(struct uring_timer *timer);

const char *
client_state_text(enum client_state state)
{
	switch (state) {
#define X(name, text) \
	case name:    \
		return text;
		CLIENT_STATES(X)
#undef X
	}
	return "unknown";
}

/* --- the exchange ----------------------------------------------------------------------------- */

static struct exchange *
exchange_get(struct client *client)
{
	if (client->exchange != NULL)
		return client->exchange;
	struct worker *worker = client->host->worker;
	struct exchange *x = slab_get(&worker->exchanges);
	if (x == NULL)
		return NULL;
	x->client = client;
	x->worker = worker;
	x->request.done = request_on_done;
	x->request.reply = &x->out;
	x->send.op.done = on_sent;
	x->writable.done = on_writable;
	x->stalled.due = on_stalled;
	client->exchange = x;
	return x;
}

static void
mark_dirty(struct exchange *x)
{
	if (!x->dirty && !x->writable.in_flight)
		worker_dirty_exchange(x->worker, x);
}

static void
unmark_dirty(struct exchange *x)
{
	if (x->dirty)
		TAILQ_REMOVE(&x->worker->dirty_exchanges, x, dirty_entry);
	x->dirty = false;
}

static void
exchange_free(struct exchange *x)
{
	struct worker *worker = x->worker;

	assert(x->request.state == REQUEST_IDLE);
	assert(!x->send.op.in_flight && !x->writable.in_flight);
	unmark_dirty(x);
	uring_timer_clear(worker->ring, &x->stalled);
	buffer_release(&x->in, &worker->memory);
	buffer_release(&x->out, &worker->memory);
	buffer_release(&x->request.body, &worker->memory);
	slab_put(&worker->exchanges, x);
}

/* --- closing ---------------------------------------------------------------------------------- */

static void
finish_if_drained(struct client *client)
{
	struct host *host = client->host;
	struct worker *worker = host->worker;
	struct exchange *x = client->exchange;

	if (client->recv.in_flight ||
	    (x != NULL && (x->send.op.in_flight || x->writable.in_flight)))
		return;
	if (x != NULL && x->request.state == REQUEST_IN_FLIGHT) {
		/* Its reply has a place in the link's order: the exchange stays until it came, and
		 * drops it. */
		x->client = NULL;
		x->request.reply = NULL;
		buffer_release(&x->in, &worker->memory);
		buffer_release(&x->out, &worker->memory);
	} else if (x != NULL) {
		exchange_free(x);
	}
	uring_close(worker->ring, client->recv.fd);
	if (worker->listed_next == client)
		worker->listed_next = LIST_NEXT(client, entry);
	LIST_REMOVE(client, entry);
	host->clients_count--;
	worker->clients_count--;
	stats_uncount(&host->stats->clients);
	slab_put(&worker->clients, client);
	host_on_client_closed(host);
}

void
client_close(struct client *client)
{
	struct worker *worker = client->host->worker;
	struct exchange *x = client->exchange;

	if (client->state == CLIENT_CLOSING)
		return;
	client->state = CLIENT_CLOSING;
	if (x != NULL) {
		if (x->request.state == REQUEST_QUEUED)
			host_withdraw(client->host, &x->request);
		x->request.reply =
		    NULL; /* one in flight: nobody waits for it, so it must not be queued again */
		unmark_dirty(x);
		uring_timer_clear(worker->ring, &x->stalled);
		if (x->writable.in_flight)
			uring_cancel(worker->ring, &x->writable);
	}
	if (client->recv.in_flight)
		uring_cancel(worker->ring, &client->recv);
	finish_if_drained(client);
}

/* --- requests --------------------------------------------------------------------------------- */

static bool
answer_lost(struct exchange *x)
{
	mark_dirty(x);
	return buffer_append(&x->out, &x->worker->memory, CON_LOST, sizeof CON_LOST - 1);
}

/* Its host has no room for more: what to say then can be set. */
static __attribute__((noinline)) bool
answer_busy(struct exchange *x)
{
	const char *line = x->client->host->settings.busy_line;

	mark_dirty(x);
	return buffer_append(&x->out, &x->worker->memory, line, strlen(line)) &&
	       buffer_append(&x->out, &x->worker->memory, "\n", 1);
}

/* The longest request line: the prefix that asks for encryption is not part of the plaintext. */
static size_t
line_max(const struct client *client, const uint8_t *data, size_t len)
{
	size_t max = client->host->settings.line_max;

	if (wire_may_start(data, len, wire_span(ENC_REQUEST_PREFIX, ENC_REQUEST_PREFIX_LEN)))
		max += ENC_REQUEST_PREFIX_LEN;
	return max;
}

/* Whether the next request may start: the one before is answered, and most of the answers are on
 * their way. */
static bool
may_start(const struct exchange *x)
{
	return x->request.state == REQUEST_IDLE && buffer_len(&x->out) <= CLIENT_OUT_HIGH;
}

/*
 * Starts requests from [data, data + len) until one is under way; returns the bytes used.  Whatever
 * is refused is answered here, so nobody recurses.  `stash`: the buffer that these bytes are all
 * of, or NULL; afterwards it is empty if its line was taken with it.
 */
static size_t
start_requests(struct client *client, const uint8_t *data, size_t len, size_t scanned,
	       struct buffer *stash)
{
	struct exchange *x = client->exchange;
	const uint8_t *src = data;
	const uint8_t *end = data + len;

	while (src < end && client->state != CLIENT_CLOSING && may_start(x) &&
	       !client->host->leaving) {
		struct wire_span line;
		enum request_result why;
		size_t max = line_max(client, src, (size_t)(end - src));
		enum wire_status status =
		    line_next(&line, &src, end, src == data ? scanned : 0, max);
		if (status == WIRE_MORE)
			break;
		if (status != WIRE_OK) {
			host_count_refused(client->host, REQUEST_TOO_LONG);
			answer_lost(x);
			client_finish(client);
			return len;
		}
		client->requests++;
		struct buffer *whole = line.data == data && src == end ? stash : NULL;
		if (whole != NULL)
			whole->tail--; /* the LF */
		enum host_answer answer = host_submit(client->host, &x->request, line, whole, &why);
		if (whole != NULL && whole->data != NULL)
			whole->tail++;
		if (answer == HOST_REFUSED && !answer_busy(x))
			client_close(client);
	}
	return (size_t)(src - data);
}

/* Whether what was read is the beginning of one line that is long already. */
static bool
gathers(const struct exchange *x)
{
	return x != NULL && buffer_len(&x->in) >= x->worker->gather_min && may_start(x);
}

static void
receive(struct client *client)
{
	struct worker *worker = client->host->worker;
	struct exchange *x = client->exchange;
	int fd = client->recv.fd;
	bool gathering =
	    gathers(x) && gather_recv(worker->ring, &client->recv, fd, &x->in, &worker->memory);

	if (x != NULL)
		x->gathering = gathering;
	if (!gathering)
		uring_recv(worker->ring, &client->recv, fd);
}

/* Stops reading from a client that is far ahead of its answers, and starts again; changes over to
 * the other way of receiving. */
static __attribute__((noinline)) void
change_pace(struct client *client)
{
	struct exchange *x = client->exchange;
	bool ahead = x != NULL && buffer_len(&x->in) > CLIENT_IN_HIGH &&
		     (x->request.state != REQUEST_IDLE || buffer_len(&x->out) > 0);

	if (client->state != CLIENT_OPEN)
		return;
	if (client->recv.in_flight && (ahead || (gathers(x) && !x->gathering)))
		uring_cancel(client->host->worker->ring, &client->recv);
	else if (!ahead && !client->recv.in_flight)
		receive(client);
}

static void
pace(struct client *client)
{
	const struct exchange *x = client->exchange;

	/* Nearly always it is read from and nothing is left over. */
	if (!client->recv.in_flight || (x != NULL && buffer_len(&x->in) > 0))
		change_pace(client);
}

/* Looks at what can go on now; the end of every event of a client. */
static void
advance(struct client *client)
{
	struct exchange *x = client->exchange;
	bool busy = x != NULL && (x->request.state != REQUEST_IDLE || buffer_len(&x->out) > 0);

	/* What almost every event leaves behind: one request, nothing read ahead of it. */
	if (busy && buffer_len(&x->in) == 0 && client->state == CLIENT_OPEN &&
	    client->recv.in_flight)
		return;
	if (x != NULL && buffer_len(&x->in) > 0 && may_start(x)) {
		size_t used = start_requests(client, buffer_at(&x->in), buffer_len(&x->in),
					     x->scanned, &x->in);
		if (client->state == CLIENT_CLOSING)
			return;
		if (buffer_len(&x->in) > 0)
			buffer_consume(&x->in, used);
		x->scanned = may_start(x) ? buffer_len(&x->in) : 0;
		if (buffer_len(&x->in) == 0)
			buffer_release(&x->in, &x->worker->memory);
		busy = x->request.state != REQUEST_IDLE || buffer_len(&x->out) > 0;
	}
	if (!busy && client->state == CLIENT_FINISHING) {
		client_close(client); /* a fragment without its LF, if any, is dropped */
		return;
	}
	if (!busy && x != NULL && buffer_len(&x->in) == 0 && !x->send.op.in_flight &&
	    !x->writable.in_flight) {
		exchange_free(x);
		client->exchange = NULL;
	}
	pace(client);
}

static void
request_on_done(struct request *request, enum request_result result)
{
	struct exchange *x = uring_container_of(request, struct exchange, request);
	struct client *client = x->client;
	bool answered = true;

	if (client == NULL) {
		exchange_free(x);
		return;
	}
	if (client->state == CLIENT_CLOSING)
		return;
	if (result == REQUEST_ANSWERED)
		mark_dirty(x);
	else
		answered = answer_lost(x);
	if (answered)
		advance(client);
	else
		client_close(client);
}

/* --- output ----------------------------------------------------------------------------------- */

void
client_flush(struct exchange *x)
{
	struct client *client = x->client;
	size_t len = buffer_len(&x->out);

	if (client == NULL || client->state == CLIENT_CLOSING || len == 0 ||
	    x->writable.in_flight || x->send.op.in_flight)
		return;
	uring_send(x->worker->ring, &x->send, client->recv.fd, buffer_at(&x->out),
		   len > INT32_MAX ? INT32_MAX : len);
	/* Nothing else will wake a client that only waits until its replies are on their way. */
	if (x->request.state == REQUEST_IDLE &&
	    (client->state == CLIENT_FINISHING || buffer_len(&x->in) > 0))
		worker_hurry(x->worker);
}

static void
on_sent(struct uring_op *op, int res, const uint8_t *data)
{
	struct exchange *x = uring_container_of(op, struct exchange, send.op);
	struct client *client = x->client;
	struct worker *worker = x->worker;

	(void)data;
	if (res > 0)
		histogram_bump(&client->host->stats->bytes_out, (uint64_t)res);
	if (client->state == CLIENT_CLOSING) {
		finish_if_drained(client);
		return;
	}
	if (res < 0 && res != -EAGAIN) {
		client_close(client);
		return;
	}
	if (res > 0) {
		buffer_consume(&x->out, (size_t)res);
		uring_timer_clear(worker->ring, &x->stalled);
	}
	if (buffer_len(&x->out) > 0) {
		uring_poll(worker->ring, &x->writable, client->recv.fd, POLLOUT);
		if (!uring_timer_armed(&x->stalled))
			uring_timer_set(worker->ring, &x->stalled,
					worker_now(worker) +
					    ms_to_ns(client->host->settings.reply_timeout_ms));
	} else {
		buffer_release(&x->out, &worker->memory);
	}
	advance(client);
}

static void
on_writable(struct uring_op *op, int res, const uint8_t *data)
{
	struct exchange *x = uring_container_of(op, struct exchange, writable);
	struct client *client = x->client;

	(void)data;
	if (client->state == CLIENT_CLOSING)
		finish_if_drained(client);
	else if (res < 0)
		client_close(client);
	else
		mark_dirty(x); /* an error on the socket shows in the send */
}

static void
on_stalled(struct uring_timer *timer)
{
	struct exchange *x = uring_container_of(timer, struct exchange, stalled);

	log_warning(x->client->host->id, "client closed: it did not read its reply");
	client_close(x->client);
}

/* --- input ------------------------------------------------------------------------------------ */

static void
on_input(struct client *client, const uint8_t *data, size_t len)
{
	struct exchange *x = exchange_get(client);

	histogram_bump(&client->host->stats->bytes_in, len);
	if (x == NULL) {
		client_close(client);
		return;
	}
	bool stashed = buffer_len(&x->in) > 0;
	if (!stashed && may_start(x)) {
		size_t used = start_requests(client, data, len, 0, NULL);
		if (client->state != CLIENT_OPEN)
			return;
		data += used;
		len -= used;
	}
	if (len > 0 && !buffer_append(&x->in, &x->worker->memory, data, len)) {
		/* Out of memory: this client's line cannot be kept, everybody else goes on. */
		log_warning(client->host->id, "client closed: no memory for its request");
		if (may_start(x)) { /* else whole requests are before it, to be answered first */
			host_count_refused(client->host, REQUEST_OVERLOAD);
			answer_lost(x);
		}
		client_finish(client);
		return;
	}
	if (!stashed && may_start(x))
		x->scanned = len; /* start_requests just searched it */
	advance(client);
}

/* More of a long line, which is where it belongs. */
static __attribute__((noinline)) void
on_gathered(struct client *client, size_t len)
{
	histogram_bump(&client->host->stats->bytes_in, len);
	buffer_grow(&client->exchange->in, len);
	advance(client);
}

static void
on_end(struct client *client)
{
	struct exchange *x = client->exchange;

	/* Gone altogether, or nothing under way: close.  A half-closed one still gets its answers.
	 */
	if (x == NULL || uring_hung_up(client->host->worker->ring, client->recv.fd)) {
		client_close(client);
		return;
	}
	client->state = CLIENT_FINISHING;
	advance(client);
}

static void
on_recv(struct uring_op *op, int res, const uint8_t *data)
{
	struct client *client = uring_container_of(op, struct client, recv);

	switch (client->state) {
	case CLIENT_CLOSING:
		finish_if_drained(client);
		return;
	case CLIENT_FINISHING:
		return; /* it was told to stop; what still comes is dropped */
	case CLIENT_OPEN:
		break;
	}
	if (res > 0 && data != NULL)
		on_input(client, data, (size_t)res);
	else if (res > 0)
		on_gathered(client, (size_t)res);
	else if (res == 0)
		on_end(client);
	else if (res == -ECANCELED)
		pace(client); /* paused; maybe the answers came in the meantime */
	else
		client_close(client);
}

/* --- life ------------------------------------------------------------------------------------- */

void
client_finish(struct client *client)
{
	struct exchange *x = client->exchange;

	if (client->state != CLIENT_OPEN)
		return;
	client->state = CLIENT_FINISHING;
	if (client->recv.in_flight)
		uring_cancel(client->host->worker->ring, &client->recv);
	if (x == NULL || (x->request.state == REQUEST_IDLE && buffer_len(&x->out) == 0))
		client_close(client);
}

void
client_accept(struct host *host, int fd)
{
	struct worker *worker = host->worker;
	struct client *client = slab_get(&worker->clients);

	if (client == NULL) {
		uring_close(worker->ring, fd);
		return;
	}
	client->host = host;
	client->state = CLIENT_OPEN;
	client->recv.done = on_recv;
	client->number = ++worker->last_number;
	client->accepted_at = worker_now(worker);
	LIST_INSERT_HEAD(&host->clients, client, entry);
	host->clients_count++;
	worker->clients_count++;
	stats_count(&host->stats->clients);
	stats_count(&host->stats->clients_accepted);
	uring_recv(worker->ring, &client->recv, fd);
}
