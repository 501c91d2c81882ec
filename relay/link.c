/*
 * link.c - a link's states, clocks, handshake and end.  Owns its socket, its key and the requests
 * in flight; never decides whether a link is wanted (host.c does).  What goes over it is in
 * link_traffic.c.
 */
#include "relay/link.h"

#include "relay/courier.h"
#include "relay/host.h"
#include "relay/link_internal.h"
#include "relay/stats.h"
#include "wire/enc.h"

#include <assert.h>
#include <errno.h>
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
	if (usable(state)) {
		host->usable += one;
		histogram_bump(&host->stats->links_ready, enters ? 1 : (uint64_t)-1);
	}
	if ((opening(state) || usable(state)) && link->generation == host->generation)
		host->current += one;
}

/* Whether a link in this state is one that host_submit() may use. */
static bool
in_pool(const struct link *link, enum link_state state)
{
	return state == LINK_READY && link->courier == NULL;
}

void
link_set_state(struct link *link, enum link_state next)
{
	struct host *host = link->host;

	assert(legal(link->state, next));
	if (in_pool(link, link->state))
		TAILQ_REMOVE(&host->ready, link, entry);
	else
		TAILQ_REMOVE(&host->others, link, entry);
	/* Between READY and FULL, which is where a busy link goes all the time, no count changes.
	 */
	bool counted = usable(link->state) && usable(next);
	if (!counted)
		count(link, link->state, false);
	link->state = next;
	if (!counted)
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
void
link_update_room(struct link *link)
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
		return resolve_try_until(link->opened_at,
					 link->round_since + ms_to_ns(set->connect_timeout_ms),
					 link->round_left);
	bool courier = link->courier != NULL;
	if (link->in_flight_count > 0)
		return TAILQ_FIRST(&link->in_flight)->since +
		       ms_to_ns(courier ? COURIER_REPLY_MS : set->reply_timeout_ms);
	return link->used_at + ms_to_ns(courier ? COURIER_IDLE_MS : set->idle_timeout_ms);
}

/* Only ever moves the timer forward in time to an earlier moment: a due timer looks again, so the
 * hot path rarely touches it. */
void
link_arm(struct link *link)
{
	uint64_t at = deadline(link);

	if (!uring_timer_armed(&link->timer) || link->timer.at > at)
		uring_timer_set(link_worker(link)->ring, &link->timer, at);
}

static void
on_due(struct uring_timer *timer)
{
	struct link *link = uring_container_of(timer, struct link, timer);

	if (link->state == LINK_CLOSING)
		return;
	if (link->tls != NULL && link_tls_on_due(link))
		return;
	if (worker_now(link_worker(link)) < deadline(link)) {
		link_arm(link);
		return;
	}
	if (link->state == LINK_CONNECTING)
		link_close(link, LINK_REASON_CONNECT_TIMEOUT, "connect timed out");
	else if (link->state == LINK_HANDSHAKE)
		link_close(link, LINK_REASON_HANDSHAKE_TIMEOUT, "handshake timed out");
	else if (link->in_flight_count > 0)
		link_close(link, LINK_REASON_REPLY_TIMEOUT, "no reply in time");
	else
		link_dismiss(link, LINK_REASON_IDLE);
}

void
link_on_settings(struct link *link)
{
	if (link->state == LINK_CLOSING)
		return;
	link_update_room(link);
	link_arm(link);
}

/* --- closing ---------------------------------------------------------------------------------- */

void
link_finish(struct link *link)
{
	struct host *host = link->host;

	if (link->connect.in_flight || link->recv.in_flight || link->writable.in_flight ||
	    link->send.op.in_flight)
		return;
	uring_close(host->worker->ring, link->fd);
	TAILQ_REMOVE(&host->others, link, entry);
	host->links_count--;
	stats_uncount(&host->stats->links);
	tls_session_free(link->tls);
	link->tls = NULL;
	buffer_release(&link->in, &host->worker->memory);
	buffer_release(&link->out, &host->worker->memory);
	idea_key_wipe(&link->key);
	slab_put(&host->worker->links, link);
}

static void
cancel(struct link *link, struct uring_op *op)
{
	if (op->in_flight)
		uring_cancel(link_worker(link)->ring, op);
}

/* The request as its client sent it, rebuilt from the bytes that never left. */
static bool
recover_body(struct link *link, struct request *request)
{
	struct memory *memory = link_memory(link);
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
	       request->out_start >= link_touched(link)) {
		/* An abandoned one has nobody left to serve. */
		if (request->reply != NULL && !recover_body(link, request)) {
			buffer_release(&request->body, link_memory(link));
			return;
		}
		TAILQ_REMOVE(&link->in_flight, request, entry);
		link->in_flight_count--;
		request->link = NULL;
		if (request->reply == NULL) {
			request->state = REQUEST_IDLE;
			host_end(link->host, request, REQUEST_LINK_LOST);
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
		host_end(link->host, request, result);
	}
}

/* Of the requests that were in flight. */
static enum request_result
result_of(enum link_reason reason)
{
	switch (reason) {
	case LINK_REASON_REPLY_TIMEOUT:
		return REQUEST_REPLY_TIMEOUT;
	case LINK_REASON_IDLE:
	case LINK_REASON_DRAINED:
	case LINK_REASON_RETIRED:
	case LINK_REASON_STOPPED:
		return REQUEST_STOPPED;
	case LINK_REASON_KILLED:
	case LINK_REASON_PEER_CLOSED:
	case LINK_REASON_RESET:
	case LINK_REASON_CONNECT_FAILED:
	case LINK_REASON_CONNECT_TIMEOUT:
	case LINK_REASON_HANDSHAKE_FAILED:
	case LINK_REASON_HANDSHAKE_TIMEOUT:
	case LINK_REASON_DISORDER:
	case LINK_REASON_TOO_LONG:
	case LINK_REASON_NO_MEMORY:
	case LINK_REASON_TLS_UNTRUSTED:
	case LINK_REASON_TLS_WRONG_NAME:
	case LINK_REASON_TLS_EXPIRED:
	case LINK_REASON_TLS_REFUSED:
	case LINK_REASON_TLS_PROTOCOL:
	case LINK_REASON_TLS_CLOSED_EARLY:
	case LINK_REASON_TLS_HANDSHAKE_CLOSED:
	case LINK_REASON_TLS_HANDSHAKE_RESET:
	case LINK_REASON_COUNT:
		break;
	}
	return REQUEST_LINK_LOST;
}

/* However the peer spoils a handshake, it is that which failed. */
static enum link_reason
told_apart(const struct link *link, enum link_reason reason)
{
	bool peers = reason == LINK_REASON_PEER_CLOSED || reason == LINK_REASON_RESET ||
		     reason == LINK_REASON_TOO_LONG || reason == LINK_REASON_DISORDER;

	if (reason == LINK_REASON_RESET && link_tls_is_beginning(link))
		return LINK_REASON_TLS_HANDSHAKE_RESET;
	return link->state == LINK_HANDSHAKE && peers ? LINK_REASON_HANDSHAKE_FAILED : reason;
}

static void
end_link(struct link *link, enum link_end end, enum link_reason reason, const char *why)
{
	struct host *host = link->host;
	struct worker *worker = host->worker;

	assert(link->state != LINK_CLOSING);
	stats_count(&host->stats->closes[reason]);
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
	lose_in_flight(link, result_of(reason));
	if (link->tls != NULL)
		link_tls_say_goodbye(link);
	union resolve_address address = link->address;
	link_finish(link);
	if (courier != NULL)
		courier_on_link_closed(courier, end);
	else
		host_on_link_closed(host, end, &address, why);
}

void
link_close(struct link *link, enum link_reason reason, const char *why)
{
	uint64_t age = worker_now(link_worker(link)) - link->ready_at;
	const struct request *first = TAILQ_FIRST(&link->in_flight);
	/* Lost with a request on it: what a client asked for must not cost the other clients a
	 * pause. */
	bool carried = first != NULL && first->out_start < link_touched(link);
	enum link_reason told = told_apart(link, reason);
	char whole[LINK_WHY_SIZE];

	if (told == LINK_REASON_TLS_HANDSHAKE_RESET) {
		snprintf(whole, sizeof whole, "tls: handshake_reset: %s", why);
		why = whole;
	}
	bool worked =
	    link->ready_at != 0 && (carried || link->answered > 0 || age >= ms_to_ns(LINK_GOOD_MS));

	enum link_end failed = link->ready_at == 0 ? LINK_END_UNREADY : LINK_END_FAILED;
	end_link(link, worked ? LINK_END_WORKED : failed, told, why);
}

void
link_dismiss(struct link *link, enum link_reason reason)
{
	bool asleep = reason == LINK_REASON_IDLE || reason == LINK_REASON_DRAINED;

	end_link(link, asleep ? LINK_END_IDLE : LINK_END_UNWANTED, reason,
		 link_reason_text(reason));
}

void
link_retire(struct link *link)
{
	assert(usable(link->state));
	if (link->in_flight_count == 0)
		link_dismiss(link, link_retired(link));
	else
		link_set_state(link, LINK_RETIRING);
}

/* --- handshake -------------------------------------------------------------------------------- */

static bool
say(struct link *link, const struct wire_out *out)
{
	if (out->overflow || out->len == 0)
		return !out->overflow;
	buffer_grow(&link->out, out->len);
	link_mark_dirty(link);
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
	histogram_add(&host->stats->handshake, link->ready_at - link->opened_at);
	link_set_state(link, LINK_READY);
	uring_timer_clear(host->worker->ring, &link->timer);
	link_arm(link);
	if (link->courier != NULL)
		courier_on_link_ready(link->courier);
	else
		host_on_link_ready(host, &link->address);
}

void
link_on_handshake_line(struct link *link, struct wire_span line)
{
	struct wire_span build_key = { 0 };
	uint8_t *room = buffer_room(&link->out, link_memory(link), LOND_OUT_MAX);

	if (room == NULL) {
		link_close(link, LINK_REASON_NO_MEMORY, "no memory");
		return;
	}
	struct wire_out out = wire_out(room, LOND_OUT_MAX);
	enum wire_status status = lond_on_line(&link->lond, line, &out, &build_key);
	if (status != WIRE_OK || !say(link, &out)) {
		char why[64];
		snprintf(why, sizeof why, "handshake: %s", wire_status_text(status));
		link_close(link, LINK_REASON_HANDSHAKE_FAILED, why);
		return;
	}
	if (buffer_len(&link->out) == 0)
		buffer_release(&link->out, link_memory(link));
	if (link->lond.state == LOND_READY)
		become_ready(link, build_key);
}

/* --- opening ---------------------------------------------------------------------------------- */

bool
link_greet(struct link *link)
{
	uint8_t *room = buffer_room(&link->out, link_memory(link), LOND_OUT_MAX);

	if (room == NULL)
		return false;
	struct wire_out out = wire_out(room, LOND_OUT_MAX);
	lond_start(&link->lond, false, &out);
	return say(link, &out);
}

static void
on_connected(struct uring_op *op, int res, const uint8_t *data)
{
	struct link *link = uring_container_of(op, struct link, connect);

	(void)data;
	if (link->state == LINK_CLOSING) {
		link_finish(link);
		return;
	}
	if (res < 0) {
		link_close(link, LINK_REASON_CONNECT_FAILED, strerror(-res));
		return;
	}
	link_set_state(link, LINK_HANDSHAKE);
	if (link->host->tls.required ? link_tls_begin(link) : link_greet(link))
		uring_recv(link_worker(link)->ring, &link->recv, link->fd);
	else
		link_close(link, LINK_REASON_NO_MEMORY, "no memory");
}

struct link *
link_open(struct host *host, struct courier *courier, struct host_round *round)
{
	const union resolve_address *address = host_round_address(host, round);
	struct worker *worker = host->worker;
	int fd = -EADDRNOTAVAIL; /* as long as its name is not resolved */

	if (host->tls.required && host->tls.context == NULL)
		fd = -ENOKEY;
	else if (address != NULL)
		fd = uring_tcp_socket(worker->ring, address->any.sa_family);
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
	link->number = ++worker->last_number;
	link->opened_at = worker_now(worker);
	link->connect.done = on_connected;
	link->recv.done = link_on_recv;
	link->writable.done = link_on_writable;
	link->send.op.done = link_on_sent;
	link->timer.due = on_due;
	TAILQ_INIT(&link->in_flight);
	link->state = LINK_CONNECTING;
	TAILQ_INSERT_HEAD(&host->others, link, entry);
	host->links_count++;
	count(link, LINK_CONNECTING, true);
	stats_count(&host->stats->connects);
	stats_count(&host->stats->links);
	link->address = *address;
	link->round_left = host_round_begin(host, round);
	link->round_since = round->since;
	uring_connect(worker->ring, &link->connect, fd, &link->address.any,
		      resolve_length(&link->address));
	link_arm(link);
	return link;
}
