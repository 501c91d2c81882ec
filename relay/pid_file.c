/*
 * pid_file.c - takes, judges, writes and removes lonc.pid.
 *
 * Never waits for a lock, signals no process (but for asking whether it lives) and trusts nothing
 * that stands in the file.  Owns the descriptor that holds the lock.
 */
#include "relay/pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CONTENT_MAX = 64,      /* no pid is longer */
	COMMAND_MAX = 8192,    /* bytes of a command line that are looked at */
	OPEN_ATTEMPTS_MAX = 16 /* the file may be removed between our open and our lock */
};

struct answer {
	char *text;
	size_t size;
};

/* Puts the words into the caller's buffer and hands the error through. */
__attribute__((format(printf, 3, 4))) static int
say(struct answer answer, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(answer.text, answer.size, format, args);
	va_end(args);
	return error;
}

/* The pid at the start of the file: 0 if there is none, or none that could be one. */
static pid_t
read_pid(int fd)
{
	char content[CONTENT_MAX + 1];
	ssize_t got = pread(fd, content, CONTENT_MAX, 0);
	int64_t pid = 0;
	size_t at = 0;

	if (got <= 0)
		return 0;
	content[got] = '\0';
	while (content[at] == ' ' || content[at] == '\t')
		at++;
	for (; content[at] >= '0' && content[at] <= '9'; at++) {
		pid = pid * 10 + (content[at] - '0');
		if (pid > INT32_MAX)
			return 0;
	}
	/* Behind the number the line ends; "12ab" is not 12. */
	return strchr("\r\n\t ", content[at]) != NULL ? (pid_t)pid : 0;
}

/* The command line of a process as the kernel has it, arguments apart by NULs.  0 if there is none:
 * the process ended, is a kernel thread, or may not be looked at. */
static size_t
read_command(pid_t pid, char command[COMMAND_MAX + 1])
{
	char path[64];
	size_t len = 0;

	snprintf(path, sizeof path, "/proc/%ld/cmdline", (long)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while (len < COMMAND_MAX) {
		ssize_t got = read(fd, command + len, COMMAND_MAX - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	close(fd);
	command[len] = '\0';
	return len;
}

/*
 * Whether an argument is the path of a relay program, or the title that one gave itself ("lonc:
 * parent").  What only has such a name in it ("loncapa.conf", "lonc.log") is none.
 */
static bool
names_relay(const char *argument)
{
	static const char *const names[] = { "lonc", "loncnew", "gatewayc", "relayd" };
	size_t title = strcspn(argument, " :");
	const char *base = argument;

	for (size_t i = 0; i < title; i++)
		if (argument[i] == '/')
			base = argument + i + 1;
	size_t len = title - (size_t)(base - argument);
	size_t stem = strcspn(base, ".");
	/* "gatewayc.pl", "gatewayc.old.pl" */
	if (stem < len && len - stem >= 3 && strncmp(base + len - 3, ".pl", 3) == 0)
		len = stem;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strlen(names[i]) == len && strncmp(base, names[i], len) == 0)
			return true;
	return false;
}

/* Scripts stand behind their interpreter and its options, so every argument is looked at. */
static bool
is_relay(pid_t pid)
{
	char command[COMMAND_MAX + 1];
	size_t len = read_command(pid, command);

	for (size_t at = 0; at < len; at += strlen(command + at) + 1)
		if (names_relay(command + at))
			return true;
	return false;
}

static bool
lives(pid_t pid)
{
	return kill(pid, 0) == 0 || errno == EPERM;
}

/* Judges a file that no relay has locked. */
static int
judge(int fd, bool is_new, const char *path, struct answer answer)
{
	pid_t pid = read_pid(fd);

	if (is_new || pid == getpid())
		return 0;
	if (pid == 0)
		return say(answer, 0, "%s names no process: taken over", path);
	/* Pids start anew with each container, so our own starter may have that of a former relay.
	 */
	if (pid != getppid() && lives(pid) && is_relay(pid))
		return say(answer, -EEXIST,
			   "already running: process %ld, named in %s, is a relay or a lonc",
			   (long)pid, path);
	return say(answer, 0, "%s names process %ld, which is no relay now: taken over", path,
		   (long)pid);
}

static bool
is_same_file(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && lstat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
	       ours.st_ino == theirs.st_ino;
}

/* Opens the file, or makes it: then *is_new. */
static int
open_file(const char *path, bool *is_new)
{
	/* A pid file cannot be a link: it would let whoever may write here have any file
	 * overwritten. */
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags);

	*is_new = fd < 0 && errno == ENOENT;
	if (*is_new)
		fd = open(path, flags | O_CREAT | O_EXCL, 0644);
	if (fd >= 0)
		return fd;
	/* A directory and a socket cannot even be opened. */
	return errno == EISDIR || errno == ENXIO ? -EMEDIUMTYPE : -errno;
}

/* The lock, or -EEXIST: a relay has it. */
static int
lock(int fd, const char *path, struct answer answer)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return say(answer, -errno, "%s cannot be locked: %s", path, strerror(errno));
	pid_t pid = read_pid(fd);
	if (pid == 0)
		return say(answer, -EEXIST, "already running: a relay that starts just now has %s",
			   path);
	return say(answer, -EEXIST, "already running: a relay, process %ld, holds %s", (long)pid,
		   path);
}

/* The file, open and locked by us, and still the one of that path; or a negative errno.  -EAGAIN:
 * it went or came under our hands, try again. */
static int
open_and_lock(const char *path, bool *is_new, struct answer answer)
{
	struct stat st;
	int fd = open_file(path, is_new);

	if (fd == -EEXIST)
		return say(answer, -EAGAIN, "%s comes and goes", path);
	if (fd == -EMEDIUMTYPE)
		return say(answer, fd, "%s is not a regular file", path);
	if (fd < 0)
		return say(answer, fd, "%s cannot be opened: %s", path, strerror(-fd));
	int error = 0;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		error = say(answer, -EMEDIUMTYPE, "%s is not a regular file", path);
	else
		error = lock(fd, path, answer);
	if (error == 0 && !is_same_file(fd, path))
		error = say(answer, -EAGAIN, "%s comes and goes", path);
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

/* First the new line over the old one, then the cut: at each moment the first line is a whole pid.
 */
static int
write_pid(int fd)
{
	char line[CONTENT_MAX];
	int len = snprintf(line, sizeof line, "%ld\n", (long)getpid());
	ssize_t written = pwrite(fd, line, (size_t)len, 0);

	if (written < 0)
		return -errno;
	if (written != len)
		return -ENOSPC;
	return ftruncate(fd, len) == 0 ? 0 : -errno;
}

static int
take(struct pid_file *file, struct answer answer)
{
	bool is_new = false;
	int fd = -EAGAIN;

	for (int i = 0; i < OPEN_ATTEMPTS_MAX && fd == -EAGAIN; i++)
		fd = open_and_lock(file->path, &is_new, answer);
	if (fd < 0)
		return fd;
	(void)say(answer, 0, "%s", "");
	int error = judge(fd, is_new, file->path, answer);
	if (error == 0) {
		error = write_pid(fd);
		if (error != 0)
			(void)say(answer, 0, "%s cannot be written: %s", file->path,
				  strerror(-error));
	}
	if (error != 0) {
		if (is_new)
			unlink(file->path);
		close(fd);
		return error;
	}
	file->fd = fd;
	return 0;
}

int
pid_file_take(struct pid_file *file, const char *path, char *text, size_t text_size)
{
	struct answer answer = { .text = text, .size = text_size };

	*file = (struct pid_file){ .fd = -1, .path = strdup(path) };
	int error = file->path != NULL ? take(file, answer) : say(answer, -ENOMEM, "out of memory");
	if (error != 0)
		pid_file_close(file);
	return error;
}

void
pid_file_close(struct pid_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	*file = (struct pid_file){ .fd = -1 };
}

void
pid_file_release(struct pid_file *file)
{
	/* A child is not who is named there.  And the original overwrites in place: the same file
	 * may name another process. */
	if (file->fd >= 0 && is_same_file(file->fd, file->path) && read_pid(file->fd) == getpid())
		unlink(file->path);
	pid_file_close(file);
}
