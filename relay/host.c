/*
 * host.c - pool and listener of one host.  Decides when links are opened; what waits is the
 * business of host_queue.c, bytes are that of client.c and link_traffic.c.
 */
#include "relay/host.h"

#include "relay/client.h"
#include "relay/courier.h"
#include "relay/host_internal.h"
#include "relay/link.h"
#include "relay/log.h"
#include "relay/stats.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void want_links(struct host *host);
static void arm(struct host *host);

const char *
host_state_text(enum host_state state)
{
	switch (state) {
#define X(name, text) \
	case name:    \
		return text;
		HOST_STATES(X)
#undef X
	}
	return "unknown";
}

/* --- states ----------------------------------------------------------------------------------- */

void
host_set_state(struct host *host, enum host_state next, const char *why)
{
	if (host->state == next)
		return;
	/* Quiet between connecting and asleep: nothing a person would act on. */
	if (next == HOST_UP)
		host_log_online(host);
	else if (next == HOST_DOWN)
		log_warning(host->id, "%s down: %s", host->id, why);
	bool was_reachable = host_reachable(host);
	host->state = next;
	/* The index of one that leaves may be another's by now.  That the first attempt failed is
	 * news too. */
	if ((was_reachable != host_reachable(host) || next == HOST_DOWN) && !host->leaving)
		worker_tell_state(host);
	if (next != HOST_DOWN)
		host->down_since = 0;
	else if (host->down_since == 0)
		host->down_since = worker_now(host->worker);
}

/* --- accepting -------------------------------------------------------------------------------- */

static void
on_accepted(struct uring_op *op, int res, const uint8_t *data)
{
	struct host_accept *accept = uring_container_of(op, struct host_accept, op);
	struct host *host = accept->host;

	(void)data;
	if (res >= 0 && !host->leaving) {
		client_accept(host, res);
	} else if (res >= 0) {
		uring_close(host->worker->ring, res);
	} else if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS) {
		/* The client stays in the listen queue until there is room again. */
		worker_pause_accepting(host->worker);
	}
	host_arm_accepts(host);
}

void
host_arm_accepts(struct host *host)
{
	struct worker *worker = host->worker;
	uint32_t max = host->settings.clients_max;

	if (host->leaving || host->clients_count >= max)
		return;
	if (!worker_accepting(worker)) {
		worker_pause_accepting(worker);
		return;
	}
	uint32_t armed = 0;
	for (int i = 0; i < HOST_ACCEPTS_MAX; i++)
		armed += host->accepts[i].op.in_flight;
	for (int i = 0; i < HOST_ACCEPTS_MAX && armed < max - host->clients_count; i++) {
		if (host->accepts[i].op.in_flight)
			continue;
		uring_accept(worker->ring, &host->accepts[i].op, host->listener);
		armed++;
	}
}

/* An accept that is armed anew tries first: it finds who nobody was woken for. */
void
host_look_again(struct host *host)
{
	for (int i = 0; i < HOST_ACCEPTS_MAX; i++) {
		if (host->accepts[i].op.in_flight) {
			uring_cancel(host->worker->ring, &host->accepts[i].op);
			return;
		}
	}
}

void
host_on_client_closed(struct host *host)
{
	host_arm_accepts(host);
}

/* --- pool ------------------------------------------------------------------------------------- */

/* 50 ms doubling to 30 s, of which a random half is taken off so that many relays do not knock at
 * once. */
static uint64_t
backoff(struct host *host)
{
	uint64_t ms = RECONNECT_MIN_MS;

	for (uint32_t i = 1; i < host->failures && ms < RECONNECT_MAX_MS; i++)
		ms *= 2;
	if (ms > RECONNECT_MAX_MS)
		ms = RECONNECT_MAX_MS;
	uint64_t ns = ms_to_ns(ms);
	return ns / 2 + worker_random(host->worker, ns / 2);
}

/* How many links should be opening now. */
static uint32_t
links_wanted(const struct host *host)
{
	bool waiting = host->queue_count > 0 && host->hold == HOST_HOLD_NONE;

	if (host->hold == HOST_HOLD_DRAINING || (host->leaving && !waiting))
		return 0;
	if (host->current == 0)
		return waiting || host->state != HOST_ASLEEP ? 1 : 0;
	if (host->state != HOST_UP)
		return host->opening; /* one attempt at a time until the peer has answered one */
	return waiting ? host->queue_count : 0;
}

static bool
wants_another(const struct host *host)
{
	return host->opening < links_wanted(host) && host->current < host->settings.links_max;
}

/* `words` tell more than why, which is what one failure has in common with the next. */
static void
link_failed(struct host *host, const char *why, const char *words)
{
	if (host->failures < 32)
		host->failures++;
	host->round.tried = 0;
	host->next_connect = worker_now(host->worker) + backoff(host);
	if (host->usable > 0)
		return;
	/* It may be another thing that is wrong now. */
	if (host->state == HOST_DOWN && strcmp(host->down_why, why) != 0)
		log_warning(host->id, "%s still down: %s", host->id, words);
	snprintf(host->down_why, sizeof host->down_why, "%s", why);
	host_set_state(host, HOST_DOWN, words);
	/* Its name may mean another address by now; the answer, if it changed, comes as
	 * host_change. */
	if (!host->leaving)
		worker_ask_address(host->worker, host->index);
}

static void
open_failed(struct host *host, int error)
{
	/* Of these only a missing protocol is a fault of the address. */
	if (error != EAFNOSUPPORT ||
	    !host_move_on(host, host_round_address(host, &host->round), strerror(error)))
		link_failed(host, strerror(error), strerror(error));
}

static void
want_links(struct host *host)
{
	while (wants_another(host) && worker_now(host->worker) >= host->next_connect) {
		if (link_open(host, NULL, &host->round) == NULL)
			open_failed(host, errno);
		else if (host->state == HOST_ASLEEP)
			host_set_state(host, HOST_CONNECTING, NULL);
	}
}

void
host_on_link_ready(struct host *host, const union resolve_address *address)
{
	bool elsewhere = host_settle_at(host, address);
	bool was_reachable = host_reachable(host);
	struct link *link;
	struct link *next;

	host_set_state(host, HOST_UP, NULL);
	if (elsewhere && was_reachable && !host->leaving)
		worker_tell_state(host);
	/* The first link of a new generation relieves the old ones. */
	for (int i = 0; i < 2; i++) {
		struct link_list *list = i == 0 ? &host->ready : &host->others;
		for (link = TAILQ_FIRST(list); link != NULL; link = next) {
			next = TAILQ_NEXT(link, entry);
			if (link->generation != host->generation &&
			    (link->state == LINK_READY || link->state == LINK_FULL))
				link_retire(link);
		}
	}
	host_pump(host);
	want_links(host);
	arm(host);
}

void
host_on_link_closed(struct host *host, enum link_end end, const union resolve_address *address,
		    const char *why)
{
	char text[LINK_WHY_SIZE];

	if (host->hold == HOST_HOLD_DRAINING) {
		host->round.tried = 0;
		host_go_on(host); /* it was to end; what came back waits with the others */
		return;
	}
	switch (end) {
	case LINK_END_WORKED:
		host->failures = 0;
		if (host->usable == 0) {
			/* It was good until now: no backoff of another link's failure holds up the
			 * next. */
			host->next_connect = 0;
			host_set_state(host, HOST_CONNECTING, why);
		}
		host_pump(host); /* what came back may go on another link */
		break;
	case LINK_END_UNREADY:
		if (!host_move_on(host, address, why))
			link_failed(host, why, host_which_failed(host, address, why, text));
		host_pump(host);
		break;
	case LINK_END_FAILED:
		link_failed(host, why, why);
		host_pump(host);
		break;
	case LINK_END_IDLE:
		if (host->usable == 0 && host->opening == 0)
			host_set_state(host, HOST_ASLEEP, why);
		break;
	case LINK_END_UNWANTED:
		break;
	}
	want_links(host);
	if (host->opening == 0)
		host->round.tried = 0; /* nobody goes on with it now */
	arm(host);
}

/* --- clock ------------------------------------------------------------------------------------ */

static void
arm(struct host *host)
{
	uint64_t at = UINT64_MAX;

	if (host->queue_count > 0)
		at = host_patience(host, TAILQ_FIRST(&host->queue));
	if (wants_another(host) && host->next_connect < at)
		at = host->next_connect;
	/* Never moved to later: a due timer looks again, and a busy queue costs nothing here. */
	if (at != UINT64_MAX && (!uring_timer_armed(&host->timer) || host->timer.at > at))
		uring_timer_set(host->worker->ring, &host->timer, at);
}

void
host_go_on(struct host *host)
{
	want_links(host);
	arm(host);
}

static void
on_due(struct uring_timer *timer)
{
	struct host *host = uring_container_of(timer, struct host, timer);

	host_expire_queue(host);
	host_go_on(host);
}

/* --- life ------------------------------------------------------------------------------------- */

struct host *
host_new(struct worker *worker, const struct channel_host *message, int listener)
{
	struct host *host = calloc(1, sizeof *host);

	if (host == NULL)
		return NULL;
	host->worker = worker;
	host->index = message->index;
	host->stats = worker_host_stats(worker, message->index, message->id);
	host->state = HOST_CONNECTING;
	memcpy(host->id, message->id, sizeof host->id);
	memcpy(host->local_id, message->local_id, sizeof host->local_id);
	host->settings = message->settings;
	host->addresses = message->addresses;
	host->hold = HOST_HOLD_NONE;
	host->listener = listener;
	host_tls_update(host, message);
	for (int i = 0; i < HOST_ACCEPTS_MAX; i++) {
		host->accepts[i].host = host;
		host->accepts[i].op.done = on_accepted;
	}
	LIST_INIT(&host->clients);
	TAILQ_INIT(&host->ready);
	TAILQ_INIT(&host->others);
	TAILQ_INIT(&host->queue);
	host->timer.due = on_due;
	host_set_hold(host, (enum host_hold)message->hold);
	host_arm_accepts(host);
	if (host->settings.spread > 1)
		worker_look_at_shared(worker);
	host_go_on(host);
	return host;
}

/* Ends links that have not become usable; they were on their way to the old address. */
static void
close_opening(struct host *host)
{
	struct link *link;
	struct link *next;

	for (link = TAILQ_FIRST(&host->others); link != NULL; link = next) {
		next = TAILQ_NEXT(link, entry);
		if (link->generation != host->generation &&
		    (link->state == LINK_CONNECTING || link->state == LINK_HANDSHAKE))
			link_dismiss(link, LINK_REASON_RETIRED);
	}
}

void
host_each_link(struct host *host, void (*each)(struct link *link))
{
	struct link *link;
	struct link *next;

	for (int i = 0; i < 2; i++) {
		for (link = TAILQ_FIRST(i == 0 ? &host->ready : &host->others); link != NULL;
		     link = next) {
			next = TAILQ_NEXT(link, entry);
			each(link);
		}
	}
}

/* Links that have more or less room now, or less time. */
static void
update_links(struct host *host)
{
	host_each_link(host, link_on_settings);
	host_pump(host);
}

/* Old links serve on until one of the new generation is ready. */
static void
next_generation(struct host *host)
{
	host->generation++;
	host->current = 0;
	host->round = (struct host_round){ .place = 0 };
	host->failures = 0;
	host->next_connect = 0;
	if (host->state == HOST_ASLEEP && host->hold != HOST_HOLD_DRAINING)
		host_set_state(host, HOST_CONNECTING, NULL);
	/* Last: each one that ends may open another, to where the host is now. */
	close_opening(host);
}

/* What it has is finished, nothing new goes over it. */
static void
retire(struct link *link)
{
	if (link->state == LINK_READY || link->state == LINK_FULL)
		link_retire(link);
}

void
host_change(struct host *host, const struct channel_host *message)
{
	enum host_security_change secured = host_tls_update(host, message);

	host->settings = message->settings;
	memcpy(host->local_id, message->local_id, sizeof host->local_id);
	if (secured == HOST_SECURITY_SECURED)
		host_each_link(host, retire);
	update_links(host);
	bool moved = host_take_addresses(host, &message->addresses);
	if (moved || secured != HOST_SECURITY_SAME)
		next_generation(host);
	host_set_hold(host, (enum host_hold)message->hold);
	host_arm_accepts(host);
	if (host->settings.spread > 1)
		worker_look_at_shared(host->worker);
	host_go_on(host);
}

void
host_renew(struct host *host)
{
	if (host->state == HOST_ASLEEP)
		return; /* the next link is a new one anyway */
	next_generation(host);
	want_links(host);
	arm(host);
}

void
host_retry(struct host *host)
{
	host->failures = 0;
	host->next_connect = 0;
	want_links(host);
	arm(host);
}

void
host_reconnect(struct host *host)
{
	host_renew(host);
	host_retry(host);
}

void
host_leave(struct host *host, bool farewell)
{
	struct client *client;
	struct client *next;

	if (host->leaving)
		return;
	host->leaving = true;
	host->farewell.state = farewell ? FAREWELL_WANTED : FAREWELL_NONE;
	for (int i = 0; i < HOST_ACCEPTS_MAX; i++) {
		if (host->accepts[i].op.in_flight)
			uring_cancel(host->worker->ring, &host->accepts[i].op);
	}
	for (client = LIST_FIRST(&host->clients); client != NULL; client = next) {
		next = LIST_NEXT(client, entry);
		client_finish(client);
	}
	host_end_hold(host);
	arm(host);
}

static void
dismiss_links(struct host *host)
{
	struct link *link;
	struct link *next;

	while ((link = TAILQ_FIRST(&host->ready)) != NULL)
		link_dismiss(link, LINK_REASON_STOPPED);
	for (link = TAILQ_FIRST(&host->others); link != NULL; link = next) {
		next = TAILQ_NEXT(link, entry);
		if (link->state != LINK_CLOSING)
			link_dismiss(link, LINK_REASON_STOPPED);
	}
}

bool
host_reap(struct host *host)
{
	if (!host->leaving || host->clients_count > 0 || host->errands > 0 || host->queue_count > 0)
		return false;
	/* Nobody waits any more: after the farewell links have no purpose. */
	if (!farewell_say(host))
		return false;
	dismiss_links(host);
	for (int i = 0; i < HOST_ACCEPTS_MAX; i++) {
		if (host->accepts[i].op.in_flight)
			return false;
	}
	return host->links_count == 0;
}

void
host_free(struct host *host)
{
	assert(host->links_count == 0 && host->opening == 0 && host->usable == 0);
	assert(host->courier == NULL);
	uring_timer_clear(host->worker->ring, &host->timer);
	uring_close(host->worker->ring, host->listener);
	host_tls_fini(&host->tls);
	free(host);
}
