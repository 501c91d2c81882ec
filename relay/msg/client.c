/*
 * client.c - librelay-msg: the session of session.h on a socket and a clock.
 *
 * Owns a connected UDP socket, a timer, and the epoll descriptor in which the caller polls both.
 * Never waits but in the functions that say so; never reads a name or a file.
 */
/* All else is hidden. */
#pragma GCC visibility push(default)
#include "relay/msg.h"
#pragma GCC visibility pop

#include "relay/msg/session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define ADDRESS_MAX 64
#define BATCH       64 /* datagrams between two looks at the clock */
#define BATCHES     16 /* in one call: who sends faster than they are read does not keep it */

struct relay_msg {
	pid_t owner; /* the process that opened it: its forks share socket and session */
	int epoll_fd, socket_fd, timer_fd;
	struct session *session;
	uint64_t armed_ms; /* SESSION_NEVER: the timer is not set */
	uint32_t size;
	uint8_t *receive; /* size bytes */
};

static uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What a fork did with them would be done to its parent's session. */
static bool
is_owner(const struct relay_msg *client)
{
	return client->owner == getpid();
}

/* --- what the session needs of the world */

/* A datagram that is not taken is one that is lost: it will be sent again. */
static void
world_send(void *context, const uint8_t *bytes, size_t len)
{
	const struct relay_msg *client = context;

	if (is_owner(client))
		(void)send(client->socket_fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
world_random(void *context, void *bytes, size_t len)
{
	uint8_t *at = bytes;

	(void)context;
	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);
		if (n < 0 && errno != EINTR)
			abort(); /* no nonce is better than a guessed one */
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
}

/* --- opening */

static bool
parse_port(const char *text, in_port_t *port)
{
	char *end;
	unsigned long number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || number == 0 || number > 65535)
		return false;
	*port = htons((uint16_t)number);
	return true;
}

/* `1.2.3.4:5` or `[::1]:5`. */
static bool
parse_address(const char *text, struct sockaddr_storage *address, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	char host[ADDRESS_MAX];
	const char *colon = strrchr(text, ':');
	size_t host_len = colon != NULL ? (size_t)(colon - text) : 0;
	bool has_brackets = host_len > 2 && text[0] == '[' && colon[-1] == ']';

	*address = (struct sockaddr_storage){ 0 };
	if (host_len == 0 || host_len >= sizeof host)
		return false;
	if (has_brackets) {
		memcpy(host, text + 1, host_len - 2);
		host[host_len - 2] = '\0';
		v6->sin6_family = AF_INET6;
		*len = sizeof *v6;
		return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 &&
		       parse_port(colon + 1, &v6->sin6_port);
	}
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	v4->sin_family = AF_INET;
	*len = sizeof *v4;
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1 && parse_port(colon + 1, &v4->sin_port);
}

static uint32_t
or_default(uint32_t value, uint32_t otherwise)
{
	return value != 0 ? value : otherwise;
}

static bool
settle(struct session_settings *settings, const struct relay_msg_options *options)
{
	*settings = (struct session_settings){
		.client = options->client,
		.key = options->key,
		.resend_first_ms = or_default(options->resend_first_ms, 1000),
		.resend_max_ms = or_default(options->resend_max_ms, 10000),
		.tries = or_default(options->tries, 5),
		.timeout_ms = or_default(options->timeout_ms, 330000),
		.size = or_default(options->size, DATAGRAM_SIZE_DEFAULT),
		.reply_max = or_default(options->reply_max, 1024 * 1024),
		.open_max = or_default(options->open_max, 256),
	};
	return options->address != NULL && settings->client != 0 &&
	       settings->size >= DATAGRAM_SIZE_MIN && settings->size <= DATAGRAM_SIZE_MAX &&
	       settings->reply_max <= DATAGRAM_JOINED_MAX && settings->tries <= 1000 &&
	       settings->open_max <= SESSION_OPEN_MAX;
}

static int
watch(const struct relay_msg *client, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(client->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int
open_descriptors(struct relay_msg *client, const struct sockaddr_storage *address, socklen_t len)
{
	int room = 1 << 20;

	client->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	client->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	client->socket_fd =
	    socket(address->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->epoll_fd < 0 || client->timer_fd < 0 || client->socket_fd < 0)
		return -errno;
	/* Parts of long replies come in bursts. */
	(void)setsockopt(client->socket_fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	if (connect(client->socket_fd, (const struct sockaddr *)address, len) != 0 ||
	    watch(client, client->socket_fd) != 0 || watch(client, client->timer_fd) != 0)
		return -errno;
	return 0;
}

static void
close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void
relay_msg_close(struct relay_msg *client)
{
	if (client == NULL)
		return;
	if (client->session != NULL)
		session_free(client->session);
	close_if_open(client->socket_fd);
	close_if_open(client->timer_fd);
	close_if_open(client->epoll_fd);
	free(client->receive);
	free(client);
}

/* Due at once, so that the descriptor asks for the first call. */
static int
arm(struct relay_msg *client, uint64_t due_ms)
{
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(due_ms / 1000),
						 .tv_nsec = (long)(due_ms % 1000) * 1000000 } };

	if (due_ms >= client->armed_ms)
		return 0;
	if (timerfd_settime(client->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
		return -errno;
	client->armed_ms = due_ms;
	return 0;
}

int
relay_msg_open(struct relay_msg **made, const struct relay_msg_options *options)
{
	struct session_settings settings;
	struct sockaddr_storage address;
	socklen_t len;
	int error;

	*made = NULL;
	if (!settle(&settings, options) || !parse_address(options->address, &address, &len))
		return -EINVAL;
	struct relay_msg *client = calloc(1, sizeof *client);
	if (client == NULL)
		return -ENOMEM;
	client->owner = getpid();
	client->size = settings.size;
	client->armed_ms = SESSION_NEVER;
	client->receive = malloc(settings.size);
	error = open_descriptors(client, &address, len);
	if (error == 0 && client->receive == NULL)
		error = -ENOMEM;
	if (error == 0) {
		struct session_world world = { client, world_send, world_random };
		client->session = session_new(&settings, &world, clock_ms());
		error = client->session != NULL ? arm(client, 1) : -ENOMEM;
	}
	if (error != 0) {
		relay_msg_close(client);
		return error;
	}
	*made = client;
	return 0;
}

/* --- working */

int
relay_msg_descriptor(const struct relay_msg *client)
{
	return client->epoll_fd;
}

/* Told of a datagram before, perhaps by anybody on its way: nobody is there, no way, too long for
 * the way.  It is sent again. */
static bool
is_of_network(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case ENONET:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
	case EMSGSIZE:
	case EACCES:
	case EPROTO:
		return true;
	default:
		return false;
	}
}

/* Up to BATCH datagrams.  True: there may be more. */
static int
receive(struct relay_msg *client, uint64_t now_ms, bool *more)
{
	*more = true;
	for (int i = 0; i < BATCH; i++) {
		/* With its whole length, so that one that is too long is known for it. */
		ssize_t n = recv(client->socket_fd, client->receive, client->size, MSG_TRUNC);
		if (n >= 0) {
			if ((size_t)n <= client->size)
				session_take(client->session, client->receive, (size_t)n, now_ms);
			continue;
		}
		if (errno == EINTR || is_of_network(errno))
			continue;
		*more = false;
		return errno == EAGAIN ? 0 : -errno;
	}
	return 0;
}

static void
take_alarm(struct relay_msg *client, uint64_t now_ms)
{
	uint64_t count;

	if (now_ms < client->armed_ms)
		return;
	if (read(client->timer_fd, &count, sizeof count) == (ssize_t)sizeof count)
		client->armed_ms = SESSION_NEVER;
}

static int
next(struct relay_msg *client, uint64_t only_id, struct relay_msg_event *event)
{
	bool more = true;

	if (!is_owner(client))
		return -EPERM;
	for (int batches = 0;; batches++) {
		uint64_t now_ms = clock_ms();
		if (session_next(client->session, only_id, event, now_ms))
			return 1;
		if (!more || batches == BATCHES)
			break;
		int error = receive(client, now_ms, &more);
		if (error != 0)
			return error;
		take_alarm(client, now_ms);
		session_tick(client->session, now_ms);
	}
	return arm(client, session_due_ms(client->session));
}

int
relay_msg_next(struct relay_msg *client, struct relay_msg_event *event)
{
	return next(client, 0, event);
}

static int
wait_for(struct relay_msg *client, uint64_t only_id, struct relay_msg_event *event, int timeout_ms)
{
	uint64_t end_ms = timeout_ms < 0 ? SESSION_NEVER : clock_ms() + (uint64_t)timeout_ms;

	for (;;) {
		struct pollfd poll_fd = { .fd = client->epoll_fd, .events = POLLIN };
		int got = next(client, only_id, event), left = -1;
		if (got != 0)
			return got;
		if (timeout_ms >= 0) {
			uint64_t now_ms = clock_ms();
			if (now_ms >= end_ms)
				return 0;
			left = (int)(end_ms - now_ms);
		}
		if (poll(&poll_fd, 1, left) < 0 && errno != EINTR)
			return -errno;
	}
}

int
relay_msg_wait(struct relay_msg *client, struct relay_msg_event *event, int timeout_ms)
{
	return wait_for(client, 0, event, timeout_ms);
}

int
relay_msg_wait_for(struct relay_msg *client, uint64_t id, struct relay_msg_event *event,
		   int timeout_ms)
{
	return id == 0 ? -EINVAL : wait_for(client, id, event, timeout_ms);
}

/* --- asking */

int
relay_msg_request(struct relay_msg *client, const char *host, const void *line, size_t length,
		  unsigned flags, uint64_t *id)
{
	uint64_t now_ms = clock_ms();
	int error;

	if (!is_owner(client))
		return -EPERM;
	if ((flags & ~RELAY_MSG_DURABLE) != 0)
		return -EINVAL;
	error = session_request(client->session, wire_span_str(host), wire_span(line, length),
				(flags & RELAY_MSG_DURABLE) != 0, now_ms, id);
	if (error != 0)
		return error;
	session_tick(client->session, now_ms);
	/* It is under way; a timer that cannot be set is told by the next call. */
	(void)arm(client, session_due_ms(client->session));
	return 0;
}

int
relay_msg_ask(struct relay_msg *client, const char *host, const void *line, size_t length,
	      struct relay_msg_event *event, uint64_t *id, int timeout_ms)
{
	int error = relay_msg_request(client, host, line, length, 0, id);

	return error != 0 ? error : wait_for(client, *id, event, timeout_ms);
}

int
relay_msg_send(struct relay_msg *client, uint64_t to, const void *text, size_t length,
	       const uint8_t notice[RELAY_MSG_ID_SIZE], uint64_t *id)
{
	uint64_t now_ms = clock_ms();
	int error;

	if (!is_owner(client))
		return -EPERM;
	error = session_notice(client->session, to, wire_span(text, length), notice, now_ms, id);
	if (error != 0)
		return error;
	session_tick(client->session, now_ms);
	(void)arm(client, session_due_ms(client->session));
	return 0;
}

size_t
relay_msg_unconfirmed(const struct relay_msg *client)
{
	return session_unconfirmed(client->session);
}

const char *
relay_msg_outcome_name(enum relay_msg_outcome outcome)
{
	switch (outcome) {
#define X(name, text) \
	case name:    \
		return text;
		RELAY_MSG_OUTCOMES(X)
#undef X
	}
	return "unknown";
}
