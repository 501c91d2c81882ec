/*
 * message_store_read.c - what the message store can be asked, and when clients were last seen.
 *
 * Pages are bounded by count and bytes before anything is allocated for them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "relay/message_store_internal.h"

/* Columns of MESSAGE_COLUMNS, and what is behind them. */
enum {
	COLUMN_SEQ,
	COLUMN_KIND,
	COLUMN_ID,
	COLUMN_CLIENT,
	COLUMN_ORIGIN,
	COLUMN_SENDER,
	COLUMN_PID,
	COLUMN_GID,
	COLUMN_ACCEPTED,
	COLUMN_BYTES,
	COLUMN_NAME,
	COLUMN_LENGTH, /* of the text */
	COLUMN_TEXT,   /* perhaps */
};

enum message_status
message_store_totals(struct message_store *store, struct message_totals *totals)
{
	bool row;
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_TOTALS);
	enum message_status status = message_step(store, statement, &row);

	*totals = (struct message_totals){ 0 };
	if (status != MESSAGE_DONE)
		return status;
	if (!row)
		return message_store_fault(store, SQLITE_CORRUPT);
	totals->count = message_column_u64(statement, 0);
	totals->bytes = message_column_u64(statement, 1);
	totals->ended = message_column_u64(statement, 2);
	totals->clients = message_column_u64(statement, 3);
	totals->aside = message_column_u64(statement, 4);
	sqlite3_reset(statement);
	return MESSAGE_DONE;
}

/* ---- pages of messages ---- */

void
message_page_fini(struct message_page *page)
{
	/* Name and text of a message are one block. */
	for (size_t i = 0; i < page->count; i++)
		if (!page->messages[i].aside)
			free((void *)(uintptr_t)page->messages[i].name.data);
	free(page->messages);
	*page = (struct message_page){ 0 };
}

static struct wire_span
column_span(sqlite3_stmt *statement, int at)
{
	const void *bytes = sqlite3_column_blob(statement, at);

	return wire_span(bytes, (size_t)sqlite3_column_bytes(statement, at));
}

static bool
has_types(sqlite3_stmt *statement)
{
	for (int i = 0; i < COLUMN_TEXT; i++) {
		bool blob = i == COLUMN_ID || i == COLUMN_NAME;

		if (sqlite3_column_type(statement, i) != (blob ? SQLITE_BLOB : SQLITE_INTEGER))
			return false;
	}
	return sqlite3_column_count(statement) <= COLUMN_TEXT ||
	       sqlite3_column_type(statement, COLUMN_TEXT) == SQLITE_BLOB;
}

/* What the file says is believed only within the bounds that put has kept. */
static bool
row_is_sound(sqlite3_stmt *statement)
{
	int64_t kind = sqlite3_column_int64(statement, COLUMN_KIND);
	int64_t origin = sqlite3_column_int64(statement, COLUMN_ORIGIN);
	int64_t name = sqlite3_column_bytes(statement, COLUMN_NAME);
	int64_t text = sqlite3_column_int64(statement, COLUMN_LENGTH);

	if (!has_types(statement) || (kind != MESSAGE_NOTICE && kind != MESSAGE_REPLY))
		return false;
	if (kind == MESSAGE_REPLY ? origin != MESSAGE_BY_RELAY
				  : origin != MESSAGE_BY_CLIENT && origin != MESSAGE_BY_USER)
		return false;
	return sqlite3_column_bytes(statement, COLUMN_ID) == (int)MESSAGE_ID_SIZE &&
	       name <= MESSAGE_NAME_MAX &&
	       text <= (kind == MESSAGE_NOTICE ? MESSAGE_NOTICE_MAX : MESSAGE_REPLY_MAX) &&
	       sqlite3_column_int64(statement, COLUMN_ACCEPTED) >= 0 &&
	       sqlite3_column_int64(statement, COLUMN_BYTES) == MESSAGE_OVERHEAD + name + text;
}

static void
read_numbers(sqlite3_stmt *statement, struct message *message)
{
	message->cursor = message_column_u64(statement, COLUMN_SEQ);
	message->kind = (enum message_kind)sqlite3_column_int64(statement, COLUMN_KIND);
	message->client = message_column_u64(statement, COLUMN_CLIENT);
	message->origin = (enum message_origin)sqlite3_column_int64(statement, COLUMN_ORIGIN);
	message->sender = message_column_u64(statement, COLUMN_SENDER);
	message->pid = (uint32_t)sqlite3_column_int64(statement, COLUMN_PID);
	message->gid = (uint32_t)sqlite3_column_int64(statement, COLUMN_GID);
	message->accepted_ms = sqlite3_column_int64(statement, COLUMN_ACCEPTED);
	message->bytes = message_column_u64(statement, COLUMN_BYTES);
}

/* Name and text, one block behind the other. */
static enum message_status
copy_row(struct message_store *store, sqlite3_stmt *statement, struct message *message)
{
	bool with_text = sqlite3_column_count(statement) > COLUMN_TEXT;
	struct wire_span id = column_span(statement, COLUMN_ID);
	struct wire_span name = column_span(statement, COLUMN_NAME);
	struct wire_span text = with_text ? column_span(statement, COLUMN_TEXT) : wire_span("", 0);
	uint8_t *bytes = malloc(name.len + text.len + 1);
	/* An id without bytes here means that the library found no memory. */
	if (bytes == NULL || id.data == NULL || (name.len > 0 && name.data == NULL) ||
	    (text.len > 0 && text.data == NULL)) {
		free(bytes);
		return message_store_fault(store, SQLITE_NOMEM);
	}
	read_numbers(statement, message);
	memcpy(message->id, id.data, MESSAGE_ID_SIZE);
	if (name.len > 0)
		memcpy(bytes, name.data, name.len);
	if (text.len > 0)
		memcpy(bytes + name.len, text.data, text.len);
	message->name = wire_span(bytes, name.len);
	message->text = wire_span(bytes + name.len, text.len);
	return MESSAGE_DONE;
}

/* ---- reading rows, of which an index has told ---- */

/* Which rows, and how much of them. */
struct rows {
	enum message_statement how; /* ROW or ROW_HEAD */
	const uint64_t *client;     /* all are for this one; NULL: for anybody */
	size_t max;
	size_t bytes; /* of texts so far */
};

static enum message_status
read_aside(struct message_store *store, int64_t seq, struct message *message)
{
	bool row;
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_ROW_ASIDE);

	message_bind_int(store, statement, 1, seq);
	enum message_status status = message_step(store, statement, &row);
	if (status != MESSAGE_DONE)
		return status;
	message->aside = true;
	message->cursor = (uint64_t)seq;
	message->name = wire_span("", 0);
	message->text = wire_span("", 0);
	if (row && sqlite3_column_bytes(statement, 1) == (int)MESSAGE_ID_SIZE) {
		message->kind = (enum message_kind)sqlite3_column_int64(statement, 0);
		memcpy(message->id, sqlite3_column_blob(statement, 1), MESSAGE_ID_SIZE);
		message->client = message_column_u64(statement, 2);
	}
	if (row)
		message->accepted_ms = sqlite3_column_int64(statement, 3);
	sqlite3_reset(statement);
	return MESSAGE_DONE;
}

/* By the number that an index has told: what is wrong then is this row.  *fits = false: the page
 * has no room for its text. */
static enum message_status
read_row(struct message_store *store, int64_t seq, const struct rows *rows, bool first,
	 struct message *message, bool *fits)
{
	bool row;
	sqlite3_stmt *statement = message_prepare(store, rows->how);

	message_bind_int(store, statement, 1, seq);
	enum message_status status =
	    message_row_fault(store, seq, message_step(store, statement, &row));
	if (status != MESSAGE_DONE)
		return status;
	if (!row || !row_is_sound(statement) ||
	    (rows->client != NULL && message_column_u64(statement, COLUMN_CLIENT) != *rows->client))
		status = message_row_unsound(store, seq);
	size_t more = row ? (size_t)sqlite3_column_int64(statement, COLUMN_LENGTH) : 0;
	*fits = rows->how == MESSAGE_SQL_ROW_HEAD || first ||
		rows->bytes + more <= MESSAGE_NEXT_BYTES_MAX;
	if (status == MESSAGE_DONE && *fits)
		status = copy_row(store, statement, message);
	sqlite3_reset(statement);
	return status;
}

/* Reads what a statement finds, which is bound to find one more than the page takes. */
static enum message_status
read_page(struct message_store *store, sqlite3_stmt *statement, struct rows *rows,
	  struct message_page *page)
{
	bool row;
	bool fits = true;

	page->messages = calloc(rows->max, sizeof *page->messages);
	if (page->messages == NULL)
		return message_store_fault(store, SQLITE_NOMEM);
	enum message_status status = message_step(store, statement, &row);
	while (row && page->count < rows->max) {
		struct message *message = &page->messages[page->count];
		int64_t seq = sqlite3_column_int64(statement, 0);

		*message = (struct message){ 0 };
		if (sqlite3_column_int(statement, 1) != 0)
			status = read_aside(store, seq, message);
		else
			status = read_row(store, seq, rows, page->count == 0, message, &fits);
		if (status != MESSAGE_DONE || !fits)
			break;
		page->count++;
		page->cursor = message->cursor;
		rows->bytes += message->text.len;
		status = message_step(store, statement, &row);
	}
	page->more = row;
	sqlite3_reset(statement);
	if (status != MESSAGE_DONE)
		message_page_fini(page);
	return status;
}

enum message_status
message_store_next(struct message_store *store, uint64_t client, uint64_t cursor, size_t max,
		   struct message_page *page)
{
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_NEXT);

	*page = (struct message_page){ .cursor = cursor };
	if (max == 0 || max > MESSAGE_NEXT_MAX || cursor > INT64_MAX)
		return MESSAGE_MALFORMED;
	message_bind_u64(store, statement, 1, client);
	message_bind_u64(store, statement, 2, cursor);
	message_bind_int(store, statement, 3, (int64_t)max + 1);
	struct rows rows = { .how = MESSAGE_SQL_ROW, .client = &client, .max = max };
	return read_page(store, statement, &rows, page);
}

enum message_status
message_store_list(struct message_store *store, const struct message_list *list,
		   struct message_page *page)
{
	static const enum message_statement statements[2][2] = {
		{ MESSAGE_SQL_LIST_OLDEST, MESSAGE_SQL_LIST_NEWEST },
		{ MESSAGE_SQL_LIST_CLIENT_OLDEST, MESSAGE_SQL_LIST_CLIENT_NEWEST },
	};

	uint64_t cursor = list->newest_first && list->cursor == 0 ? INT64_MAX : list->cursor;
	sqlite3_stmt *statement =
	    message_prepare(store, statements[list->of_client][list->newest_first]);

	*page = (struct message_page){ .cursor = list->cursor };
	if (list->max == 0 || list->max > MESSAGE_PAGE_MAX || cursor > INT64_MAX)
		return MESSAGE_MALFORMED;
	message_bind_u64(store, statement, 1, cursor);
	message_bind_int(store, statement, 2, (int64_t)list->max + 1);
	if (list->of_client)
		message_bind_u64(store, statement, 3, list->client);
	struct rows rows = { .how = MESSAGE_SQL_ROW_HEAD,
			     .client = list->of_client ? &list->client : NULL,
			     .max = list->max };
	return read_page(store, statement, &rows, page);
}

/* ---- last seen ---- */

/* Two at most for each, as the ids that are remembered. */
static enum message_status
trim_clients(struct message_store *store)
{
	struct message_totals totals;
	enum message_status status = message_store_totals(store, &totals);

	if (status != MESSAGE_DONE || totals.clients <= store->bounds.clients)
		return status;
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_FORGET_CLIENTS);
	message_bind_int(store, statement, 1, totals.clients > store->bounds.clients + 1 ? 2 : 1);
	return message_run(store, statement);
}

enum message_status
message_store_seen(struct message_store *store, uint64_t client, int64_t seen_ms)
{
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_SEEN);

	message_bind_u64(store, statement, 1, client);
	message_bind_int(store, statement, 2, seen_ms);
	enum message_status status = message_run(store, statement);
	return status == MESSAGE_DONE ? trim_clients(store) : status;
}

enum message_status
message_store_last_seen(struct message_store *store, uint64_t client, int64_t *seen_ms)
{
	bool row;
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_LAST_SEEN);

	*seen_ms = 0;
	message_bind_u64(store, statement, 1, client);
	enum message_status status = message_step(store, statement, &row);
	if (status != MESSAGE_DONE)
		return status;
	if (!row)
		return MESSAGE_UNKNOWN;
	*seen_ms = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return MESSAGE_DONE;
}

void
message_clients_fini(struct message_clients *clients)
{
	free(clients->clients);
	*clients = (struct message_clients){ 0 };
}

enum message_status
message_store_clients(struct message_store *store, const uint64_t *after, size_t max,
		      struct message_clients *clients)
{
	bool row;
	sqlite3_stmt *statement =
	    message_prepare(store, after != NULL ? MESSAGE_SQL_CLIENTS_AFTER : MESSAGE_SQL_CLIENTS);

	*clients = (struct message_clients){ 0 };
	if (max == 0 || max > MESSAGE_PAGE_MAX)
		return MESSAGE_MALFORMED;
	clients->clients = calloc(max, sizeof *clients->clients);
	if (clients->clients == NULL)
		return message_store_fault(store, SQLITE_NOMEM);
	message_bind_int(store, statement, 1, (int64_t)max + 1);
	if (after != NULL)
		message_bind_u64(store, statement, 2, *after);
	enum message_status status = message_step(store, statement, &row);
	while (row && clients->count < max) {
		clients->clients[clients->count++] = (struct message_client){
			.client = message_column_u64(statement, 0),
			.seen_ms = sqlite3_column_int64(statement, 1),
		};
		status = message_step(store, statement, &row);
	}
	clients->more = row;
	sqlite3_reset(statement);
	if (status != MESSAGE_DONE)
		message_clients_fini(clients);
	return status;
}
