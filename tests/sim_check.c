/*
 * sim_check.c - what must be true of the worker between any two turns: every list, count and byte
 * adds up, and nothing waits that could go on.
 */
#include "tests/sim.h"

#include "relay/client.h"
#include "relay/link.h"

#include <string.h>

/* What is reachable; compared with what the worker thinks it has handed out. */
struct sums {
	uint64_t memory;
	uint32_t clients;
	uint32_t exchanges;
	uint32_t links;
	uint32_t hosts;
	uint32_t leaving;
	bool listed; /* the client at which the next page begins is there */
};

static void
add_buffer(struct sim *sim, struct sums *sums, const struct buffer *buffer)
{
	if (buffer->head > buffer->tail || buffer->tail > buffer->cap)
		sim_fail(sim, "a buffer with head %zu, tail %zu, cap %zu", buffer->head,
			 buffer->tail, buffer->cap);
	sums->memory += buffer->cap;
}

static void
add_exchange(struct sim *sim, struct sums *sums, const struct exchange *x)
{
	sums->exchanges++;
	add_buffer(sim, sums, &x->in);
	add_buffer(sim, sums, &x->out);
	add_buffer(sim, sums, &x->request.body);
	if (x->request.state != REQUEST_QUEUED && x->request.body.data != NULL)
		sim_fail(sim, "a request that does not wait keeps a body");
	if (x->scanned > buffer_len(&x->in))
		sim_fail(sim, "a client's scanned part is longer than what it sent");
}

static void
check_client(struct sim *sim, struct sums *sums, const struct client *client)
{
	const struct exchange *x = client->exchange;

	sums->clients++;
	sums->listed |= client == sim->worker.listed_next;
	if (x == NULL)
		return;
	add_exchange(sim, sums, x);
	if (x->client != client || x->request.reply == NULL)
		if (client->state != CLIENT_CLOSING)
			sim_fail(sim, "a client and its exchange do not know each other");
	if (client->recv.in_flight && x->gathering && x->in.tail == x->in.cap)
		sim_fail(sim, "a client's receive writes into nothing");
	bool busy = x->request.state != REQUEST_IDLE || buffer_len(&x->out) > 0;
	if (client->state == CLIENT_OPEN && !busy && buffer_len(&x->in) == 0 &&
	    !x->send.op.in_flight)
		sim_fail(sim, "an idle client keeps its exchange");
	if (client->state == CLIENT_FINISHING && !busy)
		sim_fail(sim, "a finished client stays open");
	/* Whatever it has to say must be on its way, or wait for something. */
	if (client->state != CLIENT_CLOSING && buffer_len(&x->out) > 0 && !x->dirty &&
	    !x->send.op.in_flight && !x->writable.in_flight)
		sim_fail(sim, "a client's reply is forgotten");
	if (client->state != CLIENT_CLOSING && x->writable.in_flight &&
	    !uring_timer_armed(&x->stalled))
		sim_fail(sim, "a client that does not read has no clock");
}

/* --- links ------------------------------------------------------------------------------------ */

static void
check_in_flight(struct sim *sim, struct sums *sums, const struct link *link)
{
	const struct request *request;
	uint64_t end = 0;
	uint32_t count = 0;

	TAILQ_FOREACH(request, &link->in_flight, entry) {
		count++;
		if (request->state != REQUEST_IN_FLIGHT || request->link != link)
			sim_fail(sim, "a request in flight on a link does not know it");
		if (request->out_start < end || request->out_end <= request->out_start)
			sim_fail(sim, "requests in flight overlap in the stream");
		end = request->out_end;
		const struct exchange *x =
		    uring_container_of((uintptr_t)request, struct exchange, request);
		if (x->client == NULL) {
			add_exchange(sim, sums, x);
			sim_cover(sim, SIM_ORPHANED);
			if (request->reply != NULL)
				sim_fail(sim, "a reply would go to a client that left");
		}
	}
	if (count != link->in_flight_count)
		sim_fail(sim, "a link counts %u requests in flight and has %u",
			 link->in_flight_count, count);
	if (count > 0 && end > link->out_given + buffer_len(&link->out))
		sim_fail(sim, "a request in flight is longer than what was written of it");
}

static void
check_link(struct sim *sim, struct sums *sums, const struct link *link)
{
	const struct host *host = link->host;
	bool room = link->in_flight_count < host->settings.pipeline &&
		    buffer_len(&link->out) <= LINK_OUT_HIGH;

	sums->links++;
	add_buffer(sim, sums, &link->in);
	add_buffer(sim, sums, &link->out);
	check_in_flight(sim, sums, link);
	if (link->state == LINK_READY && !room)
		sim_fail(sim, "a ready link without room");
	if (link->state == LINK_RETIRING && link->in_flight_count == 0)
		sim_fail(sim, "a link retires with nothing in flight");
	if (link->state == LINK_CLOSING && link->in_flight_count > 0)
		sim_fail(sim, "a closing link has requests in flight");
	if (link->recv.in_flight && link->gathering && link->in.tail == link->in.cap)
		sim_fail(sim, "a link's receive writes into nothing");
	if (link->state == LINK_RETIRING)
		sim_cover(sim, SIM_RETIRED);
	if (link->state == LINK_CLOSING)
		return;
	if (!uring_timer_armed(&link->timer))
		sim_fail(sim, "a link without a clock");
	if (buffer_len(&link->out) > 0 && !link->dirty && !link->send.op.in_flight &&
	    !link->writable.in_flight)
		sim_fail(sim, "a link's output is forgotten");
	if (link->state == LINK_READY && link->in_flight_count == 0 &&
	    (buffer_len(&link->in) > 0 || (link->out.data != NULL && !link->send.op.in_flight)))
		sim_fail(sim, "an idle link keeps memory");
}

/* A connect or handshake of this generation is on its way to where the host is, and takes no more
 * than its part of the time. */
static void
check_address(struct sim *sim, const struct link *link)
{
	const struct host *host = link->host;
	uint64_t end = link->round_since + MS(host->settings.connect_timeout_ms);

	if (link->state != LINK_CONNECTING || link->generation != host->generation)
		return;
	if (resolve_list_find(&host->addresses, &link->address) == host->addresses.count)
		sim_fail(sim, "%s: a new link goes to the old address", host->id);
	if (link->round_since > link->opened_at || link->round_left == 0 ||
	    link->round_left > host->addresses.count)
		sim_fail(sim, "%s: a link is one of %u in its round", host->id, link->round_left);
	if (end < sim_now(sim) &&
	    !(uring_timer_armed(&link->timer) && link->timer.at <= sim_now(sim) + 1))
		sim_fail(sim, "%s: a round takes longer than one attempt may", host->id);
}

static void
check_round(struct sim *sim, const struct host *host)
{
	if (host->round.tried > 0 && host->round.tried >= host->addresses.count)
		sim_fail(sim, "%s: %u of %u addresses failed, and it goes on", host->id,
			 host->round.tried, host->addresses.count);
	if (host->round.tried > 0 && host->opening == 0)
		sim_fail(sim, "%s: nobody goes on with its round", host->id);
	if (sim->plan.calm && host->state == HOST_DOWN)
		sim_fail(sim, "%s is down although one address serves", host->id);
}

static void
check_links(struct sim *sim, struct sums *sums, const struct host *host)
{
	const struct link *link;
	uint32_t count = 0;
	uint32_t opening = 0;
	uint32_t usable = 0;
	uint32_t current = 0;

	for (int i = 0; i < 2; i++) {
		TAILQ_FOREACH(link, i == 0 ? &host->ready : &host->others, entry) {
			bool opens =
			    link->state == LINK_CONNECTING || link->state == LINK_HANDSHAKE;
			bool serves = link->state == LINK_READY || link->state == LINK_FULL;
			if (link->host != host || (i == 0) != (link->state == LINK_READY))
				sim_fail(sim, "a link is in the wrong list");
			count++;
			opening += opens;
			usable += serves;
			current += (opens || serves) && link->generation == host->generation;
			check_link(sim, sums, link);
			check_address(sim, link);
		}
	}
	if (count != host->links_count || opening != host->opening || usable != host->usable ||
	    current != host->current)
		sim_fail(sim,
			 "%s: links %u, opening %u, usable %u, current %u; counted %u, %u, %u, %u",
			 host->id, host->links_count, host->opening, host->usable, host->current,
			 count, opening, usable, current);
}

/* --- hosts ------------------------------------------------------------------------------------ */

/* When a request must be out of the queue; written down here anew. */
static uint64_t
queue_due(const struct host *host, const struct request *request)
{
	uint64_t due = request->since + MS(host->settings.queue_timeout_ms);

	if (host->down_since == 0)
		return due;
	uint64_t from = request->since > host->down_since ? request->since : host->down_since;
	uint64_t grace = from + MS(host->settings.down_grace_ms);
	return grace < due ? grace : due;
}

static void
check_queue(struct sim *sim, const struct host *host)
{
	const struct request *request;
	uint32_t count = 0;
	uint64_t bytes = 0;

	TAILQ_FOREACH(request, &host->queue, entry) {
		count++;
		bytes += buffer_len(&request->body);
		if (request->state != REQUEST_QUEUED)
			sim_fail(sim, "%s: a request in the queue is %s", host->id,
				 request_state_text(request->state));
		/* Unless it is only just known, from a timer: then it is the next turn's business.
		 */
		if (queue_due(host, request) < sim_now(sim) &&
		    !(uring_timer_armed(&host->timer) && host->timer.at <= sim_now(sim) + 1))
			sim_fail(sim, "%s (%s): a request waits in the queue beyond its time",
				 host->id, host_state_text(host->state));
	}
	if (count != host->queue_count || bytes != host->queue_bytes)
		sim_fail(sim, "%s: the queue counts %u, %u bytes; it has %u, %u bytes", host->id,
			 host->queue_count, (unsigned)host->queue_bytes, count, (unsigned)bytes);
	if (count > 0 && !TAILQ_EMPTY(&host->ready) && host->hold == HOST_HOLD_NONE)
		sim_fail(sim, "%s: requests wait although a link has room", host->id);
	if (count >= host->settings.queue_max)
		sim_cover(sim, SIM_QUEUE_FULL);
}

/* Nothing goes to a peer while an operator keeps it from it; a drained host has no link to stay. */
static void
check_hold(struct sim *sim, const struct host *host)
{
	struct sim_host *told = sim_host_by_id(sim, host->id);
	const struct link *link;
	uint32_t in_flight = 0;

	if (host->hold == HOST_HOLD_NONE || host->leaving) {
		told->held_requests = UINT32_MAX;
		return;
	}
	TAILQ_FOREACH(link, &host->ready, entry)
		in_flight += link->in_flight_count;
	TAILQ_FOREACH(link, &host->others, entry)
		in_flight += link->in_flight_count;
	if (in_flight > told->held_requests)
		sim_fail(sim, "%s: a request was sent although the host is %s", host->id,
			 host->hold == HOST_HOLD_PAUSED ? "paused" : "drained");
	told->held_requests = in_flight;
	if (host->hold == HOST_HOLD_PAUSED)
		return;
	if (host->usable > 0 || host->opening > 0 || host->state != HOST_ASLEEP)
		sim_fail(sim, "%s drains: %s, with %u links opening, %u usable", host->id,
			 host_state_text(host->state), host->opening, host->usable);
	if (host->links_count == 0)
		sim_cover(sim, SIM_DRAINED);
}

static void
check_host(struct sim *sim, struct sums *sums, const struct host *host)
{
	const struct client *client;
	uint32_t count = 0;

	sums->hosts++;
	sums->leaving += host->leaving;
	LIST_FOREACH(client, &host->clients, entry) {
		count++;
		if (client->host != host)
			sim_fail(sim, "%s: a client of another host", host->id);
		check_client(sim, sums, client);
	}
	if (count != host->clients_count)
		sim_fail(sim, "%s: counts %u clients and has %u", host->id, host->clients_count,
			 count);
	if (count >= host->settings.clients_max)
		sim_cover(sim, SIM_CLIENTS_FULL);
	check_links(sim, sums, host);
	check_queue(sim, host);
	check_round(sim, host);
	check_hold(sim, host);
	bool open = host->state == HOST_CONNECTING || host->state == HOST_DOWN;
	if (!host->leaving && open && host->opening == 0 && !uring_timer_armed(&host->timer))
		sim_fail(sim, "%s is %s and nothing is tried", host->id,
			 host_state_text(host->state));
	if (host->state == HOST_UP && host->usable == 0 && host->opening == 0 && !host->leaving &&
	    !uring_timer_armed(&host->timer))
		sim_fail(sim, "%s is up without a link", host->id);
	if (host->state == HOST_ASLEEP)
		sim_cover(sim, SIM_ASLEEP);
}

void
sim_check(struct sim *sim)
{
	struct worker *worker = &sim->worker;
	const struct host *host;
	struct sums sums = { 0 };

	for (uint32_t i = 0; i < worker->hosts_cap; i++) {
		if (worker->hosts[i] != NULL)
			check_host(sim, &sums, worker->hosts[i]);
	}
	if (sums.hosts != worker->hosts_count || sums.leaving != 0)
		sim_fail(sim, "%u hosts; counted %u, %u of them leaving", worker->hosts_count,
			 sums.hosts, sums.leaving);
	TAILQ_FOREACH(host, &worker->leaving, leaving_entry) {
		check_host(sim, &sums, host);
		if (!host->leaving)
			sim_fail(sim, "%s stays among those that leave", host->id);
	}
	if (sums.clients != worker->clients_count || sums.clients != worker->clients.used)
		sim_fail(sim, "%u clients, %u slots; counted %u", worker->clients_count,
			 worker->clients.used, sums.clients);
	if (sums.exchanges != worker->exchanges.used || sums.links != worker->links.used)
		sim_fail(sim, "%u exchanges, %u links in use; counted %u, %u",
			 worker->exchanges.used, worker->links.used, sums.exchanges, sums.links);
	if (sums.memory != worker->memory.used)
		sim_fail(sim, "%u bytes are handed out; counted %u", (unsigned)worker->memory.used,
			 (unsigned)sums.memory);
	if (worker->memory.used > worker->memory.max)
		sim_fail(sim, "more memory than allowed");
	if (worker->listed_next != NULL && !sums.listed)
		sim_fail(sim, "the next page of clients begins at one that is gone");
	if (worker->control != NULL && channel_pending(sim->channel) && !sim->holding &&
	    !sim->stopping && sim_now(sim) > sim->released_at + SECONDS(1))
		sim_fail(sim, "messages for the other end of the channel are stuck");
	if (!TAILQ_EMPTY(&worker->dirty_links) && worker->state == WORKER_STOPPED)
		sim_fail(sim, "stopped with output left");
}

void
sim_check_end(struct sim *sim)
{
	const struct worker *worker = &sim->worker;

	if (worker->hosts_count > 0 || worker->clients.used > 0 || worker->exchanges.used > 0 ||
	    worker->links.used > 0 || worker->memory.used > 0)
		sim_fail(sim,
			 "left at the end: %u hosts, %u clients, %u exchanges, %u links, %u bytes",
			 worker->hosts_count, worker->clients.used, worker->exchanges.used,
			 worker->links.used, (unsigned)worker->memory.used);
	if (fake_in_flight(sim->ring) > 0)
		sim_fail(sim, "%u operations in flight at the end", fake_in_flight(sim->ring));
	if (fake_armed_timers(sim->ring) > 0)
		sim_fail(sim, "%u timers armed at the end", fake_armed_timers(sim->ring));
}
