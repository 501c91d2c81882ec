/*
 * child.c - see child.h.
 */
#include "relay/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum {
	RESTART_MIN_MS = 50,
	RESTART_MAX_MS = 5000,
	GOOD_LIFE_MS = 1000, /* after being ready */
	FIRST_FD = 3,
	KEEP_MAX = 8,
};

uint64_t
child_clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static void
next_backoff(struct child *child)
{
	child->backoff_ms = child->backoff_ms == 0 ? RESTART_MIN_MS : child->backoff_ms * 2;
	if (child->backoff_ms > RESTART_MAX_MS)
		child->backoff_ms = RESTART_MAX_MS;
	child->restart_at = child_clock_ms() + child->backoff_ms;
}

int
child_fork(struct child *child, int *channel_fd)
{
	int ends[2];
	int error = channel_pair(ends);

	if (error != 0) {
		next_backoff(child);
		return error;
	}
	child->ready_at = 0;
	child->channel = channel_new(ends[0]);
	pid_t pid = child->channel == NULL ? -1 : fork();
	if (pid == 0) {
		*channel_fd = ends[1];
		return 0;
	}
	error = -errno;
	close(ends[1]);
	if (pid < 0) {
		if (child->channel == NULL)
			close(ends[0]);
		channel_free(child->channel);
		child->channel = NULL;
		next_backoff(child);
		return error;
	}
	child->pid = pid;
	return 1;
}

void
child_ended(struct child *child)
{
	uint64_t now = child_clock_ms();

	child->pid = 0;
	channel_free(child->channel);
	child->channel = NULL;
	if (child->ready_at != 0 && now - child->ready_at >= GOOD_LIFE_MS) {
		child->backoff_ms = 0;
		child->restart_at = now;
	} else {
		next_backoff(child);
	}
}

void
child_silence(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
}

/* Some containers refuse close_range: nothing of the keeper's may stay open for that. */
static void
close_from(int first)
{
	struct rlimit files;

	if (close_range((unsigned)first, ~0U, 0) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		_exit(EX_OSERR);
	for (rlim_t fd = (rlim_t)first; fd < files.rlim_cur; fd++)
		close((int)fd);
}

void
child_let_go(const int *keep, int count)
{
	int high[KEEP_MAX];
	sigset_t none;

	/* Out of the way first: the places wanted may be taken by others of them. */
	for (int i = 0; i < count; i++) {
		high[i] = fcntl(keep[i], F_DUPFD_CLOEXEC, FIRST_FD + KEEP_MAX);
		if (high[i] < 0)
			_exit(EX_OSERR);
	}
	for (int i = 0; i < count; i++) {
		if (dup3(high[i], FIRST_FD + i, O_CLOEXEC) < 0)
			_exit(EX_OSERR);
	}
	close_from(FIRST_FD + count);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
