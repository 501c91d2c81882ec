/*
 * control_messages_drop.c - `messages drop`: one message, by its number or id; those of a client;
 * those that wait for longer than a time.
 *
 * The store removes a bounded number at a time, so that whoever wants to keep something waits for
 * no more than that; the call goes on until nothing is left.  Owns nothing.
 */
#include "relay/control_messages_verbs.h"

#include "relay/control.h"
#include "relay/control_ask.h"
#include "relay/log.h"

#include <inttypes.h>
#include <string.h>

static int64_t
now_ms(void)
{
	return (int64_t)(control_now_us() / 1000);
}

/* --- one message ------------------------------------------------------------------------------ */

static void
on_one_dropped(struct control_call *call, const struct message_view *view, uint64_t number)
{
	const char *name = call->request->arguments[0];

	(void)number;
	if (view->status == MESSAGE_UNKNOWN || view->status == MESSAGE_REPEATED) {
		control_answer_change(call, name, "gone already", false);
	} else if (view->status != MESSAGE_DONE) {
		control_messages_refused(call, view);
	} else {
		log_warning(NULL, "message %s: dropped by an operator", name);
		control_answer_change(call, name, "dropped", true);
	}
}

static void
drop_one(struct control_call *call, enum message_kind kind, const uint8_t *id,
	 control_messages_answered *answered)
{
	struct message_order order = { .verb = MESSAGE_DROP, .now_ms = now_ms() };

	order.message.kind = kind;
	memcpy(order.message.id, id, sizeof order.message.id);
	(void)control_messages_ask(call, &order, answered, 0);
}

static void
answer_not_found(struct control_call *call)
{
	control_answer_error(call, RELAY__CONTROL__CODE__NOT_FOUND, "%s: there is no such message",
			     call->request->arguments[0]);
}

/* The message is looked up by its number, and dropped by its id when it was found. */
static void
on_found(struct control_call *call, const struct message_view *view, uint64_t number)
{
	const char *name = call->request->arguments[0];

	if (view->status != MESSAGE_DONE)
		control_messages_refused(call, view);
	else if (view->page.count == 0 || view->page.messages[0].cursor != number)
		answer_not_found(call);
	else if (view->page.messages[0].kind == MESSAGE_KIND_UNKNOWN)
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "%s: too damaged to be told from others", name);
	else if (call->request->dry_run)
		control_answer_change(call, name, "would be dropped", true);
	else
		drop_one(call, view->page.messages[0].kind, view->page.messages[0].id,
			 on_one_dropped);
}

static bool
parse_id(const char *text, uint8_t id[static MESSAGE_ID_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(text) != 2 * (size_t)MESSAGE_ID_SIZE ||
	    strspn(text, digits) != 2 * (size_t)MESSAGE_ID_SIZE)
		return false;
	for (size_t i = 0; i < MESSAGE_ID_SIZE; i++)
		id[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
				  (strchr(digits, text[2 * i + 1]) - digits));
	return true;
}

static void
on_reply_dropped(struct control_call *call, const struct message_view *view, uint64_t number)
{
	if (view->status == MESSAGE_UNKNOWN)
		answer_not_found(call);
	else
		on_one_dropped(call, view, number);
}

/* An id alone does not say what it is of. */
static void
on_notice_dropped(struct control_call *call, const struct message_view *view, uint64_t number)
{
	if (view->status == MESSAGE_UNKNOWN)
		drop_one(call, MESSAGE_REPLY, view->message.id, on_reply_dropped);
	else
		on_one_dropped(call, view, number);
}

static void
by_name(struct control_call *call)
{
	struct message_order order = { .verb = MESSAGE_LIST, .list = { .max = 1 } };
	const char *name = call->request->arguments[0];
	uint8_t id[MESSAGE_ID_SIZE];
	uint64_t number;

	if (parse_id(name, id)) {
		if (call->request->dry_run)
			control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
					     "a dry run takes the number, not the id");
		else
			drop_one(call, MESSAGE_NOTICE, id, on_notice_dropped);
	} else if (!control_messages_number(name, 10, &number) || number == 0) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "a message is a number or an id, as `messages list` shows it");
	} else if (number > INT64_MAX) {
		answer_not_found(call); /* the store has no such numbers */
	} else {
		order.list.cursor = number - 1;
		(void)control_messages_ask(call, &order, on_found, number);
	}
}

/* --- many ------------------------------------------------------------------------------------- */

/* "client ID" or "older than N s". */
static char *
which_text(struct control_call *call)
{
	if (call->request->client[0] != '\0')
		return control_text(call, "client %s", call->request->client);
	return control_text(call, "older than %" PRIu64 " s", call->request->older_ms / 1000);
}

static void
answer_many(struct control_call *call, uint64_t count, const char *what)
{
	char *which = which_text(call);
	char *text = control_text(call, "%" PRIu64 " messages %s", count, what);

	if (which == NULL || text == NULL)
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT, "no memory");
	else
		control_answer_change(call, which, text, count > 0);
}

static void
on_counted(struct control_call *call, const struct message_view *view, uint64_t number)
{
	(void)number;
	if (view->status == MESSAGE_DONE)
		answer_many(call, view->totals.count, "would be dropped");
	else
		control_messages_refused(call, view);
}

static bool
is_old(const struct control_call *call, const struct message *message)
{
	return (uint64_t)(now_ms() - message->accepted_ms) > call->request->older_ms &&
	       now_ms() > message->accepted_ms;
}

/* Page by page; `number` counts those of the pages before. */
static void
on_page(struct control_call *call, const struct message_view *view, uint64_t number)
{
	struct message_order order = { .verb = MESSAGE_LIST, .list = { .max = MESSAGE_PAGE_MAX } };

	if (view->status != MESSAGE_DONE) {
		control_messages_refused(call, view);
		return;
	}
	for (size_t i = 0; i < view->page.count; i++)
		number += is_old(call, &view->page.messages[i]);
	order.list.cursor = view->page.cursor;
	if (view->page.more)
		(void)control_messages_ask(call, &order, on_page, number);
	else
		answer_many(call, number, "would be dropped");
}

static void drop_more(struct control_call *call, uint64_t number);

/* What was removed before the store failed is gone. */
static void
answer_half(struct control_call *call, const struct message_view *view, uint64_t number)
{
	if (number == 0) {
		control_messages_refused(call, view);
		return;
	}
	log_warning(NULL, "%" PRIu64 " messages: dropped by an operator", number);
	control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
			     "the message store: %s; %" PRIu64 " messages were dropped before",
			     message_status_text(view->status), number);
}

/* `number` counts those that were removed before. */
static void
on_removed(struct control_call *call, const struct message_view *view, uint64_t number)
{
	number += view->removed;
	if (view->status != MESSAGE_DONE) {
		answer_half(call, view, number);
	} else if (view->removed == MESSAGE_DROP_MAX) {
		drop_more(call, number);
	} else {
		log_warning(NULL, "%" PRIu64 " messages: dropped by an operator", number);
		answer_many(call, number, "dropped");
	}
}

static void
drop_more(struct control_call *call, uint64_t number)
{
	struct message_order order = { .verb = MESSAGE_DROP_OLDER, .now_ms = now_ms() };

	order.before_ms = order.now_ms - (int64_t)call->request->older_ms;
	if (call->request->client[0] != '\0') {
		order.verb = MESSAGE_DROP_CLIENT;
		/* It was looked at before. */
		(void)control_messages_number(call->request->client, 16, &order.message.client);
	}
	/* Nobody would go on with it: so it is not given up either. */
	if (control_messages_ask(call, &order, on_removed, number))
		call->due = NULL;
}

static void
by_client(struct control_call *call)
{
	struct message_order order = { .verb = MESSAGE_WAITING };

	if (!control_messages_number(call->request->client, 16, &order.message.client))
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "a client is a number in hexadecimal digits");
	else if (call->request->dry_run)
		(void)control_messages_ask(call, &order, on_counted, 0);
	else
		drop_more(call, 0);
}

static void
by_age(struct control_call *call)
{
	const struct message_order order = { .verb = MESSAGE_LIST,
					     .list = { .max = MESSAGE_PAGE_MAX } };

	if (call->request->older_ms > (uint64_t)INT64_MAX / 2)
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE, "nothing is that old");
	else if (call->request->dry_run)
		(void)control_messages_ask(call, &order, on_page, 0);
	else
		drop_more(call, 0);
}

void
control_do_messages_drop(struct control_call *call)
{
	const Relay__Control__Request *request = call->request;
	bool has_client = request->client[0] != '\0';
	bool has_age = request->older_ms > 0;

	if (!control_messages_is_on(call))
		return;
	if ((request->n_arguments > 0) + has_client + has_age != 1)
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "which messages: one by its number or id, those of one "
				     "client, or those older than a time");
	else if (has_client)
		by_client(call);
	else if (has_age)
		by_age(call);
	else
		by_name(call);
}
