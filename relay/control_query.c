/*
 * control_query.c - links, clients, calls and sessions: lists of them, asked of the workers page by
 * page, and kills.
 *
 * A worker that ends or is silent while it is asked is left out of the list, which says so.  Owns a
 * struct listing or killing for each call under way.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>

#include "relay/child.h"
#include "relay/control.h"
#include "relay/control_ask.h"
#include "relay/control_call.h"
#include "relay/control_messages_verbs.h"
#include "relay/control_query_rows.h"
#include "relay/control_services.h"
#include "relay/log.h"

#define LISTINGS_MAX 32u
#define PAGE_DEFAULT 200u
#define PAGE_MAX     1000u

#define OWNER_OF(ask_, type) ((type *)(void *)((char *)(ask_)-offsetof(type, ask)))

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
	struct control_row rows[]; /* page_size */
};

static void on_rows(struct control_ask *ask, const struct channel_message *message);

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
	bool filled =
	    control_rows_fill(call, listing->kind, listing->rows, listing->count, &reply) &&
	    control_rows_tell_silent(call, listing->kind, listing->silent, &reply);
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
		struct control_row *listed = &listing->rows[listing->count++];
		listed->worker = listing->worker;
		listed->row = rows->rows[i];
		listed->row.host[HOST_ID_MAX] = '\0';
		listed->row.tls_cipher[sizeof listed->row.tls_cipher - 1] = '\0';
		listed->row.tls_name[sizeof listed->row.tls_name - 1] = '\0';
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
	uint64_t places = listing->kind == CHANNEL_SESSIONS ? CHANNEL_HOSTS_ALL : HOSTS_MAX;
	uint64_t worker;
	uint64_t index;

	if (*at == '\0')
		return true;
	if (!control_parse_number(&at, &worker) || worker >= CONTROL_WORKERS_MAX || *at++ != '.' ||
	    !control_parse_number(&at, &index) || index >= places || *at++ != '.' ||
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

/* `only`: a place in the table of hosts, or services; CHANNEL_HOSTS_ALL = all of it. */
static void
list(struct control_call *call, enum channel_kind kind, uint32_t only)
{
	struct listing *listing = new_listing(call);

	if (listing == NULL)
		return;
	listing->kind = kind;
	listing->all = only == CHANNEL_HOSTS_ALL;
	listing->only = listing->all ? 0 : only;
	listing->index = listing->only;
	if (!parse_cursor(call->request->cursor, listing)) {
		control_answer_error(end_listing(listing), RELAY__CONTROL__CODE__USAGE,
				     "it is no cursor of ours");
		return;
	}
	if (!listing->all)
		listing->index = only;
	if (only == CONTROL_INDEX_NONE && !listing->all)
		listing->worker = call->control->options->worker_count; /* nobody has it yet */
	go_on(listing);
}

static void
list_of_hosts(struct control_call *call, enum channel_kind kind)
{
	const struct control_host *host = NULL;

	if (call->request->n_arguments > 0 && (host = control_argument_host(call)) == NULL)
		return;
	list(call, kind, host != NULL ? host->index : CHANNEL_HOSTS_ALL);
}

void
control_do_links_list(struct control_call *call)
{
	list_of_hosts(call, CHANNEL_LINKS);
}

void
control_do_clients_list(struct control_call *call)
{
	list_of_hosts(call, CHANNEL_CLIENTS);
}

void
control_do_online_list(struct control_call *call)
{
	if (control_messages_is_on(call))
		list(call, CHANNEL_SESSIONS, CHANNEL_HOSTS_ALL);
}

void
control_do_calls_list(struct control_call *call)
{
	const struct control_service *service = NULL;

	if (call->request->n_arguments > 0 && (service = control_argument_service(call)) == NULL)
		return;
	list(call, CHANNEL_CALLS, service != NULL ? service->index : CHANNEL_HOSTS_ALL);
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
	const char *kind = control_kind_text(message->kill.kind);
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
				     control_kind_text(kind), id);
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

void
control_do_calls_kill(struct control_call *call)
{
	kill_one(call, CHANNEL_CALLS);
}
