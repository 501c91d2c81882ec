/*
 * link_tls.c - a link inside TLS: its handshake, and ciphertext between the socket and what
 * link_traffic.c reads and writes.
 *
 *     link->out   | sealed: its ciphertext waits in the session |  not yet sealed  |
 *                 out_given                                     out_given + sealed
 *
 * A request stays in link->out until all of its ciphertext was taken; with the first byte taken of
 * a piece of ciphertext nothing in that piece is ever sent again.
 *
 * Never logs, never keeps plaintext beyond the call.  Owns the session.
 */
#include "relay/host.h"
#include "relay/link.h"
#include "relay/link_internal.h"
#include "relay/stats.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Sealed at a time: how much of a large line is there twice. */
#define SEAL_MAX (128u * 1024)

static enum link_reason
reason_of(enum tls_failure failure)
{
	switch (failure) {
	case TLS_UNTRUSTED:
		return LINK_REASON_TLS_UNTRUSTED;
	case TLS_WRONG_NAME:
		return LINK_REASON_TLS_WRONG_NAME;
	case TLS_EXPIRED:
		return LINK_REASON_TLS_EXPIRED;
	case TLS_REFUSED:
		return LINK_REASON_TLS_REFUSED;
	case TLS_CLOSED_EARLY:
		return LINK_REASON_TLS_CLOSED_EARLY;
	case TLS_NO_MEMORY:
		return LINK_REASON_NO_MEMORY;
	case TLS_OK:
	case TLS_PROTOCOL:
		break;
	}
	return LINK_REASON_TLS_PROTOCOL;
}

bool
link_tls_is_beginning(const struct link *link)
{
	return link->tls != NULL && link->state == LINK_HANDSHAKE && link->lond.state == LOND_NEW;
}

static void
fail(struct link *link)
{
	enum tls_failure failure = tls_failure(link->tls);
	char why[LINK_WHY_SIZE];

	if (failure == TLS_CLOSED_EARLY && link_tls_is_beginning(link)) {
		snprintf(why, sizeof why, "tls: handshake_closed: %s", tls_detail(link->tls));
		link_close(link, LINK_REASON_TLS_HANDSHAKE_CLOSED, why);
		return;
	}
	snprintf(why, sizeof why, "tls: %s: %s", tls_failure_text(failure), tls_detail(link->tls));
	link_close(link, reason_of(failure), why);
}

bool
link_tls_begin(struct link *link)
{
	struct host *host = link->host;

	/* It may have been taken away while the socket was connecting. */
	if (host->tls.context == NULL)
		return false;
	link->tls = tls_session_new(host->tls.context, link_memory(link), time(NULL));
	if (link->tls == NULL)
		return false;
	link_mark_dirty(link);
	return true;
}

/* Of the wall clock, which all workers share. */
static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
count(struct link *link)
{
	struct stats_host *stats = link->host->stats;

	stats_count(&stats->tls_handshakes);
	if (tls_resumed(link->tls))
		stats_count(&stats->tls_resumed);
	/* With a session of before nothing was shown: that tells of the past. */
	bool shown = !tls_resumed(link->tls) || stats_get(&stats->tls_peer_seen) == 0;
	if (shown && tls_peer_expiry(link->tls) > 0)
		stats_set_peer_expiry(stats, (uint64_t)tls_peer_expiry(link->tls), now_us());
}

/* What came while the handshake was not over may have ended it: then lond's begins. */
static void
go_on(struct link *link)
{
	if (link->lond.state != LOND_NEW || tls_state(link->tls) != TLS_READY)
		return;
	count(link);
	if (!link_greet(link))
		link_close(link, LINK_REASON_NO_MEMORY, "no memory");
}

/* What the session has to say after it was given something to read. */
static void
look(struct link *link)
{
	switch (tls_state(link->tls)) {
	case TLS_FAILED:
		fail(link);
		break;
	case TLS_CLOSED:
		link_close(link, LINK_REASON_PEER_CLOSED, "closed by the peer");
		break;
	case TLS_HANDSHAKE:
	case TLS_READY:
		if (tls_output(link->tls).len > 0)
			link_mark_dirty(link);
		break;
	}
}

void
link_tls_on_input(struct link *link, const uint8_t *data, size_t len)
{
	uint8_t plain[TLS_RECORD_MAX];
	size_t got;

	tls_receive(link->tls, data, len);
	go_on(link);
	while (link->state != LINK_CLOSING && (got = tls_read(link->tls, plain, sizeof plain)) > 0)
		link_on_input(link, plain, got);
	if (link->state != LINK_CLOSING)
		look(link);
}

void
link_tls_on_end(struct link *link)
{
	tls_receive_end(link->tls);
	look(link);
}

bool
link_tls_on_due(struct link *link)
{
	if (tls_state(link->tls) != TLS_FAILED)
		return false;
	fail(link);
	return true;
}

/* One piece at a time: what is taken of its ciphertext is known as one. */
static bool
seal(struct link *link)
{
	size_t len = buffer_len(&link->out);

	if (link->sealed > 0 || len == 0 || link->lond.state == LOND_NEW)
		return true;
	len = len < SEAL_MAX ? len : SEAL_MAX;
	if (!tls_write(link->tls, buffer_at(&link->out), len))
		return false;
	link->sealed = len;
	return true;
}

void
link_tls_flush(struct link *link)
{
	if (!seal(link)) {
		/* Sends of other links are on their way, so nothing may be moved to these now. */
		uring_timer_set(link_worker(link)->ring, &link->timer,
				worker_now(link_worker(link)));
		return;
	}
	struct wire_span out = tls_output(link->tls);
	if (out.len == 0)
		return;
	uring_send(link_worker(link)->ring, &link->send, link->fd, out.data, out.len);
	/* The next piece is sealed once this one is taken, of which no event tells. */
	if (buffer_len(&link->out) > link->sealed)
		worker_hurry(link_worker(link));
}

bool
link_tls_on_taken(struct link *link, size_t n)
{
	tls_sent(link->tls, n);
	if (tls_output(link->tls).len > 0) {
		link->sealed_given |= n > 0 && link->sealed > 0;
		return false;
	}
	buffer_consume(&link->out, link->sealed);
	link->out_given += link->sealed;
	link->sealed = 0;
	link->sealed_given = false;
	if (buffer_len(&link->out) > 0)
		link_mark_dirty(link);
	return true;
}

void
link_tls_say_goodbye(struct link *link)
{
	/* Behind what the socket did not take nothing more is said. */
	if (link->writable.in_flight || link->send.op.in_flight || link->sealed > 0)
		return;
	tls_close(link->tls);
	struct wire_span out = tls_output(link->tls);
	if (out.len > 0)
		uring_send(link_worker(link)->ring, &link->send, link->fd, out.data, out.len);
}
