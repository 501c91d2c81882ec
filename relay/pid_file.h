/*
 * pid_file.h - lonc.pid: says where the relay runs, and keeps a second one from starting.
 *
 * Source of the form: gatewayc, `<pid>` LF.  Between relays the truth is a lock (flock) on the
 * file, held for life: it goes with the process, however that ends.  The original knows no lock; it
 * counts as running if the pid in the file lives and its command line is that of a lonc.
 */
#ifndef RELAY_PID_FILE_H
#define RELAY_PID_FILE_H

#include <stddef.h>

/* Room for any text of pid_file_take with a path of usual length; a longer one is cut. */
#define PID_FILE_TEXT_MAX 512

struct pid_file {
	int fd;     /* holds the lock; -1 = none */
	char *path; /* owned */
};

/*
 * Takes the file for this process: makes it or takes a stale one over, locks it, writes our pid. To
 * be called by the process that stays (after a fork into the background) and before it has
 * children.
 *
 * Stale: empty, "0", no number, our own pid or that of the process that started us, a pid that
 * lives no more or belongs to another program.  A reader sees the old pid or the new one, never
 * half.
 *
 * 0, or a negative errno: -EEXIST if another instance lives, -ELOOP and -EMEDIUMTYPE for a path
 * that is a symbolic link or no regular file.  `text` then says why, with path and pid; on success
 * it says what was found stale, or is "".
 */
__attribute__((warn_unused_result)) int pid_file_take(struct pid_file *file, const char *path,
						      char *text, size_t text_size);

/*
 * Removes the file if it is still the one that we took and still says our pid, and lets go of the
 * lock.  In a child it is the same as pid_file_close.
 */
void pid_file_release(struct pid_file *file);

/*
 * Lets go of our descriptor, the file stays.  For children: they inherit the lock with it, and one
 * that outlives its parent would pass for a living relay.
 */
void pid_file_close(struct pid_file *file);

#endif
