/*
 * uring_socket.c - what is asked of a socket by plain system calls that never wait.  Part of the
 * engine, so that its stand-in for tests answers all of it.
 */
#include "uring/uring.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

int
uring_tcp_socket(struct uring *u, int family)
{
	(void)u;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* Requests leave whole, once per turn: waiting for more would only add delay. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	return fd;
}

bool
uring_hung_up(struct uring *u, int fd)
{
	(void)u;
	struct pollfd poll_fd = { .fd = fd, .events = 0 };
	return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

void
uring_shutdown(struct uring *u, int fd)
{
	(void)u;
	shutdown(fd, SHUT_WR); /* of one that is gone by now: that shows in its receive */
}

void
uring_reset(struct uring *u, int fd)
{
	const struct linger none = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	uring_close(u, fd);
}

void
uring_peer(struct uring *u, int fd, uint32_t *uid, uint32_t *pid)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	(void)u;
	*uid = UINT32_MAX;
	*pid = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return;
	/* Somebody of another container has a user, but no pid that could be told here. */
	*uid = peer.uid;
	*pid = peer.pid > 0 ? (uint32_t)peer.pid : 0;
}
