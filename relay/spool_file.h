/*
 * spool_file.h - one file of the directory of delayed messages: judged, read, removed or set aside.
 *
 * Nothing here waits for anybody but the disk: what is not a regular file is not even opened.
 */
#ifndef RELAY_SPOOL_FILE_H
#define RELAY_SPOOL_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Below the directory of delayed messages; made when they are needed, 0700. */
#define SPOOL_BAD_DIR  "bad"
#define SPOOL_HELD_DIR "held"

/*
 * What a file is.  GONE: removed since it was listed.  CHANGING: written while it was read, look
 * again later.  EMPTY (no byte in its first line) and all that follow can never be sent.
 */
#define SPOOL_VERDICTS(X)                     \
	X(SPOOL_GOOD, "good")                 \
	X(SPOOL_GONE, "gone")                 \
	X(SPOOL_CHANGING, "being written")    \
	X(SPOOL_EMPTY, "empty")               \
	X(SPOOL_LONG, "longer than line_max") \
	X(SPOOL_UNREADABLE, "not readable")   \
	X(SPOOL_ODD, "not a regular file")

enum spool_verdict {
#define X(name, text) name,
	SPOOL_VERDICTS(X)
#undef X
};

const char *spool_verdict_text(enum spool_verdict verdict);

/* What tells a file from one that took its name later. */
struct spool_stamp {
	dev_t dev;
	ino_t inode;
	int64_t mtime_ns;
	off_t size;
	mode_t mode;
};

/* Of the name itself, links are not followed.  0, or a negative errno and all zeros. */
int spool_file_stamp(int dir, const char *name, struct spool_stamp *stamp);

struct spool_line {
	struct spool_stamp stamp;
	int fd;     /* SPOOL_GOOD: a sealed memfd that is the caller's now; else -1 */
	size_t len; /* of the first line, without LF: all that the memfd holds */
};

/*
 * Reads the first line: everything before the first LF or the end.  The longest is line_max bytes,
 * behind `encrypt:` if it begins with that.  With `heed_writers` a file that somebody has open for
 * writing is SPOOL_CHANGING, where that can be told (our own files on local file systems).
 *
 * A verdict, or a negative errno that says nothing about the file (no descriptors, no memory).
 * *line is filled in either case; its stamp is all zero unless the file was seen.
 */
int spool_file_read(int dir, const char *name, uint64_t line_max, bool heed_writers,
		    struct spool_line *line);

/*
 * Unlinks the file if it is still the one of the stamp, and syncs the directory.  A file that has
 * taken its name is never removed: at worst it is left as `<unique>.<host>`, to be found by the
 * next scan. 0 = it is gone.  -ESTALE = the name has another file now.  Or a negative errno: it is
 * still there.
 */
int spool_file_remove(int dir, const char *name, const char *host, const struct spool_stamp *stamp);

/*
 * Moves it to `bad/`, under its name or, if that is taken, with a unique suffix; answers like
 * spool_file_remove. `to` is the name that it got there.
 */
int spool_file_set_aside(int dir, const char *name, const char *host,
			 const struct spool_stamp *stamp, char to[static NAME_MAX + 1]);

/* One of the directories below; made if it is not there.  A descriptor, or a negative errno. */
int spool_file_open_dir(int dir, const char *below);

/*
 * Moves it from one directory to the other, under its name or, if that is taken, with something
 * unique in it: `keep_host` = before the host's id, so that it stays a message for that host.
 * Answers like spool_file_set_aside; 0 = the move is on the disk.
 */
int spool_file_move(int dir, const char *name, const char *host, const struct spool_stamp *stamp,
		    int to_dir, bool keep_host, char to[static NAME_MAX + 1]);

#endif
