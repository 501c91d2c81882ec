/*
 * prefork_client_call.c - the client's side of a call, as one loop over two descriptors.
 *
 * Never gives a byte before the greeting came, never says anything twice: a call is repeated only
 * if it ended before its greeting, when nobody had taken it.  Owns the connection and the request's
 * bytes while it runs.
 */
#include "relay/prefork_client_call.h"

#include <errno.h>
#include <poll.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire/pfi_client.h"
#include "wire/pfi_signal.h"

/* How long to wait for room in a full listen queue: the kernel tells nobody when there is some. */
#define ROOM_MS 20
/* A worker that died took its accepted clients along; the next has the same socket. */
#define ATTEMPTS 3
/* How much later a signal is another one, and how much later it is no longer impatience. */
#define AGAIN_MIN_MS 100
#define AGAIN_MAX_MS 2000
#define SIGNALS      7

enum phase {
	CONNECTING,
	GREETING,
	SENDING,
	WAITING,
	ENDED,
};

struct call {
	enum phase phase;
	int fd;
	const char *path;
	struct pfi_client reader;
	struct prefork_signals *signals;
	struct prefork_end *end;

	const uint8_t *message; /* with its length before it */
	size_t message_len;
	size_t message_sent;
	int said;  /* bytes before the message: one, and one for each descriptor */
	bool deaf; /* the other side reads no more */

	uint8_t pending[SIGNALS]; /* to be forwarded, each at most once */
	size_t pending_len;
	bool half_closed;
	int final_last; /* the last signal that should have ended it, and when it came */
	int64_t final_ms;
};

static int64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

__attribute__((format(printf, 2, 3))) static void
fail(struct call *call, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(call->end->text, sizeof call->end->text, format, list);
	va_end(list);
	call->end->kind = PREFORK_END_FAULT;
	call->phase = ENDED;
}

/* --- signals */

static void
end_by_signal(struct call *call, int number)
{
	call->end->kind = PREFORK_END_SIGNAL;
	call->end->signal = number;
	call->phase = ENDED;
}

static void
forget(struct call *call, uint8_t code)
{
	const uint8_t *found = memchr(call->pending, code, call->pending_len);
	size_t at;

	if (!found)
		return;
	at = (size_t)(found - call->pending);
	call->pending_len--;
	memmove(call->pending + at, found + 1, call->pending_len - at);
}

/* As the kernel keeps them: each at most once, and stopping and going on cancel each other. */
static void
forward(struct call *call, uint8_t code)
{
	if (!call->reader.extended || call->deaf)
		return;
	if (code == PFI_SIGNAL_TSTP)
		forget(call, PFI_SIGNAL_CONT);
	if (code == PFI_SIGNAL_CONT)
		forget(call, PFI_SIGNAL_TSTP);
	forget(call, code);
	call->pending[call->pending_len++] = code;
}

/* A send failed.  If nobody reads any more, there may still be a status to be read. */
static void
on_send_error(struct call *call)
{
	if (errno == EAGAIN || errno == EINTR)
		return;
	if (errno != EPIPE && errno != ECONNRESET) {
		fail(call, "%s: %s", call->path, strerror(errno));
		return;
	}
	call->deaf = true;
	call->pending_len = 0;
	call->phase = WAITING;
}

static void
send_signals(struct call *call)
{
	ssize_t n;

	if (call->phase != WAITING || call->pending_len == 0)
		return;
	n = send(call->fd, call->pending, call->pending_len, MSG_NOSIGNAL);
	if (n < 0) {
		on_send_error(call);
		return;
	}
	call->pending_len -= (size_t)n;
	memmove(call->pending, call->pending + n, call->pending_len);
}

static void
on_final(struct call *call, int number)
{
	int64_t now_ms = clock_ms();
	int64_t since_ms = now_ms - call->final_ms;
	bool same = number == call->final_last;

	if (same && since_ms < AGAIN_MIN_MS)
		return;
	/* Also if there is no way left to tell of it. */
	if (call->phase != WAITING || call->half_closed || call->deaf ||
	    (same && since_ms <= AGAIN_MAX_MS)) {
		end_by_signal(call, number);
		return;
	}
	call->final_last = number;
	call->final_ms = now_ms;
	if (call->reader.extended) {
		forward(call, pfi_signal_code(number));
	} else {
		call->half_closed = true;
		shutdown(call->fd, SHUT_WR);
	}
}

static void
on_signal(struct call *call, int number)
{
	uint8_t code = pfi_signal_code(number);

	if (pfi_signal_is_final(code)) {
		on_final(call, number);
	} else if (code == PFI_SIGNAL_TSTP) {
		if (call->phase == WAITING)
			forward(call, PFI_SIGNAL_TSTP);
		send_signals(call);
		prefork_signals_stop();
		if (call->phase == WAITING)
			forward(call, PFI_SIGNAL_CONT);
	} else if (call->phase == WAITING) {
		forward(call, code);
	}
	send_signals(call);
}

static void
take_signals(struct call *call)
{
	int number;

	while (call->phase != ENDED && (number = prefork_signals_next(call->signals)) != 0)
		on_signal(call, number);
}

/* --- the request */

/* The byte of PFI that goes before the descriptors, or one that carries descriptor `fd`. */
static ssize_t
send_byte(int socket, int fd)
{
	alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fd)] = { 0 };
	uint8_t byte = PFI_BYTE;
	struct iovec bytes = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (fd >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof control;
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(header), &fd, sizeof fd);
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL);
}

static void
send_request(struct call *call)
{
	while (call->said <= PFI_FDS) {
		/* The first byte is alone, then come descriptors 0 to 2. */
		if (send_byte(call->fd, call->said - 1) < 0) {
			on_send_error(call);
			return;
		}
		call->said++;
	}
	while (call->message_sent < call->message_len) {
		ssize_t n = send(call->fd, call->message + call->message_sent,
				 call->message_len - call->message_sent, MSG_NOSIGNAL);

		if (n < 0) {
			on_send_error(call);
			return;
		}
		call->message_sent += (size_t)n;
	}
	call->phase = WAITING;
}

/* --- the answer */

static void
on_end(struct call *call)
{
	enum pfi_fault fault = pfi_client_end(&call->reader);

	if (fault == PFI_NO_GREETING) {
		/* Not a fault yet: the caller may try again. */
		close(call->fd);
		call->fd = -1;
		call->phase = CONNECTING;
		return;
	}
	fail(call, "%s: %s", call->path, pfi_fault_text(fault));
}

static void
on_bytes(struct call *call, struct wire_span bytes)
{
	for (;;) {
		switch (pfi_client_next(&call->reader, &bytes)) {
		case PFI_ANSWER_MORE:
			return;
		case PFI_ANSWER_GREETED:
			call->phase = SENDING;
			break;
		case PFI_ANSWER_STATUS:
			/* Nothing that is said behind it matters. */
			call->end->kind = PREFORK_END_STATUS;
			call->end->status = call->reader.status;
			call->phase = ENDED;
			return;
		case PFI_ANSWER_BAD:
			fail(call, "%s: %s", call->path, pfi_fault_text(call->reader.fault));
			return;
		}
	}
}

static void
receive(struct call *call)
{
	uint8_t bytes[64];
	ssize_t n = recv(call->fd, bytes, sizeof bytes, 0);

	if (n > 0)
		on_bytes(call, wire_span(bytes, (size_t)n));
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		on_end(call);
}

/* --- the loop */

/* One turn: waits for the connection or a signal, at most so long. */
static void
turn(struct call *call, int timeout_ms)
{
	bool writes = call->phase == SENDING || call->pending_len > 0;
	struct pollfd polled[] = {
		{ .fd = call->signals->fd, .events = POLLIN },
		{ .fd = call->fd, .events = (short)(POLLIN | (writes ? POLLOUT : 0)) },
	};

	if (poll(polled, 2, timeout_ms) < 0) {
		if (errno != EINTR)
			fail(call, "poll: %s", strerror(errno));
		return;
	}
	if (polled[0].revents != 0)
		take_signals(call);
	if (call->phase != ENDED && (polled[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
		receive(call);
	if (call->phase == SENDING)
		send_request(call);
	send_signals(call);
}

/* What means that nobody is there; everything else is a fault of its own. */
static bool
is_nobody(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED || error == -ENOTDIR;
}

/* Until there is room, or a signal. */
static int
connect_to(struct call *call, const char *path)
{
	int fd;

	call->path = path;
	while ((fd = prefork_place_connect(path)) == -EAGAIN && call->phase != ENDED)
		turn(call, ROOM_MS);
	return fd;
}

static void
connect_somewhere(struct call *call, const struct prefork_place *place)
{
	int fd = connect_to(call, place->extended);
	bool extended = fd >= 0;

	if (is_nobody(fd) && place->socket[0] != '\0')
		fd = connect_to(call, place->socket);
	if (call->phase == ENDED) {
		if (fd >= 0)
			close(fd);
	} else if (is_nobody(fd)) {
		call->end->kind = PREFORK_END_NOBODY;
		call->phase = ENDED;
	} else if (fd < 0) {
		fail(call, "%s: %s", call->path, strerror(-fd));
	} else {
		call->fd = fd;
		call->phase = GREETING;
		pfi_client_init(&call->reader);
		/* Where other clients come, too, nothing but version 1 is spoken. */
		if (extended)
			pfi_client_allow_extended(&call->reader);
	}
}

static void
run(struct call *call, const struct prefork_place *place)
{
	for (int attempt = 0; attempt < ATTEMPTS && call->phase == CONNECTING; attempt++) {
		connect_somewhere(call, place);
		while (call->phase != ENDED && call->phase != CONNECTING)
			turn(call, -1);
	}
	if (call->phase == CONNECTING)
		fail(call, "%s: %s", call->path, pfi_fault_text(PFI_NO_GREETING));
	if (call->fd >= 0)
		close(call->fd);
}

struct prefork_end
prefork_call(const struct prefork_place *place, struct prefork_signals *signals,
	     char *const *environment, char *const *arguments)
{
	size_t size = PFI_LENGTH_SIZE + pfi_message_size(environment, arguments);
	struct prefork_end end = { .kind = PREFORK_END_FAULT };
	struct call call = { .phase = CONNECTING, .fd = -1, .signals = signals, .end = &end };
	uint8_t *message = size <= PFI_LENGTH_SIZE + PFI_MESSAGE_MAX ? malloc(size) : NULL;
	struct wire_out out = wire_out(message, size);

	if (!message) {
		fail(&call, "environment and arguments: %zu bytes are %s", size,
		     size > PFI_MESSAGE_MAX ? "too many" : "not to be had");
		return end;
	}
	if (pfi_put_message(&out, environment, arguments, PFI_MESSAGE_MAX) != PFI_FINE) {
		fail(&call, "environment and arguments: %s", pfi_fault_text(PFI_TOO_LONG));
	} else {
		call.message = message;
		call.message_len = out.len;
		run(&call, place);
	}
	free(message);
	return end;
}
