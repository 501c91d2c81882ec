/*
 * test_prefork_children.c - the monitors of a server: one that takes long to end, because of what
 * its caller has passed to it, keeps nobody waiting.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay/prefork/children.h"
#include "relay/prefork/clock.h"

static const struct prefork_log silence = { .facility = -1 };
static struct prefork_children children;

/* A monitor that says `bytes`, lets go of its line and lives on until the test ends it. */
static pid_t
add_lingering(const char *bytes, size_t len)
{
	int line[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also of a test that failed */
		if (len > 0 && send(line[1], bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
			_exit(1);
		close(line[0]);
		close(line[1]);
		for (;;)
			pause();
	}
	close(line[1]);
	cr_assert(prefork_children_reserve(&children));
	prefork_children_add(&children, pid, line[0]);
	return pid;
}

/* What the server does at a wake-up, which comes when there is something to hear or to look after.
 */
static void
wake_up(void)
{
	struct pollfd wait[PREFORK_ENDING_MAX + 1];
	int64_t when_ms = prefork_clock_ms() + 1000;

	cr_assert_leq(children.count, sizeof wait / sizeof wait[0]);
	prefork_children_poll(&children, wait, &when_ms);
	cr_assert_geq(poll(wait, children.count, prefork_clock_left(when_ms)), 0);
	prefork_children_attend(&children, wait);
}

static void
begin(void)
{
	children = (struct prefork_children){ .running_max = 1, .log = &silence };
}

TestSuite(prefork_children, .init = begin, .timeout = 60);

/* Its room is free as soon as it has said its last, and it is no zombie in the end. */
Test(prefork_children, a_slow_end_keeps_nobody_waiting)
{
	int64_t when_ms = INT64_MAX;
	pid_t pid = add_lingering("", 1);

	wake_up();
	prefork_children_start(&children);
	for (int i = 0; i < 3; i++)
		wake_up();
	cr_assert_eq(waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOHANG | WNOWAIT), 0);
	cr_assert(prefork_children_may_accept(&children, &when_ms));
	cr_assert_eq(children.count, 1u);
	kill(pid, SIGKILL);
	while (children.count > 0)
		wake_up();
	cr_assert_eq(waitpid(pid, NULL, WNOHANG), -1);
	cr_assert_eq(errno, ECHILD);
	prefork_children_forget(&children);
}

/* Not any number of them: then the next callers wait until some have ended. */
Test(prefork_children, slow_ends_are_bounded)
{
	pid_t pids[PREFORK_ENDING_MAX];
	int64_t when_ms = INT64_MAX;

	for (int i = 0; i < PREFORK_ENDING_MAX; i++) {
		cr_assert(prefork_children_may_accept(&children, &when_ms));
		pids[i] = add_lingering("", 0);
		while (children.list[children.count - 1].state != PREFORK_ENDING)
			wake_up();
	}
	cr_assert_not(prefork_children_may_accept(&children, &when_ms));
	kill(pids[0], SIGKILL);
	while (children.count == PREFORK_ENDING_MAX)
		wake_up();
	cr_assert(prefork_children_may_accept(&children, &when_ms));
	for (int i = 1; i < PREFORK_ENDING_MAX; i++)
		kill(pids[i], SIGKILL);
	while (children.count > 0)
		wake_up();
	prefork_children_forget(&children);
}
