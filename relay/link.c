/*
 * link.c - a link's states and clocks.  It is the only one to write the state, and never decides
 * whether a link is wanted (host.c does).  Its beginning is in link_open.c, what goes over it in
 * link_traffic.c, its end in link_close.c.
 */
#include "relay/link.h"

#include "relay/courier.h"
#include "relay/host.h"
#include "relay/link_internal.h"
#include "relay/stats.h"

#include <assert.h>

const char *
link_state_text(enum link_state state)
{
	switch (state) {
#define X(name, text) \
	case name:    \
		return text;
		LINK_STATES(X)
#undef X
	}
	return "unknown";
}

/* --- states ----------------------------------------------------------------------------------- */

static bool
opening(enum link_state state)
{
	return state == LINK_CONNECTING || state == LINK_HANDSHAKE;
}

static bool
legal(enum link_state from, enum link_state to)
{
	switch (to) {
	case LINK_CONNECTING:
		return false;
	case LINK_HANDSHAKE:
		return from == LINK_CONNECTING;
	case LINK_READY:
		return from == LINK_HANDSHAKE || from == LINK_FULL;
	case LINK_FULL:
		return from == LINK_READY;
	case LINK_RETIRING:
		return link_usable(from);
	case LINK_CLOSING:
		return from != LINK_CLOSING;
	}
	return false;
}

/* The host counts the links of its pool by what they are good for. */
static void
count(struct link *link, enum link_state state, bool enters)
{
	struct host *host = link->host;
	uint32_t one = enters ? 1 : (uint32_t)-1;

	if (link->courier != NULL)
		return;
	if (opening(state))
		host->opening += one;
	if (link_usable(state)) {
		host->usable += one;
		histogram_bump(&host->stats->links_ready, enters ? 1 : (uint64_t)-1);
	}
	if ((opening(state) || link_usable(state)) && link->generation == host->generation)
		host->current += one;
}

/* Whether a link in this state is one that host_submit() may use. */
static bool
in_pool(const struct link *link, enum link_state state)
{
	return state == LINK_READY && link->courier == NULL;
}

void
link_set_state(struct link *link, enum link_state next)
{
	struct host *host = link->host;

	assert(legal(link->state, next));
	if (in_pool(link, link->state))
		TAILQ_REMOVE(&host->ready, link, entry);
	else
		TAILQ_REMOVE(&host->others, link, entry);
	/* Between READY and FULL, which is where a busy link goes all the time, no count changes.
	 */
	bool counted = link_usable(link->state) && link_usable(next);
	if (!counted)
		count(link, link->state, false);
	link->state = next;
	if (!counted)
		count(link, next, true);
	/* At the head: the most recently used link is the next to be used. */
	if (in_pool(link, next))
		TAILQ_INSERT_HEAD(&host->ready, link, entry);
	else
		TAILQ_INSERT_HEAD(&host->others, link, entry);
}

void
link_enter(struct link *link)
{
	struct host *host = link->host;

	link->state = LINK_CONNECTING;
	TAILQ_INSERT_HEAD(&host->others, link, entry);
	host->links_count++;
	count(link, LINK_CONNECTING, true);
}

static bool
has_room(const struct link *link)
{
	return link->in_flight_count < link->host->settings.pipeline &&
	       buffer_len(&link->out) <= LINK_OUT_HIGH;
}

/* READY or FULL, whichever is true now. */
void
link_update_room(struct link *link)
{
	if (link->state == LINK_READY && !has_room(link))
		link_set_state(link, LINK_FULL);
	else if (link->state == LINK_FULL && has_room(link))
		link_set_state(link, LINK_READY);
}

/* --- clocks ----------------------------------------------------------------------------------- */

static uint64_t
deadline(const struct link *link)
{
	const struct host_settings *set = &link->host->settings;

	if (opening(link->state))
		return resolve_try_until(link->opened_at,
					 link->round_since + ms_to_ns(set->connect_timeout_ms),
					 link->round_left);
	bool courier = link->courier != NULL;
	if (link->in_flight_count > 0)
		return TAILQ_FIRST(&link->in_flight)->since +
		       ms_to_ns(courier ? COURIER_REPLY_MS : set->reply_timeout_ms);
	return link->used_at + ms_to_ns(courier ? COURIER_IDLE_MS : set->idle_timeout_ms);
}

/* Only ever moves the timer forward in time to an earlier moment: a due timer looks again, so the
 * hot path rarely touches it. */
void
link_arm(struct link *link)
{
	uint64_t at = deadline(link);

	if (!uring_timer_armed(&link->timer) || link->timer.at > at)
		uring_timer_set(link_worker(link)->ring, &link->timer, at);
}

void
link_on_due(struct uring_timer *timer)
{
	struct link *link = uring_container_of(timer, struct link, timer);

	if (link->state == LINK_CLOSING)
		return;
	if (link->tls != NULL && link_tls_on_due(link))
		return;
	if (worker_now(link_worker(link)) < deadline(link)) {
		link_arm(link);
		return;
	}
	if (link->state == LINK_CONNECTING)
		link_close(link, LINK_REASON_CONNECT_TIMEOUT, "connect timed out");
	else if (link->state == LINK_HANDSHAKE)
		link_close(link, LINK_REASON_HANDSHAKE_TIMEOUT, "handshake timed out");
	else if (link->in_flight_count > 0)
		link_close(link, LINK_REASON_REPLY_TIMEOUT, "no reply in time");
	else
		link_dismiss(link, LINK_REASON_IDLE);
}

void
link_on_settings(struct link *link)
{
	if (link->state == LINK_CLOSING)
		return;
	link_update_room(link);
	link_arm(link);
}
