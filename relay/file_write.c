/*
 * file_write.c - appends lines in single writes, and replaces files by renaming over them.
 *
 * Appending never truncates and never assumes to be alone: other programs append to lonnet.perm.log
 * too.
 */
#include "relay/file_write.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Some things that can be written to (a pipe, /dev/null) cannot be synced. */
static int
sync_fd(int fd)
{
	return fdatasync(fd) == 0 || errno == EINVAL ? 0 : -errno;
}

/* Makes a new or renamed entry of the file's directory last. */
static int
sync_parent(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - path);

	if (len >= sizeof dir)
		return -ENAMETOOLONG;
	memcpy(dir, path, len);
	dir[len] = '\0';
	if (len == 0)
		snprintf(dir, sizeof dir, "%s", slash == NULL ? "." : "/");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A directory may be usable without being readable. */
	if (fd < 0)
		return errno == EACCES ? 0 : -errno;
	int error = fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
	close(fd);
	return error;
}

/* ---- appending ---- */

void
file_append_init(struct file_append *file, const char *path, mode_t mode)
{
	*file = (struct file_append){ .path = path, .mode = mode, .fd = -1 };
}

static void
close_file(struct file_append *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	file->torn = false;
}

void
file_append_fini(struct file_append *file)
{
	close_file(file);
}

/* Whether the last byte is something else than a LF; false if that cannot be told. */
static bool
ends_torn(const struct file_append *file, const struct stat *st)
{
	char last = '\n';

	if (!S_ISREG(st->st_mode) || st->st_size == 0)
		return false;
	int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return false;
	bool torn = pread(fd, &last, 1, st->st_size - 1) == 1 && last != '\n';
	close(fd);
	return torn;
}

static bool
is_current(const struct file_append *file)
{
	struct stat st;

	return stat(file->path, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->inode;
}

static int
open_current(struct file_append *file)
{
	struct stat st;

	if (file->fd >= 0 && is_current(file))
		return 0;
	close_file(file);
	file->fd =
	    open(file->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		 file->mode);
	if (file->fd < 0)
		return -errno;
	if (fstat(file->fd, &st) != 0) {
		int error = -errno;
		close_file(file);
		return error;
	}
	file->dev = st.st_dev;
	file->inode = st.st_ino;
	file->torn = ends_torn(file, &st);
	return S_ISREG(st.st_mode) && st.st_size == 0 ? sync_parent(file->path) : 0;
}

/* Drops what was written from the front of the parts. */
static void
consume(struct iovec *parts, int count, size_t n)
{
	for (int i = 0; i < count && n > 0; i++) {
		size_t part = n < parts[i].iov_len ? n : parts[i].iov_len;
		parts[i].iov_base = (char *)parts[i].iov_base + part;
		parts[i].iov_len -= part;
		n -= part;
	}
}

/* One write, unless the kernel takes only a part of it. */
static int
write_parts(struct file_append *file, struct iovec *parts, int count, size_t total)
{
	size_t done = 0;

	while (done < total) {
		ssize_t n = writev(file->fd, parts, count);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int error = -errno;
			file->torn = file->torn || done > 0;
			return error;
		}
		done += (size_t)n;
		consume(parts, count, (size_t)n);
	}
	file->torn = false;
	return 0;
}

int
file_append_line(struct file_append *file, const struct iovec *parts, int count, bool sync)
{
	static char lf[] = "\n";
	struct iovec all[FILE_APPEND_PARTS_MAX + 2];
	int n = 0;
	size_t total = 0;

	assert(count <= FILE_APPEND_PARTS_MAX);
	if (file->path == NULL)
		return 0;
	int error = open_current(file);
	if (error != 0)
		return error;
	if (file->torn)
		all[n++] = (struct iovec){ .iov_base = lf, .iov_len = 1 };
	for (int i = 0; i < count; i++)
		all[n++] = parts[i];
	all[n++] = (struct iovec){ .iov_base = lf, .iov_len = 1 };
	for (int i = 0; i < n; i++)
		total += all[i].iov_len;
	error = write_parts(file, all, n, total);
	return error == 0 && sync ? sync_fd(file->fd) : error;
}

/* ---- replacing ---- */

int
file_write_all(int fd, const void *bytes, size_t len)
{
	const char *next = bytes;

	while (len > 0) {
		ssize_t n = write(fd, next, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		next += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
write_new(const char *path, const void *bytes, size_t len)
{
	/* What an earlier process left, if it was killed. */
	if (unlink(path) != 0 && errno != ENOENT)
		return -errno;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	int error = file_write_all(fd, bytes, len);
	if (error == 0)
		error = sync_fd(fd);
	if (close(fd) != 0 && error == 0)
		error = -errno;
	return error;
}

int
file_replace(const char *path, const void *bytes, size_t len)
{
	char temporary[PATH_MAX];

	int n = snprintf(temporary, sizeof temporary, "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof temporary)
		return -ENAMETOOLONG;
	int error = write_new(temporary, bytes, len);
	if (error == 0 && rename(temporary, path) != 0)
		error = -errno;
	if (error != 0) {
		unlink(temporary);
		return error;
	}
	return sync_parent(path);
}
