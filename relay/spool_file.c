/*
 * spool_file.c - reading, removing and setting aside one delayed message.
 *
 * A file is removed in two steps, so that one which takes its name in the last moment is never
 * lost: it is renamed to a name that nobody else uses, looked at again, and only then unlinked.
 * That name still ends in the host's id, so whatever happens in between (even the end of the
 * process) leaves a delayed message, never nothing.
 */
#include "relay/spool_file.h"

#include "relay/file_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "wire/enc.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define READ_SIZE  (32u * 1024)
#define UNIQUE_MAX 32
/* Somebody would have to guess each of the names. */
#define NAME_TRIES 16

const char *
spool_verdict_text(enum spool_verdict verdict)
{
	switch (verdict) {
#define X(name, text) \
	case name:    \
		return text;
		SPOOL_VERDICTS(X)
#undef X
	}
	return "unknown";
}

/* A file may have a time that has no such number: then the one that is nearest. */
static int64_t
nanoseconds(const struct timespec *time)
{
	const int64_t second = 1000000000;

	if (time->tv_sec >= INT64_MAX / second)
		return INT64_MAX;
	if (time->tv_sec <= INT64_MIN / second)
		return INT64_MIN;
	return (int64_t)time->tv_sec * second + time->tv_nsec;
}

static struct spool_stamp
stamp_of(const struct stat *st)
{
	return (struct spool_stamp){
		.dev = st->st_dev,
		.inode = st->st_ino,
		.mtime_ns = nanoseconds(&st->st_mtim),
		.size = st->st_size,
		.mode = st->st_mode,
	};
}

static bool
same_stamp(const struct spool_stamp *a, const struct spool_stamp *b)
{
	return a->dev == b->dev && a->inode == b->inode && a->mtime_ns == b->mtime_ns &&
	       a->size == b->size;
}

int
spool_file_stamp(int dir, const char *name, struct spool_stamp *stamp)
{
	struct stat st;

	*stamp = (struct spool_stamp){ .size = 0 };
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	*stamp = stamp_of(&st);
	return 0;
}

/* ---- reading ---- */

static int
line_fd_new(void)
{
	int fd = memfd_create("delayed", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	/* Kernels before 6.3 do not know the flag that later ones may insist on. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("delayed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

/* A failed read of the file is the file's fault only if it is about rights. */
static int
read_error(int error)
{
	return error == EACCES || error == EPERM ? SPOOL_UNREADABLE : -error;
}

/* What the line may have: the prefix is an order to the relay, not a part of the command. */
static uint64_t
limit_of(const uint8_t *bytes, size_t len, uint64_t line_max)
{
	struct wire_span prefix = wire_span(ENC_REQUEST_PREFIX, ENC_REQUEST_PREFIX_LEN);

	return wire_span_starts(wire_span(bytes, len), prefix) ? line_max + ENC_REQUEST_PREFIX_LEN
							       : line_max;
}

static int
copy_line(int from, int to, uint64_t line_max, size_t *len)
{
	uint8_t bytes[READ_SIZE];
	uint64_t limit = line_max;

	*len = 0;
	for (;;) {
		ssize_t got = read(from, bytes, sizeof bytes);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return read_error(errno);
		if (got == 0)
			break;
		const uint8_t *lf = memchr(bytes, '\n', (size_t)got);
		size_t n = lf != NULL ? (size_t)(lf - bytes) : (size_t)got;
		if (*len == 0)
			limit = limit_of(bytes, n, line_max);
		if (n > limit - *len)
			return SPOOL_LONG;
		int error = file_write_all(to, bytes, n);
		if (error != 0)
			return error;
		*len += n;
		if (lf != NULL)
			break;
	}
	return *len == 0 ? SPOOL_EMPTY : SPOOL_GOOD;
}

/* A writer that is still at work would make half a command of it. */
static int
check_unchanged(int fd, const struct spool_stamp *before)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	struct spool_stamp now = stamp_of(&st);
	return same_stamp(&now, before) ? SPOOL_GOOD : SPOOL_CHANGING;
}

/*
 * The kernel grants a read lease only while nobody has the file open for writing.  It is given back
 * at once; whoever opens the file in between waits for that, and the signal that this raises is one
 * that does nothing.
 */
static bool
has_writer(int fd)
{
	if (fcntl(fd, F_SETSIG, SIGURG) != 0)
		return false;
	if (fcntl(fd, F_SETLEASE, F_RDLCK) != 0)
		return errno == EAGAIN;
	fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

static int
read_line(int fd, uint64_t line_max, bool heed_writers, struct spool_line *line)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	line->stamp = stamp_of(&st);
	if (!S_ISREG(st.st_mode))
		return SPOOL_ODD;
	if (heed_writers && has_writer(fd))
		return SPOOL_CHANGING;
	line->fd = line_fd_new();
	if (line->fd < 0)
		return line->fd;
	int answer = copy_line(fd, line->fd, line_max, &line->len);
	if (answer < 0)
		return answer;
	int changed = check_unchanged(fd, &line->stamp);
	if (changed != SPOOL_GOOD)
		return changed;
	if (answer == SPOOL_GOOD &&
	    fcntl(line->fd, F_ADD_SEALS,
		  F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
		return -errno;
	return answer;
}

static int
open_and_read(int dir, const char *name, uint64_t line_max, bool heed_writers,
	      struct spool_line *line)
{
	int error = spool_file_stamp(dir, name, &line->stamp);

	if (error != 0)
		return error == -ENOENT ? SPOOL_GONE : error;
	/* Opening a FIFO or a device may already have an effect on others. */
	if (!S_ISREG(line->stamp.mode))
		return SPOOL_ODD;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return SPOOL_GONE;
	/* A link or a socket that took its place this moment. */
	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		return SPOOL_CHANGING;
	if (fd < 0)
		return read_error(errno);
	int answer = read_line(fd, line_max, heed_writers, line);
	close(fd);
	return answer;
}

int
spool_file_read(int dir, const char *name, uint64_t line_max, bool heed_writers,
		struct spool_line *line)
{
	*line = (struct spool_line){ .fd = -1 };
	int answer = open_and_read(dir, name, line_max, heed_writers, line);

	if (answer != SPOOL_GOOD && line->fd >= 0) {
		close(line->fd);
		line->fd = -1;
	}
	return answer;
}

/* ---- removing ---- */

static int
sync_dir(int dir)
{
	/* Some file systems cannot sync a directory; there is nothing to be done about it. */
	return fsync(dir) == 0 || errno == EINVAL ? 0 : -errno;
}

static int
rename_noreplace(int from_dir, const char *from, int to_dir, const char *to)
{
	if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system without the flag: nobody else makes such names, so looking first will do.
	 */
	struct stat st;
	if (fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return renameat(from_dir, from, to_dir, to) == 0 ? 0 : -errno;
}

static void
make_unique(char unique[static UNIQUE_MAX])
{
	static uint32_t count;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(unique, UNIQUE_MAX, "%" PRIx64 "-%" PRIx32,
		 (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
		 __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED));
}

/* Takes the file out of reach of whoever uses its name.  Answers like spool_file_remove. */
static int
claim(int dir, const char *name, const char *host, const struct spool_stamp *stamp,
      char claimed[static NAME_MAX + 1])
{
	struct spool_stamp now;
	int error = spool_file_stamp(dir, name, &now);

	if (error == 0 && !same_stamp(&now, stamp))
		return -ESTALE;
	for (int tries = 0; error == 0; tries++) {
		char unique[UNIQUE_MAX];
		make_unique(unique);
		snprintf(claimed, NAME_MAX + 1, "relay-%s.%s", unique, host);
		error = rename_noreplace(dir, name, dir, claimed);
		if (error == 0)
			break;
		if (error == -EEXIST && tries < NAME_TRIES)
			error = 0;
	}
	if (error == 0)
		error = spool_file_stamp(dir, claimed, &now);
	if (error != 0)
		return error;
	return same_stamp(&now, stamp) ? 0 : -ESTALE;
}

/* What could not be done is left as it was found; if that fails too, it is merely another name. */
static void
unclaim(int dir, const char *claimed, const char *name)
{
	int error = rename_noreplace(dir, claimed, dir, name);
	(void)error;
}

int
spool_file_remove(int dir, const char *name, const char *host, const struct spool_stamp *stamp)
{
	char claimed[NAME_MAX + 1];
	int error = claim(dir, name, host, stamp, claimed);

	if (error == 0 && unlinkat(dir, claimed, 0) != 0) {
		error = -errno;
		unclaim(dir, claimed, name);
	}
	if (error == -ENOENT)
		error = 0;
	int synced = sync_dir(dir);
	return error != 0 ? error : synced;
}

/* ---- setting aside ---- */

int
spool_file_open_dir(int dir, const char *below)
{
	if (mkdirat(dir, below, 0700) != 0 && errno != EEXIST)
		return -errno;
	int fd = openat(dir, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* The name with something unique, cut so that the whole fits into a name. */
static void
other_name(char to[static NAME_MAX + 1], const char *name, const char *host, bool keep_host)
{
	char unique[UNIQUE_MAX];
	size_t len = strlen(name);
	size_t tail = strlen(host) + 1;

	make_unique(unique);
	if (!keep_host || len < tail) {
		snprintf(to, NAME_MAX + 1, "%.*s.%s", NAME_MAX - UNIQUE_MAX, name, unique);
		return;
	}
	size_t stem = len - tail;
	if (stem + UNIQUE_MAX + tail > NAME_MAX)
		stem = tail + UNIQUE_MAX < NAME_MAX ? NAME_MAX - UNIQUE_MAX - tail : 0;
	snprintf(to, NAME_MAX + 1, "%.*s.%s.%s", (int)stem, name, unique, host);
}

/* Moves `claimed` there as `name`, or as something like it. */
static int
move_claimed(int dir, const char *claimed, int to_dir, const char *name, const char *host,
	     bool keep_host, char to[static NAME_MAX + 1])
{
	snprintf(to, NAME_MAX + 1, "%s", name);
	int error = rename_noreplace(dir, claimed, to_dir, to);
	for (int tries = 0; error == -EEXIST && tries < NAME_TRIES; tries++) {
		other_name(to, name, host, keep_host);
		error = rename_noreplace(dir, claimed, to_dir, to);
	}
	return error;
}

int
spool_file_move(int dir, const char *name, const char *host, const struct spool_stamp *stamp,
		int to_dir, bool keep_host, char to[static NAME_MAX + 1])
{
	char claimed[NAME_MAX + 1];

	to[0] = '\0';
	int error = claim(dir, name, host, stamp, claimed);
	if (error == 0) {
		error = move_claimed(dir, claimed, to_dir, name, host, keep_host, to);
		if (error != 0)
			unclaim(dir, claimed, name);
	}
	if (error == 0)
		error = sync_dir(to_dir);
	if (error == 0)
		error = sync_dir(dir);
	return error;
}

int
spool_file_set_aside(int dir, const char *name, const char *host, const struct spool_stamp *stamp,
		     char to[static NAME_MAX + 1])
{
	int bad = spool_file_open_dir(dir, SPOOL_BAD_DIR);

	to[0] = '\0';
	if (bad < 0)
		return bad;
	int error = spool_file_move(dir, name, host, stamp, bad, false, to);
	close(bad);
	return error == -ENOENT ? 0 : error;
}
