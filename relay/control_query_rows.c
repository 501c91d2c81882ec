/*
 * control_query_rows.c - see control_query_rows.h.  Owns nothing: all is memory of the call.
 */
#include "relay/control_query_rows.h"

#include <arpa/inet.h>
#include <inttypes.h>

#include "relay/call.h"
#include "relay/client.h"
#include "relay/control.h"
#include "relay/link.h"

const char *
control_kind_text(uint32_t kind)
{
	if (kind == CHANNEL_CALLS)
		return "call";
	if (kind == CHANNEL_SESSIONS)
		return "session";
	return kind == CHANNEL_LINKS ? "link" : "client";
}

/* --- rows into messages ----------------------------------------------------------------------- */

static char *
id_of(struct control_call *call, const struct control_row *listed)
{
	return control_text(call, "%" PRIu32 ".%" PRIu64, listed->worker, listed->row.number);
}

static char *
peer_of(struct control_call *call, const struct channel_row *row)
{
	char text[INET6_ADDRSTRLEN];

	if (row->address_len == 4 && inet_ntop(AF_INET, row->address, text, sizeof text) != NULL)
		return control_text(call, "%s:%" PRIu32, text, row->port);
	if (row->address_len == 16 && inet_ntop(AF_INET6, row->address, text, sizeof text) != NULL)
		return control_text(call, "[%s]:%" PRIu32, text, row->port);
	return control_text(call, "%s", "");
}

static Relay__Control__Link *
make_link(struct control_call *call, const struct control_row *listed)
{
	Relay__Control__Link *link = control_alloc(call, sizeof *link);
	const struct channel_row *row = &listed->row;

	if (link == NULL)
		return NULL;
	relay__control__link__init(link);
	link->id = id_of(call, listed);
	link->host = control_clean(call, row->host);
	link->state = control_text(call, "%s", link_state_text((enum link_state)row->state));
	link->worker = listed->worker;
	link->in_flight = row->in_flight;
	link->requests = row->requests;
	link->age_us = row->age_us;
	link->out_bytes = row->out_bytes;
	link->peer = peer_of(call, row);
	link->tls = control_clean(call, row->tls_cipher);
	link->tls_peer = control_clean(call, row->tls_name);
	link->expires = row->tls_expiry * 1000000;
	link->resumed = row->tls_resumed != 0;
	return link;
}

static Relay__Control__Client *
make_client(struct control_call *call, const struct control_row *listed)
{
	Relay__Control__Client *client = control_alloc(call, sizeof *client);
	const struct channel_row *row = &listed->row;

	if (client == NULL)
		return NULL;
	relay__control__client__init(client);
	client->id = id_of(call, listed);
	client->host = control_clean(call, row->host);
	client->state = control_text(call, "%s", client_state_text((enum client_state)row->state));
	client->worker = listed->worker;
	client->uid = row->uid;
	client->pid = row->pid;
	client->requests = row->requests;
	client->age_us = row->age_us;
	client->in_bytes = row->in_bytes;
	client->out_bytes = row->out_bytes;
	return client;
}

/* false: no memory. */
static bool
fill_links(struct control_call *call, const struct control_row *listed, uint32_t count,
	   Relay__Control__Reply *reply)
{
	Relay__Control__Links *links = control_alloc(call, sizeof *links);
	Relay__Control__Link **rows = control_alloc(call, count * sizeof *rows);

	if (links == NULL || rows == NULL)
		return false;
	relay__control__links__init(links);
	for (uint32_t i = 0; i < count; i++) {
		if ((rows[i] = make_link(call, &listed[i])) == NULL)
			return false;
	}
	links->link = rows;
	links->n_link = count;
	reply->body_case = RELAY__CONTROL__REPLY__BODY_LINKS;
	reply->links = links;
	return true;
}

static bool
fill_clients(struct control_call *call, const struct control_row *listed, uint32_t count,
	     Relay__Control__Reply *reply)
{
	Relay__Control__Clients *clients = control_alloc(call, sizeof *clients);
	Relay__Control__Client **rows = control_alloc(call, count * sizeof *rows);

	if (clients == NULL || rows == NULL)
		return false;
	relay__control__clients__init(clients);
	for (uint32_t i = 0; i < count; i++) {
		if ((rows[i] = make_client(call, &listed[i])) == NULL)
			return false;
	}
	clients->client = rows;
	clients->n_client = count;
	reply->body_case = RELAY__CONTROL__REPLY__BODY_CLIENTS;
	reply->clients = clients;
	return true;
}

static Relay__Control__Call *
make_call(struct control_call *call, const struct control_row *listed)
{
	Relay__Control__Call *message = control_alloc(call, sizeof *message);
	const struct channel_row *row = &listed->row;

	if (message == NULL)
		return NULL;
	relay__control__call__init(message);
	message->id = id_of(call, listed);
	message->service = control_clean(call, row->host);
	message->state = control_text(call, "%s", call_state_text((enum call_state)row->state));
	message->worker = listed->worker;
	message->generation = row->generation;
	message->uid = row->uid;
	message->pid = row->pid;
	message->age_us = row->age_us;
	message->wait_us = row->wait_us;
	return message;
}

static bool
fill_calls(struct control_call *call, const struct control_row *listed, uint32_t count,
	   Relay__Control__Reply *reply)
{
	Relay__Control__Calls *calls = control_alloc(call, sizeof *calls);
	Relay__Control__Call **rows = control_alloc(call, count * sizeof *rows);

	if (calls == NULL || rows == NULL)
		return false;
	relay__control__calls__init(calls);
	for (uint32_t i = 0; i < count; i++) {
		if ((rows[i] = make_call(call, &listed[i])) == NULL)
			return false;
	}
	calls->call = rows;
	calls->n_call = count;
	reply->body_case = RELAY__CONTROL__REPLY__BODY_CALLS;
	reply->calls = calls;
	return true;
}

/* What waits in the store is known here; the worker knows the rest. */
static Relay__Control__OnlineClient *
make_online(struct control_call *call, const struct control_row *listed)
{
	Relay__Control__OnlineClient *message = control_alloc(call, sizeof *message);
	const struct channel_row *row = &listed->row;
	const struct control_client *client = control_presence_find(call->control, row->number);

	if (message == NULL)
		return NULL;
	relay__control__online_client__init(message);
	message->id = control_text(call, "%016" PRIx64, row->number);
	message->worker = listed->worker;
	message->address = peer_of(call, row);
	message->age_us = row->age_us;
	message->silent_us = row->wait_us;
	message->running = row->in_flight;
	message->outbox = row->requests;
	message->outbox_bytes = row->out_bytes;
	if (client != NULL) {
		message->unconfirmed = client->open_count;
		message->waiting = client->waiting;
	}
	return message;
}

static bool
fill_online(struct control_call *call, const struct control_row *listed, uint32_t count,
	    Relay__Control__Reply *reply)
{
	Relay__Control__Online *online = control_alloc(call, sizeof *online);
	Relay__Control__OnlineClient **rows = control_alloc(call, count * sizeof *rows);

	if (online == NULL || rows == NULL)
		return false;
	relay__control__online__init(online);
	for (uint32_t i = 0; i < count; i++) {
		if ((rows[i] = make_online(call, &listed[i])) == NULL)
			return false;
	}
	online->client = rows;
	online->n_client = count;
	reply->body_case = RELAY__CONTROL__REPLY__BODY_ONLINE;
	reply->online = online;
	return true;
}

bool
control_rows_fill(struct control_call *call, enum channel_kind kind, const struct control_row *rows,
		  uint32_t count, Relay__Control__Reply *reply)
{
	switch (kind) {
	case CHANNEL_LINKS:
		return fill_links(call, rows, count, reply);
	case CHANNEL_CLIENTS:
		return fill_clients(call, rows, count, reply);
	case CHANNEL_CALLS:
		return fill_calls(call, rows, count, reply);
	case CHANNEL_SESSIONS:
		return fill_online(call, rows, count, reply);
	}
	return false;
}

bool
control_rows_tell_silent(struct control_call *call, enum channel_kind kind, uint64_t silent,
			 Relay__Control__Reply *reply)
{
	Relay__Control__Finding **findings;

	if (silent == 0)
		return true;
	findings = control_alloc(call, CONTROL_WORKERS_MAX * sizeof *findings);
	if (findings == NULL)
		return false;
	for (uint32_t i = 0; i < CONTROL_WORKERS_MAX; i++) {
		if (!(silent & (1ull << i)))
			continue;
		Relay__Control__Finding *finding = control_alloc(call, sizeof *finding);
		if (finding == NULL)
			return false;
		relay__control__finding__init(finding);
		finding->severity = control_text(call, "warning");
		finding->text =
		    control_text(call, "worker-%" PRIu32 " did not answer: its %ss are missing", i,
				 control_kind_text(kind));
		findings[reply->n_findings++] = finding;
	}
	reply->findings = findings;
	return true;
}
