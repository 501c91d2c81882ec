/*
 * file_write.h - log files that are appended to, and files that are replaced as a whole.
 *
 * All of it may wait for the disk.
 */
#ifndef RELAY_FILE_WRITE_H
#define RELAY_FILE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Parts of one line, at most. */
#define FILE_APPEND_PARTS_MAX 4

/* A log file that others may rename, remove and append to meanwhile. */
struct file_append {
	const char *path; /* the caller's; NULL: everything is dropped without an error */
	mode_t mode;      /* for a new file, less the umask */
	int fd;           /* -1 = not open */
	dev_t dev;
	ino_t inode;
	bool torn; /* it may end without LF: a write stopped half way */
};

/* Opens nothing yet. */
void file_append_init(struct file_append *file, const char *path, mode_t mode);
void file_append_fini(struct file_append *file);

/*
 * Appends the parts and a LF in one write.  The file is opened anew if another one (or none) is at
 * its path now.  What a failed or killed write left without its end is put on a line of its own
 * first.  `sync`: returns when it is on the disk.  0 or a negative errno; then the line may be
 * there in part, or unsynced.  Never waits for a reader of a FIFO.
 */
int file_append_line(struct file_append *file, const struct iovec *parts, int count, bool sync);

/* All of it, however often that takes; 0 or a negative errno. */
int file_write_all(int fd, const void *bytes, size_t len);

/*
 * Makes `path` a file with these bytes, or leaves it as it was: never in between, whenever the
 * process ends.  Mode 0644 less the umask.  0 or a negative errno.
 */
int file_replace(const char *path, const void *bytes, size_t len);

#endif
