/*
 * text_file.c - reads a small regular file completely.
 *
 * Never waits for a FIFO or a device and never trusts the size that the file system names: a file
 * may grow while it is read.  Owns the descriptor while it reads; the bytes belong to struct
 * text_file.
 */
#include "relay/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_ROOM 8192

/* Twice the room, one byte of which is kept for the NUL. */
static int
grow(struct text_file *file, size_t *room)
{
	size_t more = *room == 0 ? FIRST_ROOM : *room * 2;
	uint8_t *data = realloc(file->data, more);

	if (data == NULL)
		return -ENOMEM;
	file->data = data;
	*room = more;
	return 0;
}

/* There is room for one more byte. */
static int
end_text(struct text_file *file)
{
	file->data[file->len] = '\0';
	return memchr(file->data, '\0', file->len) != NULL ? -EILSEQ : 0;
}

static int
read_all(struct text_file *file, int fd)
{
	size_t room = 0;

	for (;;) {
		if (file->len + 1 >= room) {
			int error = grow(file, &room);
			if (error != 0)
				return error;
		}
		ssize_t got = read(fd, file->data + file->len, room - file->len - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		file->len += (size_t)got;
		if (file->len > TEXT_FILE_MAX)
			return -EFBIG;
	}
	return end_text(file);
}

static int
check_and_read(struct text_file *file, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EMEDIUMTYPE;
	if (st.st_size > (off_t)TEXT_FILE_MAX)
		return -EFBIG;
	file->mode = st.st_mode;
	file->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return read_all(file, fd);
}

static unsigned
line_of_nul(const struct text_file *file)
{
	unsigned line = 1;

	for (const uint8_t *at = file->data; *at != '\0'; at++)
		if (*at == '\n')
			line++;
	return line;
}

static void
report_failure(struct report *report, const char *path, const struct text_file *file, int error)
{
	switch (error) {
	case -ENOENT:
		break;
	case -EMEDIUMTYPE:
		report_add(report, REPORT_FATAL, path, 0, "not a regular file");
		break;
	case -EFBIG:
		report_add(report, REPORT_FATAL, path, 0, "larger than %zu MiB",
			   TEXT_FILE_MAX / 1024 / 1024);
		break;
	case -EILSEQ:
		report_add(report, REPORT_FATAL, path, line_of_nul(file), "a NUL byte");
		break;
	default:
		report_add(report, REPORT_FATAL, path, 0, "cannot be read: %s", strerror(-error));
		break;
	}
}

int
text_file_read(struct text_file *file, const char *path, struct report *report)
{
	*file = (struct text_file){ .data = NULL };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int error = fd < 0 ? -errno : check_and_read(file, fd);

	if (fd >= 0)
		close(fd);
	/* A socket cannot even be opened. */
	if (error == -ENXIO)
		error = -EMEDIUMTYPE;
	if (error != 0) {
		report_failure(report, path, file, error);
		text_file_free(file);
	}
	return error;
}

static int
copy(struct text_file *file, const void *bytes, size_t len)
{
	if (len > TEXT_FILE_MAX)
		return -EFBIG;
	file->data = malloc(len + 1);
	if (file->data == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(file->data, bytes, len);
	file->len = len;
	return end_text(file);
}

int
text_file_copy(struct text_file *file, const void *bytes, size_t len, const char *name,
	       struct report *report)
{
	*file = (struct text_file){ .data = NULL };
	int error = copy(file, bytes, len);

	if (error != 0) {
		report_failure(report, name, file, error);
		text_file_free(file);
	}
	return error;
}

void
text_file_free(struct text_file *file)
{
	free(file->data);
	*file = (struct text_file){ .data = NULL };
}
