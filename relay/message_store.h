/*
 * message_store.h - messages that wait for a client, kept in one SQLite file: notices, durable
 * replies that nobody confirmed, and when each client was last seen.
 *
 * Everything happens in a batch: message_store_begin, any number of calls, message_store_commit.
 * What a call answered holds once the commit has answered MESSAGE_DONE, and is then on the disk; it
 * never happened if the batch ended otherwise.  A call whose status breaks the batch
 * (message_status_breaks) leaves only message_store_rollback to do.
 *
 * Every call may wait for the disk, and all belong to one thread: the storage thread.  Texts are
 * bytes that nobody looks into.  A file that is damaged, or of a newer relay, is refused and not
 * written to; only the operator sets it aside, and the next batch begins a new one.  Where the file
 * is sound and a message in it is not, that one is put aside: it stays in the file, marked, is
 * listed, and neither delivered nor removed unless it is dropped by its id.
 */
#ifndef RELAY_MESSAGE_STORE_H
#define RELAY_MESSAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

#define MESSAGE_ID_SIZE 16u
/* Who sent it, in words. */
#define MESSAGE_NAME_MAX 256u
/* A text, by its kind. */
#define MESSAGE_NOTICE_MAX 8192u
#define MESSAGE_REPLY_MAX  (16u * 1024 * 1024)
/* What a message counts for beside the bytes of its name and text. */
#define MESSAGE_OVERHEAD 128u
/* One page of message_store_list or message_store_clients, and of message_store_next. */
#define MESSAGE_PAGE_MAX       1000u
#define MESSAGE_NEXT_MAX       64u
#define MESSAGE_NEXT_BYTES_MAX (256u * 1024)
/* Messages that one call of the drops removes. */
#define MESSAGE_DROP_MAX 256u

#define MESSAGE_STATUSES(X)                                                                        \
	X(MESSAGE_DONE, "done")                                                                    \
	X(MESSAGE_REPEATED, "done before")                                                         \
	X(MESSAGE_UNKNOWN, "no such message")                                                      \
	X(MESSAGE_MALFORMED, "not a message")                                                      \
	X(MESSAGE_TOO_LONG, "longer than the message store takes")                                 \
	X(MESSAGE_TAKEN, "its id is that of another message")                                      \
	X(MESSAGE_CLIENT_COUNT, "too many messages wait for this client")                          \
	X(MESSAGE_CLIENT_BYTES, "too many bytes wait for this client")                             \
	X(MESSAGE_SENDER_COUNT, "too many messages of this sender wait")                           \
	X(MESSAGE_SENDER_BYTES, "too many bytes of this sender wait")                              \
	X(MESSAGE_STORE_COUNT, "too many messages wait")                                           \
	X(MESSAGE_STORE_BYTES, "too many bytes of messages wait")                                  \
	X(MESSAGE_ASIDE, "it is damaged, and was put aside")                                       \
	X(MESSAGE_NO_SPACE, "no space left for the message store")                                 \
	X(MESSAGE_NO_MEMORY, "no memory for the message store")                                    \
	X(MESSAGE_IO, "the disk of the message store fails")                                       \
	X(MESSAGE_ROW_DAMAGED, "a message in the message store is damaged")                        \
	X(MESSAGE_DAMAGED,                                                                         \
	  "the file is damaged or no message store; move it and its -wal away to begin a new one") \
	X(MESSAGE_NEWER, "the message store is of a newer relay")                                  \
	X(MESSAGE_IN_USE, "another process uses the message store")                                \
	X(MESSAGE_DENIED, "the message store cannot be opened or written")

enum message_status {
#define X(name, text) name,
	MESSAGE_STATUSES(X)
#undef X
};

const char *message_status_text(enum message_status status);

/* Whether it is the store's failure, not the call's: then nothing of the batch will happen. */
static inline bool
message_status_breaks(enum message_status status)
{
	return status >= MESSAGE_NO_SPACE;
}

/* What fills the store at most; beyond that a message is refused. */
struct message_bounds {
	uint64_t count, bytes;
	uint64_t client_count, client_bytes; /* for one client */
	uint64_t sender_count, sender_bytes; /* of one client, or of one user by the webpager */
	uint64_t age_ms;                     /* message_store_expire */
	uint64_t ended;                      /* ids that are remembered after their end */
	uint64_t clients;                    /* of which is known when they were last seen */
	uint64_t file_bytes;                 /* of the whole file; 0 = as much as there is room */
};

extern const struct message_bounds message_bounds_default;

/* They are on the disk as these numbers. */
enum message_kind {
	MESSAGE_KIND_UNKNOWN = 0, /* one that is put aside, of which nothing more is known */
	MESSAGE_NOTICE = 1,
	MESSAGE_REPLY = 2,
};

enum message_origin {
	MESSAGE_BY_RELAY = 0, /* a reply */
	MESSAGE_BY_CLIENT = 1,
	MESSAGE_BY_USER = 2, /* the webpager */
};

struct message {
	uint64_t cursor; /* its place: older ones have lower numbers; the store's to say */
	enum message_kind kind;
	uint8_t id[MESSAGE_ID_SIZE]; /* of a reply: message_reply_id */
	uint64_t client;             /* for whom */
	enum message_origin origin;
	uint64_t sender; /* BY_CLIENT: its id; BY_USER: the uid */
	uint32_t pid;    /* BY_USER, with gid */
	uint32_t gid;
	int64_t accepted_ms; /* real time */
	uint64_t bytes;      /* what it counts for; the store's to say */
	bool aside;          /* is damaged: only cursor and, if known, kind, id, client and
			      * accepted_ms are there */
	struct wire_span name;
	struct wire_span text;
};

void message_reply_id(uint8_t id[static MESSAGE_ID_SIZE], uint64_t session, uint64_t number);
void message_reply_number(const uint8_t id[static MESSAGE_ID_SIZE], uint64_t *session,
			  uint64_t *number);

struct message_store;

/* Opens nothing yet; the path is copied.  NULL: no memory. */
struct message_store *message_store_new(const char *path, const struct message_bounds *bounds);

/* Ends a batch without a commit.  NULL is fine. */
void message_store_free(struct message_store *store);

/* At once, also within a batch.  What is above new bounds stays. */
enum message_status message_store_set_bounds(struct message_store *store,
					     const struct message_bounds *bounds);

/* What the library said of the last status that breaks; never NULL.  For a log: it names no
 * content. */
const char *message_store_why(const struct message_store *store);

/*
 * Opens the file if it is not open or was moved away, and makes it if there is none (mode 0600).
 * The file is this process's alone until message_store_free.  An error leaves no batch.
 */
enum message_status message_store_begin(struct message_store *store);

/* DONE: all of the batch is on the disk.  Else nothing of it happened. */
enum message_status message_store_commit(struct message_store *store);
void message_store_rollback(struct message_store *store);

/* Whether another file, or none, is where there was the one that was opened last, or tried. */
bool message_store_was_replaced(const struct message_store *store);

/* Which one was put aside: its cursor and, if known, kind and client. */
struct message_aside {
	uint64_t cursor;
	uint64_t client;
	enum message_kind kind;
};

/*
 * After ROW_DAMAGED and a rollback: puts the message aside that is damaged, in a batch of its own.
 * DONE: then the batch may be done again.  ASIDE: it was put aside before, and the call cannot do
 * without it.
 */
enum message_status message_store_put_aside(struct message_store *store, int64_t now_ms,
					    struct message_aside *aside);

/* The same within a batch, with one that proved to be nothing that a relay has accepted. */
enum message_status message_store_mark(struct message_store *store, uint64_t cursor, int64_t now_ms,
				       struct message_aside *aside);

/*
 * Keeps a message.  The same one again (client, kind, id), also one that was removed since, is
 * REPEATED and changes nothing; TAKEN if it has another sender, or another text while it waits;
 * ASIDE if it was put aside.
 */
enum message_status message_store_put(struct message_store *store, const struct message *message);

/* Removes what the client has confirmed.  REPEATED: it was removed before, or is put aside.
 * UNKNOWN: it never was there, or so long ago that it is forgotten. */
enum message_status message_store_confirm(struct message_store *store, uint64_t client,
					  enum message_kind kind, const uint8_t *id,
					  int64_t now_ms);

/* What the operator removes: one message, wherever its client (as confirm). */
enum message_status message_store_drop(struct message_store *store, enum message_kind kind,
				       const uint8_t *id, int64_t now_ms, size_t *removed);

/* Those of a client; those accepted before a time; those older than the bound; none that is put
 * aside.  At most MESSAGE_DROP_MAX, oldest first: with as many *removed there may be more. */
enum message_status message_store_drop_client(struct message_store *store, uint64_t client,
					      int64_t now_ms, size_t *removed);
enum message_status message_store_drop_older(struct message_store *store, int64_t before_ms,
					     int64_t now_ms, size_t *removed);
enum message_status message_store_expire(struct message_store *store, int64_t now_ms,
					 size_t *removed);

/* ---- reading ---- */

struct message_page {
	bool more;       /* there is something behind this page */
	uint64_t cursor; /* where the next one begins */
	size_t count;
	struct message *messages; /* message_page_fini frees them and what they point to */
};

void message_page_fini(struct message_page *page);

/* The next messages of a client behind a cursor (0 = all), with their texts, oldest first; at most
 * `max` (1 .. MESSAGE_NEXT_MAX), and MESSAGE_NEXT_BYTES_MAX but for a single longer one. */
enum message_status message_store_next(struct message_store *store, uint64_t client,
				       uint64_t cursor, size_t max, struct message_page *page);

struct message_list {
	bool newest_first;
	bool of_client; /* only those for `client` */
	uint64_t client;
	uint64_t cursor; /* that of the page before; 0 = from the start */
	size_t max;      /* 1 .. MESSAGE_PAGE_MAX */
};

/* For the operator: everything but the texts; with what is put aside. */
enum message_status message_store_list(struct message_store *store, const struct message_list *list,
				       struct message_page *page);

struct message_totals {
	uint64_t count, bytes; /* messages that wait */
	uint64_t ended;        /* ids that are remembered */
	uint64_t clients;      /* of which is known when they were last seen */
	uint64_t aside;        /* of those that wait: put aside */
};

enum message_status message_store_totals(struct message_store *store,
					 struct message_totals *totals);

/* What waits for a client. */
enum message_status message_store_waiting(struct message_store *store, uint64_t client,
					  uint64_t *count, uint64_t *bytes);

/* ---- last seen ---- */

/* Never goes back.  With too many, who was not seen for the longest is forgotten. */
enum message_status message_store_seen(struct message_store *store, uint64_t client,
				       int64_t seen_ms);

/* UNKNOWN: never, or forgotten. */
enum message_status message_store_last_seen(struct message_store *store, uint64_t client,
					    int64_t *seen_ms);

struct message_client {
	uint64_t client;
	int64_t seen_ms;
};

struct message_clients {
	bool more;
	size_t count;
	struct message_client *clients; /* message_clients_fini frees them */
};

void message_clients_fini(struct message_clients *clients);

/* Behind a client, or all if `after` is NULL; by their ids as signed numbers.  At most `max`
 * (1 .. MESSAGE_PAGE_MAX). */
enum message_status message_store_clients(struct message_store *store, const uint64_t *after,
					  size_t max, struct message_clients *clients);

#endif
