/*
 * storage.h - all work of the control process that may wait for a disk, done by one thread: delayed
 * messages, log files, the status file.
 *
 * The two sides share nothing but two bounded queues.  No call here waits for the disk, but
 * storage_stop and storage_free; all calls belong to one thread, the one whose loop polls
 * storage_fd.  Jobs are done in the order in which they were accepted; each of those that say so
 * below gives exactly one result, in the same order.  Orders for the message store are in order
 * among themselves only: those that wait are done together, in one transaction, between the others.
 *
 * A delayed message goes: storage_scan -> `ready` has its host -> storage_next -> SPOOL_ENTRY with
 * its line -> (sent by a worker) -> storage_done or storage_fail or storage_release -> storage_next
 * ...
 */
#ifndef RELAY_STORAGE_H
#define RELAY_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "relay/message_order.h"
#include "relay/spool.h"
#include "relay/spool_ask.h"
#include "wire/wire.h"

/* A line of a log, its LF included; a longer one is cut. */
#define STORAGE_LINE_MAX 2048u

/* Accepted and not yet begun.  Lines may fill one half; the last quarter is for the ends of
 * messages. */
#define STORAGE_JOBS_MAX 1024u
/* Results not yet taken, those of accepted jobs included. */
#define STORAGE_RESULTS_MAX 768u

/* Orders for the message store have a line of their own: accepted, and their answers not yet taken;
 * and the bytes that these may hold. */
#define STORAGE_MESSAGES_MAX       512u
#define STORAGE_MESSAGES_BYTES_MAX (32u * 1024 * 1024)
/* What one transaction takes of them at most; each order that begins below the bound of bytes. */
#define STORAGE_BATCH_MAX       128u
#define STORAGE_BATCH_BYTES_MAX (1024u * 1024)

/*
 * Composes the permanent line of a delivered message; runs in the storage thread.  Returns the
 * bytes that the line needs, its LF included; it is written if they are at most `size`.
 */
typedef size_t storage_perm_line(char *out, size_t size, time_t now, const char *host,
				 struct wire_span command);

/* The paths are copied. */
struct storage_options {
	const char *delayed_dir; /* <socket_dir>/delayed; need not be there yet */
	const char *lonc_log;    /* NULL = none is kept */
	const char *perm_log;    /* likewise */
	storage_perm_line *perm_line;
	struct spool_options spool;
	const char *messages_db; /* <state_dir>/messages.db; NULL = no message store */
	struct message_bounds messages_bounds;
};

/* What can be out of order for longer than one job. */
#define STORAGE_THINGS(X)                                         \
	X(STORAGE_LONC_LOG, "lonc.log")                           \
	X(STORAGE_PERM_LOG, "lonnet.perm.log")                    \
	X(STORAGE_DELAYED_SCAN, "reading the delayed messages")   \
	X(STORAGE_DELAYED_REMOVE, "removing a delivered message") \
	X(STORAGE_MESSAGES, "the message store")

enum storage_thing {
#define X(name, text) name,
	STORAGE_THINGS(X)
#undef X
	STORAGE_THING_COUNT,
};

const char *storage_thing_text(enum storage_thing thing);

enum storage_result_type {
	STORAGE_SCANNED,  /* of storage_scan: error, scan */
	STORAGE_NEXT,     /* of storage_next: host, next */
	STORAGE_ENDED,    /* of storage_done: host, token, error */
	STORAGE_REPLACED, /* of storage_replace and storage_save: error, token */
	STORAGE_VIEW,     /* of storage_ask: token, view */
	STORAGE_MESSAGE,  /* of storage_message: token, message */
	STORAGE_NOTICE,   /* of itself, once for each change: notice, error (0 = in order again) */
};

struct storage_result {
	enum storage_result_type type;
	int error; /* 0 or a negative errno */
	uint32_t host;
	uint64_t token;

	union {
		struct spool_scan scan;
		struct spool_view *view; /* NULL: no memory, nothing was done */
		struct message_view *message;

		struct {
			enum spool_answer answer;
			struct spool_entry entry;
		} next;

		struct {
			enum storage_thing thing;
			uint64_t lost;    /* lines of lonc.log that were not written, since the last
					     notice */
			const char *text; /* says it better than the errno; or NULL */
		} notice;
	};
};

struct storage;

/* Starts the thread, with all signals blocked.  0 or a negative errno, then *storage is NULL. */
int storage_new(struct storage **storage, const struct storage_options *options);

/* Finishes what was accepted and ends the thread; refuses from now on.  Results can still be taken.
 */
void storage_stop(struct storage *storage);

/* Stops, and drops results that were not taken.  NULL is fine. */
void storage_free(struct storage *storage);

/* For poll: readable = there are results. */
int storage_fd(const struct storage *storage);

/*
 * The next result; false if there is none, then the descriptor is quiet again.  `scan.ready`,
 * `view`, `message` and `next.entry.fd` are the caller's; storage_result_fini frees the ones and
 * closes the other.
 */
bool storage_take(struct storage *storage, struct storage_result *result);
void storage_result_fini(struct storage_result *result);

/*
 * Appends a line to lonc.log.  A LF at its end may be missing, any other becomes a space.  False:
 * dropped, because too much is waiting (or it stopped); a later notice says how many were.
 */
bool storage_log(struct storage *storage, const char *line, size_t len);

/*
 * The calls below return 0, or a negative errno if the job was not accepted: -ENOBUFS too much is
 * waiting, try again after results were taken; -ESHUTDOWN stopped; -ENOMEM.
 */

/* The table of hosts from now on; copied.  No result.  Scan next: nothing is given out before. */
int storage_hosts(struct storage *storage, const struct spool_host *hosts, size_t count);

/* Looks for delayed messages; also tries again what a done message still needs.  STORAGE_SCANNED.
 */
int storage_scan(struct storage *storage);

/* The host's next message, by its index.  STORAGE_NEXT. */
int storage_next(struct storage *storage, uint32_t host);

/*
 * The message was answered at `now`: its line goes to the permanent log and to the disk, then its
 * file is removed.  STORAGE_ENDED. With an error the message counts as being sent (SPOOL_BUSY for
 * its host) until a later scan could do the rest, so that the peer does not get it again.  Never
 * refused for a token that was given out and has not ended.
 */
int storage_done(struct storage *storage, uint64_t token, time_t now);

/* It was not answered: it stays and backs off.  No result.  Never refused, as storage_done. */
int storage_fail(struct storage *storage, uint64_t token);

/* It was not sent at all: it stays, for the next scan.  No result.  Never refused, as storage_done.
 */
int storage_release(struct storage *storage, uint64_t token);

/* A question about the delayed messages, or an order; copied.  STORAGE_VIEW. */
int storage_ask(struct storage *storage, uint64_t token, const struct spool_ask *ask);

/*
 * An order for the message store; copied.  STORAGE_MESSAGE, once what it did is on the disk or
 * nothing of it happened; never NULL.  -ENOENT: there is no store; -EMSGSIZE: a name or text beyond
 * what any store takes; -ENOBUFS: too many, or too many bytes of them, are on their way.
 */
int storage_message(struct storage *storage, uint64_t token, const struct message_order *order);

/* Replaces a whole file, atomically.  `bytes` is of malloc, and the storage's if the job was
 * accepted.  STORAGE_REPLACED. */
int storage_replace(struct storage *storage, const char *path, char *bytes, size_t len);

/* The same with a token of the caller's (not 0), to tell the results of several files. */
int storage_save(struct storage *storage, uint64_t token, const char *path, char *bytes,
		 size_t len);

#endif
