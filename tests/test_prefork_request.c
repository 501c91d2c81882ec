/*
 * test_prefork_request.c - reading a call from its socket: split anywhere, slow, silent, too long,
 * with too many descriptors; and what is said and heard around it.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/prefork/caller.h"
#include "relay/prefork/clock.h"
#include "relay/prefork/request.h"

/* Longer than any test takes. */
#define LONG_MS 60000

static const char tail[] = { 0, 0, 0, 4, 'A', '=', 0, 0 };
static int caller, call;

static void
connect_both(void)
{
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	caller = pair[0];
	call = pair[1];
}

TestSuite(prefork_request, .init = connect_both);

static void
give(const void *bytes, size_t size)
{
	cr_assert_eq(send(caller, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void
give_fds(char byte, int fd, size_t count)
{
	static union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * 253)];
	} control;
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = CMSG_SPACE(sizeof(int) * count) };

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
	for (size_t i = 0; i < count; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof fd, &fd, sizeof fd);
	cr_assert_eq(sendmsg(caller, &message, MSG_NOSIGNAL), 1);
}

static int
open_descriptors(void)
{
	struct stat st;
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fstat(fd, &st) == 0;
	return count;
}

/* `step` of 0..4: signalling byte, the three descriptors, length and message. */
static void
give_step(int step, int fd)
{
	if (step == 0)
		give("", 1);
	else if (step < 4)
		give_fds(0, fd, 1);
	else
		give(tail, sizeof tail);
}

Test(prefork_request, a_whole_one)
{
	struct prefork_request request;

	for (int step = 0; step < 5; step++)
		give_step(step, STDERR_FILENO);
	give("x", 1);
	cr_assert_eq(prefork_request_read(call, LONG_MS, &request), PREFORK_WHOLE);
	cr_assert_eq(request.length, 4);
	cr_assert_eq(memcmp(request.bytes, tail + 4, 4), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_gt(request.fds[i], STDERR_FILENO);
		cr_assert_eq(fcntl(request.fds[i], F_GETFD), FD_CLOEXEC);
	}
	char behind;
	cr_assert_eq(recv(call, &behind, 1, MSG_DONTWAIT), 1, "what is behind it stays");
	prefork_request_close(&request);
	free(request.bytes);
}

/* Cut off behind each byte: nothing is left open. */
Test(prefork_request, the_caller_leaves)
{
	for (size_t cut = 0; cut < 4 + sizeof tail; cut++) {
		struct prefork_request request;

		connect_both();
		for (size_t step = 0; step < 4 && step < cut; step++)
			give_step((int)step, STDERR_FILENO);
		if (cut > 4)
			give(tail, cut - 4);
		shutdown(caller, SHUT_WR);
		int before = open_descriptors();
		cr_assert_eq(prefork_request_read(call, LONG_MS, &request), PREFORK_GONE, "%zu",
			     cut);
		cr_assert_eq(open_descriptors(), before);
		close(caller);
		close(call);
	}
}

Test(prefork_request, silence)
{
	struct prefork_request request;
	int64_t began = prefork_clock_ms();

	give("", 1);
	cr_assert_eq(prefork_request_read(call, 50, &request), PREFORK_BAD);
	cr_assert_geq(prefork_clock_ms() - began, 50);
	cr_assert_str_eq(request.fault, "no complete request within the time allowed");
}

/* The time is for all of it: whoever sends a byte now and then gets no more of it. */
Test(prefork_request, a_caller_who_dribbles, .timeout = 60)
{
	struct prefork_request request;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		close(call);
		for (int step = 0; step < 4; step++)
			give_step(step, STDERR_FILENO);
		give("\0\1\0\0", 4);
		while (send(caller, "x", 1, MSG_NOSIGNAL) == 1)
			usleep(5000);
		_exit(0);
	}
	close(caller);
	cr_assert_eq(prefork_request_read(call, 200, &request), PREFORK_BAD);
	cr_assert_null(request.bytes);
	close(call);
}

Test(prefork_request, many_descriptors)
{
	struct prefork_request request;
	int before = open_descriptors();

	give("", 1);
	for (int i = 0; i < 3; i++)
		give_fds(0, STDERR_FILENO, i == 1 ? 253 : 2);
	give_fds(0, STDERR_FILENO, 253);
	give("\0\0\1\0", 4);
	cr_assert_eq(prefork_request_read(call, LONG_MS, &request), PREFORK_WHOLE);
	cr_assert_eq(request.length, 1);
	cr_assert_eq(open_descriptors(), before + 3);
	prefork_request_close(&request);
	free(request.bytes);
}

static void
assert_bad(const char *fault)
{
	struct prefork_request request;
	int before = open_descriptors();

	cr_assert_eq(prefork_request_read(call, LONG_MS, &request), PREFORK_BAD, "%s", fault);
	cr_assert_str_eq(request.fault, fault);
	cr_assert_eq(open_descriptors(), before);
	connect_both();
}

Test(prefork_request, broken_protocol)
{
	give("\1", 1);
	assert_bad("the signalling byte is not zero");
	give("\0\0", 2);
	assert_bad("a descriptor is missing");
	give("", 1);
	give_fds(0, STDERR_FILENO, 1);
	give_fds(1, STDERR_FILENO, 1);
	assert_bad("the byte that carries a descriptor is not zero");
	for (int i = 0; i < 3; i++) {
		static const char lengths[3][5] = { "\0\0\0\0", "\377\377\377\377", "\1\0\0\1" };

		for (int step = 0; step < 4; step++)
			give_step(step, STDERR_FILENO);
		give(lengths[i], 4);
		assert_bad("the length of the message is out of bounds");
	}
}

/* ---- around it ---- */

static void
assert_receives(const void *bytes, size_t size)
{
	char got[64];

	cr_assert_eq(recv(caller, got, sizeof got, 0), (ssize_t)size);
	cr_assert_eq(memcmp(got, bytes, size), 0);
}

Test(prefork_request, greetings)
{
	cr_assert(prefork_caller_greet(call, false));
	assert_receives("PFI\n\0\0\0\0", 8);
	cr_assert(prefork_caller_greet(call, true));
	assert_receives("PFI\n\0\0\0\4RLX1", 12);
	close(caller);
	cr_assert_not(prefork_caller_greet(call, false), "and no SIGPIPE");
}

Test(prefork_request, what_is_heard)
{
	static const int expected[] = { 0,       SIGHUP,  SIGINT,  SIGQUIT,
					SIGTERM, SIGTSTP, SIGCONT, SIGWINCH };
	int signal;

	cr_assert_eq(prefork_caller_hear(call, true, &signal), PREFORK_NOTHING);
	for (int code = 0; code < 256; code++) {
		unsigned char byte = (unsigned char)code;
		bool known = code > 0 && code < 8;

		give(&byte, 1);
		cr_assert_eq(prefork_caller_hear(call, true, &signal),
			     known ? PREFORK_SIGNAL : PREFORK_END, "%d", code);
		if (known)
			cr_assert_eq(signal, expected[code]);
		give(&byte, 1);
		cr_assert_eq(prefork_caller_hear(call, false, &signal), PREFORK_END, "%d", code);
	}
	shutdown(caller, SHUT_WR);
	cr_assert_eq(prefork_caller_hear(call, true, &signal), PREFORK_END);
	cr_assert_eq(prefork_caller_hear(call, false, &signal), PREFORK_END);
}

/* A reset would be what the caller reads, or a part of it. */
Test(prefork_request, the_status_and_an_orderly_end)
{
	static const char unheard[5000] = "x";
	char end;

	give(unheard, sizeof unheard);
	prefork_caller_tell_status(call, 0x700);
	close(call);
	assert_receives("\0\0\7\0", 4);
	cr_assert_eq(recv(caller, &end, 1, 0), 0);
}
