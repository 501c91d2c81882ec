/*
 * test_channel.c - the messages between the processes over real socket pairs: whole, in order, with
 * their descriptors, within bounds; and whatever is not one of ours leaves no descriptor behind.
 */
#include "relay/channel.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/open_fds.h"

static struct channel *here;
static struct channel *there;
static int raw; /* the descriptor of `here` */

static void
set_up(void)
{
	int fds[2];

	cr_assert_eq(channel_pair(fds), 0);
	here = channel_new(fds[0]);
	there = channel_new(fds[1]);
	raw = fds[0];
	cr_assert_not_null(here);
	cr_assert_not_null(there);
}

static void
tear_down(void)
{
	channel_free(here);
	channel_free(there);
}

/* A descriptor that can be told from others: a file of which the size is its number. */
static int
numbered(uint64_t number)
{
	int fd = memfd_create("relay-test", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, (off_t)number), 0);
	return fd;
}

static uint64_t
number_of(int fd)
{
	return (uint64_t)lseek(fd, 0, SEEK_END);
}

static int
send_number(uint64_t number, int fd)
{
	struct channel_message message = { .type = CHANNEL_STOP, .stop = { number } };

	return channel_send(here, &message, fd);
}

/* Takes one message, which must be there and carry this number; the descriptor, if any, is closed.
 */
static void
expect_number(uint64_t number, bool with_fd)
{
	struct channel_message message;
	int fd = -1;

	cr_assert_eq(channel_receive(there, &message, &fd), 1);
	cr_assert_eq(message.type, CHANNEL_STOP);
	cr_assert_eq(message.stop.timeout_ms, number);
	cr_assert_eq(fd >= 0, with_fd);
	if (fd >= 0) {
		cr_assert_eq(number_of(fd), number);
		close(fd);
	}
}

static void
expect_result(int result)
{
	struct channel_message message;
	int fd = 99;

	cr_assert_eq(channel_receive(there, &message, &fd), result);
	cr_assert_eq(fd, -1);
}

/* Whether the reader of the channel would be woken. */
static bool
drained(void)
{
	char byte;

	return recv(channel_fd(there), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

TestSuite(channel, .init = set_up, .fini = tear_down);

/* --- what is sent arrives --- */

static size_t
payload_size(enum channel_type type)
{
	switch (type) {
#define X(name, text, payload) \
	case name:             \
		return sizeof(struct channel_##payload);
		CHANNEL_TYPES(X)
#undef X
	}
	return 0;
}

Test(channel, every_type_makes_the_trip)
{
	static const enum channel_type types[] = {

#define X(name, text, payload) name,
		CHANNEL_TYPES(X)
#undef X
	};

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct channel_message sent, got;
		int fd;

		memset(&sent, 0x40 + (int)i, sizeof sent);
		memset(&got, 0, sizeof got);
		sent.type = types[i];
		cr_assert_eq(channel_send(here, &sent, -1), 0);
		cr_assert_eq(channel_receive(there, &got, &fd), 1, "%s",
			     channel_type_text(types[i]));
		cr_assert_eq(fd, -1);
		cr_assert_eq(got.type, types[i]);
		cr_assert_eq(memcmp(&got.host, &sent.host, payload_size(types[i])), 0, "%s",
			     channel_type_text(types[i]));
		expect_result(0);
	}
}

Test(channel, both_directions)
{
	struct channel_message ready = { .type = CHANNEL_READY }, got;
	int fd;

	cr_assert_eq(send_number(7, -1), 0);
	cr_assert_eq(channel_send(there, &ready, -1), 0);
	expect_number(7, false);
	cr_assert_eq(channel_receive(here, &got, &fd), 1);
	cr_assert_eq(got.type, CHANNEL_READY);
}

Test(channel, ends_are_close_on_exec_and_do_not_block)
{
	const int ends[] = { channel_fd(here), channel_fd(there) };

	for (int i = 0; i < 2; i++) {
		cr_assert(fcntl(ends[i], F_GETFD) & FD_CLOEXEC);
		cr_assert(fcntl(ends[i], F_GETFL) & O_NONBLOCK);
	}
	expect_result(0);
}

Test(channel, descriptors_arrive)
{
	struct channel_message message;
	int pipes[2], fd = -1, before = count_fds();
	char byte = 0;

	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(send_number(1, pipes[1]), 0);
	cr_assert_geq(fcntl(pipes[1], F_GETFD), 0, "it stays the caller's");
	close(pipes[1]);
	cr_assert_eq(channel_receive(there, &message, &fd), 1);
	cr_assert_geq(fd, 0);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(write(fd, "x", 1), 1);
	cr_assert_eq(read(pipes[0], &byte, 1), 1);
	cr_assert_eq(byte, 'x');
	close(fd);
	cr_assert_eq(read(pipes[0], &byte, 1), 0, "nobody else kept it");
	close(pipes[0]);
	cr_assert_eq(count_fds(), before);
}

/* --- the queue --- */

/* Sends `count` numbers, each tenth with a descriptor, before the reader takes any; then all must
 * come. */
static void
send_much_then_drain(uint64_t count)
{
	uint64_t next = 0;
	int before = count_fds();

	for (uint64_t i = 0; i < count; i++) {
		int fd = i % 10 == 0 ? numbered(i) : -1;
		cr_assert_eq(send_number(i, fd), 0, "message %lu", i);
		if (fd >= 0)
			close(fd);
	}
	cr_assert(channel_pending(here), "the socket took it all: the test needs more");
	while (next < count) {
		for (; !drained(); next++)
			expect_number(next, next % 10 == 0);
		cr_assert_eq(channel_flush(here), 0);
	}
	cr_assert_not(channel_pending(here));
	cr_assert(drained());
	cr_assert_eq(count_fds(), before);
}

Test(channel, queues_when_full_and_flushes_in_order)
{
	send_much_then_drain(3000);
	send_much_then_drain(1500);
}

Test(channel, what_is_queued_goes_first)
{
	uint64_t sent = 0, got = 0;

	while (!channel_pending(here))
		cr_assert_eq(send_number(sent++, -1), 0);
	for (int i = 0; i < 20; i++)
		expect_number(got++, false);
	/* The socket has room again, and yet the new one has to wait for its turn. */
	cr_assert_eq(send_number(sent++, -1), 0);
	cr_assert(channel_pending(here));
	while (got < sent) {
		cr_assert_eq(channel_flush(here), 0);
		while (!drained())
			expect_number(got++, false);
	}
}

Test(channel, the_queue_has_a_bound)
{
	uint64_t sent = 0;
	int file = numbered(1000000), before = count_fds(), result;

	while ((result = send_number(sent, -1)) == 0) {
		sent++;
		cr_assert_lt(sent, 100000);
	}
	cr_assert_eq(result, -ENOBUFS);
	cr_assert_gt(sent, 1000);
	cr_assert_eq(send_number(sent, file), -ENOBUFS);
	cr_assert_eq(count_fds(), before, "a refused descriptor is not kept");

	for (uint64_t got = 0; got < sent;) {
		for (; !drained(); got++)
			expect_number(got, false);
		cr_assert_eq(channel_flush(here), 0);
	}
	expect_result(0);
	cr_assert_eq(send_number(1000000, file), 0, "it goes on");
	expect_number(1000000, true);
	close(file);
}

Test(channel, descriptors_queued_are_closed_at_the_end)
{
	int file = numbered(5), before = count_fds();

	while (!channel_pending(here))
		cr_assert_eq(send_number(0, -1), 0);
	for (int i = 0; i < 50; i++)
		cr_assert_eq(send_number(5, file), 0);
	cr_assert_eq(count_fds(), before + 50);
	channel_free(here);
	here = NULL;
	cr_assert_eq(count_fds(), before - 1);
	close(file);
}

/*
 * The kernel lets a user have only so many descriptors under way as a process may have open ones
 * (ETOOMANYREFS), unless he is privileged: the others wait in the queue.
 */
Test(channel, too_many_descriptors_under_way)
{
	enum {
		MESSAGES = 300
	};
	struct rlimit limit;
	int file = numbered(3), before = count_fds(), got = 0;

	setsockopt(raw, SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 }, sizeof(int));
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 256;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (geteuid() == 0)
		cr_assert_eq(seteuid(65534), 0);
	for (int i = 0; i < MESSAGES; i++)
		cr_assert_eq(send_number(3, file), 0, "message %d", i);
	cr_assert(channel_pending(here));
	while (got < MESSAGES) {
		for (; !drained(); got++)
			expect_number(3, true);
		cr_assert_eq(channel_flush(here), 0);
	}
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
	expect_result(0);
	cr_assert_eq(count_fds(), before);
	close(file);
}

/* --- the end --- */

Test(channel, the_other_end_closed)
{
	cr_assert_eq(send_number(1, -1), 0);
	cr_assert_eq(send_number(2, -1), 0);
	channel_free(here);
	here = NULL;
	expect_number(1, false);
	expect_number(2, false);
	expect_result(-EPIPE);
	expect_result(-EPIPE);
}

Test(channel, the_reader_closed)
{
	while (!channel_pending(here))
		cr_assert_eq(send_number(0, -1), 0);
	channel_free(there);
	there = NULL;
	cr_assert_lt(channel_flush(here), 0); /* and no SIGPIPE: the test lives */

	struct channel_message message;
	int fd = 99;
	cr_assert_eq(channel_receive(here, &message, &fd), -EPIPE);
	cr_assert_eq(fd, -1);
}

Test(channel, sending_to_nobody)
{
	channel_free(there);
	there = NULL;
	cr_assert_eq(send_number(0, -1), -EPIPE);
	cr_assert_not(channel_pending(here));
}

/* --- what is not one of ours --- */

/* Sends bytes with `count` copies of a descriptor, past the channel. */
static void
send_raw(const void *bytes, size_t len, int fd, size_t count)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(200 * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(&control, 0, sizeof control);
	cr_assert_leq(count, 200);
	if (count > 0) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(count * sizeof fd);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(count * sizeof fd);
		for (size_t i = 0; i < count; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof fd, &fd, sizeof fd);
	}
	cr_assert_eq(sendmsg(raw, &msg, MSG_NOSIGNAL), (ssize_t)len, "%s", strerror(errno));
}

/* Refused, with nothing left behind, and the channel goes on. */
static void
expect_refused(int before)
{
	expect_result(-EPROTO);
	cr_assert_eq(count_fds(), before);
	cr_assert_eq(send_number(11, -1), 0);
	expect_number(11, false);
}

Test(channel, wrong_sizes_and_types_are_refused)
{
	static uint8_t bytes[2 * sizeof(struct channel_message)];
	const size_t stop_size =
	    offsetof(struct channel_message, host) + sizeof(struct channel_stop);
	const size_t sizes[] = { 1,
				 3,
				 sizeof(enum channel_type),
				 stop_size - 1,
				 stop_size + 1,
				 sizeof(struct channel_message),
				 sizeof(struct channel_message) + 1,
				 sizeof bytes };
	const uint32_t stop = CHANNEL_STOP, unknown[] = { CHANNEL_LOG + 1, 99, UINT32_MAX };
	int file = numbered(4), before = count_fds();

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		memcpy(bytes, &stop, sizeof stop);
		send_raw(bytes, sizes[i], -1, 0);
		expect_refused(before);
		send_raw(bytes, sizes[i], file, 1);
		expect_refused(before);
	}
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
		memcpy(bytes, &unknown[i], sizeof unknown[i]);
		send_raw(bytes, stop_size, file, 1);
		expect_refused(before);
	}
	close(file);
}

Test(channel, more_than_one_descriptor_is_refused)
{
	struct channel_message message = { .type = CHANNEL_STOP, .stop = { 4 } };
	const size_t size = offsetof(struct channel_message, host) + sizeof message.stop;
	const size_t counts[] = { 2, 3, 15, 16, 17, 18, 200 };
	int file = numbered(4), before = count_fds();

	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		send_raw(&message, size, file, counts[i]);
		expect_refused(before);
	}
	send_raw(&message, size, file, 1);
	expect_number(4, true);
	close(file);
}

Test(channel, no_room_for_the_descriptor)
{
	struct rlimit limit, small;
	int file = numbered(4), before = count_fds();

	cr_assert_eq(send_number(4, file), 0);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	small = limit;
	small.rlim_cur = 0; /* what is open stays open */
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &small), 0);
	expect_result(-EPROTO);
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	cr_assert_eq(count_fds(), before);
	close(file);
}

Test(channel, types_have_names)
{
	cr_assert_str_eq(channel_type_text(CHANNEL_HOST_ADD), "host_add");
	cr_assert_str_eq(channel_type_text(CHANNEL_LOG), "log");
	cr_assert_str_eq(channel_type_text((enum channel_type)77), "unknown");
}
