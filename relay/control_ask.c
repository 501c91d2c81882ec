/*
 * control_ask.c - see control_ask.h.  Owns the list of what is under way; never the memory of it.
 */
#include "relay/control_ask.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "relay/child.h"
#include "relay/control.h"

#define NO_WORKER UINT32_MAX

/* Messages that wait for a worker above which it is asked nothing: half of what its channel takes
 * stays for what it has to be told. */
#define BACKLOG 4096u

static_assert(offsetof(struct channel_ask, token) == 0, "where every question has it");
static_assert(offsetof(struct channel_host_is, token) == 0, "likewise");
static_assert(offsetof(struct channel_query, token) == 0, "likewise");
static_assert(offsetof(struct channel_rows, token) == 0, "likewise");
static_assert(offsetof(struct channel_kill, token) == 0, "likewise");
static_assert(offsetof(struct channel_request, token) == 0, "likewise");

/* A process that was started again must not take an answer to the one before for its own. */
static uint64_t
next_token(struct control *control)
{
	if (control->asks_token == 0)
		control->asks_token = child_clock_ms() << 24;
	return ++control->asks_token;
}

static bool
begin(struct control *control, struct control_ask *ask, uint32_t worker, uint64_t for_ms,
      control_answered *answered)
{
	if (control->asks_count >= CONTROL_ASKS_MAX)
		return false;
	uint64_t now = child_clock_ms();
	*ask = (struct control_ask){
		.control = control,
		.answered = answered,
		.token = next_token(control),
		.due_ms = for_ms > UINT64_MAX - now ? UINT64_MAX : now + for_ms,
		.worker = worker,
	};
	LIST_INSERT_HEAD(&control->asks, ask, entry);
	control->asks_count++;
	return true;
}

bool
control_ask(struct control *control, struct control_ask *ask, uint32_t worker,
	    struct channel_message *message, int fd, uint64_t for_ms, control_answered *answered)
{
	struct channel *channel = control->workers[worker].channel;

	if (channel == NULL || channel_queued(channel) >= BACKLOG ||
	    !begin(control, ask, worker, for_ms, answered))
		return false;
	message->ask.token = ask->token;
	if (channel_send(channel, message, fd) == 0)
		return true;
	control_ask_drop(ask);
	return false;
}

bool
control_ask_later(struct control *control, struct control_ask *ask, uint64_t after_ms,
		  control_answered *answered)
{
	return begin(control, ask, NO_WORKER, after_ms, answered);
}

void
control_ask_drop(struct control_ask *ask)
{
	if (ask->answered == NULL)
		return;
	ask->answered = NULL;
	LIST_REMOVE(ask, entry);
	ask->control->asks_count--;
}

static void
end(struct control_ask *ask, const struct channel_message *message)
{
	control_answered *answered = ask->answered;

	control_ask_drop(ask);
	answered(ask, message);
}

void
control_on_answer(struct control *control, uint32_t worker, const struct channel_message *message)
{
	struct control_ask *ask;

	LIST_FOREACH(ask, &control->asks, entry) {
		if (ask->token == message->ask.token && ask->worker == worker) {
			end(ask, message);
			return;
		}
	}
}

/* Answering one may drop or begin others: the list is looked through anew each time. */
void
control_asks_worker_gone(struct control *control, uint32_t worker)
{
	struct control_ask *ask;

	for (;;) {
		LIST_FOREACH(ask, &control->asks, entry) {
			if (ask->worker == worker)
				break;
		}
		if (ask == NULL)
			return;
		end(ask, NULL);
	}
}

void
control_asks_run(struct control *control, uint64_t now_ms)
{
	struct control_ask *ask;

	for (uint32_t i = 0; i < CONTROL_ASKS_MAX; i++) {
		LIST_FOREACH(ask, &control->asks, entry) {
			if (ask->due_ms <= now_ms)
				break;
		}
		if (ask == NULL)
			return;
		end(ask, NULL);
	}
}

uint64_t
control_asks_deadline(const struct control *control)
{
	const struct control_ask *ask;
	uint64_t first = UINT64_MAX;

	LIST_FOREACH(ask, &control->asks, entry) {
		if (ask->due_ms < first)
			first = ask->due_ms;
	}
	return first;
}

/* --- what the verbs share --------------------------------------------------------------------- */

bool
control_parse_number(const char **at, uint64_t *number)
{
	const char *from = *at;

	*number = 0;
	for (; **at >= '0' && **at <= '9'; ++*at) {
		uint64_t digit = (uint64_t)(**at - '0');
		if (*number > (UINT64_MAX - digit) / 10)
			return false;
		*number = *number * 10 + digit;
	}
	return *at > from;
}

bool
control_parse_id(const char *text, uint32_t *worker, uint64_t *number)
{
	uint64_t first;

	if (!control_parse_number(&text, &first) || first >= CONTROL_WORKERS_MAX ||
	    *text++ != '.' || !control_parse_number(&text, number) || *text != '\0')
		return false;
	*worker = (uint32_t)first;
	return true;
}

void
control_answer_change(struct control_call *call, const char *what, const char *text, bool changed)
{
	Relay__Control__Reply reply;
	Relay__Control__Changes *changes = control_alloc(call, sizeof *changes);
	char **lines = control_alloc(call, sizeof *lines);

	if (changes == NULL || lines == NULL) {
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT, "no memory");
		return;
	}
	relay__control__reply__init(&reply);
	relay__control__changes__init(changes);
	lines[0] = control_text(call, "%s: %s", what, text);
	changes->line = lines;
	changes->n_line = lines[0] != NULL;
	changes->changed = changed;
	changes->unchanged = !changed;
	changes->applied = !call->request->dry_run;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_CHANGES;
	reply.changes = changes;
	control_answer(call, &reply);
}

struct control_host *
control_argument_host(struct control_call *call)
{
	const char *id = call->request->arguments[0];
	struct control_host *host = control_host_by_id(call->control, id);

	if (host == NULL || strcmp(host->id, id) != 0) {
		control_answer_error(call, RELAY__CONTROL__CODE__NOT_FOUND, "no host %s", id);
		return NULL;
	}
	return host;
}
