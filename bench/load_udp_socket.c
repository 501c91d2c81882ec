/*
 * load_udp_socket.c - the sockets of UDP clients: keys, sealing, and datagrams sent and received
 * many at a time, so that the load is cheaper than what it measures.
 *
 * Never believes a datagram that is not well-formed, or not sealed as it should be: such ones are
 * counted as wrong.  Owns sockets and buffers.
 */
#include "bench/load_udp.h"

#include "bench/clock.h"
#include "uring/uring.h"
#include "wire/datagram_keys.h"

#include <assert.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH         64u
#define KEYS_MAX      100000u
#define KEYS_TEXT_MAX ((size_t)KEYS_MAX * 128)
#define SOCKET_BYTES  (4 << 20)
#define RANDOM_BYTES  4096u
#define ROUNDS_MAX    16u

/* A socket and the clients that share it. */
struct udp_socket {
	struct uring_op readable;
	int fd;
	struct client *likely; /* one of them */
};

struct udp {
	struct udp_client *clients; /* by their ids, ascending */
	struct udp_ask *asks;
	size_t count;
	size_t size; /* of the longest datagram */
	bool sealed;
	struct udp_socket *sockets;
	size_t sockets_count;
	uint8_t *out, *in; /* BATCH datagrams each */
	size_t out_len[BATCH];
	int out_fd[BATCH];
	struct mmsghdr in_messages[BATCH];
	struct iovec in_parts[BATCH];
	size_t out_count;
	uint8_t random[RANDOM_BYTES];
	size_t random_left;
	struct bytes turn; /* clients that got something: their indices */
};

/* --- keys ------------------------------------------------------------------------------------- */

static size_t
read_keys_text(const char *path, uint8_t *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat about;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &about) != 0)
		err(2, "%s", path);
	if ((about.st_mode & S_IRWXO) != 0)
		errx(2, "%s: others may read it", path);
	while ((n = read(fd, text + len, KEYS_TEXT_MAX - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		err(2, "%s", path);
	close(fd);
	if (len == KEYS_TEXT_MAX)
		errx(2, "%s: too long", path);
	return len;
}

static void
take_keys(struct load *load, const char *path)
{
	struct udp *udp = load->udp;
	struct datagram_key *keys = calloc(KEYS_MAX, sizeof *keys);
	uint8_t *text = malloc(KEYS_TEXT_MAX);
	enum datagram_keys_fault fault;
	size_t count;
	uint32_t line;

	if (keys == NULL || text == NULL)
		err(1, "keys");
	size_t len = read_keys_text(path, text);
	fault = datagram_keys_parse(keys, KEYS_MAX, &count, wire_span(text, len), &line);
	if (fault != DATAGRAM_KEYS_FINE)
		errx(2, "%s:%u: %s", path, line, datagram_keys_fault_text(fault));
	if (count < udp->count)
		errx(2, "%s: %zu keys for %zu clients", path, count, udp->count);
	for (size_t i = 0; i < udp->count; i++) {
		udp->clients[i].id = keys[i].client;
		datagram_cipher_init(&udp->clients[i].cipher, keys[i].client, keys[i].secret);
	}
	datagram_wipe(keys, KEYS_MAX * sizeof *keys);
	datagram_wipe(text, len);
	free(keys);
	free(text);
}

/* --- life ------------------------------------------------------------------------------------- */

static int
open_socket(const struct load_options *o)
{
	int bytes = SOCKET_BYTES;
	int fd = socket(o->udp_address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(1, "socket");
	/* As much as is allowed: what does not fit is sent again, and counted. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
	if (connect(fd, (const struct sockaddr *)&o->udp_address, o->udp_address_len) != 0)
		err(1, "--udp");
	return fd;
}

static void on_readable(struct uring_op *op, int res, const uint8_t *data);

static void
open_sockets(struct load *load)
{
	struct udp *udp = load->udp;

	for (size_t i = 0; i < udp->sockets_count; i++) {
		struct udp_socket *s = &udp->sockets[i];
		s->fd = open_socket(load->options);
		s->likely = &load->clients[i];
		s->readable.done = on_readable;
		uring_poll(load->ring, &s->readable, s->fd, POLLIN);
	}
}

void
udp_init(struct load *load)
{
	const struct load_options *o = load->options;
	struct udp *udp = calloc(1, sizeof *udp);

	if (udp == NULL)
		err(1, "UDP clients");
	load->udp = udp;
	udp->count = load->client_count;
	udp->size = o->datagram_bytes;
	udp->sealed = o->keys != NULL;
	udp->sockets_count = o->sockets != 0 && o->sockets < udp->count ? o->sockets : udp->count;
	udp->clients = calloc(udp->count, sizeof *udp->clients);
	udp->asks = calloc(o->clients * o->depth, sizeof *udp->asks);
	udp->sockets = calloc(udp->sockets_count, sizeof *udp->sockets);
	udp->out = calloc(BATCH, udp->size);
	udp->in = calloc(BATCH, udp->size);
	if (udp->clients == NULL || udp->asks == NULL || udp->sockets == NULL || udp->out == NULL ||
	    udp->in == NULL)
		err(1, "UDP clients");
	for (size_t i = 0; i < BATCH; i++) {
		udp->in_parts[i] = (struct iovec){ udp->in + i * udp->size, udp->size };
		udp->in_messages[i].msg_hdr.msg_iov = &udp->in_parts[i];
		udp->in_messages[i].msg_hdr.msg_iovlen = 1;
	}
	open_sockets(load);
	for (size_t i = 0; i < udp->count; i++) {
		struct udp_client *c = &udp->clients[i];
		c->id = i + 1;
		c->fd = udp->sockets[i % udp->sockets_count].fd;
		if (i < o->clients)
			c->asks = udp->asks + i * o->depth;
		load->clients[i].udp = c;
	}
	if (udp->sealed)
		take_keys(load, o->keys);
}

void
udp_fini(struct load *load)
{
	struct udp *udp = load->udp;

	udp_flush(load);
	for (size_t i = 0; i < udp->sockets_count; i++)
		close(udp->sockets[i].fd);
	datagram_wipe(udp->clients, udp->count * sizeof *udp->clients);
	free(udp->clients);
	free(udp->asks);
	free(udp->sockets);
	free(udp->out);
	free(udp->in);
	bytes_free(&udp->turn);
	free(udp);
	load->udp = NULL;
}

/* --- sending ---------------------------------------------------------------------------------- */

static const uint8_t *
fresh_nonce(struct udp *udp)
{
	if (udp->random_left < DATAGRAM_NONCE_SIZE) {
		for (size_t have = 0; have < sizeof udp->random;) {
			ssize_t n = getrandom(udp->random + have, sizeof udp->random - have, 0);
			if (n < 0 && errno != EINTR)
				err(1, "getrandom");
			have += n > 0 ? (size_t)n : 0;
		}
		udp->random_left = sizeof udp->random;
	}
	udp->random_left -= DATAGRAM_NONCE_SIZE;
	return udp->random + udp->random_left;
}

void
udp_send(struct load *load, struct udp_client *c, const struct datagram_header *header,
	 struct wire_span prefix, struct wire_span body)
{
	struct udp *udp = load->udp;
	struct datagram_header h = *header;

	if (udp->out_count == BATCH)
		udp_flush(load);
	struct wire_out out = wire_out(udp->out + udp->out_count * udp->size, udp->size);
	h.client = c->id;
	h.flags |= udp->sealed ? DATAGRAM_SEALED : 0;
	datagram_begin(&out, &h);
	wire_out_bytes(&out, prefix.data, prefix.len);
	wire_out_bytes(&out, body.data, body.len);
	datagram_end(&out, &h);
	assert(!out.overflow);
	if (udp->sealed && !datagram_seal(&c->cipher, out.data, out.len, fresh_nonce(udp)))
		errx(1, "a datagram could not be sealed");
	udp->out_len[udp->out_count] = out.len;
	udp->out_fd[udp->out_count++] = c->fd;
	c->said_ns = load->now_ns;
}

/* Sends datagrams [from, to) of the batch, all of one socket.  What is not taken is lost, as on any
 * network. */
static void
flush_socket(struct load *load, size_t from, size_t to)
{
	struct udp *udp = load->udp;
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	size_t n = to - from;

	for (size_t i = 0; i < n; i++) {
		parts[i] =
		    (struct iovec){ udp->out + (from + i) * udp->size, udp->out_len[from + i] };
		messages[i] = (struct mmsghdr){
			.msg_hdr = { .msg_iov = &parts[i], .msg_iovlen = 1 },
		};
	}
	for (size_t sent = 0; sent < n;) {
		int done = sendmmsg(udp->out_fd[from], messages + sent, (unsigned)(n - sent), 0);
		if (done > 0) {
			sent += (size_t)done;
			continue;
		}
		if (errno == EINTR)
			continue;
		/* Nobody listens, as an earlier one has shown; and no room. */
		if (errno == ECONNREFUSED)
			load->counts.refused++;
		else if (errno != EAGAIN && errno != ENOBUFS)
			err(1, "sendmmsg");
		load->last_errno = errno;
		sent++;
	}
}

void
udp_flush(struct load *load)
{
	struct udp *udp = load->udp;
	size_t from = 0;

	for (size_t i = 1; i <= udp->out_count; i++) {
		if (i < udp->out_count && udp->out_fd[i] == udp->out_fd[from])
			continue;
		flush_socket(load, from, i);
		from = i;
	}
	udp->out_count = 0;
}

/* --- receiving -------------------------------------------------------------------------------- */

static struct client *
find_client(struct load *load, struct client *likely, uint64_t id)
{
	const struct udp *udp = load->udp;
	size_t low = 0, high = udp->count;

	if (likely->udp->id == id)
		return likely;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (udp->clients[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < udp->count && udp->clients[low].id == id ? &load->clients[low] : NULL;
}

static void
complain(struct load *load, const char *why, const uint8_t *bytes, size_t len)
{
	load_complain(load, why, 0, wire_span(bytes, len), wire_span(NULL, 0));
}

/* NULL: it was not for us. */
static struct client *
take(struct load *load, struct client *likely, uint8_t *bytes, size_t len)
{
	const struct udp *udp = load->udp;
	const struct datagram_terms terms = {
		.from = DATAGRAM_OF_RELAY,
		.is_sealed = udp->sealed,
		.size_max = udp->size,
	};
	enum datagram_fault fault;
	struct datagram datagram;
	struct client *c;
	uint64_t id;

	if (!datagram_client(&id, wire_span(bytes, len)) ||
	    (c = find_client(load, likely, id)) == NULL) {
		complain(load, "a datagram for nobody", bytes, len);
		return NULL;
	}
	fault = datagram_look(&datagram, wire_span(bytes, len), &terms);
	if (fault == DATAGRAM_OK && udp->sealed)
		fault = datagram_open(&c->udp->cipher, &datagram, bytes, len);
	if (fault != DATAGRAM_OK) {
		complain(load, datagram_fault_text(fault), bytes, len);
		return NULL;
	}
	udp_on_datagram(c, &datagram);
	return c;
}

static size_t
receive(struct load *load, struct client *likely)
{
	struct udp *udp = load->udp;
	struct client *c;
	int n = recvmmsg(likely->udp->fd, udp->in_messages, BATCH, MSG_DONTWAIT, NULL);

	load->now_ns = clock_now_ns();
	if (n < 0) {
		if (errno == ECONNREFUSED)
			load->counts.refused++;
		else if (errno != EAGAIN && errno != EINTR)
			err(1, "recvmmsg");
		return 0;
	}
	for (int i = 0; i < n; i++) {
		if ((udp->in_messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
			complain(load, "longer than agreed", udp->in_parts[i].iov_base, udp->size);
			continue;
		}
		c = take(load, likely, udp->in_parts[i].iov_base, udp->in_messages[i].msg_len);
		if (c != NULL)
			bytes_add(&udp->turn, &c, sizeof c);
	}
	return (size_t)n;
}

static void
on_readable(struct uring_op *op, int res, const uint8_t *data)
{
	struct udp_socket *s = uring_container_of(op, struct udp_socket, readable);
	struct client *likely = s->likely;
	struct load *load = likely->load;
	struct udp *udp = load->udp;

	(void)res;
	(void)data;

	for (size_t round = 0; round < ROUNDS_MAX && receive(load, likely) == BATCH; round++)
		;
	struct wire_span turn = bytes_span(&udp->turn);
	for (size_t i = 0; i < turn.len / sizeof(struct client *); i++) {
		struct client *c;
		memcpy(&c, turn.data + i * sizeof c, sizeof c);
		udp_on_turn(c);
	}
	bytes_clear(&udp->turn, SIZE_MAX);
	uring_poll(load->ring, &s->readable, s->fd, POLLIN);
}
