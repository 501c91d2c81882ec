/*
 * control_messages_verbs.c - `messages list`, asked of the message store and answered when it has;
 * and what waits for such answers, for `messages drop` too.
 *
 * Shows no text.  Calls wait as control_disk.h says, one order each.
 */
#include "relay/control_messages_verbs.h"

#include "relay/control.h"
#include "relay/control_ask.h"
#include "relay/control_call.h"
#include "relay/control_disk.h"
#include "relay/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE_DEFAULT = 200,
	PAGE_MAX = MESSAGE_PAGE_MAX,
	WAITING_MAX = 16,
};

/* A call that waits. */
struct question {
	struct control_disk_call waiting; /* first */
	control_messages_answered *answered;
	uint64_t number; /* the asker's */
};

static_assert(offsetof(struct question, waiting) == 0, "control_disk frees it");

static size_t
page_of(const Relay__Control__Request *request)
{
	if (request->page_size == 0)
		return PAGE_DEFAULT;
	return request->page_size < PAGE_MAX ? request->page_size : PAGE_MAX;
}

bool
control_messages_number(const char *text, int base, uint64_t *number)
{
	const char *digits = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
	size_t len = strlen(text);

	if (len == 0 || strspn(text, digits) != len)
		return false;
	errno = 0;
	*number = strtoull(text, NULL, base);
	return errno == 0;
}

bool
control_messages_is_on(struct control_call *call)
{
	if (call->control->messages.on)
		return true;
	control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
			     "the message plane is off: datagram.listen is not set");
	return false;
}

/* --- asking the store ------------------------------------------------------------------------- */

bool
control_messages_ask(struct control_call *call, const struct message_order *order,
		     control_messages_answered *answered, uint64_t number)
{
	struct control_disk *disk = &call->control->messages.disk;
	struct control_order what = { .kind = CONTROL_ORDER_VERB, .token = disk->token + 1 };
	struct question *question = NULL;
	int error = -ENOBUFS;

	if (disk->count < WAITING_MAX) {
		question = calloc(1, sizeof *question);
		error = question == NULL ? -ENOMEM
					 : control_messages_order(call->control, &what, order);
	}
	if (error != 0) {
		free(question);
		control_disk_refused(call, error);
		return false;
	}
	question->answered = answered;
	question->number = number;
	control_disk_wait(disk, &question->waiting, call);
	return true;
}

/* --- messages list ---------------------------------------------------------------------------- */

static char *
from_text(struct control_call *call, const struct message *message)
{
	switch (message->origin) {
	case MESSAGE_BY_CLIENT:
		return control_text(call, "client %016" PRIx64, message->sender);
	case MESSAGE_BY_USER:
		return control_text(call, "uid %" PRIu64, message->sender);
	case MESSAGE_BY_RELAY:
		break;
	}
	return control_text(call, "relay");
}

/* In the original's form there is a mail address behind a NUL. */
static char *
sender_text(struct control_call *call, const struct message *message)
{
	char text[MESSAGE_NAME_MAX + 1];
	size_t len = message->name.len < MESSAGE_NAME_MAX ? message->name.len : MESSAGE_NAME_MAX;

	for (size_t i = 0; i < len; i++) {
		char byte = (char)message->name.data[i];
		text[i] = byte == '\0' ? ' ' : byte;
	}
	text[len] = '\0';
	return control_clean(call, text);
}

static uint64_t
age_us(const struct message *message)
{
	uint64_t now_ms = control_now_us() / 1000;
	uint64_t then_ms = (uint64_t)message->accepted_ms;

	return now_ms > then_ms ? (now_ms - then_ms) * 1000 : 0;
}

/* What is known of a damaged one, too. */
static void
fill_name(struct control_call *call, const struct message *message, Relay__Control__Message *row)
{
	char id[2 * MESSAGE_ID_SIZE + 1];

	for (size_t i = 0; i < MESSAGE_ID_SIZE; i++)
		snprintf(id + 2 * i, 3, "%02x", message->id[i]);
	row->name = control_text(call, "%" PRIu64, message->cursor);
	row->kind = control_text(call, message->kind == MESSAGE_NOTICE ? "notice" : "reply");
	row->client = control_text(call, "%016" PRIx64, message->client);
	row->id = control_text(call, "%s", id);
}

static Relay__Control__Message *
damaged_row(struct control_call *call, const struct message *message, Relay__Control__Message *row)
{
	if (message->kind != MESSAGE_KIND_UNKNOWN)
		fill_name(call, message, row);
	else
		row->name = control_text(call, "%" PRIu64, message->cursor);
	row->age_us = message->accepted_ms > 0 ? age_us(message) : 0;
	row->state = control_text(call, "damaged");
	return row;
}

static Relay__Control__Message *
message_row(struct control_call *call, const struct message *message)
{
	Relay__Control__Message *row = control_alloc(call, sizeof *row);

	if (row == NULL)
		return NULL;
	relay__control__message__init(row);
	if (message->aside)
		return damaged_row(call, message, row);
	fill_name(call, message, row);
	row->from = from_text(call, message);
	row->sender = sender_text(call, message);
	row->bytes = message->bytes;
	row->age_us = age_us(message);
	row->state = control_text(call, "waiting");
	return row;
}

static void
answer_list(struct control_call *call, const struct message_view *view)
{
	Relay__Control__Reply reply;
	Relay__Control__Messages messages;
	const struct message_page *page = &view->page;

	relay__control__reply__init(&reply);
	relay__control__messages__init(&messages);
	messages.message = control_alloc(call, (page->count + 1) * sizeof *messages.message);
	while (messages.message != NULL && messages.n_message < page->count) {
		Relay__Control__Message *row =
		    message_row(call, &page->messages[messages.n_message]);
		if (row == NULL)
			break;
		messages.message[messages.n_message++] = row;
	}
	if (page->more)
		reply.next_cursor = control_text(call, "%" PRIu64, page->cursor);
	reply.body_case = RELAY__CONTROL__REPLY__BODY_MESSAGES;
	reply.messages = &messages;
	control_answer(call, &reply);
}

static void
on_list(struct control_call *call, const struct message_view *view, uint64_t number)
{
	(void)number;
	if (view->status == MESSAGE_DONE)
		answer_list(call, view);
	else
		control_messages_refused(call, view);
}

void
control_do_messages_list(struct control_call *call)
{
	const Relay__Control__Request *request = call->request;
	struct message_order order = { .verb = MESSAGE_LIST };

	if (!control_messages_is_on(call))
		return;
	order.list.max = page_of(request);
	order.list.of_client = request->n_arguments > 0;
	if (order.list.of_client &&
	    !control_messages_number(request->arguments[0], 16, &order.list.client)) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "a client is a number in hexadecimal digits");
		return;
	}
	if (request->cursor[0] != '\0' &&
	    (!control_messages_number(request->cursor, 10, &order.list.cursor) ||
	     order.list.cursor > INT64_MAX)) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "this is no cursor of messages");
		return;
	}
	(void)control_messages_ask(call, &order, on_list, 0);
}

/* --- answers of the store --------------------------------------------------------------------- */

void
control_messages_refused(struct control_call *call, const struct message_view *view)
{
	control_answer_error(call, RELAY__CONTROL__CODE__FAILED, "the message store: %s",
			     message_status_text(view->status));
}

void
control_messages_verb_on_view(struct control *control, uint64_t token,
			      const struct message_view *view)
{
	struct control_disk_call *waiting = control_disk_find(&control->messages.disk, token);

	if (waiting == NULL)
		return;
	struct question question = *(struct question *)(void *)waiting;
	question.answered(control_disk_end(waiting), view, question.number);
}
