/*
 * link_open.c - a link's beginning: its socket, connect, lond's handshake, its key.  Inside TLS the
 * same handshake runs when link_tls.c says so.
 */
#include "relay/courier.h"
#include "relay/host.h"
#include "relay/link.h"
#include "relay/link_internal.h"
#include "relay/stats.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- handshake -------------------------------------------------------------------------------- */

static bool
say(struct link *link, const struct wire_out *out)
{
	if (out->overflow || out->len == 0)
		return !out->overflow;
	buffer_grow(&link->out, out->len);
	link_mark_dirty(link);
	return true;
}

static void
become_ready(struct link *link, struct wire_span build_key)
{
	struct host *host = link->host;
	uint8_t raw[IDEA_KEY_SIZE];
	struct idea_key *key = &link->key;

	lond_key(raw, wire_span_str(host->id), wire_span_str(host->local_id), build_key);
	idea_key_init(key, raw);
	explicit_bzero(raw, sizeof raw);
	link->ready_at = link->used_at = worker_now(host->worker);
	histogram_add(&host->stats->handshake, link->ready_at - link->opened_at);
	link_set_state(link, LINK_READY);
	uring_timer_clear(host->worker->ring, &link->timer);
	link_arm(link);
	if (link->courier != NULL)
		courier_on_link_ready(link->courier);
	else
		host_on_link_ready(host, &link->address);
}

void
link_on_handshake_line(struct link *link, struct wire_span line)
{
	struct wire_span build_key = { 0 };
	uint8_t *room = buffer_room(&link->out, link_memory(link), LOND_OUT_MAX);

	if (room == NULL) {
		link_close(link, LINK_REASON_NO_MEMORY, "no memory");
		return;
	}
	struct wire_out out = wire_out(room, LOND_OUT_MAX);
	enum wire_status status = lond_on_line(&link->lond, line, &out, &build_key);
	if (status != WIRE_OK || !say(link, &out)) {
		char why[64];
		snprintf(why, sizeof why, "handshake: %s", wire_status_text(status));
		link_close(link, LINK_REASON_HANDSHAKE_FAILED, why);
		return;
	}
	if (buffer_len(&link->out) == 0)
		buffer_release(&link->out, link_memory(link));
	if (link->lond.state == LOND_READY)
		become_ready(link, build_key);
}

/* --- opening ---------------------------------------------------------------------------------- */

bool
link_greet(struct link *link)
{
	uint8_t *room = buffer_room(&link->out, link_memory(link), LOND_OUT_MAX);

	if (room == NULL)
		return false;
	struct wire_out out = wire_out(room, LOND_OUT_MAX);
	lond_start(&link->lond, false, &out);
	return say(link, &out);
}

static void
on_connected(struct uring_op *op, int res, const uint8_t *data)
{
	struct link *link = uring_container_of(op, struct link, connect);

	(void)data;
	if (link->state == LINK_CLOSING) {
		link_finish(link);
		return;
	}
	if (res < 0) {
		link_close(link, LINK_REASON_CONNECT_FAILED, strerror(-res));
		return;
	}
	link_set_state(link, LINK_HANDSHAKE);
	if (link->host->tls.required ? link_tls_begin(link) : link_greet(link))
		uring_recv(link_worker(link)->ring, &link->recv, link->fd);
	else
		link_close(link, LINK_REASON_NO_MEMORY, "no memory");
}

struct link *
link_open(struct host *host, struct courier *courier, struct host_round *round)
{
	const union resolve_address *address = host_round_address(host, round);
	struct worker *worker = host->worker;
	int fd = -EADDRNOTAVAIL; /* as long as its name is not resolved */

	if (host->tls.required && host->tls.context == NULL)
		fd = -ENOKEY;
	else if (address != NULL)
		fd = uring_tcp_socket(worker->ring, address->any.sa_family);
	struct link *link = fd < 0 ? NULL : slab_get(&worker->links);
	if (link == NULL) {
		errno = fd < 0 ? -fd : ENOMEM;
		if (fd >= 0)
			uring_close(worker->ring, fd);
		return NULL;
	}
	link->host = host;
	link->courier = courier;
	link->fd = fd;
	link->generation = host->generation;
	link->number = ++worker->last_number;
	link->opened_at = worker_now(worker);
	link->connect.done = on_connected;
	link->recv.done = link_on_recv;
	link->writable.done = link_on_writable;
	link->send.op.done = link_on_sent;
	link->timer.due = link_on_due;
	TAILQ_INIT(&link->in_flight);
	link_enter(link);
	stats_count(&host->stats->connects);
	stats_count(&host->stats->links);
	link->address = *address;
	link->round_left = host_round_begin(host, round);
	link->round_since = round->since;
	uring_connect(worker->ring, &link->connect, fd, &link->address.any,
		      resolve_length(&link->address));
	link_arm(link);
	return link;
}
