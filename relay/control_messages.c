/*
 * control_messages.c - orders to the message store for workers, and what workers must know of the
 * message plane.  See control_messages.h.
 */
#include "relay/control_messages.h"

#include "relay/child.h"
#include "relay/control.h"
#include "relay/control_messages_verbs.h"
#include "relay/log.h"
#include "relay/storage.h"
#include "wire/datagram_keys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	EXPIRE_EVERY_MS = 60000,
	AGAIN_MS = 50, /* after the storage had no room */
};

static_assert((int)CHANNEL_STORED_NOTICE == (int)MESSAGE_NOTICE, "kinds are the store's");
static_assert((int)CHANNEL_STORED_REPLY == (int)MESSAGE_REPLY, "kinds are the store's");
static_assert(CHANNEL_ID_SIZE == MESSAGE_ID_SIZE && CHANNEL_ID_SIZE == NOTICE_ID_SIZE,
	      "one id for all");
static_assert((int)CONTROL_MESSAGES_WORKERS == (int)CONTROL_WORKERS_MAX, "one for each worker");
static_assert(CHANNEL_NOTICE_MAX >= NOTICE_SIZE_MAX, "a notice fits");

static int64_t
now_real_ms(void)
{
	return (int64_t)(control_now_us() / 1000);
}

/* --- orders ----------------------------------------------------------------------------------- */

void
control_messages_init(struct control *control)
{
	struct control_messages *messages = &control->messages;

	messages->on = control->options->started->relay.datagram_listen != NULL;
	TAILQ_INIT(&messages->wanting);
	for (size_t i = 0; i < CONTROL_WORKERS_MAX; i++)
		LIST_INIT(&messages->of_worker[i]);
	messages->webpager.fd = -1;
	messages->store.changed = true;
}

static struct control_order *
free_order(struct control_messages *messages)
{
	for (size_t i = 0; i < CONTROL_ORDERS_MAX; i++) {
		struct control_order *order =
		    &messages->orders[(messages->use + i) % CONTROL_ORDERS_MAX];
		if (order->kind == CONTROL_ORDER_FREE)
			return order;
	}
	return NULL;
}

int
control_messages_order(struct control *control, const struct control_order *what,
		       const struct message_order *order)
{
	struct control_messages *messages = &control->messages;
	struct control_order *slot = free_order(messages);

	if (slot == NULL)
		return -ENOBUFS;
	uint32_t use = ++messages->use;
	uint64_t token = (uint64_t)use << 32 | (uint32_t)(slot - messages->orders);
	int error = storage_message(control->storage, token, order);
	if (error != 0)
		return error;
	*slot = *what;
	slot->use = use;
	return 0;
}

/* --- answers to workers ----------------------------------------------------------------------- */

static void
answer_token(struct control *control, uint32_t worker, uint64_t token, bool good,
	     enum channel_refusal why)
{
	struct channel_message message = {
		.type = good ? CHANNEL_COMMITTED : CHANNEL_REFUSED,
		.answer = { .token = token, .why = good ? 0 : (uint32_t)why },
	};
	struct channel *channel = control->workers[worker].channel;

	/* Without room the worker reads nothing any more: it is given up, and sends its tokens to
	 * the next channel. */
	if (channel != NULL && channel_send(channel, &message, -1) == -ENOBUFS)
		log_error(NULL, "worker-%u does not read what was committed", worker);
}

static enum channel_refusal
refusal_of(enum message_status status)
{
	switch (status) {
	case MESSAGE_MALFORMED:
		return CHANNEL_REFUSED_MALFORMED;
	case MESSAGE_TOO_LONG:
		return CHANNEL_REFUSED_TOO_LONG;
	case MESSAGE_CLIENT_COUNT:
	case MESSAGE_CLIENT_BYTES:
	case MESSAGE_SENDER_COUNT:
	case MESSAGE_SENDER_BYTES:
	case MESSAGE_STORE_COUNT:
	case MESSAGE_STORE_BYTES:
	case MESSAGE_NO_SPACE:
		return CHANNEL_REFUSED_FULL;
	case MESSAGE_DONE:
	case MESSAGE_REPEATED:
	case MESSAGE_UNKNOWN:
	case MESSAGE_TAKEN:
	case MESSAGE_ASIDE:
	case MESSAGE_NO_MEMORY:
	case MESSAGE_IO:
	case MESSAGE_ROW_DAMAGED:
	case MESSAGE_DAMAGED:
	case MESSAGE_NEWER:
	case MESSAGE_IN_USE:
	case MESSAGE_DENIED:
		break;
	}
	return CHANNEL_REFUSED_FAILED;
}

/* One that is not there has been confirmed before, or was dropped. */
static bool
is_committed(const struct message_view *view)
{
	return view->status == MESSAGE_DONE || view->status == MESSAGE_REPEATED ||
	       (view->verb == MESSAGE_CONFIRM && view->status == MESSAGE_UNKNOWN);
}

void
control_messages_on_view(struct control *control, uint64_t token, const struct message_view *view)
{
	struct control_messages *messages = &control->messages;
	uint32_t at = (uint32_t)token;

	if (at >= CONTROL_ORDERS_MAX || messages->orders[at].kind == CONTROL_ORDER_FREE ||
	    messages->orders[at].use != token >> 32)
		return;
	struct control_order order = messages->orders[at];
	messages->orders[at].kind = CONTROL_ORDER_FREE;
	control_store_count(messages, view);
	bool good = is_committed(view);
	if (good && view->verb == MESSAGE_PUT)
		control_presence_wake(control, view->message.client, view->status == MESSAGE_DONE);
	if (good && view->verb == MESSAGE_CONFIRM)
		control_presence_confirmed(control, &view->message, view->status == MESSAGE_DONE);
	if (good && view->removed > 0)
		control_presence_recount(control);
	if (view->verb == MESSAGE_EXPIRE && good && view->removed == MESSAGE_DROP_MAX)
		messages->expire_at = 0;
	switch (order.kind) {
	case CONTROL_ORDER_TOKEN:
		if (order.life == messages->lives[order.worker])
			answer_token(control, order.worker, order.token, good,
				     refusal_of(view->status));
		break;
	case CONTROL_ORDER_NEXT:
		control_presence_on_page(control, &order, view);
		break;
	case CONTROL_ORDER_PAGE:
		control_webpager_on_view(control, &order, view);
		break;
	case CONTROL_ORDER_VERB:
		control_messages_verb_on_view(control, order.token, view);
		break;
	case CONTROL_ORDER_FREE:
	case CONTROL_ORDER_OTHER:
		break;
	}
}

/* --- what workers ask ------------------------------------------------------------------------- */

bool
control_messages_knows(const struct control *control, uint64_t client)
{
	const struct config *config = &control->config;

	if (client == 0)
		return false;
	return config->keys == NULL ||
	       datagram_keys_find(config->keys, config->key_count, client) != NULL;
}

static void
order_for_worker(struct control *control, uint32_t worker, uint64_t token,
		 const struct message_order *order)
{
	const struct control_order what = { .kind = CONTROL_ORDER_TOKEN,
					    .worker = worker,
					    .life = control->messages.lives[worker],
					    .token = token };
	int error = control_messages_order(control, &what, order);

	if (error == -EMSGSIZE)
		answer_token(control, worker, token, false, CHANNEL_REFUSED_TOO_LONG);
	else if (error == -ENOBUFS || error == -ENOMEM)
		answer_token(control, worker, token, false, CHANNEL_REFUSED_BUSY);
	else if (error != 0)
		answer_token(control, worker, token, false, CHANNEL_REFUSED_FAILED);
}

/* All of a memfd's bytes, as many as were announced. */
static bool
read_memfd(int fd, void *bytes, uint64_t length)
{
	uint64_t at = 0;

	while (fd >= 0 && at < length) {
		ssize_t got = pread(fd, (char *)bytes + at, length - at, (off_t)at);
		if (got <= 0)
			return false;
		at += (uint64_t)got;
	}
	return fd >= 0;
}

static void
on_accept(struct control *control, uint32_t worker, const struct channel_accept *accept, int fd)
{
	uint8_t bytes[NOTICE_SIZE_MAX];
	struct message_order order = { .verb = MESSAGE_PUT };
	struct notice notice;

	if (accept->length > sizeof bytes) {
		answer_token(control, worker, accept->token, false, CHANNEL_REFUSED_TOO_LONG);
		return;
	}
	if (!read_memfd(fd, bytes, accept->length) ||
	    notice_get(&notice, wire_span(bytes, accept->length)) != NOTICE_FINE ||
	    notice.origin != NOTICE_OF_CLIENT || notice.from != accept->client ||
	    !notice_has_id(&notice)) {
		answer_token(control, worker, accept->token, false, CHANNEL_REFUSED_MALFORMED);
		return;
	}
	if (!control_messages_knows(control, notice.to)) {
		answer_token(control, worker, accept->token, false, CHANNEL_REFUSED_UNKNOWN_CLIENT);
		return;
	}
	order.message = (struct message){ .kind = MESSAGE_NOTICE,
					  .client = notice.to,
					  .origin = MESSAGE_BY_CLIENT,
					  .sender = notice.from,
					  .accepted_ms = (int64_t)notice.time_ms,
					  .name = notice.sender,
					  .text = notice.text };
	memcpy(order.message.id, notice.id, sizeof order.message.id);
	order_for_worker(control, worker, accept->token, &order);
}

static void
on_store_reply(struct control *control, uint32_t worker, const struct channel_accept *accept,
	       int fd)
{
	struct message_order order = { .verb = MESSAGE_PUT };

	if (accept->length > control->config.relay.datagram.reply_max) {
		answer_token(control, worker, accept->token, false, CHANNEL_REFUSED_TOO_LONG);
		return;
	}
	uint8_t *bytes = malloc(accept->length + 1);
	if (bytes == NULL) {
		answer_token(control, worker, accept->token, false, CHANNEL_REFUSED_BUSY);
		return;
	}
	if (read_memfd(fd, bytes, accept->length)) {
		order.message = (struct message){ .kind = MESSAGE_REPLY,
						  .client = accept->client,
						  .origin = MESSAGE_BY_RELAY,
						  .accepted_ms = now_real_ms(),
						  .text = wire_span(bytes, accept->length) };
		message_reply_id(order.message.id, accept->session, accept->number);
		order_for_worker(control, worker, accept->token, &order);
	} else {
		answer_token(control, worker, accept->token, false, CHANNEL_REFUSED_MALFORMED);
	}
	free(bytes);
}

static void
on_confirmed(struct control *control, uint32_t worker, const struct channel_confirmed *confirmed)
{
	struct message_order order = { .verb = MESSAGE_CONFIRM, .now_ms = now_real_ms() };

	if (confirmed->kind != CHANNEL_STORED_NOTICE && confirmed->kind != CHANNEL_STORED_REPLY) {
		answer_token(control, worker, confirmed->token, false, CHANNEL_REFUSED_MALFORMED);
		return;
	}
	order.message.client = confirmed->client;
	order.message.kind = (enum message_kind)confirmed->kind;
	memcpy(order.message.id, confirmed->id, sizeof order.message.id);
	order_for_worker(control, worker, confirmed->token, &order);
}

bool
control_messages_on_worker(struct control *control, uint32_t worker,
			   const struct channel_message *message, int fd)
{
	if (!control->messages.on)
		return false;
	switch (message->type) {
	case CHANNEL_ACCEPT:
		on_accept(control, worker, &message->accept, fd);
		return true;
	case CHANNEL_STORE_REPLY:
		on_store_reply(control, worker, &message->accept, fd);
		return true;
	case CHANNEL_CONFIRMED:
		on_confirmed(control, worker, &message->confirmed);
		return true;
	case CHANNEL_ONLINE:
		control_presence_online(control, worker, &message->presence);
		return true;
	case CHANNEL_OFFLINE:
		control_presence_offline(control, worker, &message->presence);
		return true;
	default:
		return false;
	}
}

/* --- settings and keys ------------------------------------------------------------------------ */

int
control_messages_memfd(const char *name, const void *bytes, size_t len)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t at = 0;

	while (fd >= 0 && at < len) {
		ssize_t put = write(fd, (const char *)bytes + at, len - at);
		if (put <= 0)
			break;
		at += (size_t)put;
	}
	if (fd >= 0 &&
	    (at < len || fcntl(fd, F_ADD_SEALS,
			       F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool
tell_keys(const struct config *config, struct channel *channel)
{
	struct channel_message message = { .type = CHANNEL_CLIENT_KEYS,
					   .keys = { (uint32_t)config->key_count } };
	int fd = -1;

	if (config->key_count > 0)
		fd = control_messages_memfd("keys", config->keys,
					    config->key_count * sizeof *config->keys);
	if (config->key_count > 0 && fd < 0)
		return false;
	bool sent = channel_send(channel, &message, fd) == 0;
	if (fd >= 0)
		close(fd);
	return sent;
}

static void
tell_worker(struct control *control, uint32_t number)
{
	struct channel *channel = control->workers[number].channel;
	struct channel_message message = { .type = CHANNEL_DATAGRAM };
	uint32_t workers = control->options->worker_count;

	if (channel == NULL || (control->messages.told >> number & 1) != 0)
		return;
	message.datagram.settings = control->config.relay.datagram;
	message.datagram.settings.sessions_max =
	    (message.datagram.settings.sessions_max + workers - 1) / workers;
	if (channel_send(channel, &message, -1) == 0 && tell_keys(&control->config, channel))
		control->messages.told |= UINT64_C(1) << number;
}

static void
tell_bounds(struct control *control)
{
	const struct relay_settings *relay = &control->config.relay;
	const struct control_order nobody = { .kind = CONTROL_ORDER_OTHER };
	struct message_order order = { .verb = MESSAGE_BOUNDS, .bounds = message_bounds_default };

	if (control->messages.bounds_told)
		return;
	order.bounds.count = relay->store_count;
	order.bounds.bytes = relay->store_bytes;
	order.bounds.age_ms = relay->store_age_ms;
	order.bounds.client_count = order.bounds.sender_count = relay->store_client_count;
	order.bounds.client_bytes = order.bounds.sender_bytes = relay->store_client_bytes;
	if (control_messages_order(control, &nobody, &order) == 0)
		control->messages.bounds_told = true;
}

void
control_messages_apply(struct control *control)
{
	control->messages.told = 0;
	control->messages.bounds_told = false;
}

void
control_messages_untell(struct control *control, uint32_t worker)
{
	control->messages.told &= ~(UINT64_C(1) << worker);
}

void
control_messages_forget_worker(struct control *control, uint32_t worker)
{
	control->messages.lives[worker]++;
	control_messages_untell(control, worker);
	control_presence_forget_worker(control, worker);
}

/* --- the clock -------------------------------------------------------------------------------- */

static void
expire(struct control *control, uint64_t now_ms)
{
	const struct control_order nobody = { .kind = CONTROL_ORDER_OTHER };
	const struct message_order order = { .verb = MESSAGE_EXPIRE, .now_ms = now_real_ms() };

	if (control->messages.expire_at > now_ms)
		return;
	bool taken = control_messages_order(control, &nobody, &order) == 0;
	/* Without room it is not asked for in every round of the loop. */
	control->messages.expire_at = now_ms + (taken ? EXPIRE_EVERY_MS : AGAIN_MS);
}

void
control_messages_run(struct control *control, uint64_t now_ms)
{
	if (!control->messages.on || !control->loaded)
		return;
	tell_bounds(control);
	for (uint32_t i = 0; control->listed && i < control->options->worker_count; i++)
		tell_worker(control, i);
	control_presence_run(control, now_ms);
	expire(control, now_ms);
	control_store_run(control, now_ms);
	control_webpager_read(control, now_ms);
}

/* What a worker could not be told, for want of room or descriptors, is told again. */
static bool
is_untold(const struct control *control)
{
	for (uint32_t i = 0; control->listed && i < control->options->worker_count; i++) {
		if (control->workers[i].channel != NULL && (control->messages.told >> i & 1) == 0)
			return true;
	}
	return false;
}

uint64_t
control_messages_deadline(const struct control *control)
{
	const struct control_messages *messages = &control->messages;

	if (!messages->on || !control->loaded)
		return UINT64_MAX;
	if (!messages->bounds_told || messages->seen_count > 0 || messages->webpager.holding ||
	    !TAILQ_EMPTY(&messages->wanting) || is_untold(control))
		return child_clock_ms() + AGAIN_MS;
	uint64_t at = messages->expire_at;
	if (messages->retry_at != 0 && messages->retry_at < at)
		at = messages->retry_at;
	if (messages->store.changed && messages->store.totals_at < at)
		at = messages->store.totals_at;
	return at;
}
