/*
 * datagram_site.h - a worker with a UDP socket and everybody around it: the test is keeper,
 * control, the clients (datagram_client.h) and the peer of the host "msul1".  Nothing is sent again
 * by itself while a test runs: outbox_due() is when the pauses between resends are over.
 */
#ifndef TESTS_DATAGRAM_SITE_H
#define TESTS_DATAGRAM_SITE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/datagrams.h"
#include "tests/worker_site.h"

enum {
	RESEND_NEVER_MS = 60000, /* no test takes so long */
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

/* All that control was told. */
struct told {
	struct channel_message messages[TOLD_MAX];
	int fds[TOLD_MAX]; /* that came with them; -1: none */
	unsigned count;
};

static struct worker_site site;
static struct sockaddr_in site_address; /* of its UDP socket */
static struct told told;                /* by it */
static struct worker_site other;        /* a second worker, where a test wants one */
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
told_add(const struct channel_message *message, int fd)
{
	if (message->type == CHANNEL_HOST_STATE || message->type == CHANNEL_LOG)
		return;
	cr_assert_lt(told.count, (unsigned)TOLD_MAX);
	told.messages[told.count] = *message;
	told.fds[told.count++] = fd;
}

static inline void
told_nothing(const struct channel_message *message, int fd)
{
	(void)message;
	if (fd >= 0)
		close(fd);
}

static inline void
site_give_keys(struct worker_site *at, const struct datagram_key *keys, uint32_t count)
{
	struct channel_message message = { .type = CHANNEL_CLIENT_KEYS,
					   .keys = { .count = count } };

	site_say_to(at, &message, count == 0 ? -1 : site_memfd(keys, count * sizeof *keys));
}

static inline void
site_give_settings(struct worker_site *at)
{
	struct channel_message message = { .type = CHANNEL_DATAGRAM };

	message.datagram.settings = site_settings;
	site_say_to(at, &message, -1);
}

/* A worker with a UDP socket at `address`. */
static inline void
site_worker_up(struct worker_site *at, struct sockaddr_in *address)
{
	struct uring_options ring_options = URING_DEFAULTS;
	struct channel_message socket_is = { .type = CHANNEL_DATAGRAM_SOCKET };

	datagrams_ring(&ring_options, site_settings.size);
	site_make(at, &ring_options, 1000, at == &site ? told_add : told_nothing);
	int fd = site_any ? everywhere(address) : site_bound(SOCK_DGRAM, address);
	socket_is.datagram_socket.any = site_any;
	socket_is.datagram_socket.count = 1;
	socket_is.datagram_socket.family = AF_INET;
	socket_is.datagram_socket.workers = 1;
	cr_assert_eq(channel_send(at->keeper, &socket_is, fd), 0);
	close(fd);
}

static inline void
site_add_host(struct worker_site *at, uint32_t index, const char *id)
{
	struct channel_message message = { .type = CHANNEL_HOST_ADD };
	struct channel_host *host = &message.host;

	snprintf(host->id, sizeof host->id, "%s", id);
	host->index = index;
	snprintf(host->local_id, sizeof host->local_id, "local");
	memcpy(&host->addresses.address[0], &peer_address, sizeof peer_address);
	host->addresses.count = 1;
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
	int listener = site_bound(SOCK_STREAM, &host_address);
	cr_assert_eq(listen(listener, 8), 0);
	site_say_to(at, &message, listener);
}

/* Sealed or not, as site_sealed says: set what is special before. */
static inline void
site_up(void)
{
	const struct datagram_key keys[] = { site_key(0x11), site_key(0x22),
					     site_key(SITE_CLIENT) };

	log_set_level(LOG_WARNING);
	if (site_settings.size == 0)
		site_settings = (struct datagram_settings){ .size = 1232,
							    .sessions_max = 100,
							    .resend_tries = 4,
							    .rate = 100000,
							    .burst = 1000,
							    .reply_max = 1u << 20,
							    .resend_first_ms = RESEND_NEVER_MS,
							    .presence_timeout_ms = 60000,
							    .busy_queue_time_ms = 30000,
							    .busy_clear_time_ms = 10,
							    .busy_retry_after_ms = 250 };
	for (int i = 0; i < PEER_CONNS; i++)
		peer_conns[i].fd = -1;
	peer_listener = site_bound(SOCK_STREAM, &peer_address);
	cr_assert_eq(listen(peer_listener, 16), 0);
	site_worker_up(&site, &site_address);
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
turn(void)
{
	site_turn(&site);
	if (other.control != NULL)
		site_turn(&other);
	peer_turn();
}

/* How often control was told this, and the last one of it. */
static inline unsigned
site_told(enum channel_type type, struct channel_message *last)
{
	unsigned count = 0;

	for (unsigned i = 0; i < told.count; i++) {
		if (told.messages[i].type != type)
			continue;
		if (last != NULL)
			*last = told.messages[i];
		count++;
	}
	return count;
}

/* A clean stop gives all memory back. */
static inline void
site_stop(struct worker_site *at)
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
	site_free(at);
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
	for (unsigned i = 0; i < told.count; i++) {
		if (told.fds[i] >= 0)
			close(told.fds[i]);
	}
}

/* --- resends ---------------------------------------------------------------------------------- */

/* What is not confirmed is sent again in the next turn, or given up. */
static inline void
outbox_due(void)
{
	struct session *session;
	struct parcel *parcel;

	TAILQ_FOREACH(session, &site.worker.datagrams->sessions, entry)
		TAILQ_FOREACH(parcel, &session->outbox, entry)
			if (uring_timer_armed(&parcel->timer))
				uring_timer_set(site.worker.ring, &parcel->timer,
						worker_now(&site.worker));
}

/* As if it had been sent long ago: a repeat of what it answers is not too soon any more. */
static inline void
outbox_age(void)
{
	struct session *session;
	struct parcel *parcel;

	TAILQ_FOREACH(session, &site.worker.datagrams->sessions, entry)
		TAILQ_FOREACH(parcel, &session->outbox, entry)
			parcel->sent_at -= RESEND_NEVER_MS * UINT64_C(1000000);
}

#endif
