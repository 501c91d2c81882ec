/*
 * request.c - see request.h.
 */
#include "relay/prefork/request.h"

#include "relay/prefork/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct reader {
	int call;
	int64_t deadline;
	const char *fault;
};

static enum prefork_outcome
bad(struct reader *reader, const char *fault)
{
	reader->fault = fault;
	return PREFORK_BAD;
}

static enum prefork_outcome
wait_for_input(struct reader *reader)
{
	struct pollfd wait = { .fd = reader->call, .events = POLLIN };
	int left = prefork_clock_left(reader->deadline);

	if (left == 0)
		return bad(reader, "no complete request within the time allowed");
	if (poll(&wait, 1, left) < 0 && errno != EINTR)
		return bad(reader, "cannot wait for the caller");
	return PREFORK_WHOLE;
}

/*
 * One receive.  There is room for one descriptor: of more the kernel keeps all but the first to
 * itself (MSG_CTRUNC), so that no number of them ever enters this process.  With `fd` NULL there is
 * room for none.
 */
static ssize_t
receive_once(int call, void *bytes, size_t size, int *fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { .iov_base = bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd != NULL) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_LEN(sizeof(int));
	}
	ssize_t got = recvmsg(call, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got <= 0 || fd == NULL)
		return got;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(header), sizeof *fd);
	return got;
}

static enum prefork_outcome
receive(struct reader *reader, void *bytes, size_t size, int *fd)
{
	char *at = bytes;

	while (size > 0) {
		ssize_t got = receive_once(reader->call, at, size, fd);

		if (got > 0) {
			at += got;
			size -= (size_t)got;
			continue;
		}
		if (got == 0 || errno == ECONNRESET)
			return PREFORK_GONE;
		if (errno != EAGAIN && errno != EINTR)
			return bad(reader, "cannot receive from the caller");
		enum prefork_outcome outcome = wait_for_input(reader);
		if (outcome != PREFORK_WHOLE)
			return outcome;
	}
	return PREFORK_WHOLE;
}

static enum prefork_outcome
receive_descriptors(struct reader *reader, int *fds)
{
	for (int i = 0; i < 3; i++) {
		char byte;
		enum prefork_outcome outcome = receive(reader, &byte, 1, &fds[i]);

		if (outcome != PREFORK_WHOLE)
			return outcome;
		if (fds[i] < 0)
			return bad(reader, "a descriptor is missing");
		if (byte != 0)
			return bad(reader, "the byte that carries a descriptor is not zero");
	}
	return PREFORK_WHOLE;
}

static enum prefork_outcome
receive_message(struct reader *reader, struct prefork_request *request)
{
	uint32_t word;
	enum prefork_outcome outcome = receive(reader, &word, sizeof word, NULL);

	if (outcome != PREFORK_WHOLE)
		return outcome;
	request->length = ntohl(word);
	if (request->length == 0 || request->length > PREFORK_MESSAGE_MAX)
		return bad(reader, "the length of the message is out of bounds");
	request->bytes = malloc(request->length);
	if (request->bytes == NULL)
		return bad(reader, "no memory for the message");
	return receive(reader, request->bytes, request->length, NULL);
}

void
prefork_request_close(struct prefork_request *request)
{
	for (int i = 0; i < 3; i++) {
		if (request->fds[i] >= 0)
			close(request->fds[i]);
		request->fds[i] = -1;
	}
}

enum prefork_outcome
prefork_request_read(int call, int64_t patience_ms, struct prefork_request *request)
{
	struct reader reader = { .call = call, .deadline = prefork_clock_ms() + patience_ms };
	char signalling;

	*request = (struct prefork_request){ .fds = { -1, -1, -1 } };
	enum prefork_outcome outcome = receive(&reader, &signalling, 1, NULL);
	if (outcome == PREFORK_WHOLE && signalling != 0)
		outcome = bad(&reader, "the signalling byte is not zero");
	if (outcome == PREFORK_WHOLE)
		outcome = receive_descriptors(&reader, request->fds);
	if (outcome == PREFORK_WHOLE)
		outcome = receive_message(&reader, request);
	if (outcome != PREFORK_WHOLE) {
		prefork_request_close(request);
		free(request->bytes);
		request->bytes = NULL;
		request->fault = reader.fault;
	}
	return outcome;
}
