/*
 * control_messages_verbs.c - `online list`, answered from memory; `messages list / drop`, asked of
 * the message store and answered when it has.
 *
 * Shows no text.  Owns the calls that wait, one order each; a call that ends before its answer
 * leaves the order behind, whose answer then belongs to nobody.
 */
#include "relay/control_messages_verbs.h"

#include "relay/control.h"
#include "relay/control_ask.h"
#include "relay/control_call.h"
#include "relay/log.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAGE_DEFAULT = 200,
	PAGE_MAX = MESSAGE_PAGE_MAX,
	WAITING_MAX = 16,
};

struct control_messages_call {
	LIST_ENTRY(control_messages_call) entry;
	uint64_t token;
	struct control_call *call;
};

static size_t
page_of(const Relay__Control__Request *request)
{
	if (request->page_size == 0)
		return PAGE_DEFAULT;
	return request->page_size < PAGE_MAX ? request->page_size : PAGE_MAX;
}

/* A whole text of digits; false: it is none, or too great. */
static bool
take_number(const char *text, int base, uint64_t *number)
{
	const char *digits = base == 16 ? "0123456789abcdefABCDEF" : "0123456789";
	size_t len = strlen(text);

	if (len == 0 || strspn(text, digits) != len)
		return false;
	errno = 0;
	*number = strtoull(text, NULL, base);
	return errno == 0;
}

static bool
is_on(struct control_call *call)
{
	if (call->control->messages.on)
		return true;
	control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
			     "the message plane is off: datagram.listen is not set");
	return false;
}

/* --- online list ------------------------------------------------------------------------------ */

struct collect {
	uint64_t after;
	size_t max;
	size_t count;
	bool more;
	const struct control_client **clients;
};

static void
collect_one(const void *node, VISIT visit, void *context)
{
	const struct control_client *client = *(struct control_client *const *)node;
	struct collect *collect = context;

	if ((visit != postorder && visit != leaf) || client->id <= collect->after)
		return;
	if (collect->count < collect->max)
		collect->clients[collect->count++] = client;
	else
		collect->more = true;
}

static char *
address_text(struct control_call *call, const struct control_client *client)
{
	char text[INET6_ADDRSTRLEN] = "";
	int family = client->address_len == 4 ? AF_INET : AF_INET6;

	if (client->address_len != 4 && client->address_len != 16)
		return control_text(call, "%s", "");
	inet_ntop(family, client->address, text, sizeof text);
	return family == AF_INET ? control_text(call, "%s:%" PRIu32, text, client->port)
				 : control_text(call, "[%s]:%" PRIu32, text, client->port);
}

static Relay__Control__OnlineClient *
online_row(struct control_call *call, const struct control_client *client)
{
	Relay__Control__OnlineClient *row = control_alloc(call, sizeof *row);
	uint64_t now = control_now_us();

	if (row == NULL)
		return NULL;
	relay__control__online_client__init(row);
	row->id = control_text(call, "%016" PRIx64, client->id);
	row->worker = client->worker;
	row->address = address_text(call, client);
	row->age_us = now > client->since_us ? now - client->since_us : 0;
	row->unconfirmed = client->open_count;
	return row;
}

void
control_do_online_list(struct control_call *call)
{
	Relay__Control__Reply reply;
	Relay__Control__Online online;
	struct collect collect = { .max = page_of(call->request) };
	const char *cursor = call->request->cursor;

	if (!is_on(call))
		return;
	if (cursor[0] != '\0' && !take_number(cursor, 16, &collect.after)) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "this is no cursor of clients that are online");
		return;
	}
	relay__control__reply__init(&reply);
	relay__control__online__init(&online);
	collect.clients = control_alloc(call, collect.max * sizeof(void *));
	online.client = control_alloc(call, collect.max * sizeof *online.client);
	if (collect.clients != NULL && online.client != NULL)
		twalk_r(call->control->messages.clients, collect_one, &collect);
	while (online.n_client < collect.count) {
		online.client[online.n_client] = online_row(call, collect.clients[online.n_client]);
		if (online.client[online.n_client] == NULL)
			break;
		online.n_client++;
	}
	if (collect.more && collect.count > 0)
		reply.next_cursor =
		    control_text(call, "%" PRIx64, collect.clients[collect.count - 1]->id);
	reply.body_case = RELAY__CONTROL__REPLY__BODY_ONLINE;
	reply.online = &online;
	control_answer(call, &reply);
}

/* --- asking the store ------------------------------------------------------------------------- */

static void
forget(struct control_messages_call *waiting)
{
	waiting->call->control->messages.call_count--;
	waiting->call->state = NULL;
	waiting->call->gone = NULL;
	waiting->call->due = NULL;
	LIST_REMOVE(waiting, entry);
	free(waiting);
}

static void
on_gone(struct control_call *call)
{
	forget(call->state);
}

static void
on_due(struct control_call *call)
{
	forget(call->state);
	control_answer_error(call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
			     "the disk has not answered yet");
}

static void
ask_store(struct control_call *call, const struct message_order *order)
{
	struct control_messages *messages = &call->control->messages;
	struct control_order what = { .kind = CONTROL_ORDER_VERB,
				      .token = messages->call_token + 1 };
	struct control_messages_call *waiting = NULL;
	int error = -ENOBUFS;

	if (messages->call_count < WAITING_MAX) {
		waiting = calloc(1, sizeof *waiting);
		error =
		    waiting == NULL ? -ENOMEM : control_messages_order(call->control, &what, order);
	}
	if (error != 0) {
		free(waiting);
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT,
				     "too much is waiting for the disk: %s", strerror(-error));
		return;
	}
	messages->call_count++;
	waiting->token = ++messages->call_token;
	waiting->call = call;
	LIST_INSERT_HEAD(&messages->calls, waiting, entry);
	call->state = waiting;
	call->gone = on_gone;
	call->due = on_due;
}

void
control_do_messages_list(struct control_call *call)
{
	const Relay__Control__Request *request = call->request;
	struct message_order order = { .verb = MESSAGE_LIST };

	if (!is_on(call))
		return;
	order.list.max = page_of(request);
	order.list.of_client = request->n_arguments > 0;
	if (order.list.of_client && !take_number(request->arguments[0], 16, &order.list.client)) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "a client is a number in hexadecimal digits");
		return;
	}
	if (request->cursor[0] != '\0' && !take_number(request->cursor, 10, &order.list.cursor)) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "this is no cursor of messages");
		return;
	}
	ask_store(call, &order);
}

/* The message is looked up by its number, and dropped by its id when it was found. */
void
control_do_messages_drop(struct control_call *call)
{
	struct message_order order = { .verb = MESSAGE_LIST, .list = { .max = 1 } };
	uint64_t number;

	if (!is_on(call))
		return;
	if (!take_number(call->request->arguments[0], 10, &number) || number == 0) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "a message is a number, as `messages list` shows it");
		return;
	}
	order.list.cursor = number - 1;
	ask_store(call, &order);
}

/* --- answers ---------------------------------------------------------------------------------- */

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

static Relay__Control__Message *
message_row(struct control_call *call, const struct message *message)
{
	Relay__Control__Message *row = control_alloc(call, sizeof *row);
	char id[2 * MESSAGE_ID_SIZE + 1];
	uint64_t now_ms = control_now_us() / 1000;
	uint64_t then_ms = (uint64_t)message->accepted_ms;

	if (row == NULL)
		return NULL;
	relay__control__message__init(row);
	for (size_t i = 0; i < MESSAGE_ID_SIZE; i++)
		snprintf(id + 2 * i, 3, "%02x", message->id[i]);
	row->name = control_text(call, "%" PRIu64, message->cursor);
	row->kind = control_text(call, message->kind == MESSAGE_NOTICE ? "notice" : "reply");
	row->client = control_text(call, "%016" PRIx64, message->client);
	row->from = from_text(call, message);
	row->sender = sender_text(call, message);
	row->bytes = message->bytes;
	row->age_us = now_ms > then_ms ? (now_ms - then_ms) * 1000 : 0;
	row->id = control_text(call, "%s", id);
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

/* The message that was looked up for a drop. */
static void
drop_found(struct control_call *call, const struct message_view *view)
{
	const char *name = call->request->arguments[0];
	struct message_order order = { .verb = MESSAGE_DROP,
				       .now_ms = (int64_t)(control_now_us() / 1000) };
	uint64_t number = 0;

	if (view->page.count == 0 || !take_number(name, 10, &number) ||
	    view->page.messages[0].cursor != number) {
		control_answer_error(call, RELAY__CONTROL__CODE__NOT_FOUND,
				     "%s: there is no such message", name);
		return;
	}
	if (call->request->dry_run) {
		control_answer_change(call, name, "would be dropped", true);
		return;
	}
	order.message.kind = view->page.messages[0].kind;
	memcpy(order.message.id, view->page.messages[0].id, sizeof order.message.id);
	ask_store(call, &order);
}

static void
answer(struct control_call *call, const struct message_view *view)
{
	bool is_list = strcmp(call->verb->name, "messages list") == 0;

	if (view->verb == MESSAGE_DROP &&
	    (view->status == MESSAGE_UNKNOWN || view->status == MESSAGE_REPEATED)) {
		control_answer_change(call, call->request->arguments[0], "gone already", false);
	} else if (view->status != MESSAGE_DONE) {
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED, "the message store: %s",
				     message_status_text(view->status));
	} else if (is_list) {
		answer_list(call, view);
	} else if (view->verb == MESSAGE_LIST) {
		drop_found(call, view);
	} else {
		log_warning(NULL, "message %s: dropped by an operator",
			    call->request->arguments[0]);
		control_answer_change(call, call->request->arguments[0], "dropped", true);
	}
}

void
control_messages_verb_on_view(struct control *control, uint64_t token,
			      const struct message_view *view)
{
	struct control_messages_call *waiting;

	LIST_FOREACH(waiting, &control->messages.calls, entry) {
		if (waiting->token == token)
			break;
	}
	if (waiting == NULL)
		return;
	struct control_call *call = waiting->call;
	forget(waiting);
	answer(call, view);
}
