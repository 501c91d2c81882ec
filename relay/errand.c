/*
 * errand.c - see errand.h.  Owns the request, the memfd and, between the reply and its writing, the
 * reply's bytes; lives until the request is done.
 */
#include "relay/errand.h"

#include "relay/datagrams.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct errand {
	struct host *host;
	struct request request;
	struct buffer reply;
	struct channel_request message;
	uint64_t origin;
	int memfd;
};

static void
count(const struct errand *errand, uint32_t change)
{
	errand->host->errands += change;
	if (errand->origin == ERRAND_OF_CONTROL)
		errand->host->worker->errands += change;
}

static void
report(struct worker *worker, const struct channel_request *message, uint64_t origin,
       uint64_t length, enum request_result result)
{
	struct channel_message reply = { .type = CHANNEL_REPLY, .request = *message };

	reply.request.length = length;
	reply.request.result = result;
	if (origin == ERRAND_OF_CONTROL)
		worker_tell_control(worker, &reply);
	else
		peer_tell(worker, origin, &reply);
}

static bool
write_all(int fd, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t put = pwrite(fd, bytes + at, len - at, (off_t)at);
		if (put <= 0)
			return false;
		at += (size_t)put;
	}
	return true;
}

static void
on_done(struct request *request, enum request_result result)
{
	struct errand *errand = uring_container_of(request, struct errand, request);
	struct host *host = errand->host;
	struct worker *worker = host->worker;
	uint64_t length = 0;

	if (result == REQUEST_ANSWERED) {
		length = buffer_len(&errand->reply) - 1; /* without LF */
		/* The reply is lost, and not by overload: that would say that nothing was run. */
		if (length <= errand->message.reply_max &&
		    !write_all(errand->memfd, buffer_at(&errand->reply), length)) {
			length = 0;
			result = REQUEST_LINK_LOST;
		}
	}
	report(worker, &errand->message, errand->origin, length, result);
	buffer_release(&errand->reply, &worker->memory);
	uring_close(worker->ring, errand->memfd);
	count(errand, (uint32_t)-1);
	free(errand);
}

/*
 * The line goes into the host's queue or a link's output, so that the mapping may go at once.
 * Taken, the errand may be over already.
 */
static bool
submit(struct errand *errand, enum request_result *why)
{
	size_t length = errand->message.length;
	struct stat st;

	if (length == 0) /* which cannot be mapped */
		return host_wait(errand->host, &errand->request, wire_span("", 0), why) ==
		       HOST_TAKEN;
	/* A mapping beyond the end of the file would be deadly. */
	if (fstat(errand->memfd, &st) != 0 || (uint64_t)st.st_size < length)
		return false;
	void *at = mmap(NULL, length, PROT_READ, MAP_PRIVATE, errand->memfd, 0);
	if (at == MAP_FAILED)
		return false;
	enum host_answer answer =
	    host_wait(errand->host, &errand->request, wire_span(at, length), why);
	munmap(at, length);
	return answer == HOST_TAKEN;
}

void
errand_start(struct worker *worker, struct host *host, const struct channel_request *message,
	     int memfd, uint64_t origin)
{
	enum request_result why = host == NULL ? REQUEST_STOPPED : REQUEST_OVERLOAD;
	struct errand *errand = NULL;

	if (host != NULL && memfd >= 0 &&
	    (origin != ERRAND_OF_CONTROL || worker->errands < ERRANDS_MAX))
		errand = calloc(1, sizeof *errand);
	if (errand != NULL) {
		errand->host = host;
		errand->request.done = on_done;
		errand->request.reply = &errand->reply;
		errand->message = *message;
		errand->memfd = memfd;
		errand->origin = origin;
		count(errand, 1);
		if (submit(errand, &why))
			return;
		count(errand, (uint32_t)-1);
		free(errand);
	}
	report(worker, message, origin, 0, why);
	if (memfd >= 0)
		uring_close(worker->ring, memfd);
}
