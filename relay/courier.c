/*
 * courier.c - see courier.h.  Exists from the first delayed message of a host until its link is
 * idle.
 */
#include "relay/courier.h"

#include "relay/link.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct courier {
	struct host *host;
	struct link *link;       /* NULL = being torn down */
	struct host_round round; /* begins where the links of the pool go */
	struct request request;
	struct buffer line; /* the message, until the link takes it */
	struct buffer reply;
	uint64_t token;
	bool busy; /* a message is under way */
};

static struct memory *
memory_of(const struct courier *courier)
{
	return &courier->host->worker->memory;
}

static void
report(struct host *host, uint64_t token, bool answered)
{
	struct channel_message message = {
		.type = CHANNEL_DELAYED_DONE,
		.delayed = { .index = host->index, .answered = answered, .token = token },
	};

	/* Without control nobody waits for it: the message stays on the disk and comes again. */
	worker_tell_control(host->worker, &message);
}

static void
finish(struct courier *courier, bool answered)
{
	if (!courier->busy)
		return;
	courier->busy = false;
	buffer_release(&courier->line, memory_of(courier));
	buffer_release(&courier->reply, memory_of(courier));
	report(courier->host, courier->token, answered);
}

static void
on_done(struct request *request, enum request_result result)
{
	struct courier *courier = uring_container_of(request, struct courier, request);

	/* An empty line is no answer, as it never was. */
	finish(courier, result == REQUEST_ANSWERED && buffer_len(&courier->reply) > 1);
}

static bool
load(struct courier *courier, int memfd, uint64_t length)
{
	if (length == 0)
		return false;
	void *at = mmap(NULL, length, PROT_READ, MAP_PRIVATE, memfd, 0);
	if (at == MAP_FAILED)
		return false;
	bool loaded = buffer_append(&courier->line, memory_of(courier), at, length);
	munmap(at, length);
	return loaded;
}

static void
send_line(struct courier *courier)
{
	struct wire_span line = wire_span(buffer_at(&courier->line), buffer_len(&courier->line));

	if (link_take(courier->link, &courier->request, line, &courier->line))
		buffer_release(&courier->line, memory_of(courier));
	else
		finish(courier, false);
}

static struct courier *
courier_new(struct host *host)
{
	struct courier *courier = calloc(1, sizeof *courier);

	if (courier == NULL)
		return NULL;
	courier->host = host;
	courier->request.done = on_done;
	courier->request.reply = &courier->reply;
	courier->round.place = host->round.place;
	courier->link = link_open(host, courier, &courier->round);
	if (courier->link == NULL) {
		free(courier);
		return NULL;
	}
	host->courier = courier;
	return courier;
}

void
courier_start(struct host *host, const struct channel_delayed *message, int memfd)
{
	struct courier *courier = host->courier;

	if (courier == NULL && host->hold == HOST_HOLD_NONE)
		courier = courier_new(host);
	if (courier == NULL || courier->busy || host->hold != HOST_HOLD_NONE ||
	    !load(courier, memfd, message->length)) {
		report(host, message->token, false);
	} else {
		courier->busy = true;
		courier->token = message->token;
		if (courier->link->state == LINK_READY)
			send_line(courier);
	}
	if (memfd >= 0)
		uring_close(host->worker->ring, memfd);
}

void
courier_on_link_ready(struct courier *courier)
{
	if (courier->busy)
		send_line(courier);
}

void
courier_on_link_closed(struct courier *courier, enum link_end end)
{
	struct host *host = courier->host;

	/* Nothing was sent, and another address may do better. */
	courier->link = NULL;
	while (courier->link == NULL && end == LINK_END_UNREADY && courier->busy &&
	       host_round_next(host, &courier->round))
		courier->link = link_open(host, courier, &courier->round);
	if (courier->link != NULL)
		return;
	finish(courier, false);
	host->courier = NULL;
	free(courier);
}

void
courier_stop(struct host *host)
{
	if (host->courier != NULL && host->courier->link->state != LINK_CLOSING)
		link_dismiss(host->courier->link, LINK_REASON_STOPPED);
}
