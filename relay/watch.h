/*
 * watch.h - notices that the files of a configuration changed, in whatever way: written in place,
 * renamed over, removed and made again, or reached by another way because a symbolic link was
 * swapped or a directory came, went or moved.
 *
 * One descriptor for poll, no thread, no clock of its own.  Changes are reported once they have
 * been quiet for a moment, so that a reload does not read half of what is being written.
 *
 * What it cannot see: what another machine changes on a network file system, and directories that
 * may be passed through but not read.
 */
#ifndef RELAY_WATCH_H
#define RELAY_WATCH_H

#include <stddef.h>
#include <stdint.h>

#define WATCH_FILES_MAX 1024
/* Quiet that a report waits for, and how long it waits at most for a file that never rests. */
#define WATCH_QUIET_MS  100
#define WATCH_SETTLE_MS 2000

#define WATCH_NO_DEADLINE UINT64_MAX

struct watch;

/*
 * Watches these paths, at most WATCH_FILES_MAX; a relative one starts in the present working
 * directory.  Files and directories need not be there.  0 or a negative errno, then *watch is NULL:
 * -ENOSPC or -EMFILE if inotify's limits are reached, -E2BIG for too many paths.
 *
 * Open it before the files are read: what changes in between is then noticed.
 */
__attribute__((warn_unused_result)) int watch_open(struct watch **watch, const char *const *paths,
						   size_t count);

/* NULL is fine. */
void watch_close(struct watch *watch);

/*
 * Other paths from now on.  Those that stay keep what is known of them: a change that was not yet
 * reported still will be.  Errors as of watch_open; the old paths are then kept.
 */
__attribute__((warn_unused_result)) int watch_set(struct watch *watch, const char *const *paths,
						  size_t count);

/* For poll: POLLIN = call watch_read. */
int watch_fd(const struct watch *watch);

/* The moment at which to call watch_read even if the descriptor is quiet, or WATCH_NO_DEADLINE. */
uint64_t watch_deadline(const struct watch *watch);

/*
 * Drains what happened.  1: a file may have changed since the last 1 (or since watch_open), and it
 * is time to read it; 0: nothing, or not yet.  A negative errno: some of what is new cannot be
 * watched (-ENOSPC, -ENOMEM); watching goes on as before, and what is known to have changed is
 * still reported by a later call.  `now_ms` is of any clock that only goes forward.
 */
__attribute__((warn_unused_result)) int watch_read(struct watch *watch, uint64_t now_ms);

#endif
