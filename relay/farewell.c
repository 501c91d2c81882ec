/*
 * farewell.c - see farewell.h.  Uses a link with room; without one there is nobody to say it to.
 */
#include "relay/farewell.h"

#include "relay/host.h"
#include "relay/link.h"
#include "relay/log.h"

#include <string.h>

static void
over(struct farewell *farewell, const char *reply, size_t len)
{
	struct host *host = farewell->host;

	farewell->state = FAREWELL_OVER;
	uring_timer_clear(host->worker->ring, &farewell->timer);
	log_info(host->id, "Closing %s: %.*s", host->id, (int)(len > 128 ? 128 : len), reply);
	buffer_release(&farewell->reply, &host->worker->memory);
}

static void
on_done(struct request *request, enum request_result result)
{
	struct farewell *farewell = uring_container_of(request, struct farewell, request);

	if (farewell->state != FAREWELL_SAID)
		return; /* its time was over */
	if (result == REQUEST_ANSWERED)
		over(farewell, (const char *)buffer_at(&farewell->reply),
		     buffer_len(&farewell->reply) - 1);
	else
		over(farewell, "con_lost", 8);
}

static void
on_due(struct uring_timer *timer)
{
	struct farewell *farewell = uring_container_of(timer, struct farewell, timer);

	farewell->request.reply = NULL;
	over(farewell, "con_lost", 8);
}

void
farewell_skip(struct farewell *farewell, struct host *host)
{
	farewell->host = host;
	farewell->request.reply = NULL;
	if (farewell->state == FAREWELL_WANTED || farewell->state == FAREWELL_SAID)
		over(farewell, "con_lost", 8);
}

bool
farewell_say(struct host *host)
{
	struct farewell *farewell = &host->farewell;
	struct link *link = TAILQ_FIRST(&host->ready);

	if (farewell->state != FAREWELL_WANTED)
		return farewell->state != FAREWELL_SAID;
	farewell->host = host;
	if (strcmp(host->id, host->local_id) == 0) {
		over(farewell, "self_reply", 10);
		return true;
	}
	farewell->request.done = on_done;
	farewell->request.reply = &farewell->reply;
	farewell->timer.due = on_due;
	if (link == NULL || !link_take(link, &farewell->request, wire_span_str("exit"), NULL)) {
		over(farewell, "con_lost", 8);
		return true;
	}
	farewell->state = FAREWELL_SAID;
	uring_timer_set(host->worker->ring, &farewell->timer,
			worker_now(host->worker) + ms_to_ns(FAREWELL_MS));
	return false;
}
