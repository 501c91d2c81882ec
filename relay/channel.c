/*
 * channel.c - SOCK_SEQPACKET with descriptors.  Owns the descriptor and the queue of unsent
 * messages.
 */
#include "relay/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

enum {
	QUEUE_MAX = 8192,
	FDS_MAX = 16
};

struct queued {
	STAILQ_ENTRY(queued) entry;
	int fd;
	struct channel_message message; /* only as much of it as its type has */
};

struct channel {
	int fd;
	uint32_t queued;
	STAILQ_HEAD(, queued) queue;
};

const char *
channel_type_text(enum channel_type type)
{
	switch (type) {
#define X(name, text, payload) \
	case name:             \
		return text;
		CHANNEL_TYPES(X)
#undef X
	}
	return "unknown";
}

/* Bytes that a message of this type has on the channel; 0 = no such type. */
static size_t
message_size(enum channel_type type)
{
	const size_t head = offsetof(struct channel_message, none);

	switch (type) {
#define X(name, text, payload) \
	case name:             \
		return head + sizeof(struct channel_##payload);
		CHANNEL_TYPES(X)
#undef X
	}
	return 0;
}

int
channel_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return -errno;
	return 0;
}

struct channel *
channel_new(int fd)
{
	struct channel *channel = calloc(1, sizeof *channel);

	if (channel == NULL)
		return NULL;
	channel->fd = fd;
	STAILQ_INIT(&channel->queue);
	return channel;
}

static void
drop_first(struct channel *channel)
{
	struct queued *queued = STAILQ_FIRST(&channel->queue);

	STAILQ_REMOVE_HEAD(&channel->queue, entry);
	channel->queued--;
	if (queued->fd >= 0)
		close(queued->fd);
	free(queued);
}

void
channel_free(struct channel *channel)
{
	if (channel == NULL)
		return;
	while (!STAILQ_EMPTY(&channel->queue))
		drop_first(channel);
	close(channel->fd);
	free(channel);
}

int
channel_fd(const struct channel *channel)
{
	return channel->fd;
}

uint32_t
channel_queued(const struct channel *channel)
{
	return channel->queued;
}

bool
channel_pending(const struct channel *channel)
{
	return channel->queued > 0;
}

static int
send_now(struct channel *channel, const struct channel_message *message, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = {
		.iov_base = (void *)(uintptr_t)message, /* sendmsg only reads */
		.iov_len = message_size(message->type),
	};
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof control.room;
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(cmsg), &fd, sizeof fd);
	}
	if (sendmsg(channel->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return -errno;
	return 0;
}

static bool
full(int error)
{
	/* ETOOMANYREFS: too many descriptors are on their way; they arrive, then it goes on. */
	return error == -EAGAIN || error == -ENOBUFS || error == -ETOOMANYREFS;
}

int
channel_flush(struct channel *channel)
{
	while (!STAILQ_EMPTY(&channel->queue)) {
		struct queued *first = STAILQ_FIRST(&channel->queue);
		int error = send_now(channel, &first->message, first->fd);
		if (error != 0)
			return full(error) ? 0 : error;
		drop_first(channel);
	}
	return 0;
}

static int
enqueue(struct channel *channel, const struct channel_message *message, int fd)
{
	if (channel->queued >= QUEUE_MAX)
		return -ENOBUFS;
	size_t size = message_size(message->type);
	struct queued *queued = malloc(offsetof(struct queued, message) + size);
	if (queued == NULL)
		return -ENOMEM;
	queued->fd = -1;
	if (fd >= 0) {
		queued->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (queued->fd < 0) {
			free(queued);
			return -errno;
		}
	}
	memcpy(&queued->message, message, size);
	STAILQ_INSERT_TAIL(&channel->queue, queued, entry);
	channel->queued++;
	return 0;
}

int
channel_send(struct channel *channel, const struct channel_message *message, int fd)
{
	if (STAILQ_EMPTY(&channel->queue)) {
		int error = send_now(channel, message, fd);
		if (!full(error))
			return error;
	}
	return enqueue(channel, message, fd);
}

/* Keeps the first descriptor, closes all others.  Returns how many there were. */
static size_t
collect_fds(struct msghdr *msg, int *fd)
{
	size_t all = 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		all += count;
		for (size_t i = 0; i < count; i++) {
			int got;
			memcpy(&got, CMSG_DATA(cmsg) + i * sizeof got, sizeof got);
			if (*fd < 0)
				*fd = got;
			else
				close(got);
		}
	}
	return all;
}

int
channel_receive(struct channel *channel, struct channel_message *message, int *fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = message, .iov_len = sizeof *message };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control.room,
	};

	*fd = -1;
	ssize_t got = recvmsg(channel->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	/* It ended without reading all of ours: told once, before what it had sent itself. */
	if (got < 0 && errno == ECONNRESET)
		got = recvmsg(channel->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got < 0)
		return -errno;
	size_t fds = collect_fds(&msg, fd);
	if (got == 0 && *fd < 0)
		return -EPIPE;
	if ((size_t)got < sizeof message->type || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
	    (size_t)got != message_size(message->type) || fds > 1) {
		if (*fd >= 0)
			close(*fd);
		*fd = -1;
		return -EPROTO;
	}
	return 1;
}
