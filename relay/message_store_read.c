/*
 * message_store_read.c - what the message store can be asked, and when clients were last seen.
 *
 * Pages are bounded by count and bytes before anything is allocated for them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "relay/message_store_internal.h"

/* Columns of MESSAGE_COLUMNS, and the text behind them. */
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
	COLUMN_TEXT,
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
	sqlite3_reset(statement);
	return MESSAGE_DONE;
}

/* ---- pages of messages ---- */

void
message_page_fini(struct message_page *page)
{
	/* Name and text of a message are one block. */
	for (size_t i = 0; i < page->count; i++)
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

/* What the file says is believed only within the bounds that put has kept. */
static bool
row_is_sound(sqlite3_stmt *statement, bool with_text)
{
	int64_t kind = sqlite3_column_int64(statement, COLUMN_KIND);
	int64_t origin = sqlite3_column_int64(statement, COLUMN_ORIGIN);

	return (kind == MESSAGE_NOTICE || kind == MESSAGE_REPLY) && origin >= MESSAGE_BY_RELAY &&
	       origin <= MESSAGE_BY_USER &&
	       sqlite3_column_bytes(statement, COLUMN_ID) == (int)MESSAGE_ID_SIZE &&
	       sqlite3_column_bytes(statement, COLUMN_NAME) <= (int)MESSAGE_NAME_MAX &&
	       (!with_text ||
		sqlite3_column_bytes(statement, COLUMN_TEXT) <= (int)MESSAGE_REPLY_MAX);
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

static enum message_status
read_row(struct message_store *store, sqlite3_stmt *statement, bool with_text,
	 struct message *message)
{
	if (!row_is_sound(statement, with_text))
		return message_store_fault(store, SQLITE_CORRUPT);
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
	*message = (struct message){ 0 };
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

/* Whether the page has room for the text of this row. */
static bool
has_room(const struct message_page *page, sqlite3_stmt *statement, size_t max, bool with_text,
	 size_t bytes)
{
	if (page->count == max)
		return false;
	if (!with_text || page->count == 0)
		return true;
	size_t more = (size_t)sqlite3_column_bytes(statement, COLUMN_TEXT);
	return bytes + more <= MESSAGE_NEXT_BYTES_MAX;
}

/* Reads a statement, bound to find one more than `max`. */
static enum message_status
read_page(struct message_store *store, sqlite3_stmt *statement, size_t max, bool with_text,
	  struct message_page *page)
{
	bool row;
	size_t bytes = 0;

	page->messages = calloc(max, sizeof *page->messages);
	if (page->messages == NULL)
		return message_store_fault(store, SQLITE_NOMEM);
	enum message_status status = message_step(store, statement, &row);
	while (row && has_room(page, statement, max, with_text, bytes)) {
		struct message *message = &page->messages[page->count];
		status = read_row(store, statement, with_text, message);
		if (status != MESSAGE_DONE)
			break;
		page->count++;
		page->cursor = message->cursor;
		bytes += message->text.len;
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
	return read_page(store, statement, max, true, page);
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
	return read_page(store, statement, list->max, false, page);
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
