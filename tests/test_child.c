/*
 * test_child.c - a process that the keeper starts: its channel, the descriptors and signals that it
 * keeps, and how soon the next one is due after its end.
 */
#include "relay/child.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* One message from the child; false when it has ended. */
static bool
hear(struct child *child, struct channel_message *message)
{
	struct pollfd readable = { .fd = channel_fd(child->channel), .events = POLLIN };
	int fd;
	int got;

	do {
		cr_assert_eq(poll(&readable, 1, -1), 1);
		got = channel_receive(child->channel, message, &fd);
	} while (got == 0);
	cr_assert(got == 1 || got == -EPIPE);
	return got == 1;
}

static _Noreturn void
report_and_end(int channel_fd, uint64_t number)
{
	struct channel *channel = channel_new(channel_fd);
	struct channel_message message = { .type = CHANNEL_STOP, .stop = { number } };

	_exit(channel == NULL || channel_send(channel, &message, -1) != 0);
}

Test(child, has_a_channel)
{
	struct child child = { .name = "test" };
	struct channel_message message;
	int channel_fd = -1;
	int status;
	int result = child_fork(&child, &channel_fd);

	if (result == 0)
		report_and_end(channel_fd, 42);
	cr_assert_eq(result, 1);
	cr_assert_gt(child.pid, 0);
	cr_assert_eq(child.ready_at, 0);
	cr_assert(hear(&child, &message));
	cr_assert_eq(message.stop.timeout_ms, 42);
	cr_assert_not(hear(&child, &message), "its end ends the channel");
	cr_assert_eq(waitpid(child.pid, &status, 0), child.pid);
	cr_assert_eq(status, 0);
	child_ended(&child);
	cr_assert_eq(child.pid, 0);
	cr_assert_null(child.channel);
}

/* Which descriptors are open, as bits. */
static uint64_t
open_fds(void)
{
	uint64_t bits = 0;

	for (int fd = 0; fd < 64; fd++)
		bits |= (uint64_t)(fcntl(fd, F_GETFD) >= 0) << fd;
	return bits;
}

Test(child, keeps_what_it_is_told_and_nothing_else)
{
	struct child child = { .name = "test" };
	struct channel_message message;
	int channel_fd = -1;
	/* In places that the kept ones want. */
	int kept = memfd_create("kept", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(kept, 77), 0);
	cr_assert_geq(fcntl(kept, F_DUPFD, 40), 40);
	int result = child_fork(&child, &channel_fd);

	if (result == 0) {
		/* The channel and the file want each other's place. */
		if (channel_fd != 4)
			dup2(channel_fd, 4);
		if (kept != 3)
			dup2(kept, 3);
		child_let_go((const int[]){ 4, 3 }, 2);
		uint64_t fds = open_fds() & ~7ull;
		bool right = fds == (1ull << 3 | 1ull << 4) && lseek(4, 0, SEEK_END) == 77;
		report_and_end(3, right ? 1 : 1000 + fds);
	}
	cr_assert_eq(result, 1);
	cr_assert(hear(&child, &message));
	cr_assert_eq(message.stop.timeout_ms, 1, "%llx",
		     (unsigned long long)message.stop.timeout_ms);
	waitpid(child.pid, NULL, 0);
	child_ended(&child);
	close(kept);
}

Test(child, signals_of_a_terminal_are_not_its_business)
{
	struct child child = { .name = "test" };
	struct channel_message message;
	int channel_fd = -1;
	int status;
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	int result = child_fork(&child, &channel_fd);
	if (result == 0) {
		static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGQUIT, SIGPIPE };
		child_let_go(&channel_fd, 1);
		for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
			raise(ignored[i]);
		sigset_t now;
		sigprocmask(SIG_SETMASK, NULL, &now);
		report_and_end(3, sigismember(&now, SIGTERM) ? 0 : 1);
	}
	cr_assert_eq(result, 1);
	cr_assert(hear(&child, &message));
	cr_assert_eq(message.stop.timeout_ms, 1, "nothing is blocked");
	cr_assert_eq(waitpid(child.pid, &status, 0), child.pid);
	cr_assert_eq(status, 0, "and none of them ended it");
	child_ended(&child);
}

Test(child, the_next_one_is_due_later_and_later)
{
	struct child child = { .name = "test", .pid = 1 };
	unsigned expected = 50;

	for (int i = 0; i < 12; i++) {
		uint64_t before = child_clock_ms();
		child_ended(&child);
		uint64_t after = child_clock_ms();
		cr_assert_eq(child.backoff_ms, expected, "%d", i);
		cr_assert_geq(child.restart_at, before + expected);
		cr_assert_leq(child.restart_at, after + expected);
		expected = expected * 2 > 5000 ? 5000 : expected * 2;
	}
}

Test(child, after_a_good_life_at_once)
{
	struct child child = { .name = "test", .pid = 1, .backoff_ms = 1600 };

	child.ready_at = child_clock_ms() - 1500;
	child_ended(&child);
	cr_assert_eq(child.backoff_ms, 0);
	cr_assert_leq(child.restart_at, child_clock_ms());

	/* A life that was not good begins with the shortest pause again. */
	child.ready_at = child_clock_ms();
	child_ended(&child);
	cr_assert_eq(child.backoff_ms, 50);
	cr_assert_gt(child.restart_at, child_clock_ms() - 1);
}
