/*
 * control_ask.h - one question to one worker, and its answer: what the verbs share that need a
 * worker.  No answer is waited for longer than was said.
 */
#ifndef RELAY_CONTROL_ASK_H
#define RELAY_CONTROL_ASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "relay/channel.h"
#include "relay/control_call.h"

/* A worker that has not answered by then does not answer at all.  Less than relayctl waits by
 * default, so that it can still be told. */
#define CONTROL_ASK_MS 4000u

/* Questions under way, of all calls together. */
#define CONTROL_ASKS_MAX 256u

struct control;
struct control_ask;
struct control_host;

/*
 * `message` is the answer; NULL: the worker ended, or the time is over.  The question is over in
 * any case, and may be asked again.
 */
typedef void control_answered(struct control_ask *ask, const struct channel_message *message);

/* Lives in its owner. */
struct control_ask {
	LIST_ENTRY(control_ask) entry;
	struct control *control;
	control_answered *answered; /* NULL = not under way */
	uint64_t token;
	uint64_t due_ms;
	uint32_t worker;
};

/*
 * Asks; the first member of the message's payload is its token, filled in here.  `for_ms`: the
 * longest to wait.  false: the worker is not there, takes nothing, or there are too many; nothing
 * is under way.
 */
bool control_ask(struct control *control, struct control_ask *ask, uint32_t worker,
		 struct channel_message *message, int fd, uint64_t for_ms,
		 control_answered *answered);

/* No question: `answered` is called with NULL after so long. */
bool control_ask_later(struct control *control, struct control_ask *ask, uint64_t after_ms,
		       control_answered *answered);

/* The answer is not wanted any more. */
void control_ask_drop(struct control_ask *ask);

/* Whether a link of the present address and settings is ready.  Asleep it has none to renew. */
static inline bool
control_links_renewed(const struct channel_host_is *is)
{
	return is->known && (is->fresh > 0 || (is->reachable && is->links == 0));
}

/* For the loop. */
void control_on_answer(struct control *control, uint32_t worker,
		       const struct channel_message *message);
void control_asks_worker_gone(struct control *control, uint32_t worker);
void control_asks_run(struct control *control, uint64_t now_ms);
uint64_t control_asks_deadline(const struct control *control);

/* Digits at *at, which moves behind them; false: there are none, or more than fit. */
bool control_parse_number(const char **at, uint64_t *number);

/* "WORKER.NUMBER", as the ids of links and clients are. */
bool control_parse_id(const char *text, uint32_t *worker, uint64_t *number);

/* The last answer: Changes with the one line "WHAT: TEXT". */
void control_answer_change(struct control_call *call, const char *what, const char *text,
			   bool changed);

/* The host that the first argument names; NULL: there is none, and the call was answered so. */
struct control_host *control_argument_host(struct control_call *call);

#endif
