/*
 * message_store_run.c - binding and stepping of the prepared statements.
 *
 * Binding cannot fail but for want of memory: that is kept, and the step after it answers with it.
 */
#include <assert.h>

#include "relay/message_store_internal.h"

sqlite3_stmt *
message_prepare(struct message_store *store, enum message_statement which)
{
	sqlite3_stmt *statement = store->statements[which];

	assert(statement != NULL);
	/* What it says is of its last run, and was answered then. */
	sqlite3_reset(statement);
	store->bind_error = SQLITE_OK;
	return statement;
}

static void
bound(struct message_store *store, int code)
{
	if (store->bind_error == SQLITE_OK)
		store->bind_error = code;
}

void
message_bind_int(struct message_store *store, sqlite3_stmt *statement, int at, int64_t value)
{
	bound(store, sqlite3_bind_int64(statement, at, value));
}

void
message_bind_u64(struct message_store *store, sqlite3_stmt *statement, int at, uint64_t value)
{
	bound(store, sqlite3_bind_int64(statement, at, (int64_t)value));
}

void
message_bind_bytes(struct message_store *store, sqlite3_stmt *statement, int at, const void *bytes,
		   size_t len)
{
	/* A null pointer would be NULL, not no bytes. */
	if (len == 0)
		bound(store, sqlite3_bind_zeroblob(statement, at, 0));
	else
		bound(store, sqlite3_bind_blob64(statement, at, bytes, len, SQLITE_STATIC));
}

enum message_status
message_step(struct message_store *store, sqlite3_stmt *statement, bool *row)
{
	int code = store->bind_error;

	*row = false;
	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		*row = true;
		return MESSAGE_DONE;
	}
	enum message_status status =
	    code == SQLITE_DONE ? MESSAGE_DONE : message_store_fault(store, code);
	sqlite3_reset(statement);
	return status;
}

enum message_status
message_run(struct message_store *store, sqlite3_stmt *statement)
{
	bool row;
	enum message_status status = message_step(store, statement, &row);

	assert(!row);
	return status;
}
