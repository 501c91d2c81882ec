/*
 * test_fds.c - bytes with descriptors over UNIX sockets, by plain system calls that never wait.
 */
#include "tests/uring_site.h"

#include <sys/resource.h>
#include <sys/un.h>

#include "tests/temp_dir.h"
#include "uring/fds.h"

static void
begin(void)
{
	set_up();
	temp_dir_make();
}

static void
end(void)
{
	tear_down();
	temp_dir_remove();
}

TestSuite(fds, .init = begin, .fini = end);

static void
close_fds(const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

/* `count` times the same one with the bytes. */
static void
put_fds(int fd, const char *bytes, int passed, unsigned count)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(URING_FDS_MAX * sizeof(int))];
	} control = { .room = { 0 } };

	char copy[16];
	struct iovec iov = { .iov_base = copy, .iov_len = strlen(bytes) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control };

	memcpy(copy, bytes, strlen(bytes));
	msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (unsigned i = 0; i < count; i++)
		memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &passed, sizeof passed);
	cr_assert_eq(sendmsg(fd, &msg, 0), (ssize_t)iov.iov_len);
}

Test(fds, one_arrives_with_its_byte)
{
	struct pair pair = unix_pair();
	int fds[URING_FDS_MAX];
	unsigned count;
	char byte;
	int pipes[2];

	cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
	cr_assert_eq(uring_recv_fds(pair.here, &byte, 1, fds, &count), -EAGAIN);
	cr_assert_eq(count, 0u);
	cr_assert_eq(uring_send_fd(pair.there, "a", 1, -1), 1);
	cr_assert_eq(uring_send_fd(pair.there, "b", 1, pipes[1]), 1);
	close(pipes[1]);
	cr_assert_eq(uring_recv_fds(pair.here, &byte, 1, fds, &count), 1);
	cr_assert_eq(byte, 'a');
	cr_assert_eq(count, 0u);
	cr_assert_eq(uring_recv_fds(pair.here, &byte, 1, fds, &count), 1);
	cr_assert_eq(byte, 'b');
	cr_assert_eq(count, 1u);
	cr_assert(close_on_exec(fds[0]));
	put(fds[0], "x", 1);
	expect(pipes[0], "x");
	close_fds(fds, count);
	close(pair.there);
	cr_assert_eq(uring_recv_fds(pair.here, &byte, 1, fds, &count), 0);
}

Test(fds, as_many_as_there_can_be)
{
	struct pair pair = unix_pair();
	int fds[URING_FDS_MAX];
	unsigned count;
	char bytes[8];
	int before = count_fds();

	put_fds(pair.there, "abc", pair.there, URING_FDS_MAX);
	cr_assert_eq(uring_recv_fds(pair.here, bytes, sizeof bytes, fds, &count), 3);
	cr_assert_eq(count, (unsigned)URING_FDS_MAX);
	cr_assert_eq(count_fds(), before + URING_FDS_MAX);
	close_fds(fds, count);
	cr_assert_eq(count_fds(), before);
}

/* Those that found room are the caller's to close; the others never came to be. */
Test(fds, more_than_the_process_may_have)
{
	struct pair pair = unix_pair();
	struct rlimit limit, old;
	int fds[URING_FDS_MAX];
	unsigned count;
	char byte;
	int before = count_fds();

	put_fds(pair.there, "a", 0, 20);
	int lowest = dup(0);
	close(lowest);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	limit.rlim_cur = (rlim_t)lowest + 5;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ssize_t got = uring_recv_fds(pair.here, &byte, 1, fds, &count);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	cr_assert_eq(got, -EMFILE);
	cr_assert_leq(count, 5u);
	close_fds(fds, count);
	cr_assert_eq(count_fds(), before);
}

Test(fds, a_full_socket_takes_what_it_can)
{
	struct pair pair = unix_pair();
	size_t sent = 0, got = 0;
	ssize_t n;

	small_buffers(pair);
	uint8_t *bytes = patterned(1000000);
	while ((n = uring_send_fd(pair.here, bytes + sent, 1000000 - sent, -1)) > 0)
		sent += (size_t)n;
	cr_assert_eq(n, -EAGAIN);
	cr_assert_gt(sent, 0u);
	cr_assert_lt(sent, 1000000u);
	cr_assert(read_patterned(pair.there, &got));
	cr_assert_eq(got, sent);
	close(pair.there);
	cr_assert_eq(uring_send_fd(pair.here, "a", 1, -1), -EPIPE);
}

Test(fds, connect_and_accept)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char longest[sizeof address.sun_path + 1];

	snprintf(address.sun_path, sizeof address.sun_path, "%s", temp_path("socket"));
	cr_assert_eq(uring_unix_connect(address.sun_path), -ENOENT);
	cr_assert_eq(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
	cr_assert_eq(uring_unix_connect(address.sun_path), -ECONNREFUSED);
	cr_assert_eq(listen(listener, 0), 0);
	cr_assert_eq(uring_accept_waiting(listener), -EAGAIN);
	int first = uring_unix_connect(address.sun_path);
	cr_assert_geq(first, 0);
	cr_assert(close_on_exec(first));
	cr_assert_eq(uring_unix_connect(address.sun_path), -EAGAIN, "its listen queue is full");
	int accepted = uring_accept_waiting(listener);
	cr_assert_geq(accepted, 0);
	cr_assert(close_on_exec(accepted));
	cr_assert_eq(uring_accept_waiting(listener), -EAGAIN);
	put(first, "hi", 2);
	expect(accepted, "hi");
	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	cr_assert_eq(uring_unix_connect(longest), -ENAMETOOLONG);
	cr_assert_eq(uring_unix_connect(""), -ENAMETOOLONG);
}

Test(fds, end_of_output)
{
	struct pair one = unix_pair();
	char byte;

	uring_end_output(one.here);
	cr_assert_eq(read(one.there, &byte, 1), 0);
	put(one.there, "a", 1);
	expect(one.here, "a");
	close(one.there);
	uring_end_output(one.here); /* no matter */
}

/* A socket that was made to wait for its output when it is closed: the ring goes on. */
Test(fds, closing_a_passed_one_waits_for_nothing, .timeout = 60)
{
	struct pair pair = tcp_pair();
	struct linger linger = { .l_onoff = 1, .l_linger = 1000 };
	static const char bytes[65536];

	cr_assert_eq(setsockopt(pair.there, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	while (send(pair.there, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		continue;
	uring_close_passed(ring, pair.there);
	turn(MS);
	turn(MS);
	cr_assert_lt(fcntl(pair.there, F_GETFD), 0);
}
