/*
 * control_client.c - frames to and from the control socket, one request at a time.
 *
 * Never trusts a length: what is received is kept in a buffer that grows with the bytes that really
 * came, and unpacked into an arena of fixed size.  Owns the descriptor and that buffer.
 *
 *   in:  [ frame | frame | part of one )      taken from the front, the rest moves down
 */
#include "relay/control_client.h"

#include "relay/control_pages.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define IN_FIRST     ((size_t)64 * 1024)
#define IN_MAX       ((size_t)CONTROL_FRAME_MAX + CONTROL_FRAME_HEADER)
#define ANSWER_MAX   ((size_t)512 * 1024 * 1024)
#define ANSWER_LEAST ((size_t)64 * 1024 * 1024) /* where address space is short */
#define STOP_SLICE   100                        /* ms between looks at client->stop */
#define RETRY_SLICE  20                         /* ms: the daemon's listen queue is full */

uint64_t
control_client_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

__attribute__((format(printf, 3, 4))) static enum control_client_result
failed(struct control_client *client, enum control_client_result result, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(client->error, sizeof client->error, format, list);
	va_end(list);
	/* It may quote the daemon, and goes to a terminal. */
	for (char *at = client->error; *at; at++)
		if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
			*at = '?';
	return result;
}

/* --- memory of answers */

static bool
reserve(struct control_answer *answer, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	answer->memory = memory;
	answer->size = size;
	return true;
}

bool
control_answer_init(struct control_answer *answer)
{
	memset(answer, 0, sizeof *answer);
	return reserve(answer, ANSWER_MAX) || reserve(answer, ANSWER_LEAST);
}

void
control_answer_fini(struct control_answer *answer)
{
	if (answer->memory)
		munmap(answer->memory, answer->size);
	memset(answer, 0, sizeof *answer);
}

static void
answer_reset(struct control_answer *answer)
{
	control_arena_init(&answer->arena, answer->memory, answer->size);
	answer->reply = NULL;
}

/* --- waiting, sending, receiving */

static int
slice(const struct control_client *client, uint64_t now, uint64_t deadline_ms)
{
	uint64_t left = deadline_ms - now;

	if (client->stop && left > STOP_SLICE)
		return STOP_SLICE;
	if (deadline_ms == UINT64_MAX)
		return -1;
	return left > 1000 * 1000 ? 1000 * 1000 : (int)left;
}

static enum control_client_result
wait_for(struct control_client *client, short events, uint64_t deadline_ms)
{
	struct pollfd pollfd = { .fd = client->fd, .events = events };

	for (;;) {
		uint64_t now = control_client_clock_ms();
		int n;

		if (client->stop && *client->stop)
			return failed(client, CONTROL_CLIENT_INTERRUPTED, "interrupted");
		if (now >= deadline_ms)
			return failed(client, CONTROL_CLIENT_TIMEOUT, "no answer in time");
		n = poll(&pollfd, 1, slice(client, now, deadline_ms));
		if (n > 0)
			return CONTROL_CLIENT_OK;
		if (n < 0 && errno != EINTR)
			return failed(client, CONTROL_CLIENT_UNREACHABLE, "poll: %s",
				      strerror(errno));
	}
}

static enum control_client_result
write_all(struct control_client *client, const uint8_t *bytes, size_t len, uint64_t deadline_ms)
{
	while (len > 0) {
		ssize_t n = send(client->fd, bytes, len, MSG_NOSIGNAL);
		enum control_client_result result;

		if (n >= 0) {
			bytes += n;
			len -= (size_t)n;
			continue;
		}
		/* Why it does not listen any more is what it said last: that is read next. */
		if (errno == EPIPE || errno == ECONNRESET)
			return CONTROL_CLIENT_OK;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return failed(client, CONTROL_CLIENT_UNREACHABLE, "send: %s",
				      strerror(errno));
		result = wait_for(client, POLLOUT, deadline_ms);
		if (result != CONTROL_CLIENT_OK)
			return result;
	}
	return CONTROL_CLIENT_OK;
}

static bool
make_room(struct control_client *client)
{
	size_t size = client->in_size ? client->in_size * 2 : IN_FIRST;
	uint8_t *in;

	if (client->in_len < client->in_size)
		return true;
	if (size > IN_MAX)
		size = IN_MAX;
	assert(client->in_len < size);
	in = realloc(client->in, size);
	if (!in)
		return false;
	client->in = in;
	client->in_size = size;
	return true;
}

static enum control_client_result
read_some(struct control_client *client, uint64_t deadline_ms)
{
	ssize_t n;

	if (!make_room(client))
		return failed(client, CONTROL_CLIENT_PROTOCOL, "out of memory");
	n = recv(client->fd, client->in + client->in_len, client->in_size - client->in_len, 0);
	if (n > 0) {
		client->in_len += (size_t)n;
		return CONTROL_CLIENT_OK;
	}
	if (n == 0)
		return failed(client, CONTROL_CLIENT_UNREACHABLE,
			      "the daemon closed the connection");
	if (errno == EAGAIN)
		return wait_for(client, POLLIN, deadline_ms);
	if (errno == EINTR)
		return CONTROL_CLIENT_OK;
	return failed(client, CONTROL_CLIENT_UNREACHABLE, "recv: %s", strerror(errno));
}

/* Until a whole frame stands at the start of `in`; its size in all, header included. */
static enum control_client_result
await_frame(struct control_client *client, size_t *total, uint64_t deadline_ms)
{
	for (;;) {
		enum control_client_result result;

		switch (control_frame_look(client->in, client->in_len, CONTROL_FRAME_MAX, total)) {
		case CONTROL_FRAME_OK:
			return CONTROL_CLIENT_OK;
		case CONTROL_FRAME_PARTIAL:
			break;
		case CONTROL_FRAME_TOO_LONG:
			return failed(client, CONTROL_CLIENT_PROTOCOL,
				      "a frame of the daemon is too long: is it a control socket?");
		case CONTROL_FRAME_EMPTY:
			return failed(client, CONTROL_CLIENT_PROTOCOL,
				      "the daemon sent an empty frame");
		}
		result = read_some(client, deadline_ms);
		if (result != CONTROL_CLIENT_OK)
			return result;
	}
}

static void
drop_frame(struct control_client *client, size_t total)
{
	client->in_len -= total;
	memmove(client->in, client->in + total, client->in_len);
}

static ProtobufCMessage *
unpack(const struct control_client *client, const ProtobufCMessageDescriptor *type,
       struct control_answer *answer, size_t total)
{
	return control_unpack(type, &answer->arena, client->in + CONTROL_FRAME_HEADER,
			      total - CONTROL_FRAME_HEADER);
}

/* --- connecting */

static enum control_client_result
connect_to(struct control_client *client, const char *path, uint64_t deadline_ms)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof address.sun_path)
		return failed(client, CONTROL_CLIENT_UNREACHABLE,
			      "%.60s...: a socket's path has 1 to %zu bytes", path,
			      sizeof address.sun_path - 1);
	memcpy(address.sun_path, path, len);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->fd < 0)
		return failed(client, CONTROL_CLIENT_UNREACHABLE, "socket: %s", strerror(errno));
	while (connect(client->fd, (const struct sockaddr *)&address, sizeof address) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return failed(client, CONTROL_CLIENT_UNREACHABLE, "%s: %s", path,
				      errno == ECONNREFUSED ? "no relayd listens there"
							    : strerror(errno));
		if (control_client_clock_ms() >= deadline_ms)
			return failed(client, CONTROL_CLIENT_TIMEOUT,
				      "%s: the daemon accepts no connections", path);
		if (client->stop && *client->stop)
			return failed(client, CONTROL_CLIENT_INTERRUPTED, "interrupted");
		poll(NULL, 0, RETRY_SLICE);
	}
	return CONTROL_CLIENT_OK;
}

static enum control_client_result
take_hello(struct control_client *client, struct control_answer *answer, size_t total)
{
	const Relay__Control__Hello *hello = (const Relay__Control__Hello *)unpack(
	    client, &relay__control__hello__descriptor, answer, total);
	const Relay__Control__Reply *reply;

	if (hello && hello->protocol != 0) {
		if (hello->protocol > CONTROL_PROTOCOL)
			return failed(client, CONTROL_CLIENT_PROTOCOL,
				      "the daemon speaks protocol %u, this program %u: it is too "
				      "old",
				      hello->protocol, CONTROL_PROTOCOL);
		snprintf(client->version, sizeof client->version, "%s", hello->version);
		snprintf(client->boot_id, sizeof client->boot_id, "%s", hello->boot_id);
		snprintf(client->role, sizeof client->role, "%s", hello->role);
		client->pid = hello->pid;
		return CONTROL_CLIENT_OK;
	}
	/* A daemon with too many connections says so instead. */
	answer_reset(answer);
	reply = (const Relay__Control__Reply *)unpack(client, &relay__control__reply__descriptor,
						      answer, total);
	if (reply && reply->code != RELAY__CONTROL__CODE__OK)
		return failed(client, CONTROL_CLIENT_UNREACHABLE, "%s", reply->error);
	return failed(client, CONTROL_CLIENT_PROTOCOL, "the daemon did not say Hello");
}

enum control_client_result
control_client_open(struct control_client *client, const char *path, uint64_t deadline_ms)
{
	struct control_answer answer;
	enum control_client_result result;
	size_t total = 0;

	client->fd = -1;
	result = connect_to(client, path, deadline_ms);
	if (result != CONTROL_CLIENT_OK)
		return result;
	if (!control_answer_init(&answer))
		return failed(client, CONTROL_CLIENT_UNREACHABLE, "out of memory");
	answer_reset(&answer);
	result = await_frame(client, &total, deadline_ms);
	if (result == CONTROL_CLIENT_OK) {
		result = take_hello(client, &answer, total);
		drop_frame(client, total);
	}
	control_answer_fini(&answer);
	return result;
}

void
control_client_close(struct control_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	free(client->in);
	client->in = NULL;
	client->in_len = client->in_size = 0;
}

/* --- requests */

enum control_client_result
control_client_send(struct control_client *client, Relay__Control__Request *request,
		    uint64_t deadline_ms)
{
	enum control_client_result result;
	size_t len;
	uint8_t *frame;

	request->id = ++client->last_id;
	len = relay__control__request__get_packed_size(request);
	if (len > CONTROL_FRAME_MAX)
		return failed(client, CONTROL_CLIENT_TOO_LARGE,
			      "a request of %zu bytes is too long, %u is the most", len,
			      CONTROL_FRAME_MAX);
	frame = malloc(len + CONTROL_FRAME_HEADER);
	if (!frame)
		return failed(client, CONTROL_CLIENT_TOO_LARGE, "out of memory");
	control_frame_put_length(frame, len);
	relay__control__request__pack(request, frame + CONTROL_FRAME_HEADER);
	result = write_all(client, frame, len + CONTROL_FRAME_HEADER, deadline_ms);
	free(frame);
	return result;
}

/* Replies to earlier requests, given up or streams, are passed over. */
static enum control_client_result
receive(struct control_client *client, struct control_answer *answer, Relay__Control__Reply **reply,
	uint64_t deadline_ms)
{
	for (;;) {
		size_t total = 0;
		enum control_client_result result = await_frame(client, &total, deadline_ms);

		if (result != CONTROL_CLIENT_OK)
			return result;
		*reply = (Relay__Control__Reply *)unpack(client, &relay__control__reply__descriptor,
							 answer, total);
		drop_frame(client, total);
		if (!*reply)
			return failed(client, CONTROL_CLIENT_PROTOCOL,
				      answer->arena.full ? "the answer is too large"
							 : "a reply of the daemon is malformed");
		if ((*reply)->id == client->last_id || (*reply)->id == 0)
			return CONTROL_CLIENT_OK;
		if ((*reply)->id > client->last_id)
			return failed(client, CONTROL_CLIENT_PROTOCOL,
				      "the daemon answered what was not asked");
	}
}

enum control_client_result
control_client_next(struct control_client *client, struct control_answer *answer,
		    uint64_t deadline_ms)
{
	Relay__Control__Reply *reply;
	enum control_client_result result;

	answer_reset(answer);
	result = receive(client, answer, &reply, deadline_ms);
	if (result == CONTROL_CLIENT_OK)
		answer->reply = reply;
	return result;
}

/* --- pages */

static ProtobufCMessage *
body_of(const Relay__Control__Reply *reply)
{
	/* The members of the oneof are all pointers to messages at one place. */
	return reply->body_case == RELAY__CONTROL__REPLY__BODY__NOT_SET
		   ? NULL
		   : (ProtobufCMessage *)(void *)reply->info;
}

static enum control_client_result
join(struct control_client *client, struct control_answer *answer, struct control_pages *pages,
     ProtobufCMessage *page)
{
	switch (control_pages_add(pages, &answer->arena, page)) {
	case CONTROL_PAGES_OK:
		return CONTROL_CLIENT_OK;
	case CONTROL_PAGES_STRANGE:
		return failed(client, CONTROL_CLIENT_PROTOCOL,
			      "the pages of the answer do not belong together");
	case CONTROL_PAGES_FULL:
		break;
	}
	return failed(client, CONTROL_CLIENT_PROTOCOL, "the answer is too large");
}

enum control_client_result
control_client_ask(struct control_client *client, Relay__Control__Request *request,
		   struct control_answer *answer, uint64_t deadline_ms)
{
	Relay__Control__Reply *first = NULL;
	char *cursor = request->cursor;
	enum control_client_result result;
	struct control_pages pages;

	answer_reset(answer);
	for (;;) {
		Relay__Control__Reply *reply;

		result = control_client_send(client, request, deadline_ms);
		if (result == CONTROL_CLIENT_OK)
			result = receive(client, answer, &reply, deadline_ms);
		if (result != CONTROL_CLIENT_OK)
			break;
		if (!first || reply->code != RELAY__CONTROL__CODE__OK) {
			first = reply;
			control_pages_begin(&pages, body_of(reply));
		} else {
			result = join(client, answer, &pages, body_of(reply));
		}
		request->cursor = reply->next_cursor;
		if (result != CONTROL_CLIENT_OK || reply->code != RELAY__CONTROL__CODE__OK ||
		    reply->next_cursor[0] == '\0')
			break;
	}
	request->cursor = cursor;
	if (result == CONTROL_CLIENT_OK)
		answer->reply = first;
	return result;
}
