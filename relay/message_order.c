/*
 * message_order.c - orders for the message store: copied, done, answered.
 */
#include "relay/message_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
message_view_free(struct message_view *view)
{
	if (view == NULL)
		return;
	message_page_fini(&view->page);
	message_clients_fini(&view->clients);
	free(view);
}

static void
copy_span(uint8_t *to, struct wire_span *span)
{
	if (span->len > 0)
		memcpy(to, span->data, span->len);
	*span = wire_span(to, span->len);
}

static struct message_view *
new_view(const struct message_order *order)
{
	struct message_view *view = calloc(1, sizeof *view);

	if (view == NULL)
		return NULL;
	view->verb = order->verb;
	view->message = order->message;
	view->message.name = wire_span("", 0);
	view->message.text = wire_span("", 0);
	return view;
}

struct message_task *
message_task_new(uint64_t token, const struct message_order *order, bool *too_long)
{
	size_t name = order->message.name.len;
	size_t text = order->message.text.len;

	*too_long = name > MESSAGE_NAME_MAX || text > MESSAGE_REPLY_MAX;
	if (*too_long)
		return NULL;
	struct message_task *task = malloc(sizeof *task + name + text);
	struct message_view *view = new_view(order);
	if (task == NULL || view == NULL) {
		free(task);
		free(view);
		return NULL;
	}
	task->token = token;
	task->cost = name + text;
	if (order->verb == MESSAGE_NEXT || order->verb == MESSAGE_LIST)
		task->cost += MESSAGE_NEXT_BYTES_MAX;
	task->order = *order;
	task->over = false;
	task->view = view;
	copy_span(task->bytes, &task->order.message.name);
	copy_span(task->bytes + name, &task->order.message.text);
	return task;
}

void
message_task_free(struct message_task *task)
{
	if (task == NULL)
		return;
	message_view_free(task->view);
	free(task);
}

struct message_view *
message_task_take_view(struct message_task *task)
{
	struct message_view *view = task->view;

	task->view = NULL;
	return view;
}

/* ---- doing ---- */

static enum message_status
read_clients(struct message_store *store, const struct message_order *order,
	     struct message_view *view)
{
	const uint64_t *after = order->behind ? &order->message.client : NULL;

	return message_store_clients(store, after, order->max, &view->clients);
}

static enum message_status
mark(struct message_store *store, const struct message_order *order, struct message_view *view)
{
	enum message_status status =
	    message_store_mark(store, order->message.cursor, order->now_ms, &view->aside[0]);

	view->aside_count = status == MESSAGE_DONE;
	return status;
}

static enum message_status
change(struct message_store *store, const struct message_order *order, struct message_view *view)
{
	const struct message *message = &order->message;

	switch (order->verb) {
	case MESSAGE_PUT:
		return message_store_put(store, message);
	case MESSAGE_CONFIRM:
		return message_store_confirm(store, message->client, message->kind, message->id,
					     order->now_ms);
	case MESSAGE_DROP:
		return message_store_drop(store, message->kind, message->id, order->now_ms,
					  &view->removed);
	case MESSAGE_DROP_CLIENT:
		return message_store_drop_client(store, message->client, order->now_ms,
						 &view->removed);
	case MESSAGE_DROP_OLDER:
		return message_store_drop_older(store, order->before_ms, order->now_ms,
						&view->removed);
	case MESSAGE_EXPIRE:
		return message_store_expire(store, order->now_ms, &view->removed);
	case MESSAGE_SEEN:
		return message_store_seen(store, message->client, order->now_ms);
	case MESSAGE_BOUNDS:
		return message_store_set_bounds(store, &order->bounds);
	case MESSAGE_MARK:
		return mark(store, order, view);
	case MESSAGE_NEXT:
	case MESSAGE_LIST:
	case MESSAGE_LAST_SEEN:
	case MESSAGE_CLIENTS:
	case MESSAGE_TOTALS:
	case MESSAGE_WAITING:
		break;
	}
	return MESSAGE_MALFORMED;
}

static enum message_status
read_next(struct message_store *store, const struct message_order *order, struct message_view *view)
{
	enum message_status status = message_store_waiting(
	    store, order->message.client, &view->totals.count, &view->totals.bytes);

	return status != MESSAGE_DONE ? status
				      : message_store_next(store, order->message.client,
							   order->cursor, order->max, &view->page);
}

static enum message_status
do_order(struct message_store *store, const struct message_order *order, struct message_view *view)
{
	switch (order->verb) {
	case MESSAGE_NEXT:
		return read_next(store, order, view);
	case MESSAGE_LIST:
		return message_store_list(store, &order->list, &view->page);
	case MESSAGE_LAST_SEEN:
		return message_store_last_seen(store, order->message.client, &view->seen_ms);
	case MESSAGE_CLIENTS:
		return read_clients(store, order, view);
	case MESSAGE_TOTALS:
		return message_store_totals(store, &view->totals);
	case MESSAGE_WAITING:
		return message_store_waiting(store, order->message.client, &view->totals.count,
					     &view->totals.bytes);
	case MESSAGE_PUT:
	case MESSAGE_CONFIRM:
	case MESSAGE_DROP:
	case MESSAGE_DROP_CLIENT:
	case MESSAGE_DROP_OLDER:
	case MESSAGE_EXPIRE:
	case MESSAGE_SEEN:
	case MESSAGE_BOUNDS:
	case MESSAGE_MARK:
		break;
	}
	return change(store, order, view);
}

enum message_status
message_task_do(struct message_task *task, struct message_store *store)
{
	task->view->status = do_order(store, &task->order, task->view);
	return task->view->status;
}

void
message_task_reset(struct message_task *task)
{
	struct message_view *view = task->view;

	message_page_fini(&view->page);
	message_clients_fini(&view->clients);
	view->removed = 0;
	view->seen_ms = 0;
	view->totals = (struct message_totals){ 0 };
	if (view->verb == MESSAGE_MARK)
		view->aside_count = 0; /* only what is committed was put aside */
}

void
message_task_refuse(struct message_task *task, enum message_status status, const char *why)
{
	struct message_view *view = task->view;

	message_task_reset(task);
	view->status = status;
	snprintf(view->why, sizeof view->why, "%s", why);
}
