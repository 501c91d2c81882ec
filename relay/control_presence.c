/*
 * control_presence.c - which clients are online, at which worker, and the delivery of what the
 * store holds for them: oldest first, a few at a time, each until it is confirmed.
 *
 * The order of the store is that of the cursor: what was sent lies before it.  When something is
 * committed for a client that is online, what lies behind its cursor is read again.
 */
#include "relay/control_messages.h"

#include "relay/child.h"
#include "relay/control.h"
#include "relay/log.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SEEN_MAX = 65536,
	RETRY_MS = 1000, /* after the store could not be read; doubled each time, up to */
	RETRY_MAX_MS = 30000,
	CROWDED_MS = 50, /* after a worker took nothing more */
	SAY_EVERY_MS = 60000,
	BACKLOG_MAX = 64, /* NOTICEs are no reason to have more than this wait for a worker: each
			   * has a descriptor, and answers to its tokens must find room */
};

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct control_client *
control_presence_find(const struct control *control, uint64_t client)
{
	void *node = tfind(&client, (void *const *)&control->messages.clients, compare);

	return node == NULL ? NULL : *(struct control_client **)node;
}

/* --- last seen -------------------------------------------------------------------------------- */

/* Told to the storage when it has room.  What finds none here is not known: that is all. */
static void
note_seen(struct control *control, uint64_t client, uint64_t at_us)
{
	struct control_messages *messages = &control->messages;

	if (messages->seen_count >= SEEN_MAX)
		return;
	if (messages->seen_count == messages->seen_cap) {
		size_t cap = messages->seen_cap == 0 ? 64 : messages->seen_cap * 2;
		struct control_seen *grown = realloc(messages->seen, cap * sizeof *grown);

		if (grown == NULL)
			return;
		messages->seen = grown;
		messages->seen_cap = cap;
	}
	messages->seen[messages->seen_count++] =
	    (struct control_seen){ .client = client, .at_ms = (int64_t)(at_us / 1000) };
}

static void
order_seen(struct control *control)
{
	struct control_messages *messages = &control->messages;
	const struct control_order nobody = { .kind = CONTROL_ORDER_OTHER };
	struct message_order order = { .verb = MESSAGE_SEEN };

	while (messages->seen_count > 0) {
		const struct control_seen *last = &messages->seen[messages->seen_count - 1];

		order.message.client = last->client;
		order.now_ms = last->at_ms;
		if (control_messages_order(control, &nobody, &order) == -ENOBUFS)
			return;
		messages->seen_count--;
	}
}

/* --- coming and going ------------------------------------------------------------------------- */

static void
want(struct control *control, struct control_client *client)
{
	client->more = true;
	if (client->wanting || client->reading || client->open_count == CHANNEL_NOTICES_OPEN_MAX)
		return;
	client->wanting = true;
	TAILQ_INSERT_TAIL(&control->messages.wanting, client, want_entry);
}

static void
unwant(struct control *control, struct control_client *client)
{
	if (client->wanting)
		TAILQ_REMOVE(&control->messages.wanting, client, want_entry);
	client->wanting = false;
}

static void
leave(struct control *control, struct control_client *client)
{
	unwant(control, client);
	LIST_REMOVE(client, entry);
	tdelete(client, &control->messages.clients, compare);
	control->messages.client_count--;
	free(client);
}

static struct control_client *
enter(struct control *control, uint64_t id)
{
	struct control_messages *messages = &control->messages;
	struct control_client *client;

	/* Each worker may round its share up. */
	if (messages->client_count >=
	    control->config.relay.datagram.sessions_max + CONTROL_WORKERS_MAX)
		return NULL;
	client = calloc(1, sizeof *client);
	if (client == NULL)
		return NULL;
	client->id = id;
	if (tsearch(client, &messages->clients, compare) == NULL) {
		free(client);
		return NULL;
	}
	messages->client_count++;
	return client;
}

/* A line a minute at most: clients may come often, and workers may have more than a bound that was
 * lowered since. */
static void
say_crowded(struct control_messages *messages, uint64_t now_ms)
{
	messages->crowded++;
	if (messages->crowded_said_at != 0 && now_ms < messages->crowded_said_at + SAY_EVERY_MS)
		return;
	log_error(NULL, "no room for another client that is online (%llu of them)",
		  (unsigned long long)messages->crowded);
	messages->crowded_said_at = now_ms == 0 ? 1 : now_ms;
	messages->crowded = 0;
}

void
control_presence_online(struct control *control, uint32_t worker,
			const struct channel_presence *presence)
{
	struct control_client *client = control_presence_find(control, presence->client);

	if (client != NULL)
		leave(control, client); /* it knows of nothing that was sent, or has given it up */
	client = enter(control, presence->client);
	if (client == NULL) {
		say_crowded(&control->messages, child_clock_ms());
		return;
	}
	LIST_INSERT_HEAD(&control->messages.of_worker[worker], client, entry);
	client->worker = worker;
	client->session = presence->session;
	client->since_us = presence->since_us;
	client->port = presence->port;
	if (presence->address_len <= sizeof client->address) {
		client->address_len = presence->address_len;
		memcpy(client->address, presence->address, sizeof client->address);
	}
	note_seen(control, client->id, presence->since_us);
	want(control, client);
}

void
control_presence_offline(struct control *control, uint32_t worker,
			 const struct channel_presence *presence)
{
	struct control_client *client = control_presence_find(control, presence->client);

	if (client == NULL || client->worker != worker || client->session != presence->session)
		return;
	note_seen(control, client->id, presence->since_us);
	leave(control, client);
}

void
control_presence_forget_worker(struct control *control, uint32_t worker)
{
	struct control_client_list *list = &control->messages.of_worker[worker];

	while (!LIST_EMPTY(list)) {
		note_seen(control, LIST_FIRST(list)->id, control_now_us());
		leave(control, LIST_FIRST(list));
	}
}

/* --- delivery --------------------------------------------------------------------------------- */

void
control_presence_wake(struct control *control, uint64_t id, bool is_new)
{
	struct control_client *client = control_presence_find(control, id);

	if (client == NULL)
		return;
	client->waiting += is_new;
	want(control, client);
}

void
control_presence_recount(struct control *control)
{
	struct control_client *client;

	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		LIST_FOREACH(client, &control->messages.of_worker[i], entry) {
			if (client->waiting > 0)
				want(control, client);
		}
	}
}

void
control_presence_confirmed(struct control *control, const struct message *message, bool was_there)
{
	struct control_client *client = control_presence_find(control, message->client);

	if (client != NULL && was_there && client->waiting > 0)
		client->waiting--;
	for (uint32_t i = 0; client != NULL && i < client->open_count; i++) {
		const struct control_stored *open = &client->open[i];

		if (open->kind != (uint32_t)message->kind ||
		    memcmp(open->id, message->id, sizeof open->id) != 0)
			continue;
		client->open[i] = client->open[--client->open_count];
		if (client->more)
			want(control, client);
		return;
	}
}

/* What the client gets: a notice as it was encoded when it came, or the bare line of a reply. */
static size_t
encode(const struct message *message, uint8_t bytes[static NOTICE_SIZE_MAX])
{
	struct wire_out out = wire_out(bytes, NOTICE_SIZE_MAX);
	const uint8_t *name = message->name.data;
	const uint8_t *nul = message->name.len == 0 ? NULL : memchr(name, '\0', message->name.len);
	struct notice notice = { .to = message->client,
				 .from = message->origin == MESSAGE_BY_CLIENT ? message->sender : 0,
				 .time_ms = (uint64_t)message->accepted_ms,
				 .origin = NOTICE_OF_WEBPAGER,
				 .sender = message->name,
				 .text = message->text };

	memcpy(notice.id, message->id, sizeof notice.id);
	if (message->origin == MESSAGE_BY_CLIENT)
		notice.origin = NOTICE_OF_CLIENT;
	if (nul != NULL) {
		size_t len = (size_t)(nul - name);

		notice.origin = NOTICE_OF_ORIGINAL;
		notice.sender = wire_span(name, len);
		notice.mail = wire_span(nul + 1, message->name.len - len - 1);
	}
	return notice_put(&out, &notice) == NOTICE_FINE ? out.len : 0;
}

/* Without room for the order it is found once more, in another session. */
static void
put_aside(struct control *control, const struct message *stored)
{
	const struct control_order nobody = { .kind = CONTROL_ORDER_OTHER };
	struct message_order order = { .verb = MESSAGE_MARK,
				       .now_ms = (int64_t)(control_now_us() / 1000) };

	order.message.cursor = stored->cursor;
	(void)control_messages_order(control, &nobody, &order);
}

/* False: not now; it comes again with the next look. */
static bool
send_one(struct control *control, struct control_client *client, const struct message *stored)
{
	uint8_t bytes[NOTICE_SIZE_MAX];
	struct channel_message message = { .type = CHANNEL_NOTICE };
	struct channel *channel = control->workers[client->worker].channel;
	struct wire_span body = stored->text;

	if (channel == NULL || channel_queued(channel) >= BACKLOG_MAX)
		return false;
	if (stored->kind == MESSAGE_NOTICE) {
		body = wire_span(bytes, encode(stored, bytes));
		if (body.len == 0) { /* nothing that came by us; it would stand in the way */
			put_aside(control, stored);
			client->cursor = stored->cursor;
			return true;
		}
	}
	message.notice.client = client->id;
	message.notice.kind = (uint32_t)stored->kind;
	message.notice.length = body.len;
	memcpy(message.notice.id, stored->id, sizeof message.notice.id);
	if (stored->kind == MESSAGE_REPLY)
		message_reply_number(stored->id, &message.notice.session, &message.notice.number);
	int fd = control_messages_memfd("notice", body.data, body.len);
	bool sent = fd >= 0 && channel_send(channel, &message, fd) == 0;
	if (fd >= 0)
		close(fd);
	if (!sent)
		return false;
	struct control_stored *open = &client->open[client->open_count++];
	open->kind = (uint32_t)stored->kind;
	memcpy(open->id, stored->id, sizeof open->id);
	client->cursor = stored->cursor;
	return true;
}

/* All for whom something may wait are looked at again then. */
static void
look_again(struct control *control, uint64_t after_ms)
{
	uint64_t at = child_clock_ms() + after_ms;

	if (control->messages.retry_at == 0 || control->messages.retry_at > at)
		control->messages.retry_at = at;
}

/* The store, or what it has for this client, cannot be read. */
static void
pause_reading(struct control *control, struct control_client *client)
{
	client->pause_ms = client->pause_ms == 0 ? RETRY_MS : 2 * client->pause_ms;
	if (client->pause_ms > RETRY_MAX_MS)
		client->pause_ms = RETRY_MAX_MS;
	client->again_at = child_clock_ms() + client->pause_ms;
	look_again(control, client->pause_ms);
}

void
control_presence_on_page(struct control *control, const struct control_order *order,
			 const struct message_view *view)
{
	struct control_client *client = control_presence_find(control, order->client);
	size_t sent = 0;

	/* One that went and came again meanwhile, also in its session, waits for another answer. */
	if (client == NULL || client->session != order->session || !client->reading ||
	    client->cursor != order->cursor)
		return;
	client->reading = false;
	if (view->status != MESSAGE_DONE) {
		client->more = true;
		pause_reading(control, client);
		return;
	}
	client->pause_ms = 0;
	client->waiting = view->totals.count;
	while (sent < view->page.count && client->open_count < CHANNEL_NOTICES_OPEN_MAX &&
	       send_one(control, client, &view->page.messages[sent]))
		sent++;
	if (sent < view->page.count && client->open_count < CHANNEL_NOTICES_OPEN_MAX) {
		/* Reading it over and over would not make room. */
		client->more = true;
		look_again(control, CROWDED_MS);
	} else if (view->page.more || sent < view->page.count || client->more) {
		want(control, client);
	}
}

static int
read_next(struct control *control, struct control_client *client)
{
	const struct control_order what = { .kind = CONTROL_ORDER_NEXT,
					    .client = client->id,
					    .session = client->session,
					    .cursor = client->cursor };
	struct message_order order = { .verb = MESSAGE_NEXT,
				       .cursor = client->cursor,
				       .max = CHANNEL_NOTICES_OPEN_MAX - client->open_count };

	order.message.client = client->id;
	return control_messages_order(control, &what, &order);
}

/* All for whom something may wait, but for those whose pause is not over. */
static void
retry(struct control *control, uint64_t now_ms)
{
	struct control_client *client;

	control->messages.retry_at = 0;
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		LIST_FOREACH(client, &control->messages.of_worker[i], entry) {
			if (client->more && client->pause_ms != 0 && client->again_at > now_ms)
				look_again(control, client->again_at - now_ms);
			else if (client->more)
				want(control, client);
		}
	}
}

void
control_presence_run(struct control *control, uint64_t now_ms)
{
	struct control_client *client;

	if (control->messages.retry_at != 0 && control->messages.retry_at <= now_ms)
		retry(control, now_ms);
	while ((client = TAILQ_FIRST(&control->messages.wanting)) != NULL) {
		if (read_next(control, client) != 0)
			break;
		unwant(control, client);
		client->reading = true;
		client->more = false;
	}
	order_seen(control);
}
