/*
 * daemonize.c - the fork into the background and the wait for its outcome.
 *
 * Never changes the working directory (relative paths are read again at a reload) and never forks
 * twice: the relay opens no terminal that could become its own.  Owns the socket pair between both
 * processes.
 */
#include "relay/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

/* What the starting process looks at while it waits. */
enum {
	WAIT_READY,
	WAIT_END,
	WAIT_SIGNAL,
	WAIT_COUNT
};

/* Those that are ignored stay so: nohup means it. */
static void
stop_signals(sigset_t *set)
{
	static const int stops[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };
	struct sigaction action;

	sigemptyset(set);
	for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
		if (sigaction(stops[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, stops[i]);
}

/* So that no descriptor of ours ever becomes somebody's standard output. */
static int
fill_standard(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

static int
exit_status_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EX_OSERR;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "relayd: the daemon died of signal %d before it was ready\n",
		WTERMSIG(status));
	return EX_OSERR;
}

/* One byte: ready.  The end of the socket says nothing: children may hold it, or not. */
static bool
heard_ready(struct pollfd *waits)
{
	char byte;
	ssize_t got = recv(waits[WAIT_READY].fd, &byte, 1, MSG_DONTWAIT);

	if (got == 0)
		waits[WAIT_READY].fd = -1;
	return got == 1;
}

/* Returns the exit status of the starting process. */
static int
wait_for_daemon(pid_t pid, struct pollfd *waits)
{
	struct signalfd_siginfo info;

	for (;;) {
		if (poll(waits, WAIT_COUNT, -1) < 0 && errno != EINTR)
			return EX_OSERR;
		/* A daemon that was ready and ended at once did start. */
		if (waits[WAIT_READY].fd >= 0 && heard_ready(waits))
			return EX_OK;
		if (waits[WAIT_END].revents != 0)
			return exit_status_of(pid);
		if (waits[WAIT_SIGNAL].revents != 0 &&
		    read(waits[WAIT_SIGNAL].fd, &info, sizeof info) == (ssize_t)sizeof info)
			kill(pid, SIGTERM);
	}
}

static _Noreturn void
be_starter(pid_t pid, int daemon, const sigset_t *stops)
{
	struct pollfd waits[WAIT_COUNT] = {
		[WAIT_READY] = { .fd = daemon, .events = POLLIN },
		[WAIT_END] = { .fd = pidfd_open(pid, 0), .events = POLLIN },
		[WAIT_SIGNAL] = { .fd = signalfd(-1, stops, SFD_CLOEXEC), .events = POLLIN },
	};
	int status = EX_OSERR;

	if (waits[WAIT_END].fd >= 0 && waits[WAIT_SIGNAL].fd >= 0) {
		status = wait_for_daemon(pid, waits);
	} else {
		fprintf(stderr, "relayd: cannot wait for the daemon: %s\n", strerror(errno));
		kill(pid, SIGTERM);
	}
	fflush(NULL);
	_exit(status); /* what was registered to run at exit is the daemon's business */
}

int
daemonize_begin(struct daemonize *daemonize)
{
	sigset_t stops, before;
	int ends[2];
	int error = fill_standard();

	daemonize->starter = -1;
	if (error != 0)
		return error;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return -errno;
	fflush(NULL); /* or both processes would write what is still buffered */
	stop_signals(&stops);
	sigprocmask(SIG_BLOCK, &stops, &before);
	/* Inherited as ignored, it would make the end of a child untellable. */
	signal(SIGCHLD, SIG_DFL);
	pid_t pid = fork();
	if (pid > 0) {
		close(ends[1]);
		be_starter(pid, ends[0], &stops);
	}
	error = pid < 0 ? -errno : 0;
	close(ends[0]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0) {
		close(ends[1]);
		return error;
	}
	setsid(); /* cannot fail: a new process leads no group */
	daemonize->starter = ends[1];
	return 0;
}

int
daemonize_ready(struct daemonize *daemonize, bool keep_stderr)
{
	int last = keep_stderr ? STDOUT_FILENO : STDERR_FILENO;
	int error = fill_standard();

	if (error != 0)
		return error;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC); /* so it is none of the three */
	if (null < 0)
		return -errno;
	fflush(NULL);
	for (int fd = STDIN_FILENO; fd <= last; fd++)
		dup2(null, fd); /* of two open descriptors: cannot fail */
	close(null);
	/* Without anyone to hear it the daemon runs on all the same. */
	if (daemonize->starter >= 0)
		(void)send(daemonize->starter, "", 1, MSG_NOSIGNAL);
	daemonize_close(daemonize);
	return 0;
}

void
daemonize_close(struct daemonize *daemonize)
{
	if (daemonize->starter >= 0)
		close(daemonize->starter);
	daemonize->starter = -1;
}
