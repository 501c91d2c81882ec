/*
 * datagram_request.c - requests of clients: each number once, into the queue of its host, one of a
 * client at a time for each host, as a stream client's; the reply goes into the outbox.
 *
 * What cannot be taken now costs one datagram (busy) and nothing else.  Owns the inquiries.
 */
#include "relay/datagrams.h"

#include "relay/stats.h"

static void on_done(struct request *request, enum request_result result);

/* --- hosts by name ---------------------------------------------------------------------------- */

static bool
is_named(const struct host *host, struct wire_span name)
{
	return host != NULL && wire_span_equal(wire_span_str(host->id), name);
}

/* The index is remembered by a hash of the name, and believed only if the name is right. */
static struct host *
find_host(struct datagrams *plane, struct wire_span name)
{
	const struct worker *worker = plane->worker;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ name.data[i]) * 16777619u;
	uint32_t *known = &plane->names[(hash ^ hash >> 16) % DATAGRAM_NAMES];
	if (*known < worker->hosts_cap && is_named(worker->hosts[*known], name))
		return worker->hosts[*known];
	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		if (is_named(worker->hosts[i], name)) {
			*known = i;
			return worker->hosts[i];
		}
	}
	return NULL;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Without memory for the answer its number is forgotten: asked again, it is not run again. */
static void
answer(struct session *session, unsigned slot, uint64_t number, enum datagram_code code,
       struct buffer *bytes, bool durable)
{
	const struct parcel what = {
		.kind = DATAGRAM_REPLY,
		.code = (uint8_t)code,
		.about = number,
		.slot = (int)slot,
		.durable = durable,
	};

	if (parcel_new(session, &what, bytes) != NULL) {
		datagrams_count(session->plane, DATAGRAM_COUNT_REPLIES);
		return;
	}
	datagrams_count(session->plane, DATAGRAM_COUNT_NO_ROOM);
	datagram_once_forget(&session->once, slot);
}

static enum datagram_code
code_of(enum request_result result)
{
	switch (result) {
	case REQUEST_ANSWERED:
		return DATAGRAM_FINE;
	case REQUEST_TOO_LONG:
		return DATAGRAM_TOO_LONG;
	case REQUEST_LINK_LOST:
	case REQUEST_REPLY_TIMEOUT:
	case REQUEST_QUEUE_TIMEOUT:
	case REQUEST_HOST_DOWN:
	case REQUEST_OVERLOAD:
	case REQUEST_STOPPED:
	case REQUEST_CLIENT_GONE:
	case REQUEST_RESULT_COUNT:
		break;
	}
	return DATAGRAM_CON_LOST;
}

static void
inquiry_free(struct inquiry *inquiry)
{
	struct datagrams *plane = inquiry->plane;
	struct memory *memory = &plane->worker->memory;

	if (inquiry->session != NULL)
		TAILQ_REMOVE(&inquiry->session->inquiries, inquiry, entry);
	if (inquiry->peer != NULL)
		peer_forget(inquiry);
	if (inquiry->host != NULL)
		inquiry->host->errands--;
	stats_set(&plane->worker->stats->datagrams_running, --plane->inquiries);
	buffer_release(&inquiry->line, memory);
	buffer_release(&inquiry->reply, memory);
	memory_put(memory, inquiry, inquiry->block);
}

/* Ends it; the reply, if there is one, is in inquiry->reply. */
static void
conclude(struct inquiry *inquiry, enum datagram_code code)
{
	struct session *session = inquiry->session;
	struct memory *memory = &inquiry->plane->worker->memory;
	struct buffer reply = { 0 };
	unsigned slot = inquiry->slot;
	uint64_t number = inquiry->number;
	bool durable = inquiry->durable;

	if (code == DATAGRAM_FINE &&
	    buffer_len(&inquiry->reply) > inquiry->plane->settings.reply_max)
		code = DATAGRAM_TOO_LONG;
	if (code == DATAGRAM_FINE)
		buffer_take(&reply, &inquiry->reply, memory);
	if (session == NULL && durable && code == DATAGRAM_FINE)
		store_reply(inquiry->plane, inquiry->client, inquiry->session_id, number, &reply);
	inquiry_free(inquiry);
	if (session != NULL)
		answer(session, slot, number, code, &reply, durable);
	else
		buffer_release(&reply, memory);
}

/* --- taking turns ----------------------------------------------------------------------------- */

static void
start(struct inquiry *inquiry, struct wire_span line)
{
	const struct elsewhere *elsewhere = NULL;
	struct datagrams *plane = inquiry->plane;
	enum request_result why = REQUEST_STOPPED;

	inquiry->waits = false;
	if (inquiry->host == NULL) {
		if (inquiry->index < plane->elsewhere_cap)
			elsewhere = plane->elsewhere[inquiry->index];
		if (elsewhere == NULL || !peer_ask(inquiry, elsewhere, line))
			conclude(inquiry, DATAGRAM_CON_LOST);
		return;
	}
	if (inquiry->host->leaving ||
	    host_wait(inquiry->host, &inquiry->request, line, &why) == HOST_REFUSED)
		conclude(inquiry, code_of(why));
}

/* `host` is NULL for one elsewhere; then the index says which. */
static struct inquiry *
find_inquiry(const struct session *session, const struct host *host, uint32_t index, bool waits)
{
	struct inquiry *inquiry;

	TAILQ_FOREACH(inquiry, &session->inquiries, entry) {
		if (inquiry->host == host && inquiry->index == index && inquiry->waits == waits)
			return inquiry;
	}
	return NULL;
}

/*
 * The next one of the client for this host, and those behind it if it is over at once.  Who does
 * not confirm what it got already gets no more, else all of its replies might wait in the outbox.
 */
static void
start_next(struct session *session, const struct host *host, uint32_t index)
{
	struct memory *memory = &session->plane->worker->memory;
	struct inquiry *next;

	while (find_inquiry(session, host, index, false) == NULL &&
	       (next = find_inquiry(session, host, index, true)) != NULL) {
		struct buffer line = { 0 };
		if (session->outbox_bytes > DATAGRAM_OUTBOX_MAX) {
			session->held = true;
			return;
		}
		buffer_take(&line, &next->line, memory);
		start(next, wire_span(buffer_at(&line), buffer_len(&line)));
		buffer_release(&line, memory);
	}
}

/* The oldest one that waits although no other of its host runs. */
static const struct inquiry *
find_held(const struct session *session)
{
	const struct inquiry *inquiry;

	TAILQ_FOREACH(inquiry, &session->inquiries, entry) {
		if (inquiry->waits &&
		    find_inquiry(session, inquiry->host, inquiry->index, false) == NULL)
			return inquiry;
	}
	return NULL;
}

void
inquiry_resume(struct session *session)
{
	const struct inquiry *inquiry;

	if (!session->held || session->outbox_bytes > DATAGRAM_OUTBOX_MAX)
		return;
	session->held = false;
	while (!session->held && (inquiry = find_held(session)) != NULL)
		start_next(session, inquiry->host, inquiry->index);
}

void
inquiry_conclude(struct inquiry *inquiry, enum datagram_code code)
{
	struct session *session = inquiry->session;
	const struct host *host = inquiry->host;
	uint32_t index = inquiry->index;

	conclude(inquiry, code);
	if (session != NULL)
		start_next(session, host, index);
}

/* The number is taken out of the window again, if it is still there. */
void
session_refuse(struct session *session, uint64_t number, unsigned slot)
{
	struct datagram_once *once = &session->once;
	const struct datagram_header header = { .client = session->client,
						.session = session->id,
						.number = number };

	if (datagram_window_judge(&once->window, number) == DATAGRAM_SEEN)
		once->window.bits[number % DATAGRAM_WINDOW / 64] &= ~(UINT64_C(1) << number % 64);
	datagram_once_forget(once, slot);
	route_busy(&session->route, &header);
}

void
inquiry_refuse(struct inquiry *inquiry)
{
	struct session *session = inquiry->session;
	uint32_t index = inquiry->index;

	if (session != NULL)
		session_refuse(session, inquiry->number, inquiry->slot);
	inquiry_free(inquiry);
	if (session != NULL)
		start_next(session, NULL, index);
}

static void
on_done(struct request *request, enum request_result result)
{
	struct inquiry *inquiry = uring_container_of(request, struct inquiry, request);

	if (result == REQUEST_ANSWERED)
		inquiry->reply.tail--; /* LF */
	inquiry_conclude(inquiry, code_of(result));
}

void
inquiry_orphan_all(struct session *session)
{
	struct inquiry *inquiry;

	while ((inquiry = TAILQ_FIRST(&session->inquiries)) != NULL) {
		TAILQ_REMOVE(&session->inquiries, inquiry, entry);
		inquiry->session = NULL;
		if (inquiry->waits) {
			inquiry_free(inquiry);
		} else if (inquiry->host != NULL && inquiry->request.state == REQUEST_QUEUED) {
			host_withdraw(inquiry->host, &inquiry->request);
			inquiry_free(inquiry);
		} /* else in flight or elsewhere: it ends when its reply comes */
	}
}

/* --- asking ----------------------------------------------------------------------------------- */

/* Where a request goes: to a host here, or to the home of one elsewhere. */
struct target {
	struct host *host;
	const struct elsewhere *elsewhere;
	uint32_t index;
};

/* false = there is no such host. */
static bool
find_target(struct target *target, struct datagrams *plane, struct wire_span name)
{
	*target = (struct target){ .host = find_host(plane, name) };
	if (target->host != NULL)
		target->index = target->host->index;
	else
		target->elsewhere = elsewhere_find(plane, name, &target->index);
	return target->host != NULL || target->elsewhere != NULL;
}

/* false = no memory. */
static bool
run(struct session *session, const struct target *target, const struct datagram_request *wanted,
    const struct datagram *datagram)
{
	const struct datagram_header *header = &datagram->header;
	struct datagrams *plane = session->plane;
	struct memory *memory = &plane->worker->memory;
	bool waits = find_inquiry(session, target->host, target->index, false) != NULL;
	size_t block;
	struct inquiry *inquiry = memory_resize(memory, NULL, 0, 0, sizeof *inquiry, &block);

	if (inquiry == NULL)
		return false;
	*inquiry = (struct inquiry){
		.request = { .done = on_done, .reply = &inquiry->reply },
		.plane = plane,
		.session = session,
		.host = target->host,
		.index = target->index,
		.memfd = -1,
		.waits = waits,
		.since = worker_now(plane->worker),
		.number = header->number,
		.durable = (header->flags & DATAGRAM_DURABLE) != 0,
		.client = session->client,
		.session_id = session->id,
		.block = block,
	};
	if (waits && !buffer_append(&inquiry->line, memory, wanted->line.data, wanted->line.len)) {
		memory_put(memory, inquiry, block);
		return false;
	}
	/* Judged before: it is new, and there is one. */
	inquiry->slot = session_take_slot(session, datagram);
	if (target->host != NULL)
		target->host->errands++;
	stats_set(&plane->worker->stats->datagrams_running, ++plane->inquiries);
	TAILQ_INSERT_TAIL(&session->inquiries, inquiry, entry);
	datagrams_count(plane, DATAGRAM_COUNT_REQUESTS);
	if (!waits)
		start(inquiry, wanted->line);
	return true;
}

/*
 * Whether the client's own requests before this one wait for too long already: they have no place
 * in the host's queue, and would hide from it how far behind the host is.  By the lower bound,
 * because the last one will wait for longer than the first has.
 */
static bool
is_behind(const struct session *session, const struct target *target)
{
	const struct worker *worker = session->plane->worker;
	const struct inquiry *oldest = find_inquiry(session, target->host, target->index, true);

	return oldest != NULL && worker_now(worker) - oldest->since > worker->clear_ns;
}

/* With what runs: a client may ask many hosts at once. */
static bool
has_room(const struct session *session)
{
	uint64_t reply_max = session->plane->settings.reply_max;
	uint64_t share = reply_max < DATAGRAM_REPLY_SHARE ? reply_max : DATAGRAM_REPLY_SHARE;
	uint64_t bytes = session->outbox_bytes;
	const struct inquiry *inquiry;

	TAILQ_FOREACH(inquiry, &session->inquiries, entry)
		bytes += inquiry->waits ? 0 : share;
	return bytes <= DATAGRAM_OUTBOX_MAX;
}

static bool
is_busy(const struct session *session, const struct target *target, size_t len)
{
	struct host *host = target->host;

	if (is_behind(session, target))
		return true;
	if (host == NULL)
		return target->elsewhere != NULL &&
		       !peer_has_room(session->plane, target->elsewhere->worker);
	return host->queue_count >= host->settings.queue_max ||
	       host->queue_bytes + len > host->settings.queue_bytes_max || host_overloaded(host);
}

static void
on_new(struct session *session, const struct datagram *datagram)
{
	const struct datagram_header *header = &datagram->header;
	struct datagram_request wanted;
	struct target target;
	struct buffer none = { 0 };

	if (datagram_request_get(&wanted, datagram) != DATAGRAM_OK) {
		datagrams_count(session->plane, DATAGRAM_COUNT_MALFORMED);
		route_error(&session->route, header, DATAGRAM_MALFORMED);
		return;
	}
	/* First: a name that is not known is looked for among all hosts. */
	if (!session_has_slot(session) || !session_may_ask(session) || !has_room(session)) {
		route_busy(&session->route, header);
		return;
	}
	bool known = find_target(&target, session->plane, wanted.host);
	bool fits = target.host == NULL || wanted.line.len <= target.host->settings.line_max;
	/* A worker that begins has not heard of all hosts yet. */
	bool later = !known && !session->plane->worker->hosts_known;
	if (later || (known && is_busy(session, &target, wanted.line.len))) {
		route_busy(&session->route, header);
		return;
	}
	if (known && fits) {
		if (!run(session, &target, &wanted, datagram))
			route_busy(&session->route, header);
		return;
	}
	answer(session, session_take_slot(session, datagram), header->number,
	       known ? DATAGRAM_TOO_LONG : DATAGRAM_UNKNOWN_HOST, &none, false);
}

void
session_on_request(struct session *session, const struct datagram *datagram)
{
	if (session_is_new(session, datagram->header.number))
		on_new(session, datagram);
	else
		session_on_repeat(session, datagram);
}
