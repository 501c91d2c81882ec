/*
 * spool.h - delayed messages: files `<anything>.<hostid>` in one directory, each with a command for
 * a host as its first line.  Delivered at least once, whatever happens to the process; a file
 * leaves the directory only when it was answered, or was set aside in `bad/` because it can never
 * be sent.
 *
 * Source: gatewayc (the directory, the names, the first line).  New here: the id is no pattern,
 * oldest first, backoff, `bad/`.
 *
 * Everything here may wait for the disk: it belongs to one thread, the storage thread.  All times
 * are passed in.
 */
#ifndef RELAY_SPOOL_H
#define RELAY_SPOOL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/spool_file.h"
#include "relay/spool_hosts.h"
#include "relay/spool_sending.h"

/* Files that are kept in mind after a scan, shared out fairly among the hosts; more are found by
 * later scans. */
#define SPOOL_ENTRIES_MAX 10000u
/* Bytes of the lines being sent at the same time (SPOOL_SENDING_MAX of them), unless it is only
 * one. */
#define SPOOL_SENDING_BYTES_MAX (256u * 1024 * 1024)
#define SPOOL_BACKOFF_MIN_MS    (60u * 1000)
#define SPOOL_BACKOFF_MAX_MS    (3600u * 1000)
/*
 * A file is left alone until it is this old: writers open it under its final name, write, and some
 * read it back a moment later to be sure that it was kept.
 */
#define SPOOL_SETTLE_MS 3000u
/* And while somebody has it open for writing, until nothing was written for this long. */
#define SPOOL_WRITER_MS 60000u
/* When files had to be left out of a scan, the next one may come so soon. */
#define SPOOL_RESCAN_MS 1000u

/* A zero means the value above. */
struct spool_options {
	size_t entries_max;
	uint64_t sending_bytes_max;
	uint64_t backoff_min_ms;
	uint64_t backoff_max_ms;
	uint64_t settle_ms;
};

struct spool_time {
	uint64_t monotonic_ms;
	int64_t real_ms; /* compared with the files' times */
};

struct spool_files {
	uint32_t host; /* index */
	uint32_t files;
};

struct spool_scan {
	uint32_t *ready; /* indexes of the hosts that have something due; the caller frees it */
	size_t ready_count;
	struct spool_files *files; /* of each host that has any, due or not; ends with `ready` */
	size_t files_count;
	size_t due;       /* files that spool_next can give out */
	size_t left_out;  /* due files beyond SPOOL_ENTRIES_MAX */
	uint64_t wait_ms; /* then another scan may find more; UINT64_MAX: nothing is known of */
};

/*
 * What spool_next found.
 *
 * ENTRY      to be sent; ends by spool_done, spool_fail or spool_release.
 * SET_ASIDE  a file was moved to bad/; ask again.
 * TROUBLE    a file could not be read or moved, and backs off; ask again.
 * NONE       nothing is due.
 * BUSY       one of the host, or too many of others, is being sent: ask when that ends.
 */
#define SPOOL_ANSWERS(X)                \
	X(SPOOL_ENTRY, "entry")         \
	X(SPOOL_SET_ASIDE, "set aside") \
	X(SPOOL_TROUBLE, "trouble")     \
	X(SPOOL_NONE, "none")           \
	X(SPOOL_BUSY, "busy")

enum spool_answer {
#define X(name, text) name,
	SPOOL_ANSWERS(X)
#undef X
};

const char *spool_answer_text(enum spool_answer answer);

/*
 * ENTRY      token (never 0, never used twice by a process); fd, a sealed memfd that is the
 * caller's, with len bytes: the line without LF.  Its offset is shared: use pread, or a private
 * mapping. SET_ASIDE  verdict: what is wrong with the file. TROUBLE    error, a negative errno;
 * verdict. NONE       wait_ms, as in struct spool_scan.
 */
struct spool_entry {
	uint64_t token;
	int fd; /* -1 = none */
	size_t len;
	enum spool_verdict verdict;
	int error;
	uint64_t wait_ms;
	char name[NAME_MAX + 1]; /* of the file, for a log: control characters are replaced */
};

struct spool;

/* `dir` is copied, and may come into being later.  NULL options: all defaults.  NULL if there is no
 * memory. */
struct spool *spool_new(const char *dir, const struct spool_options *options);

/* What was being sent stays in the directory. */
void spool_free(struct spool *spool);

/*
 * Takes over the contents of *hosts (which is empty afterwards) as the new table.  What is being
 * sent goes on; nothing is given out before the next scan.
 */
void spool_set_hosts(struct spool *spool, struct spool_hosts *hosts);

/*
 * Reads the directory anew.  0; a directory that does not exist holds nothing.  Or a negative
 * errno, then *scan is empty, and so is what spool_next can give out.
 */
int spool_scan(struct spool *spool, struct spool_time now, struct spool_scan *scan);

/* The oldest due file of a host, from the last scan.  *entry is filled whatever the answer. */
enum spool_answer spool_next(struct spool *spool, uint32_t host, struct spool_time now,
			     struct spool_entry *entry);

/* An entry that is being sent, with its line and its host's id; NULL if the token is unknown. */
const struct spool_slot *spool_find(struct spool *spool, uint64_t token);

/*
 * It was answered: the file goes.  0, or a negative errno: the file is still there, and the entry
 * still counts as being sent (so that the peer does not get it again): call again later.  -EBADF:
 * the token is unknown.
 */
int spool_done(struct spool *spool, uint64_t token);

/* It was not answered: the file stays and backs off.  0 or -EBADF. */
int spool_fail(struct spool *spool, uint64_t token, struct spool_time now);

/* It was not sent at all: the file stays, and the next scan finds it.  0 or -EBADF. */
int spool_release(struct spool *spool, uint64_t token);

#endif
