/*
 * control_messages_stats.c - the numbers of the message plane: those of the workers from their
 * memory, those of webpager and store as this process has counted them.
 *
 * What lies in the store is asked for when something may have changed it, once a second at most.
 * Owns nothing.
 */
#include "relay/control_messages_stats.h"

#include "relay/control.h"
#include "relay/log.h"
#include "relay/stats.h"

#include <inttypes.h>
#include <string.h>

#define TOTALS_EVERY_MS 1000u

/* --- counting --------------------------------------------------------------------------------- */

static void
count_put(struct control_store_counts *store, const struct message_view *view)
{
	if (view->status == MESSAGE_REPEATED)
		store->repeated++;
	else if (view->message.kind == MESSAGE_NOTICE)
		store->notices++;
	else
		store->replies++;
}

/* Those that were done. */
static void
count_done(struct control_store_counts *store, const struct message_view *view)
{
	switch (view->verb) {
	case MESSAGE_PUT:
		count_put(store, view);
		break;
	case MESSAGE_CONFIRM:
		store->confirmed += view->status == MESSAGE_DONE;
		break;
	case MESSAGE_DROP:
	case MESSAGE_DROP_CLIENT:
	case MESSAGE_DROP_OLDER:
		store->dropped += view->removed;
		break;
	case MESSAGE_EXPIRE:
		store->expired += view->removed;
		break;
	case MESSAGE_TOTALS:
		store->totals = view->totals;
		return;
	case MESSAGE_SEEN:
	case MESSAGE_MARK:
		break;
	case MESSAGE_NEXT:
	case MESSAGE_LIST:
	case MESSAGE_LAST_SEEN:
	case MESSAGE_CLIENTS:
	case MESSAGE_WAITING:
	case MESSAGE_BOUNDS:
		return; /* these change nothing */
	}
	store->changed = true;
}

/* Whether it tells that there is room again.  An expiry comes every minute, perhaps with nothing to
 * write: what it finds is soon enough.  Who was seen when finds room where no message does. */
static bool
needs_room(enum message_verb verb)
{
	return verb == MESSAGE_PUT || verb == MESSAGE_CONFIRM || verb == MESSAGE_EXPIRE;
}

/* Once for each: what is put aside is not looked at again. */
static void
say_aside(const struct message_aside *aside)
{
	if (aside->kind == MESSAGE_KIND_UNKNOWN)
		log_error(NULL, "message %" PRIu64 " is damaged: put aside in the message store",
			  aside->cursor);
	else
		log_error(NULL,
			  "message %" PRIu64 " for client %016" PRIx64
			  " is damaged: put aside in the message store",
			  aside->cursor, aside->client);
}

void
control_store_count(struct control_messages *messages, const struct message_view *view)
{
	struct control_store_counts *store = &messages->store;
	bool broken = message_status_breaks(view->status) && view->status != MESSAGE_ROW_DAMAGED;

	store->commits = view->commits;
	for (size_t i = 0; i < view->aside_count; i++)
		say_aside(&view->aside[i]);
	/* Looked at again until it is over: nobody else may come. */
	store->changed |= broken || view->aside_count > 0;
	/* One that only reads does not tell whether there is room. */
	if (broken || needs_room(view->verb) || store->trouble != MESSAGE_NO_SPACE)
		store->trouble = broken ? view->status : MESSAGE_DONE;
	if (view->status == MESSAGE_DONE || view->status == MESSAGE_REPEATED)
		count_done(store, view);
	else if (view->verb == MESSAGE_PUT)
		store->refused[view->status]++;
}

void
control_store_run(struct control *control, uint64_t now_ms)
{
	struct control_store_counts *store = &control->messages.store;
	const struct control_order nobody = { .kind = CONTROL_ORDER_OTHER };
	const struct message_order order = { .verb = MESSAGE_TOTALS };

	if (!store->changed || now_ms < store->totals_at)
		return;
	store->totals_at = now_ms + TOTALS_EVERY_MS;
	store->changed = control_messages_order(control, &nobody, &order) != 0;
}

const char *
control_messages_trouble(const struct control *control)
{
	enum message_status trouble = control->messages.store.trouble;

	return control->messages.on && trouble != MESSAGE_DONE ? message_status_text(trouble)
							       : NULL;
}

/* --- telling ---------------------------------------------------------------------------------- */

/* A list being made; NULL rows: no memory. */
struct reasons {
	struct control_call *call;
	Relay__Control__Reason **rows;
	size_t count;
};

static struct reasons
reasons_of(struct control_call *call, size_t room)
{
	return (struct reasons){ .call = call, .rows = control_alloc(call, room * sizeof(void *)) };
}

static void
add_reason(struct reasons *reasons, const char *name, uint64_t count)
{
	Relay__Control__Reason *row = control_alloc(reasons->call, sizeof *row);

	if (row == NULL || reasons->rows == NULL)
		return;
	relay__control__reason__init(row);
	row->reason = control_clean(reasons->call, name);
	row->count = count;
	if (row->reason != NULL)
		reasons->rows[reasons->count++] = row;
}

static struct reasons
worker_reasons(struct control_call *call, const struct worker_stats *stats, int first, int end)
{
	struct reasons reasons = reasons_of(call, (size_t)(end - first));

	for (int i = first; i < end; i++)
		add_reason(&reasons, datagram_count_name((enum datagram_count)i),
			   stats_get(&stats->datagrams[i]));
	return reasons;
}

static Relay__Control__DatagramStats *
worker_row(struct control_call *call, uint32_t number, const struct worker_stats *stats)
{
	Relay__Control__DatagramStats *row = control_alloc(call, sizeof *row);
	const _Atomic uint64_t *counts = stats->datagrams;

	if (row == NULL)
		return NULL;
	relay__control__datagram_stats__init(row);
	row->worker = number;
	row->online = stats_get(&stats->datagrams_online);
	row->running = stats_get(&stats->datagrams_running);
	row->outbox = stats_get(&stats->datagrams_outbox);
	row->outbox_bytes = stats_get(&stats->datagrams_outbox_bytes);
	row->received = stats_get(&counts[DATAGRAM_COUNT_RECEIVED]);
	row->sent = stats_get(&counts[DATAGRAM_COUNT_SENT]);
	row->resent = stats_get(&counts[DATAGRAM_COUNT_RESENT]);
	row->requests = stats_get(&counts[DATAGRAM_COUNT_REQUESTS]);
	row->replies = stats_get(&counts[DATAGRAM_COUNT_REPLIES]);
	row->parts = stats_get(&counts[DATAGRAM_COUNT_PARTS]);
	row->busy = stats_get(&counts[DATAGRAM_COUNT_BUSY]);
	row->given_up = stats_get(&counts[DATAGRAM_COUNT_GIVEN_UP]);
	row->sessions = stats_get(&counts[DATAGRAM_COUNT_SESSIONS]);
	row->silent = stats_get(&counts[DATAGRAM_COUNT_SILENT]);
	row->notices = stats_get(&counts[DATAGRAM_COUNT_NOTICES]);
	row->refused = stats_get(&counts[DATAGRAM_COUNT_REFUSED]);
	row->stored = stats_get(&counts[DATAGRAM_COUNT_STORED]);
	row->delivered = stats_get(&counts[DATAGRAM_COUNT_DELIVERED]);
	struct reasons kinds =
	    worker_reasons(call, stats, DATAGRAM_KINDS_FIRST, DATAGRAM_KINDS_END);
	struct reasons drops =
	    worker_reasons(call, stats, DATAGRAM_DROPS_FIRST, DATAGRAM_DROPS_END);
	row->kinds = kinds.rows;
	row->n_kinds = kinds.count;
	row->dropped = drops.rows;
	row->n_dropped = drops.count;
	return row;
}

static void
fill_workers(struct control_call *call, Relay__Control__Stats *stats)
{
	const struct control *control = call->control;
	uint32_t count = control->options->worker_count;

	stats->datagram = control_alloc(call, count * sizeof *stats->datagram);
	for (uint32_t i = 0; stats->datagram != NULL && i < count; i++) {
		Relay__Control__DatagramStats *row =
		    control->workers[i].stats == NULL
			? NULL
			: worker_row(call, i, control->workers[i].stats);
		if (row != NULL)
			stats->datagram[stats->n_datagram++] = row;
	}
}

static void
fill_webpager(struct control_call *call, Relay__Control__Stats *stats)
{
	const struct control_webpager *webpager = &call->control->messages.webpager;
	Relay__Control__WebpagerStats *row = control_alloc(call, sizeof *row);
	struct reasons reasons = reasons_of(call, NOTICE_STORE_FAILED);

	if (webpager->fd < 0 || row == NULL)
		return;
	relay__control__webpager_stats__init(row);
	for (int i = NOTICE_FINE + 1; i <= NOTICE_STORE_FAILED; i++)
		add_reason(&reasons, notice_fault_name((enum notice_fault)i), webpager->refused[i]);
	row->taken = webpager->accepted;
	row->refused = reasons.rows;
	row->n_refused = reasons.count;
	stats->webpager = row;
}

/* Words in place of the sentences that statuses have; one for each that refuses. */
static const char *const refusals[MESSAGE_DENIED + 1] = {
	[MESSAGE_UNKNOWN] = "unknown",
	[MESSAGE_MALFORMED] = "malformed",
	[MESSAGE_TOO_LONG] = "too_long",
	[MESSAGE_TAKEN] = "id_taken",
	[MESSAGE_CLIENT_COUNT] = "client_count",
	[MESSAGE_CLIENT_BYTES] = "client_bytes",
	[MESSAGE_SENDER_COUNT] = "sender_count",
	[MESSAGE_SENDER_BYTES] = "sender_bytes",
	[MESSAGE_STORE_COUNT] = "store_count",
	[MESSAGE_STORE_BYTES] = "store_bytes",
	[MESSAGE_ASIDE] = "put_aside",
	[MESSAGE_NO_SPACE] = "no_space",
	[MESSAGE_NO_MEMORY] = "no_memory",
	[MESSAGE_IO] = "io",
	[MESSAGE_ROW_DAMAGED] = "row_damaged",
	[MESSAGE_DAMAGED] = "damaged",
	[MESSAGE_NEWER] = "newer",
	[MESSAGE_IN_USE] = "in_use",
	[MESSAGE_DENIED] = "denied",
};

static void
fill_store(struct control_call *call, Relay__Control__Stats *stats)
{
	const struct control_store_counts *store = &call->control->messages.store;
	const char *trouble = control_messages_trouble(call->control);
	Relay__Control__StoreStats *row = control_alloc(call, sizeof *row);
	struct reasons reasons = reasons_of(call, MESSAGE_DENIED);

	if (row == NULL)
		return;
	relay__control__store_stats__init(row);
	for (int i = MESSAGE_MALFORMED; i <= MESSAGE_DENIED; i++)
		add_reason(&reasons, refusals[i], store->refused[i]);
	row->waiting = store->totals.count;
	row->bytes = store->totals.bytes;
	row->ended = store->totals.ended;
	row->clients = store->totals.clients;
	row->commits = store->commits;
	row->notices = store->notices;
	row->replies = store->replies;
	row->repeats = store->repeated;
	row->confirmed = store->confirmed;
	row->dropped = store->dropped;
	row->expired = store->expired;
	row->aside = store->totals.aside;
	row->refused = reasons.rows;
	row->n_refused = reasons.count;
	row->trouble = control_clean(call, trouble == NULL ? "" : trouble);
	if (row->trouble != NULL)
		stats->store = row;
}

void
control_messages_fill_stats(struct control_call *call, Relay__Control__Stats *stats)
{
	if (!call->control->messages.on)
		return;
	fill_workers(call, stats);
	fill_webpager(call, stats);
	fill_store(call, stats);
}
