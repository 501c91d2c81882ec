/*
 * test_daemonize.c - what the starting process waits for and ends with, and what the daemon is
 * like.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "relay/daemonize.h"

/* A start under test: two pipes to the daemon, and what the starting process writes. */
struct start {
	pid_t starter;
	int from_daemon;
	int to_daemon; /* closed: everybody ends */
	int error_text;
};

/* The daemon's ends. */
static int report_end, order_end;

/* What the daemon is, told after it was ready. */
struct facts {
	pid_t pid;
	pid_t session;
	bool null[3];
	bool same_stderr;
	bool same_mask;
	bool same_directory;
};

/* Daemons come to the test as their starter goes, so that none is left. */
static void
be_reaper(void)
{
	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	/* Whoever runs the tests in the background may have them ignored, and that is inherited. */
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
}

TestSuite(daemonize, .init = be_reaper);

static void
wait_for_end(void)
{
	char byte;

	while (read(order_end, &byte, 1) < 0)
		;
}

/* Runs `start` in a process of its own; it never returns. */
static struct start
run(void (*starter)(void))
{
	int from[2], to[2], errors[2];

	cr_assert_eq(pipe2(from, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(to, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(errors, O_CLOEXEC), 0);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		close(from[0]);
		close(to[1]);
		report_end = fcntl(from[1], F_DUPFD_CLOEXEC, 10);
		order_end = fcntl(to[0], F_DUPFD_CLOEXEC, 10);
		close(from[1]);
		close(to[0]);
		dup2(errors[1], STDERR_FILENO);
		close(errors[0]);
		close(errors[1]);
		starter();
		_exit(99);
	}
	close(from[1]);
	close(to[0]);
	close(errors[1]);
	return (struct start){
		.starter = pid, .from_daemon = from[0], .to_daemon = to[1], .error_text = errors[0]
	};
}

static int
status_of(pid_t pid)
{
	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid, "%s", strerror(errno));
	cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

/* What the starter ends with, and what it says on standard error. */
static void
starter_ends(struct start start, int status, const char *error_text)
{
	char text[256];

	cr_assert_eq(status_of(start.starter), status);
	struct pollfd wait = { .fd = start.error_text, .events = POLLIN };
	ssize_t got = poll(&wait, 1, 0) == 1 ? read(start.error_text, text, sizeof text - 1) : 0;
	cr_assert_geq(got, 0);
	text[got] = '\0';
	cr_assert_str_eq(text, error_text);
}

/* Lets the daemon end and waits for all that is left. */
static void
finish(struct start start)
{
	close(start.to_daemon);
	while (wait(NULL) > 0)
		;
	cr_assert_eq(errno, ECHILD);
	close(start.from_daemon);
	close(start.error_text);
}

static void
begin(struct daemonize *daemonize)
{
	if (daemonize_begin(daemonize) != 0)
		_exit(98);
}

static bool
is_null_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* Goes all the way and tells what has become of it. */
static void
become_ready(bool keep_stderr)
{
	struct daemonize daemonize;
	struct stat before, after;
	sigset_t mask_before, mask_after;
	char here_before[512], here_after[512];

	sigemptyset(&mask_before);
	sigaddset(&mask_before, SIGUSR2);
	sigprocmask(SIG_SETMASK, &mask_before, NULL);
	bool good = fstat(STDERR_FILENO, &before) == 0 && getcwd(here_before, 512) != NULL;
	begin(&daemonize);
	if (!good || daemonize_ready(&daemonize, keep_stderr) != 0)
		_exit(97);
	struct facts facts = {
		.pid = getpid(),
		.session = getsid(0),
		.null = { is_null_device(0), is_null_device(1), is_null_device(2) },
		.same_stderr = fstat(STDERR_FILENO, &after) == 0 && before.st_ino == after.st_ino,
		.same_directory =
		    getcwd(here_after, 512) != NULL && strcmp(here_before, here_after) == 0,
	};
	sigprocmask(SIG_BLOCK, NULL, &mask_after);
	facts.same_mask = sigismember(&mask_after, SIGUSR2) && !sigismember(&mask_after, SIGTERM) &&
			  !sigismember(&mask_after, SIGHUP);
	(void)!write(report_end, &facts, sizeof facts);
	wait_for_end();
	_exit(5);
}

static void
ready(void)
{
	become_ready(false);
}

static void
ready_with_stderr(void)
{
	become_ready(true);
}

Test(daemonize, the_daemon)
{
	struct start start = run(ready);
	struct facts facts;

	starter_ends(start, 0, "");
	cr_assert_eq(read(start.from_daemon, &facts, sizeof facts), (ssize_t)sizeof facts);
	cr_assert_neq(facts.pid, start.starter);
	cr_assert_eq(facts.session, facts.pid);
	cr_assert(facts.null[0] && facts.null[1] && facts.null[2]);
	cr_assert_not(facts.same_stderr);
	cr_assert(facts.same_mask);
	cr_assert(facts.same_directory);
	/* Nobody holds the error pipe any more: a caller that reads it to its end does not hang. */
	char byte;
	cr_assert_eq(read(start.error_text, &byte, 1), 0);
	/* It lives until it is told to end. */
	cr_assert_eq(waitpid(facts.pid, NULL, WNOHANG), 0);
	close(start.to_daemon);
	cr_assert_eq(status_of(facts.pid), 5);
	finish(start);
}

Test(daemonize, standard_error_can_stay)
{
	struct start start = run(ready_with_stderr);
	struct facts facts;

	starter_ends(start, 0, "");
	cr_assert_eq(read(start.from_daemon, &facts, sizeof facts), (ssize_t)sizeof facts);
	cr_assert(facts.null[0] && facts.null[1] && !facts.null[2]);
	cr_assert(facts.same_stderr);
	finish(start);
}

static void
ready_when_told(void)
{
	struct daemonize daemonize;
	char byte;

	begin(&daemonize);
	(void)!write(report_end, "x", 1);
	(void)!read(order_end, &byte, 1);
	if (daemonize_ready(&daemonize, false) == 0)
		wait_for_end();
	_exit(0);
}

Test(daemonize, the_starter_waits)
{
	struct start start = run(ready_when_told);
	char byte;

	cr_assert_eq(read(start.from_daemon, &byte, 1), 1);
	cr_assert_eq(waitpid(start.starter, NULL, WNOHANG), 0, "it waits for the word");
	cr_assert_eq(write(start.to_daemon, "x", 1), 1);
	starter_ends(start, 0, "");
	finish(start);
}

static void
fail(void)
{
	struct daemonize daemonize;

	begin(&daemonize);
	_exit(EX_CONFIG);
}

static void
end_well(void)
{
	struct daemonize daemonize;

	begin(&daemonize);
	_exit(0);
}

static void
die(void)
{
	struct daemonize daemonize;

	begin(&daemonize);
	raise(SIGKILL);
}

/* Some programs start others like this. */
static void
fail_with_children_ignored(void)
{
	signal(SIGCHLD, SIG_IGN);
	fail();
}

/* The child holds every descriptor that it inherited. */
static void
fail_with_a_child_left(void)
{
	struct daemonize daemonize;

	begin(&daemonize);
	if (fork() == 0) {
		wait_for_end();
		_exit(0);
	}
	_exit(EX_UNAVAILABLE);
}

/* Its end of the conversation is gone, but it goes on. */
static void
fail_after_close(void)
{
	struct daemonize daemonize;

	begin(&daemonize);
	daemonize_close(&daemonize);
	(void)!write(report_end, "x", 1);
	wait_for_end();
	_exit(EX_USAGE);
}

Test(daemonize, a_failure_is_passed_through)
{
	static const struct {
		void (*starter)(void);
		int status;
		const char *error_text;
	} cases[] = {
		{ fail, EX_CONFIG, "" },
		{ end_well, 0, "" },
		{ die, EX_OSERR, "relayd: the daemon died of signal 9 before it was ready\n" },
		{ fail_with_children_ignored, EX_CONFIG, "" },
		{ fail_with_a_child_left, EX_UNAVAILABLE, "" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct start start = run(cases[i].starter);

		starter_ends(start, cases[i].status, cases[i].error_text);
		finish(start);
	}
}

Test(daemonize, a_closed_end_says_nothing)
{
	struct start start = run(fail_after_close);
	char byte;

	cr_assert_eq(read(start.from_daemon, &byte, 1), 1);
	cr_assert_eq(waitpid(start.starter, NULL, WNOHANG), 0);
	close(start.to_daemon);
	starter_ends(start, EX_USAGE, "");
	finish(start);
}

static void
ready_and_gone(void)
{
	struct daemonize daemonize;

	begin(&daemonize);
	_exit(daemonize_ready(&daemonize, false) == 0 ? 3 : 97);
}

/* Whichever of both the starting process learns first. */
Test(daemonize, ready_counts_even_if_the_end_follows_at_once)
{
	for (int i = 0; i < 30; i++) {
		struct start start = run(ready_and_gone);

		starter_ends(start, 0, "");
		finish(start);
	}
}

static void
wait_unready(void)
{
	struct daemonize daemonize;

	begin(&daemonize);
	(void)!write(report_end, "x", 1);
	wait_for_end();
	_exit(4);
}

Test(daemonize, signals_are_passed_on)
{
	static const int stops[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP };

	for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
		struct start start = run(wait_unready);
		char byte;

		cr_assert_eq(read(start.from_daemon, &byte, 1), 1);
		cr_assert_eq(kill(start.starter, stops[i]), 0);
		starter_ends(start, EX_OSERR,
			     "relayd: the daemon died of signal 15 before it was ready\n");
		finish(start);
	}
}

static void
wait_unready_under_nohup(void)
{
	signal(SIGHUP, SIG_IGN);
	wait_unready();
}

Test(daemonize, an_ignored_signal_stays_ignored)
{
	struct start start = run(wait_unready_under_nohup);
	char byte;

	cr_assert_eq(read(start.from_daemon, &byte, 1), 1);
	cr_assert_eq(kill(start.starter, SIGHUP), 0);
	close(start.to_daemon);
	starter_ends(start, 4, "");
	finish(start);
}

static void
without_standard(void)
{
	struct daemonize daemonize;
	bool open = true;

	close(0);
	close(1);
	close(2);
	begin(&daemonize);
	for (int fd = 0; fd <= 2; fd++)
		open = open && is_null_device(fd);
	open = open && daemonize.starter > 2;
	/* Closed once more on the way: still no descriptor of ours comes to stand there. */
	close(0);
	close(2);
	open = open && daemonize_ready(&daemonize, true) == 0;
	for (int fd = 0; fd <= 2; fd++)
		open = open && is_null_device(fd) && fcntl(fd, F_GETFD) == 0;
	(void)!write(report_end, open ? "y" : "n", 1);
	wait_for_end();
	_exit(0);
}

Test(daemonize, closed_standard_descriptors_are_filled)
{
	struct start start = run(without_standard);
	char byte;

	starter_ends(start, 0, "");
	cr_assert_eq(read(start.from_daemon, &byte, 1), 1);
	cr_assert_eq(byte, 'y');
	finish(start);
}

static void
with_buffered_output(void)
{
	struct daemonize daemonize;

	dup2(report_end, STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOFBF, 4096);
	printf("once");
	begin(&daemonize);
	if (daemonize_ready(&daemonize, false) != 0)
		_exit(97);
	printf("into nothing");
	fflush(stdout);
	(void)!write(report_end, ".", 1);
	_exit(0);
}

Test(daemonize, buffered_output_is_written_once)
{
	struct start start = run(with_buffered_output);
	char text[64] = "";
	size_t len = 0;
	ssize_t got;

	starter_ends(start, 0, "");
	while ((got = read(start.from_daemon, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)got;
	cr_assert_str_eq(text, "once.");
	finish(start);
}
