/*
 * contract_outside.h - the far side of sockets for test_uring_contract.c: real ones, or with FAKE=1
 * those of the fake ring.
 *
 * The same few verbs for both, so that the cases are written once.
 */
#ifndef TESTS_CONTRACT_OUTSIDE_H
#define TESTS_CONTRACT_OUTSIDE_H

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uring/uring.h"

#ifndef FAKE
#define FAKE 0
#endif

#if FAKE

#include "tests/fake_uring.h"

typedef struct fake_end *far_end;

static int far_server_state;    /* 0 = accepts, 1 = refuses, 2 = never answers */
static far_end far_server_last; /* the other side of the connect that came last */

static void
far_on_connected(void *context, struct fake_end *end)
{
	*(far_end *)context = end;
}

static void
far_on_connect(void *context, const struct sockaddr *address, struct fake_answer *answer)
{
	(void)context;
	(void)address;
	answer->result = far_server_state == 1 ? -ECONNREFUSED : 0;
	answer->never = far_server_state == 2;
	answer->connected = far_on_connected;
	answer->context = &far_server_last;
}

static struct uring *
far_ring(unsigned buffers, unsigned buffer_size)
{
	struct uring_options options = {
		.entries = 64,
		.buffers = buffers,
		.buffer_size = buffer_size,
	};
	struct fake_options fake = {
		.room_min = 4096,
		.room_max = 4096,
		.connect = far_on_connect,
	};
	return fake_new(&options, &fake);
}

static void
far_ring_free(struct uring *ring)
{
	uring_free(ring);
	fake_free(ring);
}

static far_end
far_stream(struct uring *ring, int *fd)
{
	return fake_stream(ring, 4096, fd);
}

static ssize_t
far_write(far_end end, const void *data, size_t len)
{
	return fake_write(end, data, len);
}

static ssize_t
far_read(far_end end, void *data, size_t cap)
{
	return fake_read(end, data, cap);
}

static void
far_shutdown(far_end end)
{
	fake_shutdown(end);
}

static void
far_close(far_end end)
{
	fake_close(end);
}

static int
far_listener(struct uring *ring)
{
	return fake_listener(ring);
}

static far_end
far_connect(struct uring *ring, int listener)
{
	return fake_connect(ring, listener);
}

static struct sockaddr_in
far_server(int state)
{
	far_server_state = state;
	return (struct sockaddr_in){ .sin_family = AF_INET };
}

static far_end
far_server_accepted(void)
{
	return far_server_last;
}

static void
far_server_end(void)
{
}

#else

#include <fcntl.h>
#include <sys/un.h>

typedef int far_end;

static int far_server_fd = -1;
static int far_fillers[64];
static int far_filler_count;

static struct uring *
far_ring(unsigned buffers, unsigned buffer_size)
{
	struct uring_options options = {
		.entries = 64,
		.buffers = buffers,
		.buffer_size = buffer_size,
	};
	struct uring *ring;

	return uring_new(&ring, &options) == 0 ? ring : NULL;
}

static void
far_ring_free(struct uring *ring)
{
	uring_free(ring);
}

static void
far_must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

static far_end
far_stream(struct uring *ring, int *fd)
{
	int fds[2];
	int small = 4096;

	(void)ring;
	far_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "socketpair");
	far_must(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0, "SO_SNDBUF");
	far_must(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
	*fd = fds[0];
	return fds[1];
}

static ssize_t
far_write(far_end end, const void *data, size_t len)
{
	ssize_t put = send(end, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	return put < 0 ? -errno : put;
}

static ssize_t
far_read(far_end end, void *data, size_t cap)
{
	ssize_t got = recv(end, data, cap, MSG_DONTWAIT);

	return got < 0 ? -errno : got;
}

static void
far_shutdown(far_end end)
{
	far_must(shutdown(end, SHUT_WR) == 0, "shutdown");
}

static void
far_close(far_end end)
{
	close(end);
}

/* An address in the abstract name space: no file is left, and no two tests share it. */
static int
far_listener(struct uring *ring)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)ring;
	/* Only the family given: the system chooses a free name. */
	far_must(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0, "bind");
	far_must(listen(fd, 16) == 0, "listen");
	return fd;
}

static far_end
far_connect(struct uring *ring, int listener)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	socklen_t len = sizeof address;

	(void)ring;
	far_must(getsockname(listener, (struct sockaddr *)&address, &len) == 0, "getsockname");
	far_must(connect(fd, (struct sockaddr *)&address, len) == 0, "connect");
	return fd;
}

/* Fills the listen queue, so that a further connect has no answer. */
static void
far_fill(const struct sockaddr_in *address)
{
	for (far_filler_count = 0; far_filler_count < 8; far_filler_count++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		far_fillers[far_filler_count] = fd;
		connect(fd, (const struct sockaddr *)address, sizeof *address);
	}
	usleep(10000);
}

static struct sockaddr_in
far_server(int state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof address;

	far_server_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	far_must(bind(far_server_fd, (struct sockaddr *)&address, len) == 0, "bind");
	far_must(getsockname(far_server_fd, (struct sockaddr *)&address, &len) == 0, "getsockname");
	/* Bound and not listening: refused, and the port stays ours. */
	if (state != 1)
		far_must(listen(far_server_fd, 0) == 0, "listen");
	if (state == 2)
		far_fill(&address);
	return address;
}

static far_end
far_server_accepted(void)
{
	int fd = accept4(far_server_fd, NULL, NULL, SOCK_CLOEXEC);

	far_must(fd >= 0, "accept");
	return fd;
}

static void
far_server_end(void)
{
	while (far_filler_count > 0)
		close(far_fillers[--far_filler_count]);
	close(far_server_fd);
}

#endif

#endif
