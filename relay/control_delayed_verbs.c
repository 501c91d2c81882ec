/*
 * control_delayed_verbs.c - `delayed list / show / hold / release / drop`: asked of the storage
 * thread, which owns the files, and answered when it has.
 *
 * Knows no file.  Calls wait as control_disk.h says, one question each.
 */
#include "relay/control_delayed_verbs.h"

#include "relay/control_ask.h"
#include "relay/control_call.h"
#include "relay/control_disk.h"
#include "relay/log.h"
#include "relay/storage.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE_DEFAULT = 200,
	/* Questions that the storage has, those of calls that are gone included: each answer may
	   be a page or a long line. */
	ASKED_MAX = 16,
};

/* A call that waits. */
struct question {
	struct control_disk_call waiting; /* first */
	enum spool_verb verb;
};

static_assert(offsetof(struct question, waiting) == 0, "control_disk frees it");

/* --- asking ----------------------------------------------------------------------------------- */

static void
ask_storage(struct control_call *call, const struct spool_ask *ask)
{
	struct control *control = call->control;

	if (control->delayed_asked >= ASKED_MAX) {
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT,
				     "too many questions about delayed messages are under way");
		return;
	}
	struct question *question = calloc(1, sizeof *question);
	if (question == NULL) {
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT, "no memory");
		return;
	}
	question->verb = ask->verb;
	int error = storage_ask(control->storage, control->delayed_disk.token + 1, ask);
	if (error != 0) {
		free(question);
		control_disk_refused(call, error);
		return;
	}
	control->delayed_asked++;
	control_disk_wait(&control->delayed_disk, &question->waiting, call);
}

/* --- cursors ---------------------------------------------------------------------------------- */

/* Where the last page ended: the place as a letter, and the name in hex, for it may hold any bytes.
 */
static const char PLACES[SPOOL_PLACE_COUNT + 1] = "qhb";
static const char DIGITS[] = "0123456789abcdef";

static char *
make_cursor(struct control_call *call, const struct spool_message *last)
{
	size_t len = strlen(last->name);
	char *cursor = control_alloc(call, 1 + 2 * len + 1);

	if (cursor == NULL)
		return NULL;
	cursor[0] = PLACES[last->place];
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)last->name[i];
		cursor[1 + 2 * i] = DIGITS[c >> 4];
		cursor[2 + 2 * i] = DIGITS[c & 15];
	}
	return cursor;
}

static bool
take_cursor(const char *cursor, struct spool_ask *ask)
{
	const char *place = cursor[0] == '\0' ? NULL : strchr(PLACES, cursor[0]);
	size_t len = strlen(cursor);

	if (place == NULL || len % 2 == 0 || len / 2 > NAME_MAX)
		return false;
	ask->place = (enum spool_place)(place - PLACES);
	for (size_t i = 0; i < len / 2; i++) {
		const char *high = strchr(DIGITS, cursor[1 + 2 * i]);
		const char *low = strchr(DIGITS, cursor[2 + 2 * i]);
		if (high == NULL || low == NULL || (high == DIGITS && low == DIGITS))
			return false;
		ask->name[i] = (char)((high - DIGITS) << 4 | (low - DIGITS));
	}
	return true;
}

/* --- verbs ------------------------------------------------------------------------------------ */

void
control_do_delayed_list(struct control_call *call)
{
	const Relay__Control__Request *request = call->request;
	struct spool_ask ask = { .verb = SPOOL_LIST, .page = request->page_size };

	if (ask.page == 0)
		ask.page = PAGE_DEFAULT;
	if (ask.page > SPOOL_PAGE_MAX)
		ask.page = SPOOL_PAGE_MAX;
	if (request->cursor[0] != '\0' && !take_cursor(request->cursor, &ask)) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "this is no cursor of delayed messages");
		return;
	}
	if (request->n_arguments > 0) {
		const struct control_host *host = control_argument_host(call);
		if (host == NULL)
			return;
		memcpy(ask.host, host->id, strlen(host->id) + 1);
	}
	ask_storage(call, &ask);
}

static void
ask_about(struct control_call *call, enum spool_verb verb)
{
	const char *name = call->request->arguments[0];
	struct spool_ask ask = { .verb = verb, .dry_run = call->request->dry_run != 0 };

	if (!spool_name_valid(name)) {
		control_answer_error(call, RELAY__CONTROL__CODE__NOT_FOUND,
				     "\"%.255s\" cannot be the name of a delayed message", name);
		return;
	}
	memcpy(ask.name, name, strlen(name) + 1);
	ask_storage(call, &ask);
}

void
control_do_delayed_show(struct control_call *call)
{
	ask_about(call, SPOOL_SHOW);
}

void
control_do_delayed_hold(struct control_call *call)
{
	ask_about(call, SPOOL_HOLD);
}

void
control_do_delayed_release(struct control_call *call)
{
	ask_about(call, SPOOL_FREE);
}

void
control_do_delayed_drop(struct control_call *call)
{
	ask_about(call, SPOOL_DROP);
}

/* --- answers ---------------------------------------------------------------------------------- */

static Relay__Control__DelayedMessage *
message_of(struct control_call *call, const struct spool_message *from)
{
	Relay__Control__DelayedMessage *message = control_alloc(call, sizeof *message);

	if (message == NULL)
		return NULL;
	relay__control__delayed_message__init(message);
	message->name = control_clean(call, from->name);
	message->host = control_clean(call, from->host);
	message->bytes = from->bytes;
	message->age_us = from->age_ms * 1000;
	message->state = control_clean(call, spool_state_text(from->state));
	message->attempts = from->attempts;
	message->next_us = from->next_ms * 1000;
	return message;
}

static void
answer_messages(struct control_call *call, const struct spool_view *view)
{
	Relay__Control__Reply reply;
	Relay__Control__Delayed delayed;
	Relay__Control__DelayedMessage **list =
	    control_alloc(call, (view->count + 1) * sizeof *list);

	relay__control__reply__init(&reply);
	relay__control__delayed__init(&delayed);
	for (size_t i = 0; list != NULL && i < view->count; i++) {
		list[i] = message_of(call, &view->messages[i]);
		if (list[i] == NULL)
			break;
		delayed.n_message++;
	}
	delayed.message = list;
	/* The bytes stay the view's: it lives until the answer is packed. */
	if (view->line != NULL && list != NULL && delayed.n_message == 1)
		list[0]->line =
		    (ProtobufCBinaryData){ .len = view->line_len, .data = (uint8_t *)view->line };
	if (view->more && view->count > 0)
		reply.next_cursor = make_cursor(call, &view->messages[view->count - 1]);
	reply.body_case = RELAY__CONTROL__REPLY__BODY_DELAYED;
	reply.delayed = &delayed;
	control_answer(call, &reply);
}

/* What was done to it, or would be. */
static const char *
change_text(const struct control_call *call, enum spool_verb verb, const struct spool_view *view)
{
	bool dry = call->request->dry_run != 0;
	bool already = view->outcome == SPOOL_OUTCOME_ALREADY;

	switch (verb) {
	case SPOOL_HOLD:
		return already ? "already held" : dry ? "would be held" : "held";
	case SPOOL_FREE:
		return already ? "neither held nor backing off"
		       : dry   ? "would be released"
			       : "released";
	case SPOOL_DROP:
		return already ? "already in bad/"
		       : dry   ? "would be moved to bad/"
			       : "moved to bad/";
	case SPOOL_LIST:
	case SPOOL_SHOW:
		break;
	}
	return "";
}

static void
answer_change(struct control_call *call, enum spool_verb verb, const struct spool_view *view)
{
	const char *name = call->request->arguments[0];
	const char *text = change_text(call, verb, view);
	bool changed = view->outcome == SPOOL_OUTCOME_DONE;
	bool renamed = view->to[0] != '\0' && strcmp(view->to, name) != 0;

	if (changed && !call->request->dry_run)
		log_warning(NULL, "delayed message %s: %s by an operator", name, text);
	if (renamed)
		text = control_text(call, "%s, as %s", text, view->to);
	control_answer_change(call, name, text == NULL ? "renamed" : text, changed);
}

static void
answer(struct control_call *call, enum spool_verb verb, const struct spool_view *view)
{
	const char *name = verb == SPOOL_LIST ? "delayed messages" : call->request->arguments[0];
	Relay__Control__Code code = RELAY__CONTROL__CODE__FAILED;

	switch (view->outcome) {
	case SPOOL_OUTCOME_DONE:
	case SPOOL_OUTCOME_ALREADY:
		if (verb == SPOOL_LIST || verb == SPOOL_SHOW)
			answer_messages(call, view);
		else
			answer_change(call, verb, view);
		return;
	case SPOOL_OUTCOME_ERROR:
		control_answer_error(call, code, "%s: %s", name, strerror(-view->error));
		return;
	case SPOOL_OUTCOME_NOT_FOUND:
		code = RELAY__CONTROL__CODE__NOT_FOUND;
		break;
	case SPOOL_OUTCOME_SENDING:
	case SPOOL_OUTCOME_WRITING:
	case SPOOL_OUTCOME_NO_HOST:
	case SPOOL_OUTCOME_BAD:
		break;
	}
	control_answer_error(call, code, "%s: %s", name, spool_outcome_text(view->outcome));
}

void
control_on_delayed_view(struct control *control, uint64_t token, const struct spool_view *view)
{
	struct control_disk_call *waiting = control_disk_find(&control->delayed_disk, token);
	const struct question *question = (const struct question *)(const void *)waiting;

	assert(control->delayed_asked > 0);
	control->delayed_asked--;
	/* What was let go is looked for now, not at the next scan; whoever asked for it. */
	if (question == NULL || question->verb == SPOOL_FREE)
		control->scan_at = 0;
	if (question == NULL)
		return;
	enum spool_verb verb = question->verb;
	struct control_call *call = control_disk_end(waiting);
	if (view == NULL)
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT, "no memory");
	else
		answer(call, verb, view);
}
