/*
 * fds.c - see fds.h.  Never waits, keeps nothing.
 */
#include "uring/fds.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

/* As many descriptors as one control message can hold. */
static unsigned
take_fds(struct cmsghdr *cmsg, int fds[URING_FDS_MAX], unsigned count)
{
	size_t bytes = cmsg->cmsg_len - CMSG_LEN(0);
	size_t room = (URING_FDS_MAX - count) * sizeof fds[0];

	if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
		return count;
	if (bytes > room)
		bytes = room; /* the buffer was made so that there are none behind */
	memcpy(fds + count, CMSG_DATA(cmsg), bytes);
	return count + (unsigned)(bytes / sizeof fds[0]);
}

ssize_t
uring_recv_fds(int fd, void *data, size_t len, int fds[URING_FDS_MAX], unsigned *count)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(URING_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control,
	};
	ssize_t got;

	*count = 0;
	do
		got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(&msg, cmsg))
		*count = take_fds(cmsg, fds, *count);
	return (msg.msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : got;
}

ssize_t
uring_send_fd(int fd, const void *data, size_t len, int passed)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = {
		.iov_base = (void *)(uintptr_t)data, /* sendmsg only reads */
		.iov_len = len,
	};
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t sent;

	if (passed >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control.room;
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof passed);
		memcpy(CMSG_DATA(cmsg), &passed, sizeof passed);
	}
	do
		sent = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

int
uring_accept_waiting(int listener)
{
	struct pollfd poll_fd = { .fd = listener, .events = POLLIN };

	if (poll(&poll_fd, 1, 0) != 1 || (poll_fd.revents & POLLIN) == 0)
		return -EAGAIN;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
uring_unix_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, len + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	int error = -errno;
	close(fd);
	return error;
}

void
uring_end_output(int fd)
{
	(void)shutdown(fd, SHUT_WR); /* fails when the other side is gone: then it knows */
}

void
uring_close_passed(struct uring *ring, int fd)
{
	const struct linger none = { .l_onoff = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none); /* fails if it is none */
	uring_close(ring, fd);
}
