/*
 * control_request.c - `request HOST 'LINE'`: a line for a host's peer, run by a worker through the
 * host's queue; its reply is the answer.
 *
 * The line goes to the worker in a memfd and the reply comes back in the same one.  One that comes
 * while no worker serves the host, as at the start, waits for that a while.  Owns the memfd and a
 * struct request_call for each request that waits or that a worker has, those of callers that left
 * it there included: so memory and descriptors are bounded whoever comes and goes.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "relay/child.h"
#include "relay/control.h"
#include "relay/control_ask.h"
#include "relay/control_call.h"
#include "relay/request.h"
#include "wire/control_frame.h"
#include "wire/enc.h"

#define REQUESTS_MAX  16u
#define LOOK_EVERY_MS 20u
#define REPLY_MAX     (CONTROL_FRAME_MAX - 1024u) /* the message around it needs less than that */

struct request_call {
	struct control *control;
	struct control_call *call; /* NULL: it left */
	struct control_ask ask;
	uint64_t due_ms; /* until then a worker that serves the host is waited for */
	bool sent;       /* a worker has it */
	int memfd;       /* -1: nobody reads it */
};

static void on_look(struct control_ask *ask, const struct channel_message *message);

static void
close_memfd(struct request_call *request)
{
	if (request->memfd >= 0)
		close(request->memfd);
	request->memfd = -1;
}

/* Takes the call out of it, which is over. */
static struct control_call *
end(struct request_call *request)
{
	struct control_call *call = request->call;

	control_ask_drop(&request->ask);
	request->control->requests--;
	close_memfd(request);
	free(request);
	if (call == NULL)
		return NULL;
	call->state = NULL;
	call->gone = NULL;
	return call;
}

/* A worker that has it goes on with it, so it counts until that is over. */
static void
on_gone(struct control_call *call)
{
	struct request_call *request = call->state;

	if (!request->sent) {
		end(request);
		return;
	}
	request->call = NULL;
	close_memfd(request);
}

/* --- the reply -------------------------------------------------------------------------------- */

static bool
read_all(int fd, uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t got = pread(fd, bytes + at, len - at, (off_t)at);
		if (got <= 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

static void
answer_text(struct request_call *request, size_t length)
{
	struct control_call *call = request->call;
	Relay__Control__Text *text = control_alloc(call, sizeof *text);
	uint8_t *bytes = control_alloc(call, length + 1);
	Relay__Control__Reply reply;

	bool good = text != NULL && bytes != NULL && read_all(request->memfd, bytes, length);
	end(request);
	if (!good) {
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "there was a reply, but no memory for it");
		return;
	}
	relay__control__reply__init(&reply);
	relay__control__text__init(text);
	text->text.data = bytes;
	text->text.len = length;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_TEXT;
	reply.text = text;
	control_answer(call, &reply);
}

static void
on_reply(struct control_ask *ask, const struct channel_message *message)
{
	struct request_call *request =
	    (struct request_call *)(void *)((char *)ask - offsetof(struct request_call, ask));

	if (request->call == NULL) {
		end(request);
		return;
	}
	if (message == NULL || message->type != CHANNEL_REPLY) {
		control_answer_error(end(request), RELAY__CONTROL__CODE__FAILED,
				     "con_lost: the worker ended");
		return;
	}
	const struct channel_request *reply = &message->request;
	if (reply->result != REQUEST_ANSWERED)
		control_answer_error(end(request), RELAY__CONTROL__CODE__FAILED, "con_lost: %s",
				     request_result_text((enum request_result)reply->result));
	else if (reply->length > REPLY_MAX)
		control_answer_error(end(request), RELAY__CONTROL__CODE__FAILED,
				     "the reply has %" PRIu64 " bytes, too many to be shown",
				     reply->length);
	else
		answer_text(request, (size_t)reply->length);
}

/* --- the line --------------------------------------------------------------------------------- */

/* What is wrong with it; NULL = nothing. */
static const char *
fault_of(const ProtobufCBinaryData *line, const struct control_host *host)
{
	uint64_t max = host->settings.line_max;

	if (line->len == 0)
		return "the line is empty";
	if (memchr(line->data, '\n', line->len) != NULL)
		return "the line has a line feed in it";
	if (line->len > ENC_REQUEST_PREFIX_LEN &&
	    memcmp(line->data, ENC_REQUEST_PREFIX, ENC_REQUEST_PREFIX_LEN) == 0)
		max += ENC_REQUEST_PREFIX_LEN; /* as for clients */
	return line->len > max ? "the line is longer than line_max" : NULL;
}

static int
make_memfd(const ProtobufCBinaryData *line)
{
	int fd = memfd_create("request", MFD_CLOEXEC);
	size_t at = 0;

	while (fd >= 0 && at < line->len) {
		ssize_t put = write(fd, line->data + at, line->len - at);
		if (put <= 0) {
			close(fd);
			return -1;
		}
		at += (size_t)put;
	}
	return fd;
}

/* One that has a link, else any that serves the host. */
static uint32_t
choose_worker(const struct control *control, const struct control_host *host)
{
	uint32_t found = UINT32_MAX;

	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		if (!control_host_told(control, host, i))
			continue;
		if (host->up & (1ull << i))
			return i;
		found = i;
	}
	return found;
}

/* Longer than the worker's own clocks can be. */
static uint64_t
longest_ms(const struct host_settings *settings)
{
	return 2 * settings->queue_timeout_ms + settings->reply_timeout_ms + CONTROL_ASK_MS;
}

static bool
send_request(struct request_call *request, const struct control_host *host)
{
	struct control_call *call = request->call;
	struct channel_message message = { .type = CHANNEL_REQUEST };
	uint32_t worker = UINT32_MAX;

	if (host->index != CONTROL_INDEX_NONE)
		worker = choose_worker(call->control, host);
	if (worker == UINT32_MAX)
		return false;
	message.request.index = host->index;
	message.request.length = call->request->body.len;
	message.request.reply_max = REPLY_MAX;
	return control_ask(call->control, &request->ask, worker, &message, request->memfd,
			   longest_ms(&host->settings), on_reply);
}

/* Gives it to a worker, or looks again later. */
static void
seek_worker(struct request_call *request)
{
	struct control *control = request->control;
	const struct control_host *host =
	    control_host_by_id(control, request->call->request->arguments[0]);

	if (host == NULL) {
		control_answer_error(end(request), RELAY__CONTROL__CODE__NOT_FOUND,
				     "the host was removed meanwhile");
		return;
	}
	request->sent = send_request(request, host);
	if (request->sent)
		return;
	bool is_late = control->ending || child_clock_ms() >= request->due_ms;
	if (is_late || !control_ask_later(control, &request->ask, LOOK_EVERY_MS, on_look))
		control_answer_error(end(request), RELAY__CONTROL__CODE__FAILED,
				     "no worker serves it at the moment");
}

static void
on_look(struct control_ask *ask, const struct channel_message *message)
{
	(void)message;
	seek_worker(
	    (struct request_call *)(void *)((char *)ask - offsetof(struct request_call, ask)));
}

void
control_do_request(struct control_call *call)
{
	const struct control_host *host = control_argument_host(call);
	struct request_call *request = NULL;

	if (host == NULL)
		return;
	const char *fault = fault_of(&call->request->body, host);
	if (fault != NULL) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE, "%s", fault);
		return;
	}
	if (call->control->requests < REQUESTS_MAX)
		request = calloc(1, sizeof *request);
	if (request == NULL) {
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT,
				     "%u requests are under way already", REQUESTS_MAX);
		return;
	}
	call->control->requests++;
	request->control = call->control;
	request->call = call;
	request->due_ms = child_clock_ms() + CONTROL_ASK_MS;
	call->state = request;
	call->gone = on_gone;
	request->memfd = make_memfd(&call->request->body);
	if (request->memfd < 0)
		control_answer_error(end(request), RELAY__CONTROL__CODE__FAILED,
				     "no memory for the line");
	else
		seek_worker(request);
}
