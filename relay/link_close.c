/*
 * link_close.c - a link's end: why it ended, what becomes of the requests in flight, and its memory
 * once the last operation is over.
 */
#include "relay/courier.h"
#include "relay/host.h"
#include "relay/link.h"
#include "relay/link_internal.h"
#include "relay/stats.h"
#include "wire/enc.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

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
	assert(link_usable(link->state));
	if (link->in_flight_count == 0)
		link_dismiss(link, link_retired(link));
	else
		link_set_state(link, LINK_RETIRING);
}
