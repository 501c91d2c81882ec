/*
 * test_tls.c - two sessions in memory: what they believe of each other and what they do not,
 * resumption, large data in small pieces, every way to end.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "tests/tls_stage.h"

#define NOW TLS_STAGE_NOW
#define DAY 86400

/* A ca with a server and a client of it, as every test needs them. */
struct stage {
	struct tls_identity *ca;
	struct tls_identity *server;
	struct tls_identity *client;
	struct tls_context *in;
	struct tls_context *out;
	struct memory memory;
	struct tls_session *a; /* the client */
	struct tls_session *b;
};

static struct stage stage;

static struct tls_identity *
issue(const struct tls_identity *ca, const char *dns)
{
	return tls_identity_new(&(struct tls_wish){ .issuer = ca, .dns = dns });
}

static void
begin(void)
{
	cr_assert(tls_prepare());
	memory_init(&stage.memory, 64u << 20);
	stage.ca = tls_identity_new(&(struct tls_wish){ 0 });
	stage.server = issue(stage.ca, "peer.example");
	stage.client = issue(stage.ca, "relay.example");
	stage.in = tls_stage_in(stage.ca, stage.server, "relay.example");
	stage.out = tls_stage_out(stage.ca, stage.client, "peer.example");
}

static void
hang_up(void)
{
	tls_session_free(stage.a);
	tls_session_free(stage.b);
	stage.a = stage.b = NULL;
}

static void
end(void)
{
	hang_up();
	tls_context_release(stage.in);
	tls_context_release(stage.out);
	tls_identity_free(stage.ca);
	tls_identity_free(stage.server);
	tls_identity_free(stage.client);
	memory_fini(&stage.memory);
}

static void
meet_at(int64_t now, size_t step)
{
	hang_up();
	stage.a = tls_session_new(stage.out, &stage.memory, now);
	stage.b = tls_session_new(stage.in, &stage.memory, now);
	cr_assert(stage.a != NULL && stage.b != NULL);
	tls_stage_shake(stage.a, stage.b, step);
}

static void
meet(void)
{
	meet_at(NOW, SIZE_MAX);
}

static void
use_out(struct tls_context *context)
{
	tls_context_release(stage.out);
	stage.out = context;
}

static void
use_in(struct tls_context *context)
{
	tls_context_release(stage.in);
	stage.in = context;
}

static void
expect_failures(enum tls_failure of_client, enum tls_failure of_server)
{
	cr_assert_str_eq(tls_failure_text(tls_failure(stage.a)), tls_failure_text(of_client), "%s",
			 tls_detail(stage.a));
	cr_assert_str_eq(tls_failure_text(tls_failure(stage.b)), tls_failure_text(of_server), "%s",
			 tls_detail(stage.b));
	cr_assert_eq(tls_state(stage.b), of_server == TLS_OK ? TLS_HANDSHAKE : TLS_FAILED);
	cr_assert_eq(tls_state(stage.a), of_client == TLS_OK ? TLS_READY : TLS_FAILED);
}

/* --- what is believed */

Test(tls, both_are_ready_and_know_each_other, .init = begin, .fini = end)
{
	meet();
	cr_assert_eq(tls_state(stage.a), TLS_READY, "%s", tls_detail(stage.a));
	cr_assert_eq(tls_state(stage.b), TLS_READY, "%s", tls_detail(stage.b));
	cr_assert_str_eq(tls_peer_name(stage.a), "peer.example");
	cr_assert_str_eq(tls_peer_name(stage.b), "relay.example");
	cr_assert_eq(tls_peer_expiry(stage.a), NOW + 10 * DAY);
	cr_assert_eq(tls_context_expiry(stage.out), NOW + 10 * DAY);
	cr_assert(strncmp(tls_cipher(stage.a), "TLS_", 4) == 0);
	cr_assert_not(tls_resumed(stage.a));
}

Test(tls, every_byte_on_its_own, .init = begin, .fini = end)
{
	meet_at(NOW, 1);
	cr_assert_eq(tls_state(stage.a), TLS_READY);
	cr_assert_eq(tls_state(stage.b), TLS_READY);
}

Test(tls, the_first_to_end_in_the_chain_counts, .init = begin, .fini = end)
{
	struct tls_identity *soon =
	    tls_identity_new(&(struct tls_wish){ .dns = "x", .until = NOW + DAY });
	struct tls_identity *server = issue(soon, "peer.example");

	use_out(tls_stage_out(soon, stage.client, "peer.example"));
	use_in(tls_stage_in(stage.ca, server, "relay.example"));
	meet();
	cr_assert_eq(tls_state(stage.b), TLS_READY, "%s", tls_detail(stage.b));
	cr_assert_eq(tls_peer_expiry(stage.a), NOW + DAY);
	tls_identity_free(server);
	tls_identity_free(soon);
}

Test(tls, a_server_of_another_ca_is_untrusted, .init = begin, .fini = end)
{
	struct tls_identity *other = tls_identity_new(&(struct tls_wish){ 0 });

	use_out(tls_stage_out(other, stage.client, "peer.example"));
	meet();
	expect_failures(TLS_UNTRUSTED, TLS_REFUSED);
	tls_identity_free(other);
}

Test(tls, a_client_of_another_ca_is_untrusted, .init = begin, .fini = end)
{
	struct tls_identity *other = tls_identity_new(&(struct tls_wish){ 0 });

	use_in(tls_stage_in(other, stage.server, "relay.example"));
	meet();
	expect_failures(TLS_REFUSED, TLS_UNTRUSTED);
	tls_identity_free(other);
}

Test(tls, a_wrong_name_is_refused_on_both_sides, .init = begin, .fini = end)
{
	use_out(tls_stage_out(stage.ca, stage.client, "other.example"));
	meet();
	expect_failures(TLS_WRONG_NAME, TLS_REFUSED);
	use_out(tls_stage_out(stage.ca, stage.client, "peer.example"));
	use_in(tls_stage_in(stage.ca, stage.server, "other.example"));
	meet();
	expect_failures(TLS_REFUSED, TLS_WRONG_NAME);
}

Test(tls, time_is_what_was_passed, .init = begin, .fini = end)
{
	meet_at(NOW + 11 * DAY, SIZE_MAX);
	expect_failures(TLS_EXPIRED, TLS_REFUSED);
	meet_at(NOW - 2 * DAY, SIZE_MAX);
	expect_failures(TLS_EXPIRED, TLS_REFUSED);
}

Test(tls, a_client_that_has_expired, .init = begin, .fini = end)
{
	struct tls_identity *old = tls_identity_new(
	    &(struct tls_wish){ .issuer = stage.ca, .dns = "relay.example", .until = NOW - 1 });

	use_out(tls_stage_out(stage.ca, old, "peer.example"));
	meet();
	expect_failures(TLS_REFUSED, TLS_EXPIRED);
	tls_identity_free(old);
}

static bool
name_matches(const char *dns, const char *ip, const char *name)
{
	struct tls_identity *server =
	    tls_identity_new(&(struct tls_wish){ .issuer = stage.ca, .dns = dns, .ip = ip });

	use_in(tls_stage_in(stage.ca, server, "relay.example"));
	use_out(tls_stage_out(stage.ca, stage.client, name));
	meet();
	tls_identity_free(server);
	cr_assert(tls_state(stage.a) == TLS_READY || tls_failure(stage.a) == TLS_WRONG_NAME);
	return tls_state(stage.a) == TLS_READY;
}

Test(tls, names_with_a_wildcard_and_addresses, .init = begin, .fini = end)
{
	cr_assert(name_matches("*.site.example", NULL, "peer.site.example"));
	cr_assert(name_matches("PEER.example", NULL, "peer.Example"));
	cr_assert_not(name_matches("*.site.example", NULL, "a.peer.site.example"));
	cr_assert_not(name_matches("*.site.example", NULL, "site.example"));
	cr_assert_not(name_matches("p*.site.example", NULL, "peer.site.example"));
	cr_assert_not(name_matches("peer.site.example", NULL, ".site.example"));
	cr_assert_not(name_matches("peer.example", NULL, "peer.example.org"));
	cr_assert(name_matches(NULL, "\x7f\0\0\1", "127.0.0.1"));
	cr_assert_not(name_matches(NULL, "\x7f\0\0\2", "127.0.0.1"));
	cr_assert_not(name_matches("127.0.0.1", NULL, "127.0.0.1"));
	/* The common name says nothing. */
	cr_assert_not(name_matches(NULL, "\x7f\0\0\1", "subject 1"));
}

/* --- resumption */

/* The server's tickets come with the first words that it has to say. */
static void
answer(struct tls_session *server, struct tls_session *client)
{
	uint8_t room[2];
	size_t used = 0;

	cr_assert(tls_write(server, "x", 1));
	while (tls_stage_carry(server, client, SIZE_MAX, room, sizeof room, &used))
		continue;
	cr_assert_eq(used, 1);
}

static void
meet_again(int64_t now, bool resumed)
{
	meet_at(now, SIZE_MAX);
	cr_assert_eq(tls_state(stage.a), TLS_READY, "%s", tls_detail(stage.a));
	cr_assert_eq(tls_state(stage.b), TLS_READY, "%s", tls_detail(stage.b));
	cr_assert_eq(tls_resumed(stage.a), resumed);
	cr_assert_eq(tls_resumed(stage.b), resumed);
	answer(stage.b, stage.a);
}

static void
give_keys(struct tls_context *context, uint8_t first, uint8_t second)
{
	struct tls_ticket_key keys[2];

	memset(&keys[0], first, sizeof keys[0]);
	memset(&keys[1], second, sizeof keys[1]);
	tls_context_set_ticket_keys(context, keys, second == 0 ? 1 : 2);
}

Test(tls, a_session_is_resumed_and_judged_again, .init = begin, .fini = end)
{
	give_keys(stage.in, 1, 0);
	meet_again(NOW, false);
	meet_again(NOW, true);
	cr_assert_str_eq(tls_peer_name(stage.a), "peer.example");
	cr_assert_str_eq(tls_peer_name(stage.b), "relay.example");
	cr_assert_eq(tls_peer_expiry(stage.b), NOW + 10 * DAY);
}

Test(tls, a_ticket_of_the_key_before_is_renewed, .init = begin, .fini = end)
{
	give_keys(stage.in, 1, 0);
	meet_again(NOW, false);
	give_keys(stage.in, 2, 1);
	meet_again(NOW, true);
	give_keys(stage.in, 2, 0);
	meet_again(NOW, true);
	give_keys(stage.in, 3, 0);
	meet_again(NOW, false);
}

Test(tls, without_keys_there_are_no_tickets, .init = begin, .fini = end)
{
	meet_again(NOW, false);
	meet_again(NOW, false);
	give_keys(stage.in, 1, 0);
	meet_again(NOW, false);
	tls_context_set_ticket_keys(stage.in, NULL, 0);
	meet_again(NOW, false);
}

Test(tls, another_worker_resumes_with_the_same_keys, .init = begin, .fini = end)
{
	give_keys(stage.in, 1, 0);
	meet_again(NOW, false);
	use_in(tls_stage_in(stage.ca, stage.server, "relay.example"));
	give_keys(stage.in, 1, 0);
	meet_again(NOW, true);
}

Test(tls, a_resumed_client_may_be_allowed_no_more, .init = begin, .fini = end)
{
	give_keys(stage.in, 1, 0);
	meet_again(NOW, false);
	use_in(tls_stage_in(stage.ca, stage.server, "other.example"));
	give_keys(stage.in, 1, 0);
	meet();
	expect_failures(TLS_REFUSED, TLS_WRONG_NAME);
}

Test(tls, a_resumed_client_may_be_trusted_no_more, .init = begin, .fini = end)
{
	struct tls_identity *other = tls_identity_new(&(struct tls_wish){ 0 });

	give_keys(stage.in, 1, 0);
	meet_again(NOW, false);
	use_in(tls_stage_in(other, stage.server, "relay.example"));
	give_keys(stage.in, 1, 0);
	meet();
	expect_failures(TLS_REFUSED, TLS_UNTRUSTED);
	tls_identity_free(other);
}

Test(tls, a_resumed_certificate_may_have_expired, .init = begin, .fini = end)
{
	struct tls_identity *brief = tls_identity_new(
	    &(struct tls_wish){ .issuer = stage.ca, .dns = "relay.example", .until = NOW + 60 });

	give_keys(stage.in, 1, 0);
	use_out(tls_stage_out(stage.ca, brief, "peer.example"));
	meet_again(NOW, false);
	meet_again(NOW + 30, true);
	meet_at(NOW + 90, SIZE_MAX);
	expect_failures(TLS_REFUSED, TLS_EXPIRED);
	tls_identity_free(brief);
}

/* A server that breaks off when it is given a ticket costs some handshakes, not every other one. */
Test(tls, tickets_that_only_make_trouble_are_given_up, .init = begin, .fini = end)
{
	struct tls_session *session = tls_session_new(stage.out, &stage.memory, NOW);
	size_t plain = tls_output(session).len;
	int failed = 0;

	tls_session_free(session);
	give_keys(stage.in, 1, 0);
	for (int i = 0; i < 10; i++) {
		meet_again(NOW, false);
		session = tls_session_new(stage.out, &stage.memory, NOW);
		if (tls_output(session).len > plain + 100) {
			failed++;
			tls_receive_end(session);
		}
		tls_session_free(session);
	}
	cr_assert_eq(failed, 2);
}

/* Peers that are started anew break off, too: that is over some day. */
Test(tls, tickets_that_were_given_up_are_tried_again, .init = begin, .fini = end)
{
	give_keys(stage.in, 1, 0);
	for (int i = 0; i < 2; i++) {
		meet_again(NOW, false);
		struct tls_session *session = tls_session_new(stage.out, &stage.memory, NOW);
		tls_receive_end(session);
		tls_session_free(session);
	}
	meet_again(NOW, false);
	meet_again(NOW, false);
	meet_again(NOW + DAY, false);
	meet_again(NOW + DAY, true);
}

/* Who has renewed a certificate in time is not refused for the one that a ticket goes back to. */
Test(tls, a_ticket_of_an_expired_server_is_not_used, .init = begin, .fini = end)
{
	struct tls_identity *brief = tls_identity_new(
	    &(struct tls_wish){ .issuer = stage.ca, .dns = "peer.example", .until = NOW + 60 });

	use_in(tls_stage_in(stage.ca, brief, "relay.example"));
	give_keys(stage.in, 1, 0);
	meet_again(NOW, false);
	meet_again(NOW + 30, true);
	use_in(tls_stage_in(stage.ca, stage.server, "relay.example"));
	give_keys(stage.in, 1, 0);
	meet_again(NOW + 90, false);
	meet_again(NOW + 90, true);
	tls_identity_free(brief);
}

Test(tls, tickets_are_used_once_and_bounded, .init = begin, .fini = end)
{
	give_keys(stage.in, 1, 0);
	/* Each whole handshake leaves more than one. */
	for (int i = 0; i < 8; i++) {
		struct tls_session *a = tls_session_new(stage.out, &stage.memory, NOW);
		struct tls_session *b = tls_session_new(stage.in, &stage.memory, NOW);
		tls_stage_shake(a, b, SIZE_MAX);
		answer(b, a);
		tls_session_free(a);
		tls_session_free(b);
	}
	struct tls_session *taken[TLS_TICKETS_MAX + 1];
	int resumed = 0;
	for (unsigned i = 0; i <= TLS_TICKETS_MAX; i++) {
		struct tls_session *b = tls_session_new(stage.in, &stage.memory, NOW);
		taken[i] = tls_session_new(stage.out, &stage.memory, NOW);
		/* The server's answer alone: no new ticket comes. */
		tls_stage_carry(taken[i], b, SIZE_MAX, NULL, 0, NULL);
		tls_stage_carry(b, taken[i], SIZE_MAX, NULL, 0, NULL);
		resumed += tls_resumed(taken[i]);
		tls_session_free(b);
	}
	cr_assert_eq(resumed, TLS_TICKETS_MAX);
	for (unsigned i = 0; i <= TLS_TICKETS_MAX; i++)
		tls_session_free(taken[i]);
}

/* --- data */

static uint8_t *
pattern(size_t len)
{
	uint8_t *bytes = malloc(len);

	cr_assert_not_null(bytes);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 31 + (i >> 9));
	return bytes;
}

static void
carry_all(size_t len, size_t step)
{
	uint8_t *sent = pattern(len);
	uint8_t *read = malloc(len);
	size_t used = 0;

	cr_assert_not_null(read);
	meet();
	cr_assert(tls_write(stage.a, sent, len));
	cr_assert_leq(tls_output(stage.a).len, len + (len / TLS_RECORD_MAX + 1) * TLS_RECORD_MORE);
	while (tls_stage_carry(stage.a, stage.b, step, read, len, &used))
		continue;
	cr_assert_eq(used, len);
	cr_assert_arr_eq(read, sent, len);
	free(sent);
	free(read);
}

Test(tls, data_of_every_size_in_pieces_of_every_size, .init = begin, .fini = end)
{
	static const size_t lens[] = { 1, 2, 16383, 16384, 16385, 100000 };
	static const size_t steps[] = { 7, 1000, 4096, SIZE_MAX };

	for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
		for (size_t j = 0; j < sizeof steps / sizeof *steps; j++)
			carry_all(lens[i], steps[j]);
	}
	carry_all(3u << 20, 4096);
}

Test(tls, silent_sessions_hold_no_output, .init = begin, .fini = end)
{
	carry_all(100000, 4096);
	cr_assert_eq(stage.memory.used, 0);
}

Test(tls, output_beyond_the_budget_fails, .init = begin, .fini = end)
{
	uint8_t *bytes = pattern(1u << 20);

	meet();
	stage.memory.max = stage.memory.large_max = 256u << 10;
	cr_assert_not(tls_write(stage.a, bytes, 1u << 20));
	cr_assert_eq(tls_failure(stage.a), TLS_NO_MEMORY);
	cr_assert_not(tls_write(stage.a, bytes, 1));
	free(bytes);
}

/* The library has more to say before that: of a write that fails nothing is left to be sent. */
Test(tls, a_write_that_fails_in_the_middle_leaves_nothing, .init = begin, .fini = end)
{
	size_t room = 64u << 10;
	size_t len = room - 4 * (size_t)TLS_RECORD_MORE;
	uint8_t *bytes = pattern(len);

	give_keys(stage.in, 1, 0);
	meet();
	cr_assert_eq(stage.memory.used, 0);
	stage.memory.max = stage.memory.large_max = room;
	cr_assert_not(tls_write(stage.b, bytes, len));
	cr_assert_eq(tls_failure(stage.b), TLS_NO_MEMORY);
	cr_assert_eq(tls_output(stage.b).len, 0);
	free(bytes);
}

/* --- ends */

static void
receive_all(struct tls_session *session, const void *data, size_t len)
{
	uint8_t room[64];

	tls_receive(session, data, len);
	while (tls_read(session, room, sizeof room) > 0)
		continue;
}

Test(tls, a_close_is_carried_over_and_half, .init = begin, .fini = end)
{
	uint8_t room[16];
	size_t used = 0;

	meet();
	cr_assert(tls_write(stage.a, "last", 4));
	tls_close(stage.a);
	tls_close(stage.a);
	while (tls_stage_carry(stage.a, stage.b, 5, room, sizeof room, &used))
		continue;
	cr_assert_eq(used, 4);
	cr_assert_eq(tls_state(stage.b), TLS_CLOSED);
	tls_receive_end(stage.b);
	cr_assert_eq(tls_state(stage.b), TLS_CLOSED);
	/* The other half. */
	used = 0;
	cr_assert(tls_write(stage.b, "answer", 6));
	tls_close(stage.b);
	while (tls_stage_carry(stage.b, stage.a, 5, room, sizeof room, &used))
		continue;
	cr_assert_eq(used, 6);
	cr_assert_eq(tls_state(stage.a), TLS_CLOSED);
}

Test(tls, an_end_without_a_word_is_early, .init = begin, .fini = end)
{
	meet();
	tls_receive_end(stage.a);
	cr_assert_eq(tls_failure(stage.a), TLS_CLOSED_EARLY);
	cr_assert_eq(tls_state(stage.a), TLS_FAILED);
	tls_receive_end(stage.a);
	cr_assert_not(tls_write(stage.a, "x", 1));
}

/* Cut anywhere: never ready, never more than early. */
Test(tls, a_handshake_that_is_cut_short, .init = begin, .fini = end)
{
	for (size_t cut = 0;; cut += 97) {
		hang_up();
		stage.a = tls_session_new(stage.out, &stage.memory, NOW);
		stage.b = tls_session_new(stage.in, &stage.memory, NOW);
		tls_stage_carry(stage.a, stage.b, SIZE_MAX, NULL, 0, NULL);
		struct wire_span flight = tls_output(stage.b);
		if (cut >= flight.len)
			break;
		receive_all(stage.a, flight.data, cut);
		cr_assert_eq(tls_state(stage.a), TLS_HANDSHAKE);
		tls_receive_end(stage.a);
		cr_assert_eq(tls_failure(stage.a), TLS_CLOSED_EARLY);
	}
}

Test(tls, garbage_and_plain_text_are_no_tls, .init = begin, .fini = end)
{
	static const char *const texts[] = { "init\nxxxxxxxx", "HTTP/1.1 200 OK\r\n\r\n",
					     "\x16\x03\x01\xff\xff\xff\xff\xff",
					     "\x17\x03\x03\x01\x01zzzzz" };

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		hang_up();
		stage.a = tls_session_new(stage.out, &stage.memory, NOW);
		stage.b = tls_session_new(stage.in, &stage.memory, NOW);
		receive_all(stage.a, texts[i], strlen(texts[i]));
		receive_all(stage.b, texts[i], strlen(texts[i]));
		tls_receive_end(stage.a);
		tls_receive_end(stage.b);
		expect_failures(i == 3 ? TLS_CLOSED_EARLY : TLS_PROTOCOL,
				i == 3 ? TLS_CLOSED_EARLY : TLS_PROTOCOL);
	}
}

Test(tls, what_was_changed_on_its_way_is_not_believed, .init = begin, .fini = end)
{
	uint8_t forged[64];

	meet();
	cr_assert(tls_write(stage.b, "reply", 5));
	struct wire_span out = tls_output(stage.b);
	cr_assert_leq(out.len, sizeof forged);
	memcpy(forged, out.data, out.len);
	forged[out.len - 3] ^= 1;
	receive_all(stage.a, forged, out.len);
	cr_assert_eq(tls_failure(stage.a), TLS_PROTOCOL);
	cr_assert_gt(tls_output(stage.a).len, 0); /* the alert */
}

/* --- peers that are not like us */

struct other {
	SSL_CTX *context;
	SSL *ssl;
};

static struct other
other_peer(bool accepts, int version, const char *alpn)
{
	struct other other = { .context = SSL_CTX_new(TLS_method()) };

	SSL_CTX_set_min_proto_version(other.context, TLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(other.context, (uint16_t)version);
	if (alpn != NULL)
		SSL_CTX_set_alpn_protos(other.context, (const uint8_t *)alpn,
					(unsigned)strlen(alpn));
	SSL_CTX_set_verify(other.context, SSL_VERIFY_NONE, NULL);
	other.ssl = SSL_new(other.context);
	SSL_set_bio(other.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (accepts)
		SSL_set_accept_state(other.ssl);
	else
		SSL_set_connect_state(other.ssl);
	return other;
}

static void
other_meets(struct other *other, struct tls_session *session)
{
	uint8_t bytes[4096];
	int n;

	for (int i = 0; i < 8; i++) {
		SSL_do_handshake(other->ssl);
		while ((n = BIO_read(SSL_get_wbio(other->ssl), bytes, sizeof bytes)) > 0)
			receive_all(session, bytes, (size_t)n);
		struct wire_span out = tls_output(session);
		if (out.len > 0)
			BIO_write(SSL_get_rbio(other->ssl), out.data, (int)out.len);
		tls_sent(session, out.len);
	}
}

static void
other_free(struct other *other)
{
	SSL_free(other->ssl);
	SSL_CTX_free(other->context);
}

static void
expect_of_client(int version, const char *alpn, enum tls_state state, enum tls_failure failure)
{
	struct other other = other_peer(false, version, alpn);
	struct tls_session *session = tls_session_new(stage.in, &stage.memory, NOW);

	other_meets(&other, session);
	cr_assert_eq(tls_state(session), state, "%s", tls_detail(session));
	cr_assert_str_eq(tls_failure_text(tls_failure(session)), tls_failure_text(failure), "%s",
			 tls_detail(session));
	tls_session_free(session);
	other_free(&other);
}

Test(tls, clients_that_are_not_like_us, .init = begin, .fini = end)
{
	expect_of_client(TLS1_2_VERSION, NULL, TLS_FAILED, TLS_PROTOCOL);
	expect_of_client(TLS1_3_VERSION, "\x02h2", TLS_FAILED, TLS_PROTOCOL);
	/* These get as far as the certificate, which they have not. */
	expect_of_client(TLS1_3_VERSION, NULL, TLS_FAILED, TLS_UNTRUSTED);
	expect_of_client(TLS1_3_VERSION, "\x02h2\x07relay/1", TLS_FAILED, TLS_UNTRUSTED);
}

static int
choose_unasked(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned len,
	       void *context)
{
	(void)ssl;
	(void)in;
	(void)len;
	*out = context;
	*out_len = (uint8_t)strlen(context);
	return SSL_TLSEXT_ERR_OK;
}

/* A server of our ca, with a certificate for the name that is expected. */
static struct tls_session *
meet_server(int version, char *chosen)
{
	struct other other = other_peer(true, version, NULL);
	struct wire_span cert = tls_identity_cert(stage.server);
	struct wire_span key = tls_identity_key(stage.server);
	BIO *text = BIO_new_mem_buf(cert.data, (int)cert.len);
	X509 *x509 = PEM_read_bio_X509(text, NULL, NULL, NULL);
	BIO_free(text);
	text = BIO_new_mem_buf(key.data, (int)key.len);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);
	BIO_free(text);
	struct tls_session *session = tls_session_new(stage.out, &stage.memory, NOW);

	cr_assert(SSL_use_certificate(other.ssl, x509) == 1);
	cr_assert(SSL_use_PrivateKey(other.ssl, pkey) == 1);
	if (chosen != NULL)
		SSL_CTX_set_alpn_select_cb(other.context, choose_unasked, chosen);
	other_meets(&other, session);
	X509_free(x509);
	EVP_PKEY_free(pkey);
	other_free(&other);
	return session;
}

Test(tls, servers_that_are_not_like_us, .init = begin, .fini = end)
{
	char wrong[] = "h2";
	char right[] = TLS_ALPN;
	struct tls_session *none = meet_server(TLS1_3_VERSION, NULL);
	struct tls_session *ours = meet_server(TLS1_3_VERSION, right);
	struct tls_session *other = meet_server(TLS1_3_VERSION, wrong);
	struct tls_session *old = meet_server(TLS1_2_VERSION, NULL);

	cr_assert_eq(tls_state(none), TLS_READY, "%s", tls_detail(none));
	cr_assert_eq(tls_state(ours), TLS_READY, "%s", tls_detail(ours));
	cr_assert_eq(tls_failure(other), TLS_PROTOCOL);
	cr_assert_eq(tls_failure(old), TLS_PROTOCOL);
	tls_session_free(none);
	tls_session_free(ours);
	tls_session_free(other);
	tls_session_free(old);
}

/* The peer may change keys, and ask for ours to be changed. */
Test(tls, keys_are_updated_when_the_peer_asks, .init = begin, .fini = end)
{
	uint8_t room[16];
	struct other other = other_peer(false, TLS1_3_VERSION, NULL);
	struct tls_context *in = tls_stage_in(stage.ca, stage.server, "relay.example");
	struct tls_session *session = tls_session_new(in, &stage.memory, NOW);
	struct wire_span cert = tls_identity_cert(stage.client);
	struct wire_span key = tls_identity_key(stage.client);
	BIO *text = BIO_new_mem_buf(cert.data, (int)cert.len);
	X509 *x509 = PEM_read_bio_X509(text, NULL, NULL, NULL);
	BIO_free(text);
	text = BIO_new_mem_buf(key.data, (int)key.len);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);
	BIO_free(text);

	SSL_use_certificate(other.ssl, x509);
	SSL_use_PrivateKey(other.ssl, pkey);
	other_meets(&other, session);
	cr_assert_eq(tls_state(session), TLS_READY, "%s", tls_detail(session));
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(SSL_key_update(other.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		cr_assert_eq(SSL_write(other.ssl, "x", 1), 1);
		uint8_t bytes[1024];
		int n = BIO_read(SSL_get_wbio(other.ssl), bytes, sizeof bytes);
		tls_receive(session, bytes, (size_t)n);
		cr_assert_eq(tls_read(session, room, sizeof room), 1);
		cr_assert_eq(tls_read(session, room, sizeof room), 0);
		cr_assert(tls_write(session, "answer", 6));
		struct wire_span out = tls_output(session);
		BIO_write(SSL_get_rbio(other.ssl), out.data, (int)out.len);
		tls_sent(session, out.len);
		cr_assert_eq(SSL_read(other.ssl, room, sizeof room), 6);
	}
	X509_free(x509);
	EVP_PKEY_free(pkey);
	other_free(&other);
	tls_session_free(session);
	tls_context_release(in);
}

/* --- credentials */

static const char *
refused(struct tls_options options)
{
	const char *why = NULL;
	struct tls_context *context = tls_context_new(&options, &why);

	cr_assert_null(context);
	cr_assert_not_null(why);
	return why;
}

Test(tls, credentials_that_are_no_good_are_named, .init = begin, .fini = end)
{
	struct tls_options good = {
		.role = TLS_OUT,
		.ca = tls_identity_cert(stage.ca),
		.cert = tls_identity_cert(stage.client),
		.key = tls_identity_key(stage.client),
		.name = "peer.example",
	};
	struct tls_options options = good;

	options.ca = wire_span_str("no certificate");
	cr_assert(strncmp(refused(options), "ca:", 3) == 0);
	options = good;
	options.ca.len -= 40; /* its end is missing */
	cr_assert(strncmp(refused(options), "ca:", 3) == 0);
	options = good;
	options.cert = good.key;
	cr_assert(strncmp(refused(options), "cert:", 5) == 0);
	options = good;
	options.key = good.cert;
	cr_assert(strncmp(refused(options), "key:", 4) == 0);
	options.key = tls_identity_key(stage.server);
	cr_assert(strncmp(refused(options), "key:", 4) == 0);
	options = good;
	options.name = "";
	cr_assert(strncmp(refused(options), "name:", 5) == 0);
	options = good;
	options.role = TLS_IN;
	cr_assert(strncmp(refused(options), "allow:", 6) == 0);
}

Test(tls, a_context_lives_as_long_as_its_sessions, .init = begin, .fini = end)
{
	uint8_t room[8];
	size_t used = 0;

	meet();
	use_out(tls_stage_out(stage.ca, stage.client, "peer.example"));
	use_in(tls_stage_in(stage.ca, stage.server, "relay.example"));
	cr_assert(tls_write(stage.a, "still", 5));
	cr_assert(tls_stage_carry(stage.a, stage.b, SIZE_MAX, room, sizeof room, &used));
	cr_assert_eq(used, 5);
	cr_assert_str_eq(tls_peer_name(stage.b), "relay.example");
}
