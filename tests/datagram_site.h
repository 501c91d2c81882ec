/*
 * datagram_site.h - a worker on a real ring with a UDP socket, and everybody around it, in one
 * thread: the test is keeper, control, the clients and the peer of the host "msul1".  None waits by
 * the clock: the worker is turned until what must come has come.
 */
#ifndef TESTS_DATAGRAM_SITE_H
#define TESTS_DATAGRAM_SITE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/datagrams.h"
#include "relay/log.h"
#include "relay/stats.h"

enum {
	MS = 1000000,
	TURNS_MAX = 20000, /* of a millisecond at most: then it does not come any more */
	PEER_CONNS = 8,
	PEER_LINES = 128,
	TOLD_MAX = 64,
};

/* A connection of the worker to the played peer. */
struct peer_conn {
	int fd;
	unsigned step; /* of the handshake */
	char in[4096];
	size_t len;
};

/* A worker and what the test holds of it. */
struct site {
	struct worker worker;
	struct worker_stats *stats;
	struct channel *control;
	struct channel *keeper;
	struct sockaddr_in address;            /* of its UDP socket */
	struct channel_message told[TOLD_MAX]; /* by the worker to control */
	int told_fds[TOLD_MAX];
	unsigned told_count;
};

static struct site site;
static struct site other; /* a second worker, where a test wants one */
static struct datagram_settings site_settings;
static bool site_sealed;
static bool site_any; /* the worker's socket has all addresses */
static int peer_listener;
static struct sockaddr_in peer_address;
static struct sockaddr_in host_address; /* where stream clients find the host added last */
static struct peer_conn peer_conns[PEER_CONNS];
/* Requests that came to the peer, and on which connection. */
static char peer_lines[PEER_LINES][1024];
static int peer_line_fds[PEER_LINES];
static unsigned peer_lines_count;
static bool peer_silent; /* answers nothing by itself */

#define SITE_CLIENT UINT64_C(0x0123456789abcdef)

static inline struct datagram_key
site_key(uint64_t client)
{
	struct datagram_key key = { .client = client };

	memset(key.secret, (int)(client & 0xff), sizeof key.secret);
	return key;
}

/* --- the peer --------------------------------------------------------------------------------- */

static inline int
loopback(int type, struct sockaddr_in *address)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof *address;

	cr_assert_geq(fd, 0);
	*address = (struct sockaddr_in){ .sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cr_assert_eq(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)address, &len), 0);
	return fd;
}

/* A UDP socket that has all addresses; the first of loopback is told. */
static inline int
everywhere(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof *address;

	cr_assert_geq(fd, 0);
	*address = (struct sockaddr_in){ .sin_family = AF_INET };
	cr_assert_eq(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)address, &len), 0);
	cr_assert_eq(dgram_tell_local(fd, AF_INET), 0);
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return fd;
}

static inline void
peer_say(int fd, const char *line, size_t len)
{
	cr_assert_eq(send(fd, line, len, MSG_NOSIGNAL), (ssize_t)len);
	cr_assert_eq(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
}

static inline void
peer_on_line(struct peer_conn *conn, char *line)
{
	static const char *const handshake[] = { "challenge", "ok", "key" };
	char reply[1100];

	if (conn->step < 3) {
		peer_say(conn->fd, handshake[conn->step], strlen(handshake[conn->step]));
		conn->step++;
		return;
	}
	cr_assert_lt(peer_lines_count, (unsigned)PEER_LINES);
	snprintf(peer_lines[peer_lines_count], sizeof peer_lines[0], "%s", line);
	peer_line_fds[peer_lines_count++] = conn->fd;
	if (peer_silent)
		return;
	snprintf(reply, sizeof reply, "re:%s", line);
	peer_say(conn->fd, reply, strlen(reply));
}

static inline void
peer_read(struct peer_conn *conn)
{
	ssize_t got = read(conn->fd, conn->in + conn->len, sizeof conn->in - 1 - conn->len);
	char *end;

	if (got == 0 || (got < 0 && errno != EAGAIN)) {
		close(conn->fd);
		conn->fd = -1;
		return;
	}
	if (got > 0)
		conn->len += (size_t)got;
	while ((end = memchr(conn->in, '\n', conn->len)) != NULL) {
		*end = '\0';
		peer_on_line(conn, conn->in);
		conn->len -= (size_t)(end + 1 - conn->in);
		memmove(conn->in, end + 1, conn->len);
	}
}

static inline void
peer_turn(void)
{
	for (int i = 0; i < PEER_CONNS; i++) {
		struct peer_conn *conn = &peer_conns[i];
		if (conn->fd < 0) {
			*conn = (struct peer_conn){ .fd = accept4(peer_listener, NULL, NULL,
								  SOCK_CLOEXEC | SOCK_NONBLOCK) };
			continue;
		}
		peer_read(conn);
	}
}

/* --- up and down ------------------------------------------------------------------------------ */

static inline void
site_say_to(struct site *at, const struct channel_message *message, int fd)
{
	cr_assert_eq(channel_send(at->control, message, fd), 0);
	if (fd >= 0)
		close(fd);
}

static inline int
site_memfd(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	return fd;
}

static inline void
site_give_keys(struct site *at, const struct datagram_key *keys, uint32_t count)
{
	struct channel_message message = { .type = CHANNEL_CLIENT_KEYS,
					   .keys = { .count = count } };

	site_say_to(at, &message, count == 0 ? -1 : site_memfd(keys, count * sizeof *keys));
}

static inline void
site_give_settings(struct site *at)
{
	struct channel_message message = { .type = CHANNEL_DATAGRAM };

	message.datagram.settings = site_settings;
	site_say_to(at, &message, -1);
}

static inline void
site_worker_up(struct site *at)
{
	struct uring_options ring_options = URING_DEFAULTS;
	const struct worker_options options = { .memory_max = 64u << 20,
						.clients_max = 1000,
						.seed = 1 };
	struct channel_message socket_is = { .type = CHANNEL_DATAGRAM_SOCKET };
	struct uring *ring;
	int keeper[2], control[2];

	*at = (struct site){ .told_count = 0 };
	datagrams_ring(&ring_options, site_settings.size);
	cr_assert_eq(uring_new(&ring, &ring_options), 0);
	cr_assert_eq(channel_pair(keeper), 0);
	cr_assert_eq(channel_pair(control), 0);
	int memfd = stats_create();
	at->stats = stats_map(memfd, true);
	close(memfd);
	at->keeper = channel_new(keeper[0]);
	at->control = channel_new(control[0]);
	cr_assert_eq(worker_init(&at->worker, ring, channel_new(keeper[1]), channel_new(control[1]),
				 at->stats, &options),
		     0);
	int fd = site_any ? everywhere(&at->address) : loopback(SOCK_DGRAM, &at->address);
	socket_is.datagram_socket.any = site_any;
	socket_is.datagram_socket.count = 1;
	socket_is.datagram_socket.family = AF_INET;
	socket_is.datagram_socket.workers = 1;
	cr_assert_eq(channel_send(at->keeper, &socket_is, fd), 0);
	close(fd);
}

static inline void
site_add_host(struct site *at, uint32_t index, const char *id)
{
	struct channel_message message = { .type = CHANNEL_HOST_ADD };
	struct channel_host *host = &message.host;

	snprintf(host->id, sizeof host->id, "%s", id);
	host->index = index;
	snprintf(host->local_id, sizeof host->local_id, "local");
	host->address_len = sizeof peer_address;
	memcpy(&host->address, &peer_address, sizeof peer_address);
	host->hold = HOST_HOLD_NONE;
	host->settings = (struct host_settings){ .links_max = 2,
						 .pipeline = 1,
						 .spread = 1,
						 .clients_max = 10,
						 .queue_max = 8,
						 .queue_bytes_max = 1u << 20,
						 .line_max = 1u << 20,
						 .connect_timeout_ms = 5000,
						 .queue_timeout_ms = 60000,
						 .reply_timeout_ms = 60000,
						 .idle_timeout_ms = 60000,
						 .down_grace_ms = 1000,
						 .busy_line = "con_lost" };
	int listener = loopback(SOCK_STREAM, &host_address);
	cr_assert_eq(listen(listener, 8), 0);
	site_say_to(at, &message, listener);
}

/* Sealed or not, as site_sealed says: set what is special before. */
static inline void
site_up(void)
{
	const struct datagram_key keys[] = { site_key(0x11), site_key(0x22),
					     site_key(SITE_CLIENT) };

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_WARNING);
	if (site_settings.size == 0)
		site_settings = (struct datagram_settings){ .size = 1232,
							    .sessions_max = 100,
							    .resend_tries = 4,
							    .rate = 100000,
							    .burst = 1000,
							    .reply_max = 1u << 20,
							    .resend_first_ms = 40,
							    .presence_timeout_ms = 60000,
							    .busy_queue_time_ms = 30000,
							    .busy_clear_time_ms = 10,
							    .busy_retry_after_ms = 250 };
	for (int i = 0; i < PEER_CONNS; i++)
		peer_conns[i].fd = -1;
	peer_listener = loopback(SOCK_STREAM, &peer_address);
	cr_assert_eq(listen(peer_listener, 16), 0);
	site_worker_up(&site);
	site_give_settings(&site);
	site_give_keys(&site, keys, site_sealed ? 3 : 0);
	site_add_host(&site, 0, "msul1");
}

static inline uint64_t
site_count(enum datagram_count what)
{
	return stats_get(&site.stats->datagrams[what]);
}

/* --- turns ------------------------------------------------------------------------------------ */

static inline void
site_on_tick(struct uring_timer *timer)
{
	(void)timer;
}

static inline void
site_hear(struct site *at)
{
	struct channel_message message;
	int fd;

	while (channel_receive(at->control, &message, &fd) > 0) {
		if (message.type == CHANNEL_HOST_STATE || message.type == CHANNEL_LOG)
			continue;
		cr_assert_lt(at->told_count, (unsigned)TOLD_MAX);
		at->told[at->told_count] = message;
		at->told_fds[at->told_count++] = fd;
	}
}

static inline void
site_turn(struct site *at)
{
	struct uring_timer tick = { .due = site_on_tick };

	if (at->worker.state == WORKER_STOPPED)
		return;
	uring_timer_set(at->worker.ring, &tick, worker_now(&at->worker) + MS);
	cr_assert_eq(worker_turn(&at->worker), 0);
	uring_timer_clear(at->worker.ring, &tick);
	site_hear(at);
}

static inline void
turn(void)
{
	site_turn(&site);
	if (other.control != NULL)
		site_turn(&other);
	peer_turn();
}

#define TURN_UNTIL(condition)                                                          \
	do {                                                                           \
		for (int turns_ = 0; !(condition); turns_++) {                         \
			cr_assert_lt(turns_, TURNS_MAX, "never came: %s", #condition); \
			turn();                                                        \
		}                                                                      \
	} while (0)

static inline void
turn_for_nothing(void)
{
	for (int i = 0; i < 12; i++)
		turn();
}

/* How often control was told this, and the last one of it. */
static inline unsigned
site_told(enum channel_type type, struct channel_message *last)
{
	unsigned count = 0;

	for (unsigned i = 0; i < site.told_count; i++) {
		if (site.told[i].type != type)
			continue;
		if (last != NULL)
			*last = site.told[i];
		count++;
	}
	return count;
}

/* A clean stop gives all memory back. */
static inline void
site_stop(struct site *at)
{
	struct channel_message stop = { .type = CHANNEL_STOP, .stop = { .timeout_ms = 2000 } };

	cr_assert_eq(channel_send(at->keeper, &stop, -1), 0);
	TURN_UNTIL(at->worker.state == WORKER_STOPPED);
	if (at->worker.memory.used != 0) {
		/* An assertion that fails in a .fini is not counted; a crash is. */
		fprintf(stderr, "%llu bytes are left\n",
			(unsigned long long)at->worker.memory.used);
		abort();
	}
	worker_fini(&at->worker);
	for (unsigned i = 0; i < at->told_count; i++) {
		if (at->told_fds[i] >= 0)
			close(at->told_fds[i]);
	}
	channel_free(at->control);
	channel_free(at->keeper);
	stats_unmap(at->stats);
	at->control = NULL;
}

static inline void
site_down(void)
{

	site_stop(&site);
	if (other.control != NULL)
		site_stop(&other);
	for (int i = 0; i < PEER_CONNS; i++) {
		if (peer_conns[i].fd >= 0)
			close(peer_conns[i].fd);
	}
	close(peer_listener);
}

/* --- clients ---------------------------------------------------------------------------------- */

struct udp_client {
	uint64_t id;
	int fd;
	struct sockaddr_in address;
	struct datagram_cipher cipher;
	uint64_t session;
	uint64_t next;
	struct datagram_window seen;
	uint8_t bytes[65536]; /* of what came last */
	size_t len;
	struct datagram got;
};

static inline void
udp_open(struct udp_client *client, uint64_t id)
{
	struct datagram_key key = site_key(id);

	*client = (struct udp_client){ .id = id, .next = 1 };
	client->fd = loopback(SOCK_DGRAM, &client->address);
	datagram_cipher_init(&client->cipher, id, key.secret);
}

static inline void
udp_send_raw(const struct udp_client *client, const void *bytes, size_t len)
{
	cr_assert_eq(sendto(client->fd, bytes, len, 0, (const struct sockaddr *)&site.address,
			    sizeof site.address),
		     (ssize_t)len);
}

/* Lays out (and seals) a datagram; its length. */
static inline size_t
udp_write(const struct udp_client *client, uint8_t *bytes, struct datagram_header header,
	  struct wire_span body)
{
	static uint8_t nonce[DATAGRAM_NONCE_SIZE];
	struct wire_out out = wire_out(bytes, 65536);

	header.client = client->id;
	if (site_sealed)
		header.flags |= DATAGRAM_SEALED;
	datagram_begin(&out, &header);
	wire_out_bytes(&out, body.data, body.len);
	datagram_end(&out, &header);
	cr_assert(!out.overflow);
	nonce[0]++;
	if (site_sealed)
		cr_assert(datagram_seal(&client->cipher, out.data, out.len, nonce));
	return out.len;
}

static inline void
udp_send(const struct udp_client *client, struct datagram_header header, struct wire_span body)
{
	static uint8_t bytes[65536];

	udp_send_raw(client, bytes, udp_write(client, bytes, header, body));
}

/* In the session, with what was seen. */
static inline uint64_t
udp_say(struct udp_client *client, enum datagram_kind kind, uint64_t number, struct wire_span body)
{
	struct datagram_header header = {
		.kind = (uint8_t)kind,
		.session = client->session,
		.number = number != 0 ? number : client->next++,
		.seen = datagram_window_show(&client->seen, 0),
	};

	if (kind == DATAGRAM_NOTICE)
		header.flags |= DATAGRAM_LAST;
	udp_send(client, header, body);
	return header.number;
}

/* One datagram, if there is one; not marked as seen. */
static inline bool
udp_take(struct udp_client *client)
{
	const struct datagram_terms terms = { .from = DATAGRAM_OF_RELAY,
					      .is_sealed = site_sealed,
					      .size_max = sizeof client->bytes };
	ssize_t got = recv(client->fd, client->bytes, sizeof client->bytes, 0);

	if (got < 0)
		return false;
	client->len = (size_t)got;
	cr_assert_eq(datagram_look(&client->got, wire_span(client->bytes, client->len), &terms),
		     DATAGRAM_OK);
	cr_assert_eq(client->got.header.client, client->id);
	if (site_sealed)
		cr_assert_eq(
		    datagram_open(&client->cipher, &client->got, client->bytes, client->len),
		    DATAGRAM_OK);
	return true;
}

static inline void
udp_expect(struct udp_client *client, enum datagram_kind kind, uint64_t about)
{
	TURN_UNTIL(udp_take(client));
	cr_assert_eq(client->got.header.kind, kind, "%s instead of %s (code %s)",
		     datagram_kind_name(client->got.header.kind), datagram_kind_name((uint8_t)kind),
		     datagram_code_name(client->got.header.code));
	if (about != 0)
		cr_assert_eq(client->got.header.about, about);
}

static inline void
udp_expect_nothing(struct udp_client *client)
{
	turn_for_nothing();
	cr_assert(!udp_take(client), "%s", datagram_kind_name(client->got.header.kind));
}

static inline void
udp_hello(struct udp_client *client, uint64_t number)
{
	uint8_t bytes[DATAGRAM_HELLO_BODY];
	struct wire_out body = wire_out(bytes, sizeof bytes);

	datagram_hello_put(&body, &(struct datagram_hello){ .receive_max = 60000 });
	udp_send(client, (struct datagram_header){ .kind = DATAGRAM_HELLO, .number = number },
		 wire_span(bytes, body.len));
}

/* Until it may ask. */
static inline void
udp_begin(struct udp_client *client, uint64_t id)
{
	udp_open(client, id);
	udp_hello(client, 77);
	udp_expect(client, DATAGRAM_WELCOME, 77);
	client->session = client->got.header.session;
}

static inline uint64_t
udp_ask(struct udp_client *client, const char *host, const char *line, uint64_t number)
{
	static uint8_t bytes[65536];
	struct wire_out body = wire_out(bytes, sizeof bytes);
	struct datagram_request request = { wire_span_str(host), wire_span_str(line) };

	datagram_request_put(&body, &request);
	return udp_say(client, DATAGRAM_REQUEST, number, wire_span(bytes, body.len));
}

/* A reply of one part with this line. */
static inline void
udp_expect_reply(struct udp_client *client, uint64_t about, const char *line)
{
	struct datagram_part part;

	udp_expect(client, DATAGRAM_REPLY, about);
	cr_assert_eq(client->got.header.code, 0);
	cr_assert_eq(datagram_part_get(&part, &client->got, 1u << 20), DATAGRAM_OK);
	cr_assert(part.is_last);
	cr_assert_eq(part.total, strlen(line));
	cr_assert_arr_eq(part.bytes.data, line, strlen(line));
}

static inline void
udp_saw(struct udp_client *client)
{
	(void)datagram_window_mark(&client->seen, client->got.header.number);
}

static inline void
udp_confirm(struct udp_client *client)
{
	udp_saw(client);
	udp_say(client, DATAGRAM_CONFIRM, 0, wire_span(NULL, 0));
}

#endif
