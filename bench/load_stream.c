/*
 * load_stream.c - stream sockets on the ring: a receive that stays armed, and one send per client
 * and turn, all of which enter the kernel together with the wait for what comes back.
 *
 *     replies of a turn -> client_on_bytes -> out, `sending` -> streams_flush -> uring_turn
 *
 * Owns sockets and streams.  Never looks into the bytes.
 */
#include "bench/load_stream.h"

#include "uring/explain.h"

#include <assert.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define KEEP_BYTES   ((size_t)64 << 10)
#define ENTRIES_MIN  256u
#define ENTRIES_MAX  4096u
#define BUFFERS_MIN  64u
#define BUFFERS_MAX  16384u
#define BUFFER_MAX   ((size_t)64 << 10)
#define MEMORY_MAX   ((size_t)8 << 20)
#define LINE_FRAMING 128u /* at most, around a short reply */

/* --- the ring --------------------------------------------------------------------------------- */

/* The first power of two from `min` on that is not below `least`; `max` if there is none. */
static unsigned
power_of_two(size_t least, unsigned min, size_t max)
{
	unsigned n = min;

	while (n < least && 2 * (size_t)n <= max)
		n *= 2;
	return n;
}

/* A buffer holds all replies that a client may get at once, if they are short. */
static size_t
buffer_size(const struct load_options *o)
{
	if (o->reply_bytes >= BUFFER_MAX || o->depth >= BUFFER_MAX)
		return BUFFER_MAX;
	size_t size = o->depth * (2 * o->reply_bytes + LINE_FRAMING);
	/* An odd number of cache lines, lest all buffers begin in the same few sets of the cache.
	 */
	return size >= BUFFER_MAX ? BUFFER_MAX : (size & ~(size_t)63) | 64;
}

/* The kernel goes round in this memory: the less there is, the more of it stays in the cache. */
static struct uring_options
ring_options(const struct load_options *o)
{
	size_t size = buffer_size(o);

	return (struct uring_options){
		.entries = power_of_two(o->clients, ENTRIES_MIN, ENTRIES_MAX),
		.buffers =
		    power_of_two(o->clients, BUFFERS_MIN,
				 MEMORY_MAX / size < BUFFERS_MAX ? MEMORY_MAX / size : BUFFERS_MAX),
		.buffer_size = (unsigned)size,
	};
}

void
streams_init(struct load *load)
{
	const struct uring_options options = ring_options(load->options);
	char why[1024];
	int error = uring_new(&load->ring, &options);

	if (error != 0) {
		uring_explain(error, why, sizeof why);
		errx(1, "%s", why);
	}
	SLIST_INIT(&load->spare_streams);
	SLIST_INIT(&load->streams);
	load->sending = calloc(load->client_count, sizeof *load->sending);
	if (load->sending == NULL)
		err(1, "no memory for %zu clients", load->client_count);
}

void
streams_fini(struct load *load)
{
	struct stream *s;

	uring_free(load->ring);
	while ((s = SLIST_FIRST(&load->streams)) != NULL) {
		SLIST_REMOVE_HEAD(&load->streams, every);
		free(s);
	}
	free(load->sending);
}

/* --- life ------------------------------------------------------------------------------------- */

/* A stream that nobody wants is used anew when the ring has let go of it. */
static void
bury(struct stream *s)
{
	if (s->receive.in_flight || s->wait.in_flight || s->send.op.in_flight)
		return;
	uring_close(s->load->ring, s->fd);
	SLIST_INSERT_HEAD(&s->load->spare_streams, s, spare);
}

static void
on_received(struct uring_op *op, int res, const uint8_t *data)
{
	struct stream *s = uring_container_of(op, struct stream, receive);
	struct client *c = s->client;

	if (c == NULL) {
		bury(s);
		return;
	}
	s->load->now_ns = uring_now(s->load->ring);
	if (res > 0)
		client_on_bytes(c, data, (size_t)res);
	else
		client_on_end(c);
}

static void
on_sent(struct uring_op *op, int res, const uint8_t *data)
{
	struct stream *s = uring_container_of(op, struct stream, send.op);
	struct client *c = s->client;

	(void)data;
	assert(c != NULL); /* nothing is dropped between flush and turn */
	s->load->now_ns = uring_now(s->load->ring);
	if (res < 0 && res != -EAGAIN && res != -EINTR) {
		client_on_end(c);
		return;
	}
	if (res > 0)
		bytes_drop(&c->out, (size_t)res);
	if (bytes_used(&c->out) > 0)
		uring_poll(s->load->ring, &s->wait, s->fd, POLLOUT);
	else
		bytes_clear(&c->out, KEEP_BYTES);
}

/* The ring waits for what comes only on a socket that blocks. */
static int
watch(struct stream *s)
{
	int off = 0;

	if (ioctl(s->fd, FIONBIO, &off) != 0)
		return -errno;
	uring_recv(s->load->ring, &s->receive, s->fd);
	return 0;
}

static int
outcome(struct stream *s)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	return error != 0 ? -error : watch(s);
}

static void
on_waited(struct uring_op *op, int res, const uint8_t *data)
{
	struct stream *s = uring_container_of(op, struct stream, wait);
	struct client *c = s->client;

	(void)res;
	(void)data;
	if (c == NULL) {
		bury(s);
		return;
	}
	s->load->now_ns = uring_now(s->load->ring);
	if (c->state == CLIENT_CONNECTING)
		client_on_connected(c, outcome(s));
	else
		stream_send_soon(c);
}

static struct stream *
take_spare(struct load *load)
{
	struct stream *s = SLIST_FIRST(&load->spare_streams);

	if (s != NULL) {
		SLIST_REMOVE_HEAD(&load->spare_streams, spare);
		return s;
	}
	s = calloc(1, sizeof *s);
	if (s == NULL)
		err(1, "no memory for a connection");
	s->load = load;
	s->receive.done = on_received;
	s->send.op.done = on_sent;
	s->wait.done = on_waited;
	SLIST_INSERT_HEAD(&load->streams, s, every);
	return s;
}

int
stream_open(struct client *c)
{
	const struct load_target *target = c->target;
	struct stream *s = take_spare(c->load);
	int on = 1;

	s->client = c;
	c->stream = s;
	s->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		err(1, "socket");
	if (c->load->options->tcp)
		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(s->fd, (const struct sockaddr *)&target->address, target->address_len) == 0)
		return watch(s);
	int error = errno;
	if (error == EINPROGRESS)
		uring_poll(c->load->ring, &s->wait, s->fd, POLLOUT);
	return -error;
}

void
stream_drop(struct client *c)
{
	struct stream *s = c->stream;

	if (s == NULL)
		return;
	c->stream = NULL;
	s->client = NULL;
	if (s->receive.in_flight)
		uring_cancel(c->load->ring, &s->receive);
	if (s->wait.in_flight)
		uring_cancel(c->load->ring, &s->wait);
	bury(s);
}

/* --- sending ---------------------------------------------------------------------------------- */

void
stream_send_soon(struct client *c)
{
	struct load *load = c->load;

	if (c->sending)
		return;
	c->sending = true;
	load->sending[load->sending_count++] = c;
}

void
streams_flush(struct load *load)
{
	for (size_t i = 0; i < load->sending_count; i++) {
		struct client *c = load->sending[i];
		struct stream *s = c->stream;
		struct wire_span out = bytes_span(&c->out);
		c->sending = false;
		/* One that waits for room goes on by itself. */
		if (s == NULL || out.len == 0 || s->wait.in_flight)
			continue;
		uring_send(load->ring, &s->send, s->fd, out.data,
			   out.len < INT32_MAX ? out.len : INT32_MAX);
	}
	load->sending_count = 0;
}
