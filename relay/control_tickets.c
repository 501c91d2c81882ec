/*
 * control_tickets.c - see control_tickets.h.
 *
 * Never logs a key; wipes those that nobody can use any more.  Owns the keys.
 */
#include "relay/control_tickets.h"

#include "relay/child.h"
#include "relay/config_tls.h"
#include "relay/control.h"
#include "relay/log.h"
#include "relay/tls.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	KEYS_MAX = 2, /* the one that seals, and the one before */
};

static_assert(KEYS_MAX <= TLS_TICKET_KEYS_MAX, "a worker takes all of them");
static_assert(TICKET_CONTEXT_SIZE == TLS_DIGEST_SIZE, "the context is a digest");

struct control_ticket {
	LIST_ENTRY(control_ticket) entry;
	char name[CONFIG_GATEWAY_NAME_MAX + 1];
	uint32_t index; /* as workers know the gateway; CONTROL_INDEX_NONE = none was told of it */
	uint64_t told;  /* bit N: worker N knows it */
	uint32_t count;
	struct tls_ticket_key keys[KEYS_MAX]; /* the newest first */
	uint8_t context[TICKET_CONTEXT_SIZE];
	uint64_t time_ms; /* between two keys */
	uint64_t due_at;  /* ms */
	bool used;        /* the configuration in force has it */
};

static struct control_ticket *
find(struct control *control, const char *name)
{
	struct control_ticket *one;

	LIST_FOREACH(one, &control->tickets.list, entry)
		if (strcmp(one->name, name) == 0)
			return one;
	return NULL;
}

/* Of all that decides who may come in, and of what they are shown: who resumes a session sees the
 * certificate of that time, and would warn of one that was renewed. */
static void
make_context(const struct config *config, const struct config_gateway *gateway,
	     uint8_t context[TICKET_CONTEXT_SIZE])
{
	struct wire_span parts[2 + SETTINGS_LIST_MAX];
	size_t count = 0;

	parts[count++] = wire_span_str(gateway->name);
	parts[count++] =
	    wire_span(config->credentials[gateway->credentials].digest, TLS_DIGEST_SIZE);
	for (char **name = gateway->settings.allow; *name != NULL; name++)
		parts[count++] = wire_span_str(*name);
	tls_material_digest(parts, count, context);
}

/* Without random numbers there are no keys, and no tickets. */
static void
next_key(struct control_ticket *one, uint64_t now_ms)
{
	struct tls_ticket_key key;

	one->due_at = now_ms + one->time_ms;
	if (getrandom(&key, sizeof key, GRND_NONBLOCK) != (ssize_t)sizeof key) {
		log_error(NULL, "gateway %s: no random numbers for a ticket's key: %s", one->name,
			  strerror(errno));
		return;
	}
	one->keys[1] = one->keys[0];
	one->keys[0] = key;
	one->count += one->count < KEYS_MAX;
	explicit_bzero(&key, sizeof key);
}

static void
forget_keys(struct control_ticket *one)
{
	explicit_bzero(one->keys, sizeof one->keys);
	one->count = 0;
}

/* --- telling ---------------------------------------------------------------------------------- */

static void
send_to(struct control *control, uint32_t number, const struct control_ticket *one)
{
	struct control_worker *worker = &control->workers[number];
	struct channel_message message = {
		.type = CHANNEL_TICKET_KEYS,
		.ticket_keys = { .index = one->index, .count = one->count },
	};

	if (worker->channel == NULL)
		return;
	memcpy(message.ticket_keys.context, one->context, sizeof one->context);
	int fd = control_messages_memfd("tickets", one->keys, one->count * sizeof one->keys[0]);
	if (fd < 0)
		log_error(NULL, "gateway %s: no descriptor to give its keys on", one->name);
	else if (channel_send(worker->channel, &message, fd) != 0)
		worker->behind = true;
	if (fd >= 0)
		close(fd);
}

static void
send_to_all(struct control *control, const struct control_ticket *one)
{
	for (uint32_t i = 0; i < control->options->worker_count; i++)
		if ((one->told >> i & 1) != 0)
			send_to(control, i, one);
}

void
control_tickets_tell(struct control *control, uint32_t worker, uint32_t index, const char *gateway)
{
	struct control_ticket *one = find(control, gateway);

	if (one == NULL)
		return;
	one->index = index;
	one->told |= UINT64_C(1) << worker;
	send_to(control, worker, one);
}

void
control_tickets_untell(struct control *control, uint32_t worker)
{
	struct control_ticket *one;

	LIST_FOREACH(one, &control->tickets.list, entry)
		one->told &= ~(UINT64_C(1) << worker);
}

/* --- following the configuration ---------------------------------------------------------------
 */

static struct control_ticket *
add(struct control *control, const char *name)
{
	struct control_ticket *one = calloc(1, sizeof *one);

	if (one == NULL)
		return NULL;
	memcpy(one->name, name, strlen(name) + 1);
	one->index = CONTROL_INDEX_NONE;
	LIST_INSERT_HEAD(&control->tickets.list, one, entry);
	return one;
}

static void
follow(struct control *control, const struct config_gateway *gateway, uint64_t now_ms)
{
	struct control_ticket *one = find(control, gateway->name);
	uint8_t context[TICKET_CONTEXT_SIZE];

	if (one == NULL)
		one = add(control, gateway->name);
	if (one == NULL)
		return; /* no tickets, then */
	one->used = true;
	make_context(&control->config, gateway, context);
	bool same = one->count > 0 && memcmp(one->context, context, sizeof context) == 0;
	if (same && one->time_ms == gateway->settings.ticket_time_ms)
		return;
	one->time_ms = gateway->settings.ticket_time_ms;
	if (same) {
		if (one->due_at > now_ms + one->time_ms)
			one->due_at = now_ms + one->time_ms;
		return;
	}
	forget_keys(one);
	memcpy(one->context, context, sizeof context);
	/* Told behind what of the gateway has changed: before that they would seal sessions of
	 * those who were trusted until now. */
	next_key(one, now_ms);
}

void
control_tickets_apply(struct control *control)
{
	struct control_ticket *one;
	struct control_ticket *next;

	LIST_FOREACH(one, &control->tickets.list, entry)
		one->used = false;
	for (size_t i = 0; i < control->config.gateway_count; i++)
		follow(control, &control->config.gateways[i], child_clock_ms());
	for (one = LIST_FIRST(&control->tickets.list); one != NULL; one = next) {
		next = LIST_NEXT(one, entry);
		if (one->used)
			continue;
		LIST_REMOVE(one, entry);
		forget_keys(one);
		free(one);
	}
}

void
control_tickets_run(struct control *control, uint64_t now_ms)
{
	struct control_ticket *one;

	LIST_FOREACH(one, &control->tickets.list, entry) {
		if (now_ms < one->due_at)
			continue;
		next_key(one, now_ms);
		send_to_all(control, one);
	}
}

uint64_t
control_tickets_deadline(const struct control *control)
{
	const struct control_ticket *one;
	uint64_t first = UINT64_MAX;

	LIST_FOREACH(one, &control->tickets.list, entry)
		if (one->due_at < first)
			first = one->due_at;
	return first;
}
