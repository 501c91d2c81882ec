/*
 * message_store_aside.c - messages that are damaged: recognised, marked, left out.
 *
 * A disk may change what it keeps, and most of that the library does not see: lengths, numbers and
 * references that are possible but wrong.  Such a message is never removed here, and its row is not
 * written to: a table beside it says that it is damaged.  What is known of it is what the indexes
 * say, which lie elsewhere in the file.  Owns nothing.
 */
#include "relay/message_store_internal.h"

#include <stdio.h>

enum message_status
message_row_fault(struct message_store *store, int64_t seq, enum message_status status)
{
	if (status != MESSAGE_DAMAGED)
		return status;
	store->damaged_seq = seq;
	return MESSAGE_ROW_DAMAGED;
}

enum message_status
message_row_unsound(struct message_store *store, int64_t seq)
{
	snprintf(store->why, sizeof store->why, "message %lld is damaged", (long long)seq);
	store->damaged_seq = seq;
	return MESSAGE_ROW_DAMAGED;
}

enum message_status
message_is_aside(struct message_store *store, int64_t seq, bool *aside)
{
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_IS_ASIDE);

	message_bind_int(store, statement, 1, seq);
	enum message_status status = message_step(store, statement, aside);
	sqlite3_reset(statement);
	return status;
}

/* What an index says of it: the statement has a row.  An index may be damaged too, and then says
 * nothing. */
static bool
look_up(struct message_store *store, sqlite3_stmt *statement, int64_t seq)
{
	message_bind_int(store, statement, 1, seq);
	return store->bind_error == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
}

/* Binds what is known, and tells it.  Reads all of two indexes: it happens seldom. */
static void
identify(struct message_store *store, sqlite3_stmt *mark, int64_t seq, struct message_aside *aside)
{
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_IN_IDS);

	*aside = (struct message_aside){ .cursor = (uint64_t)seq };
	message_bind_int(store, mark, 3, MESSAGE_KIND_UNKNOWN);
	if (look_up(store, statement, seq)) {
		int64_t kind = sqlite3_column_int64(statement, 0);
		int len = sqlite3_column_bytes(statement, 1);

		if ((kind == MESSAGE_NOTICE || kind == MESSAGE_REPLY) && len == MESSAGE_ID_SIZE) {
			aside->kind = (enum message_kind)kind;
			aside->client = message_column_u64(statement, 2);
			message_bind_int(store, mark, 3, kind);
			sqlite3_bind_value(mark, 4, sqlite3_column_value(statement, 1));
			message_bind_u64(store, mark, 5, aside->client);
		}
	}
	sqlite3_reset(statement);
	statement = message_prepare(store, MESSAGE_SQL_IN_TIMES);
	if (look_up(store, statement, seq))
		sqlite3_bind_value(mark, 6, sqlite3_column_value(statement, 0));
	sqlite3_reset(statement);
}

static void
bind_mark(struct message_store *store, int64_t seq, int64_t now_ms, struct message_aside *aside)
{
	sqlite3_stmt *mark = message_prepare(store, MESSAGE_SQL_MARK);

	sqlite3_clear_bindings(mark);
	identify(store, mark, seq, aside);
	store->bind_error = SQLITE_OK;
	message_bind_int(store, mark, 1, seq);
	message_bind_int(store, mark, 2, now_ms);
}

/* Not prepared anew: what was bound stays. */
static enum message_status
run_mark(struct message_store *store)
{
	enum message_status status = message_run(store, store->statements[MESSAGE_SQL_MARK]);

	return status == MESSAGE_DONE && sqlite3_changes(store->db) == 0 ? MESSAGE_ASIDE : status;
}

enum message_status
message_store_mark(struct message_store *store, uint64_t cursor, int64_t now_ms,
		   struct message_aside *aside)
{
	if (cursor == 0 || cursor > INT64_MAX)
		return MESSAGE_MALFORMED;
	bind_mark(store, (int64_t)cursor, now_ms, aside);
	return run_mark(store);
}

enum message_status
message_store_put_aside(struct message_store *store, int64_t now_ms, struct message_aside *aside)
{
	/* The file itself is looked at again first, if the library had found the damage. */
	enum message_status status = message_store_open(store);

	if (status != MESSAGE_DONE)
		return status;
	/* Not within the batch: after damage was seen in one, nothing more can be written. */
	bind_mark(store, store->damaged_seq, now_ms, aside);
	if (store->bind_error != SQLITE_OK)
		return message_store_fault(store, store->bind_error);
	status = message_run(store, message_prepare(store, MESSAGE_SQL_BEGIN));
	if (status == MESSAGE_DONE)
		status = run_mark(store);
	if (message_status_breaks(status)) {
		message_store_rollback(store);
		return status;
	}
	enum message_status committed = message_store_commit(store);
	return committed == MESSAGE_DONE ? status : committed;
}
