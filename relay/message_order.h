/*
 * message_order.h - what the loop of control may want of the message store, as one order and one
 * view: the order travels to the storage thread, the view comes back.
 */
#ifndef RELAY_MESSAGE_ORDER_H
#define RELAY_MESSAGE_ORDER_H

#include "relay/message_store.h"

enum message_verb {
	MESSAGE_PUT,         /* message */
	MESSAGE_CONFIRM,     /* message: client, kind, id; now_ms */
	MESSAGE_NEXT,        /* message: client; cursor, max -> page; totals as WAITING */
	MESSAGE_LIST,        /* list -> page */
	MESSAGE_DROP,        /* message: kind, id; now_ms -> removed */
	MESSAGE_DROP_CLIENT, /* message: client; now_ms -> removed */
	MESSAGE_DROP_OLDER,  /* before_ms, now_ms -> removed */
	MESSAGE_EXPIRE,      /* now_ms -> removed */
	MESSAGE_SEEN,        /* message: client; now_ms */
	MESSAGE_LAST_SEEN,   /* message: client -> seen_ms */
	MESSAGE_CLIENTS,     /* with `behind` those behind message.client; max -> clients */
	MESSAGE_TOTALS,      /* -> totals */
	MESSAGE_WAITING,     /* message: client -> totals: count, bytes */
	MESSAGE_BOUNDS,      /* bounds */
	MESSAGE_MARK,        /* message: cursor; now_ms: is put aside */
};

struct message_order {
	enum message_verb verb;
	struct message message;
	struct message_list list;
	struct message_bounds bounds;
	uint64_t cursor;
	size_t max;
	bool behind;
	int64_t now_ms;
	int64_t before_ms;
};

/* Messages put aside for one order; what else is damaged is found when it is given again. */
#define MESSAGE_ASIDE_MAX 8u

struct message_view {
	enum message_verb verb;
	enum message_status status;
	struct message message; /* that of the order, without name and text */
	size_t removed;
	uint64_t commits; /* transactions that the store has ended well so far */
	int64_t seen_ms;
	struct message_totals totals;
	struct message_page page;
	struct message_clients clients;
	size_t aside_count; /* put aside since they stood in the way, also if the order failed */
	struct message_aside aside[MESSAGE_ASIDE_MAX];
	char why[128]; /* with a status that breaks: what the library said */
};

void message_view_free(struct message_view *view);

/* An order on its way, with the room for its answer: nothing is left that could keep it from being
 * answered. */
struct message_task {
	uint64_t token;
	size_t cost; /* bytes that it and its answer hold at most, beside small change */
	struct message_order order;
	bool over; /* it failed alone, and is not done again with the others */
	struct message_view *view;
	uint8_t bytes[]; /* of name and text */
};

/* Copies the order.  NULL: no memory, or a name or text beyond the store's bounds (*too_long). */
struct message_task *message_task_new(uint64_t token, const struct message_order *order,
				      bool *too_long);
/* With its view, unless that was taken. */
void message_task_free(struct message_task *task);
struct message_view *message_task_take_view(struct message_task *task);

/* Does it, within a batch.  The same status is in the view. */
enum message_status message_task_do(struct message_task *task, struct message_store *store);

/* Takes back what it has read: it is done once more. */
void message_task_reset(struct message_task *task);

/* Makes it refused, whatever it was before: nothing that it has read is handed out. */
void message_task_refuse(struct message_task *task, enum message_status status, const char *why);

#endif
