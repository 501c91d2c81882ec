/*
 * message_store_internal.h - what the files of the message store share: the connection, its
 * statements, the one way to run them.
 */
#ifndef RELAY_MESSAGE_STORE_INTERNAL_H
#define RELAY_MESSAGE_STORE_INTERNAL_H

#include <sqlite3.h>
#include <sys/types.h>

#include "relay/message_store.h"

/* What message_read_columns reads. */
#define MESSAGE_COLUMNS "seq, kind, id, client, origin, sender, pid, gid, accepted_ms, bytes, name"

/* What is put aside is found in the indexes of messages alone, and left out. */
#define MESSAGE_NOT_ASIDE "seq NOT IN (SELECT seq FROM aside)"

#define MESSAGE_STATEMENTS(X)                                                                      \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(COMMIT, "COMMIT")                                                                        \
	X(ROLLBACK, "ROLLBACK")                                                                    \
	X(FIND, "SELECT seq FROM messages WHERE kind = ?2 AND id = ?3 AND client = ?1")            \
	X(COMPARE, "SELECT origin, sender, text = ?2 FROM messages WHERE seq = ?1")                \
	X(IS_ASIDE, "SELECT 1 FROM aside WHERE seq = ?1")                                          \
	X(MARK, "INSERT OR IGNORE INTO aside (seq, found_ms, kind, id, client, accepted_ms) "      \
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                                 \
	X(IN_IDS, "SELECT kind, id, client FROM messages INDEXED BY messages_id "                  \
		  "WHERE +seq = ?1")                                                               \
	X(IN_TIMES, "SELECT accepted_ms FROM messages INDEXED BY messages_accepted "               \
		    "WHERE +seq = ?1")                                                             \
	X(FIND_ENDED,                                                                              \
	  "SELECT origin, sender FROM ended WHERE kind = ?2 AND id = ?3 AND client = ?1")          \
	X(TOTALS, "SELECT count, bytes, ended, clients, (SELECT count(*) FROM aside) FROM totals") \
	X(BOX, "SELECT count, bytes FROM boxes WHERE role = ?1 AND owner = ?2")                    \
	X(PUT, "INSERT INTO messages (kind, id, client, origin, sender, pid, gid, accepted_ms, "   \
	       "bytes, name, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")         \
	X(REMEMBER, "INSERT INTO ended (client, kind, id, origin, sender, ended_ms) "              \
		    "SELECT client, kind, id, origin, sender, ?2 FROM messages WHERE seq = ?1")    \
	X(FORGET, "DELETE FROM ended WHERE seq IN (SELECT seq FROM ended ORDER BY seq LIMIT ?1)")  \
	X(REMOVE, "DELETE FROM messages WHERE seq = ?1")                                           \
	X(SEQ_ID, "SELECT seq FROM messages WHERE kind = ?1 AND id = ?2 ORDER BY seq LIMIT ?3")    \
	X(SEQ_CLIENT, "SELECT seq FROM messages WHERE client = ?1 AND " MESSAGE_NOT_ASIDE          \
		      " ORDER BY seq LIMIT ?2")                                                    \
	X(SEQ_OLDER, "SELECT seq FROM messages WHERE accepted_ms < ?1 AND " MESSAGE_NOT_ASIDE " "  \
		     "ORDER BY accepted_ms, seq LIMIT ?2")                                         \
	X(NEXT, "SELECT seq, 0 FROM messages WHERE client = ?1 AND seq > ?2 "                      \
		"AND " MESSAGE_NOT_ASIDE " ORDER BY seq LIMIT ?3")                                 \
	X(LIST_OLDEST, "SELECT seq, seq IN (SELECT seq FROM aside) FROM messages "                 \
		       "WHERE seq > ?1 ORDER BY seq LIMIT ?2")                                     \
	X(LIST_NEWEST, "SELECT seq, seq IN (SELECT seq FROM aside) FROM messages "                 \
		       "WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2")                                \
	X(LIST_CLIENT_OLDEST, "SELECT seq, seq IN (SELECT seq FROM aside) FROM messages "          \
			      "WHERE seq > ?1 AND client = ?3 ORDER BY seq LIMIT ?2")              \
	X(LIST_CLIENT_NEWEST, "SELECT seq, seq IN (SELECT seq FROM aside) FROM messages "          \
			      "WHERE seq < ?1 AND client = ?3 ORDER BY seq DESC LIMIT ?2")         \
	X(ROW, "SELECT " MESSAGE_COLUMNS ", length(text), text FROM messages WHERE seq = ?1")      \
	X(ROW_HEAD, "SELECT " MESSAGE_COLUMNS ", length(text) FROM messages WHERE seq = ?1")       \
	X(ROW_ASIDE, "SELECT kind, id, client, accepted_ms FROM aside WHERE seq = ?1")             \
	X(SEEN, "INSERT INTO clients (client, seen_ms) VALUES (?1, ?2) ON CONFLICT (client) "      \
		"DO UPDATE SET seen_ms = max(seen_ms, excluded.seen_ms)")                          \
	X(FORGET_CLIENTS, "DELETE FROM clients WHERE client IN "                                   \
			  "(SELECT client FROM clients ORDER BY seen_ms LIMIT ?1)")                \
	X(LAST_SEEN, "SELECT seen_ms FROM clients WHERE client = ?1")                              \
	X(CLIENTS, "SELECT client, seen_ms FROM clients ORDER BY client LIMIT ?1")                 \
	X(CLIENTS_AFTER,                                                                           \
	  "SELECT client, seen_ms FROM clients WHERE client > ?2 ORDER BY client LIMIT ?1")

enum message_statement {
#define X(name, sql) MESSAGE_SQL_##name,
	MESSAGE_STATEMENTS(X)
#undef X
	MESSAGE_SQL_COUNT,
};

/* Whose count and bytes a row of `boxes` has; the senders' as enum message_origin. */
#define MESSAGE_BOX_RECEIVER 0

struct message_store {
	char *path;
	struct message_bounds bounds;
	int64_t damaged_seq; /* of the message, with the status ROW_DAMAGED */

	struct {
		dev_t device;
		ino_t inode; /* 0 = there was none */
		mode_t mode;
	} file; /* that was opened last, or tried */

	sqlite3 *db;  /* NULL = not open */
	bool suspect; /* the file was found to be damaged: nothing more is done with it */
	int bind_error;
	char why[256];
	sqlite3_stmt *statements[MESSAGE_SQL_COUNT];
};

/* message_store_open.c */
enum message_status message_store_open(struct message_store *store);
void message_store_close(struct message_store *store);
/* Makes the bound of the file's size that of the settings. */
enum message_status message_store_bound_file(struct message_store *store);

/* The status of a result code, and keeps what the library says of it. */
enum message_status message_store_fault(struct message_store *store, int code);

/* message_store_aside.c.  What it means if this is what a message alone came to. */
enum message_status message_row_fault(struct message_store *store, int64_t seq,
				      enum message_status status);
/* The message says what none can say that was put. */
enum message_status message_row_unsound(struct message_store *store, int64_t seq);
enum message_status message_is_aside(struct message_store *store, int64_t seq, bool *aside);

/* message_store_run.c.  A statement ready to be bound; parameters count from 1. */
sqlite3_stmt *message_prepare(struct message_store *store, enum message_statement which);
void message_bind_int(struct message_store *store, sqlite3_stmt *statement, int at, int64_t value);
void message_bind_u64(struct message_store *store, sqlite3_stmt *statement, int at, uint64_t value);
/* The bytes stay the caller's, to the last step. */
void message_bind_bytes(struct message_store *store, sqlite3_stmt *statement, int at,
			const void *bytes, size_t len);

/* The next row.  A statement whose rows end, or that fails, is reset. */
enum message_status message_step(struct message_store *store, sqlite3_stmt *statement, bool *row);

/* Runs one that gives no rows. */
enum message_status message_run(struct message_store *store, sqlite3_stmt *statement);

static inline uint64_t
message_column_u64(sqlite3_stmt *statement, int at)
{
	return (uint64_t)sqlite3_column_int64(statement, at);
}

#endif
