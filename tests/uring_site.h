/*
 * uring_site.h - a ring, probes that remember what came, and sockets, for the tests of the engine.
 * Each test has a ring of its own.  None looks at a clock to decide that something takes too long:
 * they turn the ring until what must come has come.
 */
#ifndef TESTS_URING_SITE_H
#define TESTS_URING_SITE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/open_fds.h"
#include "uring/uring.h"

enum {
	MS = 1000000,
	MANY = 1000
};

static struct uring *ring;
static char journal[64]; /* one letter for each callback that was asked to leave one */

/* An operation that only remembers what came. */
struct probe {
	struct uring_op op;
	char letter;
	int calls;
	int res;
};

struct send_probe {
	struct uring_send send;
	char letter;
	int calls;
	int res;
};

/* A receive that keeps everything. */
struct sink {
	struct uring_op op;
	uint8_t *bytes;
	size_t len;
	size_t cap;
	int largest;
	int ends;
	int end;
	bool cancel_at_data;
	struct uring_op *cancel_too;
};

/* Memory that lives until the end of the test. */
struct kept {
	struct kept *next;
	uint8_t bytes[];
};

static struct kept *all_kept;

static inline uint8_t *
kept(size_t size)
{
	struct kept *one = malloc(sizeof *one + size);

	cr_assert_not_null(one);
	one->next = all_kept;
	all_kept = one;
	return one->bytes;
}

static inline void
leave(char letter)
{
	size_t len = strlen(journal);

	if (letter != '\0' && len + 1 < sizeof journal) {
		journal[len] = letter;
		journal[len + 1] = '\0';
	}
}

static inline void
on_probe(struct uring_op *op, int res, const uint8_t *data)
{
	struct probe *probe = uring_container_of(op, struct probe, op);

	cr_assert_not(op->in_flight);
	cr_assert_null(data);
	probe->calls++;
	probe->res = res;
	leave(probe->letter);
}

static inline void
on_sent(struct uring_op *op, int res, const uint8_t *data)
{
	struct send_probe *probe = uring_container_of(op, struct send_probe, send.op);

	cr_assert_not(op->in_flight);
	cr_assert_null(data);
	probe->calls++;
	probe->res = res;
	leave(probe->letter);
}

static inline void
on_sink(struct uring_op *op, int res, const uint8_t *data)
{
	struct sink *sink = uring_container_of(op, struct sink, op);

	if (res <= 0) {
		cr_assert_not(op->in_flight);
		sink->ends++;
		sink->end = res;
		return;
	}
	cr_assert(op->in_flight);
	cr_assert_eq(sink->ends, 0);
	if (sink->len + (size_t)res > sink->cap) {
		sink->cap = 2 * (sink->len + (size_t)res);
		uint8_t *bytes = kept(sink->cap);
		if (sink->len > 0)
			memcpy(bytes, sink->bytes, sink->len);
		sink->bytes = bytes;
	}
	memcpy(sink->bytes + sink->len, data, (size_t)res);
	sink->len += (size_t)res;
	sink->largest = res > sink->largest ? res : sink->largest;
	leave('r');
	if (sink->cancel_at_data)
		uring_cancel(ring, op);
	if (sink->cancel_too != NULL && sink->cancel_too->in_flight)
		uring_cancel(ring, sink->cancel_too);
}

/* --- the ring and its turns --- */

static inline void
make(unsigned entries, unsigned buffers, unsigned buffer_size)
{
	struct uring_options options = { .entries = entries,
					 .buffers = buffers,
					 .buffer_size = buffer_size };

	uring_free(ring);
	cr_assert_eq(uring_new(&ring, &options), 0);
}

static inline void
set_up(void)
{
	struct uring_options options = URING_DEFAULTS;

	make(options.entries, options.buffers, options.buffer_size);
}

static inline void
tear_down(void)
{
	uring_free(ring);
	while (all_kept != NULL) {
		struct kept *one = all_kept;
		all_kept = one->next;
		free(one);
	}
}

static inline void
on_tick(struct uring_timer *timer)
{
	(void)timer;
}

/* A turn that ends also when nothing happens. */
static inline void
turn(uint64_t at_most)
{
	struct uring_timer tick = { .due = on_tick };

	uring_timer_set(ring, &tick, uring_now(ring) + at_most);
	cr_assert_eq(uring_turn(ring), 0);
	uring_timer_clear(ring, &tick);
}

#define TURN_UNTIL(condition)        \
	do {                         \
		while (!(condition)) \
			turn(MS);    \
	} while (0)

/* A turn for whatever must not come. */
static inline void
turn_for_nothing(void)
{
	turn(0);
	turn(MS);
}

/* --- sockets --- */

struct pair {
	int here;
	int there; /* non-blocking: the test itself never waits */
};

static inline struct pair
unix_pair(void)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	return (struct pair){ fds[0], fds[1] };
}

static inline socklen_t
address_of(int fd, struct sockaddr_storage *address)
{
	socklen_t len = sizeof *address;

	cr_assert_eq(getsockname(fd, (struct sockaddr *)address, &len), 0);
	return len;
}

/* Bound to a name that the kernel chose: a port of 127.0.0.1, or an abstract one. */
static inline int
bound(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr un = { .sa_family = AF_UNIX };

	cr_assert_geq(fd, 0);
	if (family == AF_INET)
		cr_assert_eq(bind(fd, (const struct sockaddr *)&in, sizeof in), 0);
	else
		cr_assert_eq(bind(fd, &un, sizeof un.sa_family), 0);
	return fd;
}

static inline int
listening(int family)
{
	int fd = bound(family);

	cr_assert_eq(listen(fd, 128), 0);
	return fd;
}

/* A client of the listener, connected by plain system calls. */
static inline int
client_of(int listener)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(listener, &address);
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(connect(fd, (const struct sockaddr *)&address, len), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static inline struct pair
tcp_pair(void)
{
	int listener = listening(AF_INET);
	struct pair pair = { .there = client_of(listener) };

	pair.here = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(pair.here, 0);
	close(listener);
	return pair;
}

static inline void
small_buffers(struct pair pair)
{
	setsockopt(pair.here, SOL_SOCKET, SO_SNDBUF, &(int){ 4096 }, sizeof(int));
	setsockopt(pair.there, SOL_SOCKET, SO_RCVBUF, &(int){ 65536 }, sizeof(int));
}

/* Closes a TCP socket so that the other side gets a reset. */
static inline void
reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
	close(fd);
}

static inline uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16));
}

static inline uint8_t *
patterned(size_t len)
{
	uint8_t *bytes = kept(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = pattern(i);
	return bytes;
}

static inline void
same_as_pattern(const uint8_t *bytes, size_t len, size_t from)
{
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(bytes[i], pattern(from + i), "byte %zu", from + i);
}

static inline void
put(int fd, const void *bytes, size_t len)
{
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
}

/* Waits for exactly these bytes, which must be all that is there. */
static inline void
expect(int fd, const char *bytes)
{
	char got[64];
	size_t len = 0, want = strlen(bytes);

	while (len < want) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		cr_assert_eq(poll(&poll_fd, 1, -1), 1);
		ssize_t n = read(fd, got + len, sizeof got - len);
		cr_assert_gt(n, 0);
		len += (size_t)n;
	}
	cr_assert_eq(len, want);
	cr_assert_arr_eq(got, bytes, want);
}

/* Takes what is there; `len` grows by it.  False at the end of the stream. */
static inline bool
read_patterned(int fd, size_t *len)
{
	uint8_t bytes[16384];
	ssize_t got;

	while ((got = read(fd, bytes, sizeof bytes)) > 0) {
		same_as_pattern(bytes, (size_t)got, *len);
		*len += (size_t)got;
	}
	cr_assert(got == 0 || errno == EAGAIN, "%s", strerror(errno));
	return got < 0;
}

static inline void
start_recv(struct sink *sink, int fd)
{
	sink->op.done = on_sink;
	uring_recv(ring, &sink->op, fd);
}

static inline void
start_send(struct send_probe *probe, int fd, const void *bytes, size_t len)
{
	probe->send.op.done = on_sent;
	uring_send(ring, &probe->send, fd, bytes, len);
}

static inline void
start_poll(struct probe *probe, int fd, unsigned events)
{
	probe->op.done = on_probe;
	uring_poll(ring, &probe->op, fd, events);
}

static inline void
start_accept(struct probe *probe, int fd)
{
	probe->op.done = on_probe;
	uring_accept(ring, &probe->op, fd);
}

static inline void
start_connect(struct probe *probe, int fd, const struct sockaddr_storage *address, socklen_t len)
{
	probe->op.done = on_probe;
	uring_connect(ring, &probe->op, fd, (const struct sockaddr *)address, len);
}

static inline bool
close_on_exec(int fd)
{
	return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

#endif
