/*
 * process.c - signals and limits of a bench program.
 */
#include "bench/process.h"

#include <err.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

static volatile sig_atomic_t stopping;

static void
on_signal(int signal)
{
	(void)signal;
	stopping = 1;
}

void
process_catch_stop(sigset_t *while_waiting)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, while_waiting);
	sigdelset(while_waiting, SIGTERM);
	sigdelset(while_waiting, SIGINT);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

bool
process_stopping(void)
{
	return stopping != 0;
}

int
process_stop_fd(void)
{
	sigset_t stops;

	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	sigprocmask(SIG_BLOCK, &stops, NULL);
	int fd = signalfd(-1, &stops, SFD_CLOEXEC);
	if (fd < 0)
		err(1, "signalfd");
	return fd;
}

uint64_t
process_raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		err(1, "getrlimit");
	rlim_t soft = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return limit.rlim_max;
	warn("open files stay at the soft limit");
	return soft;
}
