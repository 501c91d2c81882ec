/*
 * datagram_client.h - clients of the site's worker: they say what the test wants, sealed if the
 * site is, and take one datagram at a time.  A suite's .init is clients_plain or clients_sealed, or
 * its own with one of them in it; likewise its .fini and clients_down.
 */
#ifndef TESTS_DATAGRAM_CLIENT_H
#define TESTS_DATAGRAM_CLIENT_H

#include "tests/datagram_site.h"

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

/* Those that nearly all tests play; a test that opens others closes them. */
static struct udp_client alice;
static struct udp_client bob;

static inline void
udp_open(struct udp_client *client, uint64_t id)
{
	struct datagram_key key = site_key(id);

	*client = (struct udp_client){ .id = id, .next = 1 };
	client->fd = site_bound(SOCK_DGRAM, &client->address);
	datagram_cipher_init(&client->cipher, id, key.secret);
}

/* Also of one that was never opened. */
static inline void
udp_close(struct udp_client *client)
{
	if (client->fd > 0)
		close(client->fd);
	client->fd = 0;
}

static inline void
udp_send_raw(const struct udp_client *client, const void *bytes, size_t len)
{
	cr_assert_eq(sendto(client->fd, bytes, len, 0, (const struct sockaddr *)&site_address,
			    sizeof site_address),
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

/* An open one, until it may ask. */
static inline void
udp_greet(struct udp_client *client)
{
	udp_hello(client, 77);
	udp_expect(client, DATAGRAM_WELCOME, 77);
	client->session = client->got.header.session;
}

static inline void
udp_begin(struct udp_client *client, uint64_t id)
{
	udp_open(client, id);
	udp_greet(client);
}

/* Until its session has begun: the welcome only offers it. */
static inline void
udp_come_online(struct udp_client *client, uint64_t id)
{
	udp_begin(client, id);
	uint64_t number = udp_say(client, DATAGRAM_KEEP_ALIVE, 0, wire_span(NULL, 0));
	udp_expect(client, DATAGRAM_KEEP_ALIVE, number);
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

/* --- up and down ------------------------------------------------------------------------------ */

static inline void
clients_plain(void)
{
	site_sealed = false;
	site_up();
}

static inline void
clients_sealed(void)
{
	site_sealed = true;
	site_up();
}

static inline void
clients_down(void)
{
	udp_close(&alice);
	udp_close(&bob);
	site_down();
}

#endif
