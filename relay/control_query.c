/*
 * control_query.c - links and clients: lists of them, asked of the workers page by page, and kills.
 *
 * A worker that ends or is silent while it is asked is left out of the list, which says so.  Owns a
 * struct listing or killing for each call under way.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "relay/child.h"
#include "relay/client.h"
#include "relay/control.h"
#include "relay/control_ask.h"
#include "relay/control_call.h"
#include "relay/link.h"
#include "relay/log.h"

#define LISTINGS_MAX 32u
#define PAGE_DEFAULT 200u
#define PAGE_MAX     1000u

#define OWNER_OF(ask_, type) ((type *)(void *)((char *)(ask_)-offsetof(type, ask)))

struct listed {
	uint32_t worker;
	struct channel_row row;
};

struct listing {
	struct control_call *call;
	struct control_ask ask;
	enum channel_kind kind;
	bool all; /* hosts; else only that at `index` */
	uint32_t only;
	uint64_t due_ms;
	uint64_t silent; /* bit N: worker N did not answer */
	/* The place to go on from; worker == worker_count: that was all. */
	uint32_t worker;
	uint32_t index;
	uint64_t number;
	uint32_t page_size;
	uint32_t count;
	struct listed rows[]; /* page_size */
};

static void on_rows(struct control_ask *ask, const struct channel_message *message);

/* --- rows into messages ----------------------------------------------------------------------- */

static char *
id_of(struct control_call *call, const struct listed *listed)
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
make_link(struct control_call *call, const struct listed *listed)
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
	return link;
}

static Relay__Control__Client *
make_client(struct control_call *call, const struct listed *listed)
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
fill_links(struct listing *listing, Relay__Control__Reply *reply)
{
	struct control_call *call = listing->call;
	Relay__Control__Links *links = control_alloc(call, sizeof *links);
	Relay__Control__Link **rows = control_alloc(call, listing->count * sizeof *rows);

	if (links == NULL || rows == NULL)
		return false;
	relay__control__links__init(links);
	for (uint32_t i = 0; i < listing->count; i++) {
		if ((rows[i] = make_link(call, &listing->rows[i])) == NULL)
			return false;
	}
	links->link = rows;
	links->n_link = listing->count;
	reply->body_case = RELAY__CONTROL__REPLY__BODY_LINKS;
	reply->links = links;
	return true;
}

static bool
fill_clients(struct listing *listing, Relay__Control__Reply *reply)
{
	struct control_call *call = listing->call;
	Relay__Control__Clients *clients = control_alloc(call, sizeof *clients);
	Relay__Control__Client **rows = control_alloc(call, listing->count * sizeof *rows);

	if (clients == NULL || rows == NULL)
		return false;
	relay__control__clients__init(clients);
	for (uint32_t i = 0; i < listing->count; i++) {
		if ((rows[i] = make_client(call, &listing->rows[i])) == NULL)
			return false;
	}
	clients->client = rows;
	clients->n_client = listing->count;
	reply->body_case = RELAY__CONTROL__REPLY__BODY_CLIENTS;
	reply->clients = clients;
	return true;
}

/* Whose rows are missing. */
static bool
fill_findings(struct listing *listing, Relay__Control__Reply *reply)
{
	struct control_call *call = listing->call;
	Relay__Control__Finding **findings =
	    control_alloc(call, CONTROL_WORKERS_MAX * sizeof(Relay__Control__Finding *));

	if (findings == NULL)
		return false;
	for (uint32_t i = 0; i < CONTROL_WORKERS_MAX; i++) {
		if (!(listing->silent & (1ull << i)))
			continue;
		Relay__Control__Finding *finding = control_alloc(call, sizeof *finding);
		if (finding == NULL)
			return false;
		relay__control__finding__init(finding);
		finding->severity = control_text(call, "warning");
		finding->text =
		    control_text(call, "worker-%" PRIu32 " did not answer: its %s are missing", i,
				 listing->kind == CHANNEL_LINKS ? "links" : "clients");
		findings[reply->n_findings++] = finding;
	}
	reply->findings = findings;
	return true;
}

/* --- a listing -------------------------------------------------------------------------------- */

static struct control_call *
end_listing(struct listing *listing)
{
	struct control_call *call = listing->call;

	control_ask_drop(&listing->ask);
	call->control->listings--;
	call->state = NULL;
	call->gone = NULL;
	free(listing);
	return call;
}

static void
on_listing_gone(struct control_call *call)
{
	end_listing(call->state);
}

static void
answer_listing(struct listing *listing)
{
	struct control_call *call = listing->call;
	Relay__Control__Reply reply;

	relay__control__reply__init(&reply);
	bool filled = (listing->kind == CHANNEL_LINKS ? fill_links(listing, &reply)
						      : fill_clients(listing, &reply)) &&
		      (listing->silent == 0 || fill_findings(listing, &reply));
	if (listing->worker < call->control->options->worker_count)
		reply.next_cursor = control_text(call, "%" PRIu32 ".%" PRIu32 ".%" PRIu64,
						 listing->worker, listing->index, listing->number);
	end_listing(listing);
	if (filled)
		control_answer(call, &reply);
	else
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT, "no memory");
}

static void
next_worker(struct listing *listing)
{
	listing->worker++;
	listing->index = listing->all ? 0 : listing->only;
	listing->number = 0;
}

/* Asks for more rows, until the page is full or nobody has any. */
static void
go_on(struct listing *listing)
{
	struct control *control = listing->call->control;
	struct channel_message message = { .type = CHANNEL_QUERY };
	struct channel_query *query = &message.query;

	for (; listing->worker < control->options->worker_count &&
	       listing->count < listing->page_size;
	     next_worker(listing)) {
		/* One that is silent leaves half of the time to those behind it. */
		uint64_t now = child_clock_ms();
		uint64_t left = now < listing->due_ms ? (listing->due_ms - now) / 2 : 0;
		query->kind = listing->kind;
		query->all = listing->all;
		query->index = listing->index;
		query->number = listing->number;
		query->max = listing->page_size - listing->count;
		if (control_ask(control, &listing->ask, listing->worker, &message, -1, left,
				on_rows))
			return;
		listing->silent |= 1ull << listing->worker;
	}
	answer_listing(listing);
}

static void
on_rows(struct control_ask *ask, const struct channel_message *message)
{
	struct listing *listing = OWNER_OF(ask, struct listing);

	if (message == NULL || message->type != CHANNEL_ROWS) {
		listing->silent |= 1ull << listing->worker;
		next_worker(listing);
		go_on(listing);
		return;
	}
	const struct channel_rows *rows = &message->rows;
	for (uint32_t i = 0; i < rows->count && i < CHANNEL_ROWS_MAX; i++) {
		if (listing->count == listing->page_size)
			break;
		struct listed *listed = &listing->rows[listing->count++];
		listed->worker = listing->worker;
		listed->row = rows->rows[i];
		listed->row.host[HOST_ID_MAX] = '\0';
	}
	listing->index = rows->index;
	listing->number = rows->number;
	if (rows->index == CHANNEL_HOSTS_ALL)
		next_worker(listing);
	go_on(listing);
}

/* "WORKER.INDEX.NUMBER"; "" = from the start. */
static bool
parse_cursor(const char *at, struct listing *listing)
{
	uint64_t worker;
	uint64_t index;

	if (*at == '\0')
		return true;
	if (!control_parse_number(&at, &worker) || worker >= CONTROL_WORKERS_MAX || *at++ != '.' ||
	    !control_parse_number(&at, &index) || index >= HOSTS_MAX || *at++ != '.' ||
	    !control_parse_number(&at, &listing->number) || *at != '\0')
		return false;
	listing->worker = (uint32_t)worker;
	listing->index = (uint32_t)index;
	return true;
}

/* NULL: it was answered. */
static struct listing *
new_listing(struct control_call *call)
{
	uint32_t page_size = call->request->page_size;

	if (page_size == 0)
		page_size = PAGE_DEFAULT;
	if (page_size > PAGE_MAX)
		page_size = PAGE_MAX;
	struct listing *listing = NULL;
	if (call->control->listings < LISTINGS_MAX)
		listing = calloc(1, sizeof *listing + page_size * sizeof listing->rows[0]);
	if (listing == NULL) {
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT,
				     "too many lists are asked for at the moment");
		return NULL;
	}
	call->control->listings++;
	listing->call = call;
	listing->page_size = page_size;
	listing->due_ms = child_clock_ms() + CONTROL_ASK_MS;
	call->state = listing;
	call->gone = on_listing_gone;
	return listing;
}

static void
list(struct control_call *call, enum channel_kind kind)
{
	const struct control_host *host = NULL;

	if (call->request->n_arguments > 0 && (host = control_argument_host(call)) == NULL)
		return;
	struct listing *listing = new_listing(call);
	if (listing == NULL)
		return;
	listing->kind = kind;
	listing->all = host == NULL;
	listing->only = host == NULL ? 0 : host->index;
	listing->index = listing->only;
	if (!parse_cursor(call->request->cursor, listing)) {
		control_answer_error(end_listing(listing), RELAY__CONTROL__CODE__USAGE,
				     "it is no cursor of ours");
		return;
	}
	if (host != NULL)
		listing->index = host->index;
	if (host != NULL && host->index == CONTROL_INDEX_NONE)
		listing->worker = call->control->options->worker_count; /* nobody has it yet */
	go_on(listing);
}

void
control_do_links_list(struct control_call *call)
{
	list(call, CHANNEL_LINKS);
}

void
control_do_clients_list(struct control_call *call)
{
	list(call, CHANNEL_CLIENTS);
}

/* --- kills ------------------------------------------------------------------------------------ */

struct killing {
	struct control_call *call;
	struct control_ask ask;
};

static struct control_call *
end_killing(struct killing *killing)
{
	struct control_call *call = killing->call;

	control_ask_drop(&killing->ask);
	call->state = NULL;
	call->gone = call->due = NULL;
	free(killing);
	return call;
}

static void
on_killing_gone(struct control_call *call)
{
	end_killing(call->state);
}

static void
on_killing_due(struct control_call *call)
{
	end_killing(call->state);
	control_answer_error(call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
			     "the worker has not answered yet");
}

static const char *
kind_text(uint32_t kind)
{
	return kind == CHANNEL_LINKS ? "link" : "client";
}

static void
on_killed(struct control_ask *ask, const struct channel_message *message)
{
	struct control_call *call = end_killing(OWNER_OF(ask, struct killing));
	const char *id = call->request->arguments[0];

	if (message == NULL || message->type != CHANNEL_KILLED) {
		control_answer_error(call, RELAY__CONTROL__CODE__FAILED,
				     "the worker ended or did not answer");
		return;
	}
	const char *kind = kind_text(message->kill.kind);
	if (!message->kill.found) {
		control_answer_error(call, RELAY__CONTROL__CODE__NOT_FOUND, "no %s %s", kind, id);
		return;
	}
	if (!call->request->dry_run)
		log_info(NULL, "%s %s killed by an operator", kind, id);
	control_answer_change(call, id, call->request->dry_run ? "would be killed" : "killed",
			      true);
}

static void
kill_one(struct control_call *call, enum channel_kind kind)
{
	const char *id = call->request->arguments[0];
	struct channel_message message = { .type = CHANNEL_KILL };
	uint32_t worker;

	if (!control_parse_id(id, &worker, &message.kill.number)) {
		control_answer_error(call, RELAY__CONTROL__CODE__USAGE,
				     "ids are WORKER.NUMBER, as in the list");
		return;
	}
	if (worker >= call->control->options->worker_count) {
		control_answer_error(call, RELAY__CONTROL__CODE__NOT_FOUND, "no %s %s",
				     kind_text(kind), id);
		return;
	}
	struct killing *killing = calloc(1, sizeof *killing);
	if (killing == NULL) {
		control_answer_error(call, RELAY__CONTROL__CODE__LIMIT, "no memory");
		return;
	}
	killing->call = call;
	call->state = killing;
	call->gone = on_killing_gone;
	call->due = on_killing_due;
	message.kill.kind = kind;
	message.kill.dry_run = call->request->dry_run != 0;
	if (!control_ask(call->control, &killing->ask, worker, &message, -1, CONTROL_ASK_MS,
			 on_killed))
		control_answer_error(end_killing(killing), RELAY__CONTROL__CODE__FAILED,
				     "worker-%" PRIu32 " cannot be asked at the moment", worker);
}

void
control_do_links_kill(struct control_call *call)
{
	kill_one(call, CHANNEL_LINKS);
}

void
control_do_clients_kill(struct control_call *call)
{
	kill_one(call, CHANNEL_CLIENTS);
}
