/*
 * datagram_session.c - the sessions of clients: begun, watched for silence, ended; and the bucket
 * of requests of each.
 *
 * Never has more than sessions_max of them.  Owns the sessions' memory, which is of the worker's
 * budget.
 */
#include "relay/datagrams.h"

#include "relay/port.h"
#include "relay/stats.h"

#include <time.h>

#define NANO             UINT64_C(1000000000)
#define PRESENCE_LAZY_MS 5u
#define KEEP_ALIVE_PART  3u /* of its patience: so often a client speaks that is there */

static struct session **
place(const struct datagrams *plane, uint64_t client)
{
	return &plane->table[datagrams_mix(plane, client) & (plane->table_size - 1)];
}

struct session *
session_find(const struct datagrams *plane, uint64_t client)
{
	struct session *session = *place(plane, client);

	while (session != NULL && session->client != client)
		session = session->next;
	return session;
}

/* --- presence --------------------------------------------------------------------------------- */

static uint64_t
wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* false = control has no room for it now. */
static bool
tell_presence(const struct session *session, enum channel_type type)
{
	struct worker *worker = session->plane->worker;
	struct channel_message message = {
		.type = type,
		.presence = { .client = session->client, .session = session->id },
	};
	struct channel_presence *presence = &message.presence;

	if (type == CHANNEL_ONLINE) {
		presence->since_us = session->since_us;
		presence->address_len = dgram_address_bytes(&session->route.address,
							    presence->address, &presence->port);
	} else {
		presence->since_us = wall_us() - (worker_now(worker) - session->seen_at) / 1000u;
	}
	return worker->control == NULL || port_send(worker->control, &message, -1) == 0;
}

static void
forget_gone(struct session *session)
{
	struct datagrams *plane = session->plane;

	TAILQ_REMOVE(&plane->gone, session, entry);
	memory_put(&plane->worker->memory, session, session->block);
}

void
sessions_forget_gone(struct datagrams *plane)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&plane->gone)) != NULL)
		forget_gone(session);
}

/* false = not of all of them. */
static bool
tell_gone(struct datagrams *plane)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&plane->gone)) != NULL) {
		if (!tell_presence(session, CHANNEL_OFFLINE))
			return false;
		forget_gone(session);
	}
	return true;
}

/* Who is gone comes first: so there are never more of these than were online at one time. */
static bool
tell_online(struct session *session)
{
	return tell_gone(session->plane) && tell_presence(session, CHANNEL_ONLINE);
}

static void
tell_all(struct datagrams *plane)
{
	struct session *session;

	if (!tell_gone(plane)) {
		datagrams_tell_later(plane);
		return;
	}
	TAILQ_FOREACH(session, &plane->sessions, entry) {
		if (session->told)
			continue;
		if (!tell_online(session)) {
			datagrams_tell_later(plane);
			return;
		}
		session->told = true;
	}
	tokens_tell(plane);
}

void
datagrams_on_tell(struct uring_timer *timer)
{
	tell_all(uring_container_of(timer, struct datagrams, tell));
}

void
datagrams_tell_later(struct datagrams *plane)
{
	struct worker *worker = plane->worker;

	if (!uring_timer_armed(&plane->tell))
		uring_timer_set(worker->ring, &plane->tell,
				worker_now(worker) + ms_to_ns(DATAGRAM_TELL_MS));
}

void
datagrams_on_new_control(struct datagrams *plane)
{
	struct session *session;

	TAILQ_FOREACH(session, &plane->sessions, entry)
		session->told = false;
	sessions_forget_gone(plane);
	tokens_forget(plane, false);
	tell_all(plane);
}

void
session_missed(struct session *session)
{
	if (session->missed_at == 0)
		session->missed_at = worker_now(session->plane->worker);
}

/* To control it is as if the session began: it reads the store from the start and brings what
 * nobody confirmed, of which what is under way here still is left out.  Not often: also for want of
 * memory something is missed. */
void
session_take_up(struct session *session, bool is_keep_alive)
{
	const struct datagram_settings *settings = &session->plane->settings;
	uint64_t pause = ms_to_ns(settings->presence_timeout_ms) / KEEP_ALIVE_PART;
	uint64_t now = worker_now(session->plane->worker);

	if (session->missed_at == 0 || !session->told ||
	    (!is_keep_alive && now - session->missed_at < pause) ||
	    now - session->again_at < ms_to_ns(settings->resend_first_ms))
		return;
	if (!tell_online(session))
		return;
	session->missed_at = 0;
	session->again_at = now;
}

/* The silent ones are at the head: one timer for all. */
void
session_watch(struct datagrams *plane)
{
	const struct session *session = TAILQ_FIRST(&plane->sessions);

	if (session == NULL)
		uring_timer_clear(plane->worker->ring, &plane->presence);
	else
		uring_timer_set(plane->worker->ring, &plane->presence,
				session->seen_at + ms_to_ns(plane->settings.presence_timeout_ms));
}

void
session_on_presence(struct uring_timer *timer)
{
	struct datagrams *plane = uring_container_of(timer, struct datagrams, presence);
	uint64_t silence = ms_to_ns(plane->settings.presence_timeout_ms);
	uint64_t now = worker_now(plane->worker);
	struct session *session;

	while ((session = TAILQ_FIRST(&plane->sessions)) != NULL &&
	       session->seen_at + silence <= now) {
		datagrams_count(plane, DATAGRAM_COUNT_SILENT);
		session_end(session, false);
	}
	session_watch(plane);
}

/* The timer is not moved: it looks again when it is due. */
void
session_seen(struct session *session)
{
	struct datagrams *plane = session->plane;

	session->seen_at = worker_now(plane->worker);
	if (TAILQ_NEXT(session, entry) == NULL)
		return;
	TAILQ_REMOVE(&plane->sessions, session, entry);
	TAILQ_INSERT_TAIL(&plane->sessions, session, entry);
}

bool
session_may_ask(struct session *session)
{
	const struct datagram_settings *settings = &session->plane->settings;
	uint64_t now = worker_now(session->plane->worker);
	uint64_t full = settings->burst * NANO;
	uint64_t passed = now - session->tokens_at;

	session->tokens_at = now;
	/* What fills it is left out before it is multiplied: so the product stays small. */
	if (settings->rate > 0 && passed >= full / settings->rate)
		session->tokens = full;
	else
		session->tokens += passed * settings->rate;
	if (session->tokens > full)
		session->tokens = full;
	if (session->tokens < NANO)
		return false;
	session->tokens -= NANO;
	return true;
}

struct leftover *
leftover_of(const struct datagrams *plane, uint64_t client)
{
	return &plane->leftovers[datagrams_mix(plane, client) & (DATAGRAM_LEFTOVERS - 1)];
}

static void
leave_bucket(const struct session *session)
{
	struct leftover *left = leftover_of(session->plane, session->client);

	left->client = session->client;
	left->tokens = session->tokens;
	left->tokens_at = session->tokens_at;
}

/* A full one, but not again and again for who begins sessions only to get it. */
static void
take_bucket(struct session *session)
{
	const struct leftover *left = leftover_of(session->plane, session->client);

	session->tokens = (uint64_t)session->plane->settings.burst * NANO;
	session->tokens_at = worker_now(session->plane->worker);
	if (left->client != session->client)
		return;
	session->tokens = left->tokens;
	session->tokens_at = left->tokens_at;
}

/* --- life ------------------------------------------------------------------------------------- */

static void
unlink_session(struct session *session)
{
	struct datagrams *plane = session->plane;
	struct session **at = place(plane, session->client);

	while (*at != session)
		at = &(*at)->next;
	*at = session->next;
	TAILQ_REMOVE(&plane->sessions, session, entry);
	plane->sessions_count--;
	stats_set(&plane->worker->stats->datagrams_online, plane->sessions_count);
}

void
session_end(struct session *session, bool say_bye)
{
	struct datagrams *plane = session->plane;
	size_t block = session->block;

	leave_bucket(session);
	inquiry_orphan_all(session);
	outbox_end(session);
	if (say_bye)
		session_send_bare(session, DATAGRAM_BYE, 0);
	unlink_session(session);
	if (session->told && !tell_presence(session, CHANNEL_OFFLINE)) {
		datagram_wipe(&session->cipher, sizeof session->cipher);
		TAILQ_INSERT_TAIL(&plane->gone, session, entry);
		datagrams_tell_later(plane);
		return;
	}
	datagram_wipe(session, sizeof *session);
	memory_put(&plane->worker->memory, session, block);
}

void
session_end_all(struct datagrams *plane, bool say_bye)
{
	struct session *session;

	while ((session = TAILQ_FIRST(&plane->sessions)) != NULL)
		session_end(session, say_bye);
	uring_timer_clear(plane->worker->ring, &plane->presence);
}

static bool
init_cipher(struct session *session)
{
	const struct datagrams *plane = session->plane;
	const struct datagram_key *key;

	if (plane->keys == NULL)
		return true;
	key = datagram_keys_find(plane->keys, plane->keys_count, session->client);
	if (key == NULL)
		return false;
	datagram_cipher_init(&session->cipher, session->client, key->secret);
	session->route.cipher = &session->cipher;
	return true;
}

static void
insert(struct session *session)
{
	struct datagrams *plane = session->plane;
	struct session **at = place(plane, session->client);

	session->next = *at;
	*at = session;
	TAILQ_INSERT_TAIL(&plane->sessions, session, entry);
	plane->sessions_count++;
	stats_set(&plane->worker->stats->datagrams_online, plane->sessions_count);
	datagrams_count(plane, DATAGRAM_COUNT_SESSIONS);
	if (!uring_timer_armed(&plane->presence))
		session_watch(plane);
}

struct session *
session_begin(struct datagrams *plane, const struct offer *offer)
{
	struct worker *worker = plane->worker;
	struct session *before = session_find(plane, offer->client);
	size_t block;

	if (before == NULL && plane->sessions_count >= plane->settings.sessions_max)
		return NULL;
	struct session *session =
	    memory_resize(&worker->memory, NULL, 0, 0, sizeof *session, &block);
	if (session == NULL)
		return NULL;
	*session = (struct session){
		.plane = plane,
		.client = offer->client,
		.id = offer->session,
		.hello = offer->hello,
		.seen_at = worker_now(worker),
		.since_us = wall_us(),
		.route = { .socket = &plane->sockets[offer->socket],
			   .address = offer->address,
			   .local = offer->local,
			   .came = SIZE_MAX },
		.size = offer->receive_max,
		.next_number = 1,
		.block = block,
	};
	TAILQ_INIT(&session->inquiries);
	TAILQ_INIT(&session->outbox);
	if (!init_cipher(session)) {
		memory_put(&worker->memory, session, block);
		return NULL;
	}
	/* Not before: what the client gets instead is sealed by the one that it has. */
	if (before != NULL)
		session_end(before, false);
	take_bucket(session);
	insert(session);
	session->told = tell_online(session);
	if (!session->told)
		datagrams_tell_later(plane);
	return session;
}
