/*
 * message_store_open.c - the file of the message store: made, checked, opened, closed; and what its
 * errors mean.
 *
 * A file is not written to before it is known to be ours, whole and of a version that we know.
 * The lock on it is held as long as it is open, so that a second relay on the same directory is
 * refused instead of sharing it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/message_store_internal.h"

/* "RMSG": what PRAGMA application_id says of our files. */
#define APPLICATION_ID 0x524d5347
/* Grows with each change of the schema that an older relay would not understand. */
#define SCHEMA_VERSION 1

/* A larger file is not read through when it is opened: the thread has other work. */
#define CHECK_BYTES_MAX (16u * 1024 * 1024)
/* The smallest bound of a file that leaves room for its own pages. */
#define PAGES_MIN 64u
#define PAGE_SIZE 4096u

/* The numbers in `totals` and `boxes` are kept by the file itself: they roll back with it. */
static const char schema[] =
    "CREATE TABLE messages ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, id BLOB NOT NULL,"
    " client INTEGER NOT NULL, origin INTEGER NOT NULL, sender INTEGER NOT NULL,"
    " pid INTEGER NOT NULL, gid INTEGER NOT NULL, accepted_ms INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL, name BLOB NOT NULL, text BLOB NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX messages_id ON messages (kind, id, client);"
    "CREATE INDEX messages_client ON messages (client, seq);"
    "CREATE INDEX messages_accepted ON messages (accepted_ms);"
    "CREATE TABLE ended ("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, id BLOB NOT NULL,"
    " client INTEGER NOT NULL, origin INTEGER NOT NULL, sender INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX ended_id ON ended (kind, id, client);"
    "CREATE TABLE clients (client INTEGER PRIMARY KEY, seen_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX clients_seen ON clients (seen_ms);"
    "CREATE TABLE totals (count INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " ended INTEGER NOT NULL, clients INTEGER NOT NULL) STRICT;"
    "INSERT INTO totals VALUES (0, 0, 0, 0);"
    "CREATE TABLE boxes (role INTEGER NOT NULL, owner INTEGER NOT NULL,"
    " count INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY (role, owner))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TRIGGER messages_in AFTER INSERT ON messages BEGIN"
    " UPDATE totals SET count = count + 1, bytes = bytes + new.bytes;"
    " INSERT INTO boxes VALUES (0, new.client, 1, new.bytes) ON CONFLICT (role, owner)"
    "  DO UPDATE SET count = count + 1, bytes = bytes + excluded.bytes;"
    " INSERT INTO boxes SELECT new.origin, new.sender, 1, new.bytes WHERE new.origin > 0"
    "  ON CONFLICT (role, owner)"
    "  DO UPDATE SET count = count + 1, bytes = bytes + excluded.bytes; END;"
    "CREATE TRIGGER messages_out AFTER DELETE ON messages BEGIN"
    " UPDATE totals SET count = count - 1, bytes = bytes - old.bytes;"
    " UPDATE boxes SET count = count - 1, bytes = bytes - old.bytes"
    "  WHERE (role = 0 AND owner = old.client);"
    " UPDATE boxes SET count = count - 1, bytes = bytes - old.bytes"
    "  WHERE old.origin > 0 AND role = old.origin AND owner = old.sender;"
    " DELETE FROM boxes WHERE role = 0 AND owner = old.client AND count = 0;"
    " DELETE FROM boxes WHERE role = old.origin AND owner = old.sender AND count = 0; END;"
    "CREATE TRIGGER ended_in AFTER INSERT ON ended BEGIN"
    " UPDATE totals SET ended = ended + 1; END;"
    "CREATE TRIGGER ended_out AFTER DELETE ON ended BEGIN"
    " UPDATE totals SET ended = ended - 1; END;"
    "CREATE TRIGGER clients_in AFTER INSERT ON clients BEGIN"
    " UPDATE totals SET clients = clients + 1; END;"
    "CREATE TRIGGER clients_out AFTER DELETE ON clients BEGIN"
    " UPDATE totals SET clients = clients - 1; END;";

/* Added to files that were made before it; a relay that does not know it has no need of it. */
static const char schema_aside[] =
    "CREATE TABLE IF NOT EXISTS aside (seq INTEGER PRIMARY KEY, found_ms INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, id BLOB, client INTEGER, accepted_ms INTEGER) STRICT;"
    "CREATE TRIGGER IF NOT EXISTS aside_out AFTER DELETE ON messages BEGIN"
    " DELETE FROM aside WHERE seq = old.seq; END;";

static const char *const statement_sql[] = {
#define X(name, sql) sql,
	MESSAGE_STATEMENTS(X)
#undef X
};

/* ---- errors ---- */

static enum message_status
status_of_errno(int error)
{
	switch (error) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return MESSAGE_NO_SPACE;
	case ENOMEM:
		return MESSAGE_NO_MEMORY;
	case EIO:
		return MESSAGE_IO;
	default:
		return MESSAGE_DENIED;
	}
}

/* A disk without room also shows as a write that failed. */
static enum message_status
status_of_io(const struct message_store *store, int code)
{
	if (code == SQLITE_IOERR_NOMEM)
		return MESSAGE_NO_MEMORY;
	int error = store->db != NULL ? sqlite3_system_errno(store->db) : 0;
	return error == ENOSPC || error == EDQUOT || error == EFBIG ? MESSAGE_NO_SPACE : MESSAGE_IO;
}

static enum message_status
status_of(const struct message_store *store, int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return MESSAGE_NO_SPACE;
	case SQLITE_NOMEM:
		return MESSAGE_NO_MEMORY;
	case SQLITE_IOERR:
		return status_of_io(store, code);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return MESSAGE_IN_USE;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN:
	case SQLITE_AUTH:
		return MESSAGE_DENIED;
	default:
		/* Also an error of a statement: what it needs is not in the file. */
		return MESSAGE_DAMAGED;
	}
}

enum message_status
message_store_fault(struct message_store *store, int code)
{
	const char *said = store->db != NULL ? sqlite3_errmsg(store->db) : sqlite3_errstr(code);

	snprintf(store->why, sizeof store->why, "%s (%d)", said, code);
	enum message_status status = status_of(store, code);
	store->suspect |= status == MESSAGE_DAMAGED;
	return status;
}

static enum message_status
fault_text(struct message_store *store, enum message_status status, const char *why)
{
	snprintf(store->why, sizeof store->why, "%s", why);
	return status;
}

/* ---- the file ---- */

/* An empty file is a new store.  It is made here for its mode, and only if there is none: closing
 * a descriptor of a file that is open already would drop its lock. */
static enum message_status
make_file(struct message_store *store)
{
	struct stat st;
	int fd = open(store->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0) {
		close(fd);
		return MESSAGE_DONE;
	}
	int error = errno;
	if (error != EEXIST)
		return fault_text(store, status_of_errno(error), strerror(error));
	if (stat(store->path, &st) != 0)
		return fault_text(store, MESSAGE_DENIED, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fault_text(store, MESSAGE_DENIED, "not a regular file");
	return MESSAGE_DONE;
}

static void
note_file(struct message_store *store)
{
	struct stat st;
	bool is_there = stat(store->path, &st) == 0;

	store->file.device = is_there ? st.st_dev : 0;
	store->file.inode = is_there ? st.st_ino : 0;
	store->file.mode = is_there ? st.st_mode : 0;
}

bool
message_store_was_replaced(const struct message_store *store)
{
	struct stat st;

	if (stat(store->path, &st) != 0)
		return store->file.inode != 0;
	return st.st_dev != store->file.device || st.st_ino != store->file.inode ||
	       st.st_mode != store->file.mode;
}

static enum message_status
execute(struct message_store *store, const char *sql)
{
	int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? MESSAGE_DONE : message_store_fault(store, code);
}

/* The first value of the first row, as a number or as a text. */
static enum message_status
ask(struct message_store *store, const char *sql, int64_t *number, char *text, size_t size)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW && number != NULL)
		*number = sqlite3_column_int64(statement, 0);
	if (code == SQLITE_ROW && text != NULL) {
		const unsigned char *value = sqlite3_column_text(statement, 0);
		snprintf(text, size, "%s", value != NULL ? (const char *)value : "");
	}
	enum message_status status =
	    code == SQLITE_ROW ? MESSAGE_DONE : message_store_fault(store, code);
	sqlite3_finalize(statement);
	return status;
}

static enum message_status
ask_number(struct message_store *store, const char *sql, int64_t *number)
{
	*number = 0;
	return ask(store, sql, number, NULL, 0);
}

/* Whether it is ours, before anything is written.  *fresh: it is empty. */
static enum message_status
recognise(struct message_store *store, bool *fresh)
{
	int64_t version;
	int64_t application;
	int64_t objects;
	enum message_status status = ask_number(store, "PRAGMA user_version", &version);

	*fresh = false;
	if (status == MESSAGE_DONE)
		status = ask_number(store, "PRAGMA application_id", &application);
	if (status == MESSAGE_DONE)
		status = ask_number(store, "SELECT count(*) FROM sqlite_schema", &objects);
	if (status != MESSAGE_DONE)
		return status;
	if (version == 0 && application == 0 && objects == 0) {
		*fresh = true;
		return MESSAGE_DONE;
	}
	if (application != APPLICATION_ID || version < 1)
		return fault_text(store, MESSAGE_DAMAGED, "not a file of the message store");
	if (version > SCHEMA_VERSION) {
		snprintf(store->why, sizeof store->why, "version %lld, this relay knows %d",
			 (long long)version, SCHEMA_VERSION);
		return MESSAGE_NEWER;
	}
	return MESSAGE_DONE;
}

static enum message_status
check_through(struct message_store *store)
{
	char said[128] = "";
	struct stat st;

	if (stat(store->path, &st) != 0 || st.st_size > CHECK_BYTES_MAX)
		return MESSAGE_DONE;
	enum message_status status = ask(store, "PRAGMA quick_check(1)", NULL, said, sizeof said);
	if (status == MESSAGE_DONE && strcmp(said, "ok") != 0)
		status = fault_text(store, MESSAGE_DAMAGED, said);
	return status;
}

static enum message_status
create(struct message_store *store)
{
	char marks[128];

	snprintf(marks, sizeof marks,
		 "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", APPLICATION_ID,
		 SCHEMA_VERSION);
	enum message_status status = execute(store, "BEGIN IMMEDIATE");
	if (status == MESSAGE_DONE)
		status = execute(store, schema);
	if (status == MESSAGE_DONE)
		status = execute(store, marks);
	return status;
}

enum message_status
message_store_bound_file(struct message_store *store)
{
	char sql[64];
	uint64_t pages = store->bounds.file_bytes / PAGE_SIZE;

	if (store->bounds.file_bytes == 0)
		pages = UINT32_MAX - 1u;
	else if (pages < PAGES_MIN)
		pages = PAGES_MIN;
	else if (pages > UINT32_MAX - 1u)
		pages = UINT32_MAX - 1u;
	snprintf(sql, sizeof sql, "PRAGMA max_page_count = %llu", (unsigned long long)pages);
	return execute(store, sql);
}

static enum message_status
enter_wal(struct message_store *store)
{
	char mode[16] = "";
	enum message_status status =
	    ask(store, "PRAGMA journal_mode = WAL", NULL, mode, sizeof mode);

	if (status == MESSAGE_DONE && strcmp(mode, "wal") != 0)
		status = fault_text(store, MESSAGE_DENIED, "no write-ahead log is possible");
	if (status != MESSAGE_DONE)
		return status;
	return execute(store, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000;"
			      "PRAGMA journal_size_limit = 8388608; PRAGMA cache_size = -4096");
}

static enum message_status
prepare_all(struct message_store *store)
{
	for (size_t i = 0; i < MESSAGE_SQL_COUNT; i++) {
		int code =
		    sqlite3_prepare_v3(store->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &store->statements[i], NULL);
		if (code != SQLITE_OK)
			return message_store_fault(store, code);
	}
	return MESSAGE_DONE;
}

static void
configure(sqlite3 *db)
{
	sqlite3_extended_result_codes(db, 1);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, (int)MESSAGE_REPLY_MAX + 65536);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* Until it is known to be ours, closing it may not bring its log in. */
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

static enum message_status
open_file(struct message_store *store)
{
	bool fresh = false;
	int code = sqlite3_open_v2(store->path, &store->db,
				   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (code != SQLITE_OK)
		return message_store_fault(store, code);
	configure(store->db);
	if (sqlite3_db_readonly(store->db, "main") != 0)
		return fault_text(store, MESSAGE_DENIED, "it can only be read");
	enum message_status status =
	    execute(store, "PRAGMA temp_store = MEMORY; PRAGMA locking_mode = EXCLUSIVE;"
			   "PRAGMA cell_size_check = ON");
	if (status == MESSAGE_DONE)
		status = recognise(store, &fresh);
	if (status == MESSAGE_DONE && !fresh)
		status = check_through(store);
	if (status == MESSAGE_DONE)
		status = enter_wal(store);
	if (status == MESSAGE_DONE)
		status = message_store_bound_file(store);
	if (status == MESSAGE_DONE && fresh)
		status = create(store);
	if (status == MESSAGE_DONE)
		status = execute(store, schema_aside);
	if (status == MESSAGE_DONE)
		status = prepare_all(store);
	if (status == MESSAGE_DONE)
		sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return status;
}

/* What was moved away keeps its log, and the name is left to the next one. */
static void
leave_moved(struct message_store *store)
{
	sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	message_store_close(store);
}

enum message_status
message_store_open(struct message_store *store)
{
	int moved = 0;

	if (store->db != NULL) {
		sqlite3_file_control(store->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
		if (moved == 0)
			return MESSAGE_DONE;
		leave_moved(store);
	}
	enum message_status status = make_file(store);
	if (status == MESSAGE_DONE)
		status = open_file(store);
	note_file(store);
	if (status != MESSAGE_DONE)
		message_store_close(store);
	return status;
}

void
message_store_close(struct message_store *store)
{
	for (size_t i = 0; i < MESSAGE_SQL_COUNT; i++) {
		sqlite3_finalize(store->statements[i]);
		store->statements[i] = NULL;
	}
	sqlite3_close(store->db);
	store->db = NULL;
	store->suspect = false;
}
