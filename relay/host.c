/*
 * host.c - queue, pool and listener of one host.  Decides when links are opened and what waits; the
 * bytes are the business of client.c and link.c.
 *
 * Requests wait in one queue, oldest first.  A client has at most one request at a time, so the
 * queue is a round robin between clients.
 */
#include "relay/host.h"

#include "relay/client.h"
#include "relay/courier.h"
#include "relay/host_internal.h"
#include "relay/link.h"
#include "relay/log.h"
#include "relay/stats.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void want_links(struct host *host);
static void arm(struct host *host);

const char *
host_state_text(enum host_state state)
{
	switch (state) {
#define X(name, text) \
	case name:    \
		return text;
		HOST_STATES(X)
#undef X
	}
	return "unknown";
}

/* --- states ----------------------------------------------------------------------------------- */

void
host_set_state(struct host *host, enum host_state next, const char *why)
{
	if (host->state == next)
		return;
	/* Quiet between connecting and asleep: nothing a person would act on. */
	if (next == HOST_UP)
		log_info(host->id, "%s online", host->id);
	else if (next == HOST_DOWN)
		log_warning(host->id, "%s down: %s", host->id, why);
	bool was_reachable = host_reachable(host);
	host->state = next;
	/* The index of one that leaves may be another's by now.  That the first attempt failed is
	 * news too. */
	if ((was_reachable != host_reachable(host) || next == HOST_DOWN) && !host->leaving)
		worker_tell_state(host->worker, host->index, host_reachable(host), host->hold);
	if (next == HOST_DOWN)
		host->down_since = worker_now(host->worker);
}

/* --- accepting -------------------------------------------------------------------------------- */

static void
on_accepted(struct uring_op *op, int res, const uint8_t *data)
{
	struct host_accept *accept = uring_container_of(op, struct host_accept, op);
	struct host *host = accept->host;

	(void)data;
	if (res >= 0 && !host->leaving) {
		client_accept(host, res);
	} else if (res >= 0) {
		uring_close(host->worker->ring, res);
	} else if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS) {
		/* The client stays in the listen queue until there is room again. */
		worker_pause_accepting(host->worker);
	}
	host_arm_accepts(host);
}

void
host_arm_accepts(struct host *host)
{
	struct worker *worker = host->worker;
	uint32_t max = host->settings.clients_max;

	if (host->leaving || host->clients_count >= max)
		return;
	if (!worker_accepting(worker)) {
		worker_pause_accepting(worker);
		return;
	}
	uint32_t armed = 0;
	for (int i = 0; i < HOST_ACCEPTS_MAX; i++)
		armed += host->accepts[i].op.in_flight;
	for (int i = 0; i < HOST_ACCEPTS_MAX && armed < max - host->clients_count; i++) {
		if (host->accepts[i].op.in_flight)
			continue;
		uring_accept(worker->ring, &host->accepts[i].op, host->listener);
		armed++;
	}
}

void
host_on_client_closed(struct host *host)
{
	host_arm_accepts(host);
}

/* --- queue ------------------------------------------------------------------------------------ */

static void
count_queue(struct host *host, uint64_t requests, uint64_t bytes)
{
	const struct request *oldest = TAILQ_FIRST(&host->queue);

	histogram_bump(&host->stats->queue_length, requests);
	histogram_bump(&host->stats->queue_bytes, bytes);
	if (oldest != NULL)
		stats_set(&host->stats->queue_since, oldest->since);
}

static void
queue_remove(struct host *host, struct request *request)
{
	size_t len = buffer_len(&request->body);

	TAILQ_REMOVE(&host->queue, request, entry);
	host->queue_count--;
	host->queue_bytes -= len;
	count_queue(host, (uint64_t)-1, -(uint64_t)len);
}

static void
queue_added(struct host *host, struct request *request)
{
	size_t len = buffer_len(&request->body);

	request->state = REQUEST_QUEUED;
	host->queue_count++;
	host->queue_bytes += len;
	count_queue(host, 1, len);
}

/* When a queued request has waited long enough. */
static uint64_t
patience(const struct host *host, const struct request *request)
{
	uint64_t at = request->since + ms_to_ns(host->settings.queue_timeout_ms);

	if (host->state == HOST_DOWN) {
		uint64_t from =
		    request->since > host->down_since ? request->since : host->down_since;
		uint64_t grace = from + ms_to_ns(host->settings.down_grace_ms);
		if (grace < at)
			at = grace;
	}
	return at;
}

void
host_count_refused(struct host *host, enum request_result result)
{
	stats_count(&host->stats->requests);
	stats_count(&host->stats->results[result]);
}

/* Apart, and the last that is done, so that those that did not wait pay nothing for it. */
static __attribute__((noinline)) void
end_answered_late(struct host *host, struct request *request)
{
	stats_answered_late(host->stats, request->since - request->asked,
			    worker_now(host->worker) - request->since);
	request->done(request, REQUEST_ANSWERED);
}

void
host_end(struct host *host, struct request *request, enum request_result result)
{
	if (request->asked != 0) {
		if (result != REQUEST_ANSWERED) {
			stats_count(&host->stats->results[result]);
		} else if (request->since != request->asked) {
			end_answered_late(host, request);
			return;
		} else {
			stats_answered(host->stats, worker_now(host->worker) - request->since);
		}
	}
	request->done(request, result);
}

static void
end_queued(struct host *host, struct request *request, enum request_result result)
{
	queue_remove(host, request);
	buffer_release(&request->body, &host->worker->memory);
	request->state = REQUEST_IDLE;
	host_end(host, request, result);
}

static void
expire_queue(struct host *host)
{
	uint64_t now = worker_now(host->worker);
	struct request *request;

	while ((request = TAILQ_FIRST(&host->queue)) != NULL && patience(host, request) <= now)
		end_queued(host, request,
			   host->state == HOST_DOWN ? REQUEST_HOST_DOWN : REQUEST_QUEUE_TIMEOUT);
}

/* false = there is no room. */
static bool
append(struct host *host, struct request *request, struct wire_span line)
{
	if (host->queue_count >= host->settings.queue_max ||
	    host->queue_bytes + line.len > host->settings.queue_bytes_max ||
	    !buffer_append(&request->body, &host->worker->memory, line.data, line.len))
		return false;
	request->since = worker_now(host->worker);
	TAILQ_INSERT_TAIL(&host->queue, request, entry);
	queue_added(host, request);
	return true;
}

static bool
enqueue(struct host *host, struct request *request, struct wire_span line)
{
	if (!append(host, request, line))
		return false;
	want_links(host);
	arm(host);
	return true;
}

void
host_answer_queue(struct host *host, enum request_result result)
{
	struct request *request;

	while ((request = TAILQ_FIRST(&host->queue)) != NULL)
		end_queued(host, request, result);
}

enum host_answer
host_submit(struct host *host, struct request *request, struct wire_span line,
	    enum request_result *why)
{
	struct link *link = TAILQ_FIRST(&host->ready);

	assert(request->state == REQUEST_IDLE);
	stats_count(&host->stats->requests);
	bool at_once = host->queue_count == 0 && link != NULL && host->hold == HOST_HOLD_NONE;
	if (at_once ? link_take(link, request, line) : enqueue(host, request, line)) {
		request->asked = request->since;
		return HOST_TAKEN;
	}
	*why = REQUEST_OVERLOAD;
	stats_count(&host->stats->results[REQUEST_OVERLOAD]);
	return HOST_REFUSED;
}

enum host_answer
host_wait(struct host *host, struct request *request, struct wire_span line,
	  enum request_result *why)
{
	stats_count(&host->stats->requests);
	request->asked = worker_now(host->worker);
	if (!append(host, request, line)) {
		*why = REQUEST_OVERLOAD;
		stats_count(&host->stats->results[REQUEST_OVERLOAD]);
		return HOST_REFUSED;
	}
	host_pump(host); /* first: with a link that has room no other one is wanted */
	host_go_on(host);
	return HOST_TAKEN;
}

void
host_withdraw(struct host *host, struct request *request)
{
	assert(request->state == REQUEST_QUEUED);
	queue_remove(host, request);
	buffer_release(&request->body, &host->worker->memory);
	request->state = REQUEST_IDLE;
	if (request->asked != 0)
		stats_count(&host->stats->results[REQUEST_CLIENT_GONE]);
}

void
host_requeue(struct host *host, struct request *request)
{
	const struct request *next = TAILQ_FIRST(&host->queue);

	/* Only the head's time is looked at: it may not be later than that of those behind. */
	if (next != NULL && next->since < request->since)
		request->since = next->since;
	TAILQ_INSERT_HEAD(&host->queue, request, entry);
	queue_added(host, request);
	stats_count(&host->worker->stats->moved);
}

void
host_pump(struct host *host)
{
	struct link *link;

	while (host->queue_count > 0 && host->hold == HOST_HOLD_NONE &&
	       (link = TAILQ_FIRST(&host->ready)) != NULL) {
		struct request *request = TAILQ_FIRST(&host->queue);
		struct wire_span line =
		    wire_span(buffer_at(&request->body), buffer_len(&request->body));
		queue_remove(host, request);
		if (link_take(link, request, line)) {
			buffer_release(&request->body, &host->worker->memory);
			continue;
		}
		buffer_release(&request->body, &host->worker->memory);
		request->state = REQUEST_IDLE;
		host_end(host, request, REQUEST_OVERLOAD);
	}
}

/* --- pool ------------------------------------------------------------------------------------- */

/* 50 ms doubling to 30 s, of which a random half is taken off so that many relays do not knock at
 * once. */
static uint64_t
backoff(struct host *host)
{
	uint64_t ms = RECONNECT_MIN_MS;

	for (uint32_t i = 1; i < host->failures && ms < RECONNECT_MAX_MS; i++)
		ms *= 2;
	if (ms > RECONNECT_MAX_MS)
		ms = RECONNECT_MAX_MS;
	uint64_t ns = ms_to_ns(ms);
	return ns / 2 + worker_random(host->worker, ns / 2);
}

/* How many links should be opening now. */
static uint32_t
links_wanted(const struct host *host)
{
	bool waiting = host->queue_count > 0 && host->hold == HOST_HOLD_NONE;

	if (host->hold == HOST_HOLD_DRAINING || (host->leaving && !waiting))
		return 0;
	if (host->current == 0)
		return waiting || host->state != HOST_ASLEEP ? 1 : 0;
	if (host->state != HOST_UP)
		return host->opening; /* one attempt at a time until the peer has answered one */
	return waiting ? host->queue_count : 0;
}

static bool
wants_another(const struct host *host)
{
	return host->opening < links_wanted(host) && host->current < host->settings.links_max;
}

static void
link_failed(struct host *host, const char *why)
{
	if (host->failures < 32)
		host->failures++;
	host->next_connect = worker_now(host->worker) + backoff(host);
	if (host->usable > 0)
		return;
	host_set_state(host, HOST_DOWN, why);
	/* Its name may mean another address by now; the answer, if it changed, comes as
	 * host_change. */
	if (!host->leaving)
		worker_ask_address(host->worker, host->index);
}

static void
want_links(struct host *host)
{
	while (wants_another(host) && worker_now(host->worker) >= host->next_connect) {
		if (link_open(host, NULL) == NULL)
			link_failed(host, strerror(errno));
		else if (host->state == HOST_ASLEEP)
			host_set_state(host, HOST_CONNECTING, NULL);
	}
}

void
host_on_link_ready(struct host *host)
{
	struct link *link;
	struct link *next;

	host_set_state(host, HOST_UP, NULL);
	/* The first link of a new generation relieves the old ones. */
	for (int i = 0; i < 2; i++) {
		struct link_list *list = i == 0 ? &host->ready : &host->others;
		for (link = TAILQ_FIRST(list); link != NULL; link = next) {
			next = TAILQ_NEXT(link, entry);
			if (link->generation != host->generation &&
			    (link->state == LINK_READY || link->state == LINK_FULL))
				link_retire(link);
		}
	}
	host_pump(host);
	want_links(host);
	arm(host);
}

void
host_on_link_closed(struct host *host, enum link_end end, const char *why)
{
	if (host->hold == HOST_HOLD_DRAINING) {
		host_go_on(host); /* it was to end; what came back waits with the others */
		return;
	}
	switch (end) {
	case LINK_END_WORKED:
		host->failures = 0;
		if (host->usable == 0) {
			/* It was good until now: no backoff of another link's failure holds up the
			 * next. */
			host->next_connect = 0;
			host_set_state(host, HOST_CONNECTING, why);
		}
		host_pump(host); /* what came back may go on another link */
		break;
	case LINK_END_FAILED:
		link_failed(host, why);
		host_pump(host);
		break;
	case LINK_END_IDLE:
		if (host->usable == 0 && host->opening == 0)
			host_set_state(host, HOST_ASLEEP, why);
		break;
	case LINK_END_UNWANTED:
		break;
	}
	want_links(host);
	arm(host);
}

/* --- clock ------------------------------------------------------------------------------------ */

static void
arm(struct host *host)
{
	uint64_t at = UINT64_MAX;

	if (host->queue_count > 0)
		at = patience(host, TAILQ_FIRST(&host->queue));
	if (wants_another(host) && host->next_connect < at)
		at = host->next_connect;
	/* Never moved to later: a due timer looks again, and a busy queue costs nothing here. */
	if (at != UINT64_MAX && (!uring_timer_armed(&host->timer) || host->timer.at > at))
		uring_timer_set(host->worker->ring, &host->timer, at);
}

void
host_go_on(struct host *host)
{
	want_links(host);
	arm(host);
}

static void
on_due(struct uring_timer *timer)
{
	struct host *host = uring_container_of(timer, struct host, timer);

	expire_queue(host);
	host_go_on(host);
}

/* --- life ------------------------------------------------------------------------------------- */

struct host *
host_new(struct worker *worker, const struct channel_host *message, int listener)
{
	struct host *host = calloc(1, sizeof *host);

	if (host == NULL)
		return NULL;
	host->worker = worker;
	host->index = message->index;
	host->stats = worker_host_stats(worker, message->index, message->id);
	host->state = HOST_CONNECTING;
	memcpy(host->id, message->id, sizeof host->id);
	memcpy(host->local_id, message->local_id, sizeof host->local_id);
	host->settings = message->settings;
	host->address = message->address;
	host->address_len = message->address_len;
	host->hold = HOST_HOLD_NONE;
	host->listener = listener;
	for (int i = 0; i < HOST_ACCEPTS_MAX; i++) {
		host->accepts[i].host = host;
		host->accepts[i].op.done = on_accepted;
	}
	LIST_INIT(&host->clients);
	TAILQ_INIT(&host->ready);
	TAILQ_INIT(&host->others);
	TAILQ_INIT(&host->queue);
	host->timer.due = on_due;
	host_set_hold(host, (enum host_hold)message->hold);
	host_arm_accepts(host);
	host_go_on(host);
	return host;
}

/* Ends links that have not become usable; they were on their way to the old address. */
static void
close_opening(struct host *host)
{
	struct link *link;
	struct link *next;

	for (link = TAILQ_FIRST(&host->others); link != NULL; link = next) {
		next = TAILQ_NEXT(link, entry);
		if (link->generation != host->generation &&
		    (link->state == LINK_CONNECTING || link->state == LINK_HANDSHAKE))
			link_dismiss(link, LINK_REASON_RETIRED);
	}
}

/* Links that have more or less room now, or less time. */
static void
update_links(struct host *host)
{
	struct link *link;
	struct link *next;

	for (int i = 0; i < 2; i++) {
		for (link = TAILQ_FIRST(i == 0 ? &host->ready : &host->others); link != NULL;
		     link = next) {
			next = TAILQ_NEXT(link, entry);
			link_on_settings(link);
		}
	}
	host_pump(host);
}

/* Old links serve on until one of the new generation is ready. */
static void
next_generation(struct host *host)
{
	host->generation++;
	host->current = 0;
	host->failures = 0;
	host->next_connect = 0;
	if (host->state == HOST_ASLEEP && host->hold != HOST_HOLD_DRAINING)
		host_set_state(host, HOST_CONNECTING, NULL);
	/* Last: each one that ends may open another, to where the host is now. */
	close_opening(host);
}

void
host_change(struct host *host, const struct channel_host *message)
{
	bool moved = host->address_len != message->address_len ||
		     memcmp(&host->address, &message->address, message->address_len) != 0;

	host->settings = message->settings;
	memcpy(host->local_id, message->local_id, sizeof host->local_id);
	update_links(host);
	if (moved) {
		host->address = message->address;
		host->address_len = message->address_len;
		next_generation(host);
	}
	host_set_hold(host, (enum host_hold)message->hold);
	host_arm_accepts(host);
	host_go_on(host);
}

void
host_renew(struct host *host)
{
	if (host->state == HOST_ASLEEP)
		return; /* the next link is a new one anyway */
	next_generation(host);
	want_links(host);
	arm(host);
}

void
host_retry(struct host *host)
{
	host->failures = 0;
	host->next_connect = 0;
	want_links(host);
	arm(host);
}

void
host_reconnect(struct host *host)
{
	host_renew(host);
	host_retry(host);
}

void
host_leave(struct host *host, bool farewell)
{
	struct client *client;
	struct client *next;

	if (host->leaving)
		return;
	host->leaving = true;
	host->farewell.state = farewell ? FAREWELL_WANTED : FAREWELL_NONE;
	for (int i = 0; i < HOST_ACCEPTS_MAX; i++) {
		if (host->accepts[i].op.in_flight)
			uring_cancel(host->worker->ring, &host->accepts[i].op);
	}
	for (client = LIST_FIRST(&host->clients); client != NULL; client = next) {
		next = LIST_NEXT(client, entry);
		client_finish(client);
	}
	host_end_hold(host);
	arm(host);
}

static void
dismiss_links(struct host *host)
{
	struct link *link;
	struct link *next;

	while ((link = TAILQ_FIRST(&host->ready)) != NULL)
		link_dismiss(link, LINK_REASON_STOPPED);
	for (link = TAILQ_FIRST(&host->others); link != NULL; link = next) {
		next = TAILQ_NEXT(link, entry);
		if (link->state != LINK_CLOSING)
			link_dismiss(link, LINK_REASON_STOPPED);
	}
}

bool
host_reap(struct host *host)
{
	if (!host->leaving || host->clients_count > 0 || host->queue_count > 0)
		return false;
	/* Nobody waits any more: after the farewell links have no purpose. */
	if (!farewell_say(host))
		return false;
	dismiss_links(host);
	for (int i = 0; i < HOST_ACCEPTS_MAX; i++) {
		if (host->accepts[i].op.in_flight)
			return false;
	}
	return host->links_count == 0;
}

void
host_free(struct host *host)
{
	assert(host->links_count == 0 && host->opening == 0 && host->usable == 0);
	assert(host->courier == NULL);
	uring_timer_clear(host->worker->ring, &host->timer);
	uring_close(host->worker->ring, host->listener);
	free(host);
}
