/*
 * message_store.c - batches, and what changes the message store.
 *
 * A message that is removed leaves its id behind (`ended`), so that a repeat of it is not kept, and
 * sent, once more.  Never looks into a text.  Owns the connection to the file.
 */
#include "relay/message_store.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/message_store_internal.h"

const struct message_bounds message_bounds_default = {
	.count = 100000,
	.bytes = 256u * 1024 * 1024,
	.client_count = 1000,
	.client_bytes = 8u * 1024 * 1024,
	.sender_count = 10000,
	.sender_bytes = 64u * 1024 * 1024,
	.age_ms = 30ull * 24 * 3600 * 1000,
	.ended = 65536,
	.clients = 65536,
};

const char *
message_status_text(enum message_status status)
{
	switch (status) {
#define X(name, text) \
	case name:    \
		return text;
		MESSAGE_STATUSES(X)
#undef X
	}
	return "unknown";
}

static void
put_u64(uint8_t *out, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		out[i] = (uint8_t)value;
}

static uint64_t
get_u64(const uint8_t *in)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | in[i];
	return value;
}

void
message_reply_id(uint8_t id[static MESSAGE_ID_SIZE], uint64_t session, uint64_t number)
{
	put_u64(id, session);
	put_u64(id + 8, number);
}

void
message_reply_number(const uint8_t id[static MESSAGE_ID_SIZE], uint64_t *session, uint64_t *number)
{
	*session = get_u64(id);
	*number = get_u64(id + 8);
}

/* ---- life, and batches ---- */

struct message_store *
message_store_new(const char *path, const struct message_bounds *bounds)
{
	struct message_store *store = calloc(1, sizeof *store);

	if (store == NULL)
		return NULL;
	store->path = strdup(path);
	if (store->path == NULL) {
		free(store);
		return NULL;
	}
	store->bounds = *bounds;
	return store;
}

void
message_store_free(struct message_store *store)
{
	if (store == NULL)
		return;
	message_store_close(store);
	free(store->path);
	free(store);
}

enum message_status
message_store_set_bounds(struct message_store *store, const struct message_bounds *bounds)
{
	store->bounds = *bounds;
	return store->db != NULL ? message_store_bound_file(store) : MESSAGE_DONE;
}

const char *
message_store_why(const struct message_store *store)
{
	return store->why;
}

void
message_store_rollback(struct message_store *store)
{
	if (store->db == NULL)
		return;
	/* Some errors have rolled it back already. */
	for (size_t i = 0; i < MESSAGE_SQL_COUNT; i++)
		sqlite3_reset(store->statements[i]);
	if (sqlite3_get_autocommit(store->db) == 0)
		sqlite3_step(store->statements[MESSAGE_SQL_ROLLBACK]);
	sqlite3_reset(store->statements[MESSAGE_SQL_ROLLBACK]);
	/* It is looked at anew before it is used again. */
	if (store->suspect)
		message_store_close(store);
}

enum message_status
message_store_begin(struct message_store *store)
{
	enum message_status status = message_store_open(store);

	if (status != MESSAGE_DONE)
		return status;
	status = message_run(store, message_prepare(store, MESSAGE_SQL_BEGIN));
	if (status != MESSAGE_DONE)
		message_store_rollback(store);
	return status;
}

enum message_status
message_store_commit(struct message_store *store)
{
	enum message_status status = message_run(store, message_prepare(store, MESSAGE_SQL_COMMIT));

	if (status != MESSAGE_DONE)
		message_store_rollback(store);
	return status;
}

/* ---- put ---- */

static void
bind_key(struct message_store *store, sqlite3_stmt *statement, uint64_t client,
	 enum message_kind kind, const uint8_t *id)
{
	message_bind_u64(store, statement, 1, client);
	message_bind_int(store, statement, 2, kind);
	message_bind_bytes(store, statement, 3, id, MESSAGE_ID_SIZE);
}

static enum message_status
check_shape(const struct message *message)
{
	bool notice = message->kind == MESSAGE_NOTICE;

	if (!notice && message->kind != MESSAGE_REPLY)
		return MESSAGE_MALFORMED;
	if (notice != (message->origin != MESSAGE_BY_RELAY) || message->origin > MESSAGE_BY_USER)
		return MESSAGE_MALFORMED;
	if (message->name.len > MESSAGE_NAME_MAX ||
	    message->text.len > (notice ? MESSAGE_NOTICE_MAX : MESSAGE_REPLY_MAX))
		return MESSAGE_TOO_LONG;
	return MESSAGE_DONE;
}

/* DONE: it is not there.  A row begins with its origin and sender. */
static enum message_status
compare_known(struct message_store *store, sqlite3_stmt *statement, const struct message *message)
{
	bool row;
	enum message_status status = message_step(store, statement, &row);

	if (status != MESSAGE_DONE || !row)
		return status;
	bool same = sqlite3_column_int64(statement, 0) == message->origin &&
		    message_column_u64(statement, 1) == message->sender;
	/* The one that waits also says whether the text is the same. */
	if (sqlite3_column_count(statement) > 2)
		same &= sqlite3_column_int(statement, 2) == 1;
	sqlite3_reset(statement);
	return same ? MESSAGE_REPEATED : MESSAGE_TAKEN;
}

/* *seq = 0: it is not there. */
static enum message_status
find_waiting(struct message_store *store, uint64_t client, enum message_kind kind,
	     const uint8_t *id, int64_t *seq, bool *aside)
{
	bool row;
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_FIND);

	*seq = 0;
	*aside = false;
	bind_key(store, statement, client, kind, id);
	enum message_status status = message_step(store, statement, &row);
	if (status != MESSAGE_DONE || !row)
		return status;
	*seq = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return message_is_aside(store, *seq, aside);
}

static enum message_status
check_known(struct message_store *store, const struct message *message)
{
	int64_t seq;
	bool aside;
	sqlite3_stmt *statement;
	enum message_status status =
	    find_waiting(store, message->client, message->kind, message->id, &seq, &aside);

	if (status == MESSAGE_DONE && aside)
		return MESSAGE_ASIDE;
	if (status == MESSAGE_DONE && seq != 0) {
		statement = message_prepare(store, MESSAGE_SQL_COMPARE);
		message_bind_int(store, statement, 1, seq);
		message_bind_bytes(store, statement, 2, message->text.data, message->text.len);
		status = compare_known(store, statement, message);
		return status == MESSAGE_DONE ? message_row_unsound(store, seq)
					      : message_row_fault(store, seq, status);
	}
	if (status != MESSAGE_DONE)
		return status;
	statement = message_prepare(store, MESSAGE_SQL_FIND_ENDED);
	bind_key(store, statement, message->client, message->kind, message->id);
	return compare_known(store, statement, message);
}

/* Whether one more with these bytes fits. */
static enum message_status
check_fit(uint64_t count, uint64_t bytes, uint64_t more, uint64_t count_max, uint64_t bytes_max,
	  enum message_status too_many)
{
	if (count >= count_max)
		return too_many;
	/* Each of the codes for bytes follows the one for the count. */
	if (bytes > bytes_max || more > bytes_max - bytes)
		return (enum message_status)(too_many + 1);
	return MESSAGE_DONE;
}

static_assert(MESSAGE_CLIENT_BYTES == MESSAGE_CLIENT_COUNT + 1 &&
		  MESSAGE_SENDER_BYTES == MESSAGE_SENDER_COUNT + 1 &&
		  MESSAGE_STORE_BYTES == MESSAGE_STORE_COUNT + 1,
	      "codes for bytes follow those for counts");

static enum message_status
read_box(struct message_store *store, int role, uint64_t owner, uint64_t *count, uint64_t *bytes)
{
	bool row;
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_BOX);

	*count = 0;
	*bytes = 0;
	message_bind_int(store, statement, 1, role);
	message_bind_u64(store, statement, 2, owner);
	enum message_status status = message_step(store, statement, &row);
	if (!row)
		return status;
	*count = message_column_u64(statement, 0);
	*bytes = message_column_u64(statement, 1);
	sqlite3_reset(statement);
	return MESSAGE_DONE;
}

enum message_status
message_store_waiting(struct message_store *store, uint64_t client, uint64_t *count,
		      uint64_t *bytes)
{
	return read_box(store, MESSAGE_BOX_RECEIVER, client, count, bytes);
}

static enum message_status
check_room(struct message_store *store, const struct message *message, uint64_t more)
{
	const struct message_bounds *bounds = &store->bounds;
	struct message_totals totals;
	uint64_t count;
	uint64_t bytes;
	enum message_status status = message_store_totals(store, &totals);

	if (status == MESSAGE_DONE)
		status = check_fit(totals.count, totals.bytes, more, bounds->count, bounds->bytes,
				   MESSAGE_STORE_COUNT);
	if (status == MESSAGE_DONE)
		status = message_store_waiting(store, message->client, &count, &bytes);
	if (status == MESSAGE_DONE)
		status = check_fit(count, bytes, more, bounds->client_count, bounds->client_bytes,
				   MESSAGE_CLIENT_COUNT);
	if (status != MESSAGE_DONE || message->origin == MESSAGE_BY_RELAY)
		return status;
	status = read_box(store, (int)message->origin, message->sender, &count, &bytes);
	if (status == MESSAGE_DONE)
		status = check_fit(count, bytes, more, bounds->sender_count, bounds->sender_bytes,
				   MESSAGE_SENDER_COUNT);
	return status;
}

static enum message_status
insert(struct message_store *store, const struct message *message, uint64_t bytes)
{
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_PUT);

	message_bind_int(store, statement, 1, message->kind);
	message_bind_bytes(store, statement, 2, message->id, MESSAGE_ID_SIZE);
	message_bind_u64(store, statement, 3, message->client);
	message_bind_int(store, statement, 4, message->origin);
	message_bind_u64(store, statement, 5, message->sender);
	message_bind_int(store, statement, 6, message->pid);
	message_bind_int(store, statement, 7, message->gid);
	message_bind_int(store, statement, 8, message->accepted_ms);
	message_bind_u64(store, statement, 9, bytes);
	message_bind_bytes(store, statement, 10, message->name.data, message->name.len);
	message_bind_bytes(store, statement, 11, message->text.data, message->text.len);
	return message_run(store, statement);
}

enum message_status
message_store_put(struct message_store *store, const struct message *message)
{
	uint64_t bytes = MESSAGE_OVERHEAD + message->name.len + message->text.len;
	enum message_status status = check_shape(message);

	if (status == MESSAGE_DONE)
		status = check_known(store, message);
	if (status == MESSAGE_DONE)
		status = check_room(store, message, bytes);
	return status == MESSAGE_DONE ? insert(store, message, bytes) : status;
}

/* ---- removing ---- */

/* The oldest two at most for each new one: a lower bound is reached step by step. */
static enum message_status
trim_ended(struct message_store *store)
{
	struct message_totals totals;
	enum message_status status = message_store_totals(store, &totals);

	if (status != MESSAGE_DONE || totals.ended <= store->bounds.ended)
		return status;
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_FORGET);
	message_bind_int(store, statement, 1, totals.ended > store->bounds.ended + 1 ? 2 : 1);
	return message_run(store, statement);
}

static enum message_status
remove_one(struct message_store *store, int64_t seq, int64_t now_ms)
{
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_REMEMBER);

	message_bind_int(store, statement, 1, seq);
	message_bind_int(store, statement, 2, now_ms);
	enum message_status status = message_run(store, statement);
	if (status != MESSAGE_DONE)
		return status;
	statement = message_prepare(store, MESSAGE_SQL_REMOVE);
	message_bind_int(store, statement, 1, seq);
	status = message_run(store, statement);
	return status == MESSAGE_DONE ? trim_ended(store) : status;
}

/* What cannot be removed may stay: it is not delivered any more. */
static enum message_status
remove_message(struct message_store *store, int64_t seq, int64_t now_ms)
{
	return message_row_fault(store, seq, remove_one(store, seq, now_ms));
}

/* Removes what a statement, bound, finds.  All of it is found first: removing changes what it
 * looks through. */
static enum message_status
remove_found(struct message_store *store, sqlite3_stmt *statement, int64_t now_ms, size_t *removed)
{
	int64_t found[MESSAGE_DROP_MAX];
	size_t count = 0;
	bool row;
	enum message_status status = message_step(store, statement, &row);

	*removed = 0;
	while (row && count < MESSAGE_DROP_MAX) {
		found[count++] = sqlite3_column_int64(statement, 0);
		status = message_step(store, statement, &row);
	}
	sqlite3_reset(statement);
	for (size_t i = 0; status == MESSAGE_DONE && i < count; i++)
		status = remove_message(store, found[i], now_ms);
	if (status == MESSAGE_DONE)
		*removed = count;
	return status;
}

enum message_status
message_store_confirm(struct message_store *store, uint64_t client, enum message_kind kind,
		      const uint8_t *id, int64_t now_ms)
{
	bool row;
	bool aside;
	int64_t seq;
	enum message_status status = find_waiting(store, client, kind, id, &seq, &aside);

	if (status != MESSAGE_DONE)
		return status;
	if (seq != 0)
		return aside ? MESSAGE_REPEATED : remove_message(store, seq, now_ms);
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_FIND_ENDED);
	bind_key(store, statement, client, kind, id);
	status = message_step(store, statement, &row);
	sqlite3_reset(statement);
	if (status != MESSAGE_DONE)
		return status;
	return row ? MESSAGE_REPEATED : MESSAGE_UNKNOWN;
}

enum message_status
message_store_drop(struct message_store *store, enum message_kind kind, const uint8_t *id,
		   int64_t now_ms, size_t *removed)
{
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_SEQ_ID);

	message_bind_int(store, statement, 1, kind);
	message_bind_bytes(store, statement, 2, id, MESSAGE_ID_SIZE);
	message_bind_int(store, statement, 3, MESSAGE_DROP_MAX);
	enum message_status status = remove_found(store, statement, now_ms, removed);
	return status == MESSAGE_DONE && *removed == 0 ? MESSAGE_UNKNOWN : status;
}

enum message_status
message_store_drop_client(struct message_store *store, uint64_t client, int64_t now_ms,
			  size_t *removed)
{
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_SEQ_CLIENT);

	message_bind_u64(store, statement, 1, client);
	message_bind_int(store, statement, 2, MESSAGE_DROP_MAX);
	return remove_found(store, statement, now_ms, removed);
}

enum message_status
message_store_drop_older(struct message_store *store, int64_t before_ms, int64_t now_ms,
			 size_t *removed)
{
	sqlite3_stmt *statement = message_prepare(store, MESSAGE_SQL_SEQ_OLDER);

	message_bind_int(store, statement, 1, before_ms);
	message_bind_int(store, statement, 2, MESSAGE_DROP_MAX);
	return remove_found(store, statement, now_ms, removed);
}

enum message_status
message_store_expire(struct message_store *store, int64_t now_ms, size_t *removed)
{
	uint64_t age_ms = store->bounds.age_ms;

	*removed = 0;
	if (now_ms < 0 || age_ms > (uint64_t)now_ms)
		return MESSAGE_DONE;
	return message_store_drop_older(store, now_ms - (int64_t)age_ms, now_ms, removed);
}
