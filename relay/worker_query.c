/*
 * worker_query.c - see worker_query.h.  Answers at once from what is; looks at a bounded number of
 * hosts or services and tells a bounded number of rows at a time, and keeps nothing but a place in
 * the list of clients, which may be long.
 */
#include "relay/worker_query.h"

#include "relay/client.h"
#include "relay/datagram_list.h"
#include "relay/errand.h"
#include "relay/host.h"
#include "relay/link.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Hosts or services looked at for one answer. */
#define HOSTS_PER_QUERY 1024u

static struct host *
host_at(const struct worker *worker, uint32_t index)
{
	return index < worker->hosts_cap ? worker->hosts[index] : NULL;
}

static uint64_t
age_us(const struct host *host, uint64_t since)
{
	return (worker_now(host->worker) - since) / 1000;
}

/* Of a link to be looked at as the list goes: ready ones, then all others. */
static struct link *
next_link(const struct host *host, const struct link *link)
{
	struct link *next = link == NULL ? TAILQ_FIRST(&host->ready) : TAILQ_NEXT(link, entry);
	bool was_ready = link == NULL || (link->state == LINK_READY && link->courier == NULL);

	return next == NULL && was_ready ? TAILQ_FIRST(&host->others) : next;
}

/* --- one host --------------------------------------------------------------------------------- */

static void
tell_host(struct worker *worker, const struct channel_ask *ask)
{
	const struct host *host = host_at(worker, ask->index);
	struct channel_message message = { .type = CHANNEL_HOST_IS };
	struct channel_host_is *is = &message.host_is;

	is->token = ask->token;
	is->index = ask->index;
	if (host != NULL) {
		is->known = 1;
		is->hold = host->hold;
		is->reachable = host_reachable(host);
		is->links = host->links_count;
		is->queued = host->queue_count;
		for (const struct link *link = NULL; (link = next_link(host, link)) != NULL;) {
			is->in_flight += link->in_flight_count;
			is->fresh += link->courier == NULL &&
				     link->generation == host->generation &&
				     (link->state == LINK_READY || link->state == LINK_FULL);
		}
	}
	worker_tell_control(worker, &message);
}

/* --- rows ------------------------------------------------------------------------------------- */

static struct channel_row *
add_row(struct channel_rows *rows, const struct host *host, uint64_t number)
{
	struct channel_row *row = &rows->rows[rows->count++];

	row->number = number;
	memcpy(row->host, host->id, sizeof row->host);
	return row;
}

static void
set_peer(struct channel_row *row, const union resolve_address *address)
{
	if (address->any.sa_family == AF_INET) {
		memcpy(row->address, &address->v4.sin_addr, 4);
		row->address_len = 4;
		row->port = ntohs(address->v4.sin_port);
	} else if (address->any.sa_family == AF_INET6) {
		memcpy(row->address, &address->v6.sin6_addr, 16);
		row->address_len = 16;
		row->port = ntohs(address->v6.sin6_port);
	}
}

static void
set_tls(struct channel_row *row, const struct tls_session *tls)
{
	int64_t expiry = tls_peer_expiry(tls);

	snprintf(row->tls_cipher, sizeof row->tls_cipher, "%s", tls_cipher(tls));
	snprintf(row->tls_name, sizeof row->tls_name, "%s", tls_peer_name(tls));
	row->tls_expiry = expiry > 0 ? (uint64_t)expiry : 0;
	row->tls_resumed = tls_resumed(tls);
}

static void
add_link(struct channel_rows *rows, const struct link *link)
{
	struct channel_row *row = add_row(rows, link->host, link->number);

	row->state = link->state;
	row->in_flight = link->in_flight_count;
	row->requests = link->answered;
	row->age_us = age_us(link->host, link->opened_at);
	row->in_bytes = buffer_len(&link->in);
	row->out_bytes = buffer_len(&link->out);
	set_peer(row, &link->address);
	if (link->tls != NULL)
		set_tls(row, link->tls);
}

/* In the order of their numbers, from behind *number on.  true = not all had room. */
static bool
add_links(struct channel_rows *rows, uint32_t max, const struct host *host, uint64_t *number)
{
	for (;;) {
		const struct link *least = NULL;
		for (const struct link *link = NULL; (link = next_link(host, link)) != NULL;) {
			if (link->number > *number &&
			    (least == NULL || link->number < least->number))
				least = link;
		}
		if (least == NULL)
			return false;
		if (rows->count == max)
			return true;
		add_link(rows, least);
		*number = least->number;
	}
}

static void
add_client(struct channel_rows *rows, const struct client *client)
{
	const struct exchange *x = client->exchange;
	struct channel_row *row = add_row(rows, client->host, client->number);

	row->state = client->state;
	row->requests = client->requests;
	row->age_us = age_us(client->host, client->accepted_at);
	uring_peer(client->host->worker->ring, client->recv.fd, &row->uid, &row->pid);
	if (x == NULL)
		return;
	row->in_flight = x->request.state != REQUEST_IDLE;
	row->in_bytes = buffer_len(&x->in) + buffer_len(&x->request.body);
	row->out_bytes = buffer_len(&x->out);
}

/* The youngest is at the head of the list, so numbers only get smaller. */
static bool
add_clients(struct channel_rows *rows, uint32_t max, const struct host *host, uint64_t *number)
{
	struct worker *worker = host->worker;
	struct client *client = LIST_FIRST(&host->clients);

	/* Where the page before ended; a cursor may have been made for another host. */
	if (*number != 0 && *number == worker->listed_number &&
	    (worker->listed_next == NULL || worker->listed_next->host == host))
		client = worker->listed_next;
	while (client != NULL && *number != 0 && client->number >= *number)
		client = LIST_NEXT(client, entry);
	for (; client != NULL && rows->count < max; client = LIST_NEXT(client, entry)) {
		add_client(rows, client);
		*number = client->number;
	}
	worker->listed_number = *number;
	worker->listed_next = client;
	return client != NULL;
}

/* What there is at the index, if it is there.  true = not all had room. */
static bool
add_rows(struct worker *worker, const struct channel_query *query, uint32_t index,
	 struct channel_rows *rows, uint32_t max, uint64_t *number)
{
	if (query->kind == CHANNEL_CALLS)
		return worker->services[index] != NULL &&
		       worker_query_calls(worker->services[index], rows, max, number);
	const struct host *host = worker->hosts[index];
	if (host == NULL)
		return false;
	return query->kind == CHANNEL_LINKS ? add_links(rows, max, host, number)
					    : add_clients(rows, max, host, number);
}

static void
answer_query(struct worker *worker, const struct channel_query *query)
{
	struct channel_message message = { .type = CHANNEL_ROWS };
	struct channel_rows *rows = &message.rows;
	uint32_t max = query->max < CHANNEL_ROWS_MAX ? query->max : CHANNEL_ROWS_MAX;
	uint32_t index = query->index;
	uint32_t cap = query->kind == CHANNEL_CALLS ? worker->services_cap : worker->hosts_cap;
	uint64_t number = query->number;

	rows->token = query->token;
	if (query->kind == CHANNEL_SESSIONS) {
		datagram_list(worker, query, rows);
		worker_tell_control(worker, &message);
		return;
	}
	for (uint32_t i = 0; i < HOSTS_PER_QUERY && index < cap; i++) {
		if (add_rows(worker, query, index, rows, max, &number))
			break;
		number = 0;
		index = query->all ? index + 1 : CHANNEL_HOSTS_ALL;
	}
	rows->index = index < cap ? index : CHANNEL_HOSTS_ALL;
	rows->number = number;
	worker_tell_control(worker, &message);
}

/* --- kill ------------------------------------------------------------------------------------- */

static bool
kill_link_of(const struct host *host, const struct channel_kill *kill)
{
	for (struct link *link = NULL; (link = next_link(host, link)) != NULL;) {
		if (link->number != kill->number)
			continue;
		if (link->state == LINK_CLOSING)
			return false;
		if (!kill->dry_run)
			link_close(link, LINK_REASON_KILLED, "killed by an operator");
		return true;
	}
	return false;
}

static bool
kill_client_of(const struct host *host, const struct channel_kill *kill)
{
	struct client *client;

	LIST_FOREACH(client, &host->clients, entry) {
		if (client->number != kill->number)
			continue;
		if (client->state == CLIENT_CLOSING)
			return false;
		if (!kill->dry_run)
			client_close(client);
		return true;
	}
	return false;
}

static bool
kill_of(const struct host *host, const struct channel_kill *kill)
{
	return kill->kind == CHANNEL_LINKS ? kill_link_of(host, kill) : kill_client_of(host, kill);
}

static bool
kill_any(struct worker *worker, const struct channel_kill *kill)
{
	const struct host *host;

	if (kill->kind == CHANNEL_CALLS)
		return worker_kill_call(worker, kill);
	if (kill->kind == CHANNEL_SESSIONS)
		return false;
	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		if (worker->hosts[i] != NULL && kill_of(worker->hosts[i], kill))
			return true;
	}
	TAILQ_FOREACH(host, &worker->leaving, leaving_entry) {
		if (kill_of(host, kill))
			return true;
	}
	return false;
}

static void
answer_kill(struct worker *worker, const struct channel_kill *kill)
{
	struct channel_message message = { .type = CHANNEL_KILLED, .kill = *kill };

	message.kill.found = kill_any(worker, kill);
	worker_tell_control(worker, &message);
}

/* --- all -------------------------------------------------------------------------------------- */

bool
worker_on_question(struct worker *worker, const struct channel_message *message, int fd)
{
	switch (message->type) {
	case CHANNEL_ASK_HOST:
		tell_host(worker, &message->ask);
		break;
	case CHANNEL_QUERY:
		answer_query(worker, &message->query);
		break;
	case CHANNEL_KILL:
		answer_kill(worker, &message->kill);
		break;
	case CHANNEL_REQUEST:
		errand_start(worker, host_at(worker, message->request.index), &message->request, fd,
			     ERRAND_OF_CONTROL);
		return true; /* the descriptor went with it */
	default:
		return false;
	}
	if (fd >= 0)
		uring_close(worker->ring, fd);
	return true;
}
