/*
 * monitor.c - see monitor.h.
 *
 * Owns the call's socket, the line to the server, and the caller's three descriptors until the
 * executor has them.
 */
#include "relay/prefork/monitor.h"

#include "relay/prefork/caller.h"
#include "relay/prefork/title.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

__attribute__((noreturn)) static void
fail(const struct prefork_monitor *monitor, const char *what)
{
	prefork_log(monitor->log, LOG_ERR, "call broken off: %s: %s", what, strerror(errno));
	_exit(127);
}

/* The monitor is to outlive what it forwards, and what is meant for its server. */
static void
block_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
}

/* Ends the process unless there is a request worth starting an executor for. */
static void
read_request(const struct prefork_monitor *monitor, struct prefork_invocation *invocation)
{
	struct prefork_request *request = &invocation->request;

	if (!prefork_caller_greet(monitor->call, monitor->extended))
		_exit(0);
	enum prefork_outcome outcome =
	    prefork_request_read(monitor->call, monitor->patience_ms, request);
	if (outcome == PREFORK_GONE)
		_exit(0);
	if (outcome == PREFORK_BAD) {
		prefork_log(monitor->log, LOG_WARNING, "call refused: %s", request->fault);
		_exit(0);
	}
	if (prefork_message_decode(request->bytes, request->length, &invocation->message) != 0) {
		prefork_log(monitor->log, LOG_WARNING, "call refused: malformed message");
		_exit(0);
	}
}

/* The caller gives up before his call has begun: he is told what he would have been told of it. */
static void
hear_while_waiting(const struct prefork_monitor *monitor)
{
	int signal = SIGINT;
	enum prefork_heard heard = prefork_caller_hear(monitor->call, monitor->extended, &signal);

	if (heard == PREFORK_NOTHING)
		return;
	if (heard == PREFORK_SIGNAL &&
	    (signal == SIGTSTP || signal == SIGCONT || signal == SIGWINCH))
		return;
	prefork_caller_tell_status(monitor->call, signal);
	_exit(0);
}

/* Until the server has room.  A server that has ended limits nothing any more. */
static void
wait_for_room(const struct prefork_monitor *monitor)
{
	struct pollfd wait[] = { { .fd = monitor->line, .events = POLLIN },
				 { .fd = monitor->call, .events = POLLIN } };
	char byte = 0;

	(void)send(monitor->line, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	for (;;) {
		if (poll(wait, 2, -1) < 0 && errno != EINTR)
			fail(monitor, "waiting for room");
		if (wait[0].revents != 0)
			return;
		if (wait[1].revents != 0)
			hear_while_waiting(monitor);
	}
}

/* What came to be ignored before the program was started is not what this caller wants. */
static void
heed_signals(void)
{
	static const int heeded[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGPIPE,
				      SIGTERM, SIGTSTP, SIGCONT, SIGWINCH };
	struct sigaction now;
	sigset_t none;

	for (size_t i = 0; i < sizeof heeded / sizeof heeded[0]; i++)
		if (sigaction(heeded[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN)
			signal(heeded[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * A group of its own, which the monitor is not in: so the program may signal all of its group, and
 * a group with a parent outside of it, in the same session, can be stopped by a terminal's signal.
 */
static void
become_executor(const struct prefork_monitor *monitor, struct prefork_request *request)
{
	setpgid(0, 0);
	for (int i = 0; i < 3; i++)
		if (dup2(request->fds[i], i) < 0)
			fail(monitor, "giving the program its descriptors");
	prefork_request_close(request);
	close(monitor->call);
	close(monitor->line);
	prefork_title_set(monitor->name, NULL);
	heed_signals();
}

static void
signal_group(pid_t executor, int signal)
{
	/* It may have left its group: then it alone is meant. */
	if (kill(-executor, signal) != 0)
		kill(executor, signal);
}

/* False when there is nothing more to hear. */
static bool
forward(const struct prefork_monitor *monitor, pid_t executor)
{
	int signal = 0;
	enum prefork_heard heard = prefork_caller_hear(monitor->call, monitor->extended, &signal);

	if (heard == PREFORK_SIGNAL)
		signal_group(executor, signal);
	if (heard == PREFORK_END) {
		signal_group(executor, SIGINT);
		/* One that was stopped could not obey. */
		if (monitor->extended)
			signal_group(executor, SIGCONT);
	}
	return heard != PREFORK_END;
}

/* Looks at the executor first, so that one that has ended is never signalled. */
static void
attend(const struct prefork_monitor *monitor, pid_t executor, int pidfd)
{
	struct pollfd wait[] = { { .fd = pidfd, .events = POLLIN },
				 { .fd = monitor->call, .events = POLLIN } };

	for (;;) {
		if (poll(wait, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			fail(monitor, "waiting for the program");
		}
		if (wait[0].revents != 0)
			return;
		if (wait[1].revents != 0 && !forward(monitor, executor))
			wait[1].fd = -1;
	}
}

/* The kernel keeps the pid as long as nobody has waited for it, so it can mean nobody else. */
__attribute__((noreturn)) static void
look_after(const struct prefork_monitor *monitor, pid_t executor)
{
	int status, pidfd = pidfd_open(executor, 0);
	pid_t got;

	if (pidfd < 0)
		fail(monitor, "watching the program");
	setpgid(executor, executor);
	attend(monitor, executor, pidfd);
	do
		got = waitpid(executor, &status, 0);
	while (got < 0 && errno == EINTR);
	if (got != executor)
		fail(monitor, "waiting for the program's status");
	prefork_caller_tell_status(monitor->call, status);
	_exit(0);
}

void
prefork_monitor_run(const struct prefork_monitor *monitor, struct prefork_invocation *invocation)
{
	block_signals();
	setpgid(0, 0);
	prefork_title_set(monitor->name, "monitor");
	read_request(monitor, invocation);
	wait_for_room(monitor);
	pid_t executor = fork();
	if (executor < 0)
		fail(monitor, "starting a process");
	if (executor == 0) {
		become_executor(monitor, &invocation->request);
		return;
	}
	/* Nobody but the program is to keep them open. */
	prefork_request_close(&invocation->request);
	look_after(monitor, executor);
}
