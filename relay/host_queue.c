/*
 * host_queue.c - the requests of a host that wait for a link: one queue, oldest first.  A client
 * has at most one request at a time, so it is a round robin between clients.
 *
 * Every request comes and ends here, also those that need not wait: so they are counted once.
 */
#include "relay/host_internal.h"

#include "relay/link.h"
#include "relay/stats.h"

#include <assert.h>

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

uint64_t
host_patience(const struct host *host, const struct request *request)
{
	uint64_t at = request->since + ms_to_ns(host->settings.queue_timeout_ms);

	/* From the first address that failed on: that there are others makes nobody wait longer. */
	if (host->down_since != 0) {
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

void
host_expire_queue(struct host *host)
{
	uint64_t now = worker_now(host->worker);
	struct request *request;

	while ((request = TAILQ_FIRST(&host->queue)) != NULL && host_patience(host, request) <= now)
		end_queued(host, request,
			   host->down_since != 0 ? REQUEST_HOST_DOWN : REQUEST_QUEUE_TIMEOUT);
}

/* false = there is no room. */
static bool
append(struct host *host, struct request *request, struct wire_span line, struct buffer *whole)
{
	struct memory *memory = &host->worker->memory;

	if (host->queue_count >= host->settings.queue_max ||
	    host->queue_bytes + line.len > host->settings.queue_bytes_max)
		return false;
	if (whole != NULL)
		buffer_take(&request->body, whole, memory);
	else if (!buffer_append(&request->body, memory, line.data, line.len))
		return false;
	request->since = worker_now(host->worker);
	TAILQ_INSERT_TAIL(&host->queue, request, entry);
	queue_added(host, request);
	return true;
}

static bool
enqueue(struct host *host, struct request *request, struct wire_span line, struct buffer *whole)
{
	if (host_overloaded(host) || !append(host, request, line, whole))
		return false;
	host_go_on(host);
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
host_submit(struct host *host, struct request *request, struct wire_span line, struct buffer *whole,
	    enum request_result *why)
{
	struct link *link = TAILQ_FIRST(&host->ready);

	assert(request->state == REQUEST_IDLE);
	stats_count(&host->stats->requests);
	bool at_once = host->queue_count == 0 && link != NULL && host->hold == HOST_HOLD_NONE;
	if (at_once ? link_take(link, request, line, whole) : enqueue(host, request, line, whole)) {
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
	if (!append(host, request, line, NULL)) {
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

bool
host_overloaded(struct host *host)
{
	const struct worker *worker = host->worker;
	const struct request *oldest = TAILQ_FIRST(&host->queue);
	bool can_be = worker->busy_ns != 0 && oldest != NULL && host->state == HOST_UP &&
		      host->hold == HOST_HOLD_NONE;

	host->overloaded = can_be && worker_now(worker) - oldest->since >
					 (host->overloaded ? worker->clear_ns : worker->busy_ns);
	return host->overloaded;
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
		if (link_take(link, request, line, &request->body)) {
			buffer_release(&request->body, &host->worker->memory);
			continue;
		}
		buffer_release(&request->body, &host->worker->memory);
		request->state = REQUEST_IDLE;
		host_end(host, request, REQUEST_OVERLOAD);
	}
	if (host->overloaded)
		(void)host_overloaded(host); /* perhaps no more, also if nobody asks meanwhile */
}
