/*
 * gateway_site.h - a worker with a gateway and everybody around it: the test is control, the remote
 * relay (by sessions of relay/tls.h) and the local lond.
 */
#ifndef TESTS_GATEWAY_SITE_H
#define TESTS_GATEWAY_SITE_H

#include <errno.h>
#include <string.h>
#include <time.h>

#include "relay/gateway.h"
#include "relay/tunnel.h"
#include "tests/tls_stage.h"
#include "tests/worker_site.h"

enum {
	HOUR_MS = 3600000,
};

static struct worker_site site;
static unsigned site_resolves; /* of the local lond's name, that were asked of control */
static struct memory site_memory;
static struct tls_identity *site_ca;
static struct tls_identity *site_server;
static int site_door; /* the gateway's socket */
static int site_lond; /* that of the local lond; -1 = it is not there */
static struct channel_gateway site_wish;

static inline struct tls_identity *
site_identity(const struct tls_identity *issuer, const char *dns, int64_t until)
{
	int64_t now = (int64_t)time(NULL);
	const struct tls_wish wish = {
		.issuer = issuer, .dns = dns, .from = now - 7200, .until = now + until
	};

	return tls_identity_new(&wish);
}

static inline int
site_listen(struct sockaddr_in *address)
{
	int fd = site_bound(SOCK_STREAM, address);

	cr_assert_eq(listen(fd, 128), 0);
	return fd;
}

static inline void
site_note(const struct channel_message *message, int fd)
{
	cr_assert_eq(fd, -1);
	site_resolves += message->type == CHANNEL_GATEWAY_RESOLVE;
}

static inline void
site_up(void)
{
	const struct uring_options ring_options = URING_DEFAULTS;
	struct sockaddr_in address;

	log_set_level(LOG_ERROR);
	cr_assert(tls_prepare());
	memory_init(&site_memory, 64u << 20);
	site_make(&site, &ring_options, 1000, site_note);
	site_ca = site_identity(NULL, NULL, 7200);
	site_server = site_identity(site_ca, "gateway.example", 7200);
	site_lond = site_listen(&address);
	site_wish = (struct channel_gateway){
		.index = 3,
		.credentials = 1,
		.clients_max = 100,
		.doors = 1,
		.handshake_timeout_ms = HOUR_MS,
		.connect_timeout_ms = HOUR_MS,
		.idle_timeout_ms = HOUR_MS,
		.drain_timeout_ms = HOUR_MS,
		.name = "east",
	};
	site_wish.addresses.count = 1;
	site_wish.addresses.address[0].v4 = address;
	site_door = site_listen(&address);
}

static inline void
site_down(void)
{
	site_free(&site);
	close(site_door);
	if (site_lond >= 0)
		close(site_lond);
	tls_identity_free(site_server);
	tls_identity_free(site_ca);
}

static inline void
turn(void)
{
	site_turn(&site);
}

/* --- control ---------------------------------------------------------------------------------- */

static inline void
site_say(const struct channel_message *message, int fd)
{
	site_say_to(&site, message, fd);
	turn();
}

static inline void
site_say_type(enum channel_type type)
{
	const struct channel_message message = { .type = type };

	site_say(&message, -1);
}

/* By its number; what they are is told apart by the first byte of the digest, the number too. */
static inline void
site_credentials(uint32_t number, const struct tls_identity *ca)
{
	const struct wire_span files[TLS_FILE_COUNT] = {
		[TLS_FILE_CA] = tls_identity_cert(ca),
		[TLS_FILE_CERT] = tls_identity_cert(site_server),
		[TLS_FILE_KEY] = tls_identity_key(site_server),
	};
	struct channel_message message = { .type = CHANNEL_CREDENTIALS,
					   .credentials = { .number = number,
							    .digest = { (uint8_t)number } } };
	int fd = site_memfd("", 0);

	for (size_t i = 0; i < TLS_FILE_COUNT; i++) {
		cr_assert_eq(write(fd, files[i].data, files[i].len), (ssize_t)files[i].len);
		message.credentials.lengths[i] = (uint32_t)files[i].len;
	}
	site_say(&message, fd);
}

/* As site_wish says, for one name. */
static inline void
site_gateway(const char *allow)
{
	struct channel_message message = { .type = CHANNEL_GATEWAY, .gateway = site_wish };

	message.gateway.allow_len = (uint32_t)strlen(allow) + 1;
	site_say(&message, site_memfd(allow, strlen(allow) + 1));
}

static inline void
site_give_door(void)
{
	const struct channel_message message = { .type = CHANNEL_GATEWAY_DOOR,
						 .gateway_door = { .index = site_wish.index } };

	site_say(&message, dup(site_door));
}

static inline void
site_ticket_keys(uint8_t what)
{
	struct tls_ticket_key key;
	struct channel_message message = {
		.type = CHANNEL_TICKET_KEYS,
		.ticket_keys = { .index = site_wish.index, .count = 1, .context = { what } }
	};

	memset(&key, what, sizeof key);
	site_say(&message, site_memfd(&key, sizeof key));
}

static inline void
site_remove(void)
{
	const struct channel_message message = { .type = CHANNEL_GATEWAY_REMOVE,
						 .gateway_index = { .index = site_wish.index } };

	site_say(&message, -1);
}

/* A gateway for those who are called relay.example. */
static inline void
site_serve(void)
{
	site_credentials(1, site_ca);
	site_gateway("relay.example");
	site_give_door();
}

static inline struct gateway *
site_found(void)
{
	return site.worker.gateways == NULL ? NULL : site.worker.gateways->table[site_wish.index];
}

/* What was counted of it. */
static inline uint64_t
site_ended(enum tunnel_end end)
{
	return stats_get(&site.stats->gateways.block[0].ends[end]);
}

static inline uint64_t
site_open(void)
{
	return stats_get(&site.stats->gateways.block[0].open);
}

/* --- the remote relay ------------------------------------------------------------------------- */

struct remote {
	int fd;
	struct tls_session *tls;
	bool ended;       /* the stream: by a FIN or a reset */
	size_t got;       /* plain bytes */
	uint8_t last[64]; /* of them the last, from place got % 64 on */
};

static inline int
remote_connect(void)
{
	struct sockaddr_in address;
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(getsockname(site_door, (struct sockaddr *)&address, &len), 0);
	cr_assert_eq(connect(fd, (const struct sockaddr *)&address, len), 0);
	return fd;
}

/* Nothing is sent yet. */
static inline struct remote
remote_new(struct tls_context *context)
{
	struct remote remote = { .fd = remote_connect() };

	remote.tls = tls_session_new(context, &site_memory, (int64_t)time(NULL));
	cr_assert_neq(remote.tls, NULL);
	return remote;
}

static inline void
remote_send(struct remote *remote)
{
	struct wire_span out = tls_output(remote->tls);

	if (out.len == 0)
		return;
	ssize_t sent = send(remote->fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0)
		tls_sent(remote->tls, (size_t)sent);
	else if (errno != EAGAIN)
		remote->ended = true;
}

static inline void
remote_take(struct remote *remote, const void *bytes, size_t len)
{
	uint8_t plain[4096];
	size_t n;

	tls_receive(remote->tls, bytes, len);
	while ((n = tls_read(remote->tls, plain, sizeof plain)) > 0) {
		for (size_t i = 0; i < n; i++)
			remote->last[(remote->got + i) % sizeof remote->last] = plain[i];
		remote->got += n;
	}
}

/* Moves what can be moved; false when the stream has ended. */
static inline bool
remote_pump(struct remote *remote)
{
	uint8_t bytes[8192];

	remote_send(remote);
	ssize_t got = recv(remote->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (got > 0)
		remote_take(remote, bytes, (size_t)got);
	else if (got == 0 || errno != EAGAIN)
		remote->ended = true;
	if (got == 0)
		tls_receive_end(remote->tls);
	return !remote->ended;
}

#define REMOTE_UNTIL(remote, condition) TURN_UNTIL((remote_pump(remote), (condition)))

static inline void
remote_say(struct remote *remote, const char *text)
{
	cr_assert(tls_write(remote->tls, text, strlen(text)));
	remote_send(remote);
}

static inline void
remote_expect(struct remote *remote, const char *text)
{
	size_t len = strlen(text);

	REMOTE_UNTIL(remote, remote->got >= len);
	cr_assert_eq(remote->got, len);
	cr_assert_arr_eq(remote->last, text, len);
	remote->got = 0;
}

static inline void
remote_free(struct remote *remote)
{
	close(remote->fd);
	tls_session_free(remote->tls);
}

/* Somebody of that certificate, and his context; both to be freed. */
struct somebody {
	struct tls_identity *identity;
	struct tls_context *context;
};

static inline struct somebody
somebody_new(const struct tls_identity *ca, const char *name, int64_t until)
{
	struct somebody body = { .identity = site_identity(ca, name, until) };

	body.context = tls_stage_out(site_ca, body.identity, "gateway.example");
	return body;
}

static inline void
somebody_free(struct somebody *body)
{
	tls_context_release(body->context);
	tls_identity_free(body->identity);
}

/* --- the local lond --------------------------------------------------------------------------- */

static inline int
lond_accepted(void)
{
	return accept4(site_lond, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static inline void
lond_expect(int fd, const char *text)
{
	char got[64];
	size_t have = 0;
	size_t len = strlen(text);

	while (have < len) {
		ssize_t n = -1;
		TURN_UNTIL((n = recv(fd, got + have, len - have, 0)) >= 0);
		cr_assert_gt(n, 0, "the end after %zu bytes", have);
		have += (size_t)n;
	}
	cr_assert_arr_eq(got, text, len);
}

/* 0 = in order, else the errno. */
static inline int
lond_end(int fd)
{
	char byte;
	ssize_t n = -1;

	TURN_UNTIL((n = recv(fd, &byte, 1, 0)) >= 0 || errno != EAGAIN);
	cr_assert_leq(n, 0);
	return n == 0 ? 0 : errno;
}

static inline void
close_rudely(int fd)
{
	const struct linger none = { .l_onoff = 1 };

	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
	close(fd);
}

#endif
