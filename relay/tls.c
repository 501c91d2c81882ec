/*
 * tls.c - one connection: handshake, sealing and opening, its end.
 *
 * The library reads and writes through a BIO of our own: it takes what was received from where the
 * ring has put it, and leaves what is to be sent in a buffer of the worker's budget.  So it keeps
 * one incomplete record at most, and can make no more than it is given.
 *
 * Never touches a socket or a clock.  Owns its output; holds its context.
 */
#include "relay/tls.h"

#include "relay/tls_internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

const char *
tls_state_text(enum tls_state state)
{
	switch (state) {
#define X(name, text) \
	case name:    \
		return text;
		TLS_STATES(X)
#undef X
	}
	return "unknown";
}

const char *
tls_failure_text(enum tls_failure failure)
{
	switch (failure) {
#define X(name, text) \
	case name:    \
		return text;
		TLS_FAILURES(X)
#undef X
	}
	return "unknown";
}

/* --- the library's view of a connection ------------------------------------------------------- */

static int
bio_read(BIO *bio, char *room, int size)
{
	struct tls_session *session = BIO_get_data(bio);
	size_t n = session->in.len < (size_t)size ? session->in.len : (size_t)size;

	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	memcpy(room, session->in.data, n);
	session->in = wire_span(session->in.data + n, session->in.len - n);
	return (int)n;
}

static int
bio_write(BIO *bio, const char *bytes, int len)
{
	struct tls_session *session = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (buffer_append(&session->out, session->memory, bytes, (size_t)len))
		return len;
	session->failure = TLS_NO_MEMORY;
	return -1;
}

static long
bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD *method; /* one per process; its life is that of the process */

	if (method != NULL)
		return method;
	BIO_METHOD *made = BIO_meth_new(0, "session");
	if (made == NULL)
		return NULL;
	BIO_meth_set_read(made, bio_read);
	BIO_meth_set_write(made, bio_write);
	BIO_meth_set_ctrl(made, bio_ctrl);
	method = made;
	return method;
}

/* --- failing ---------------------------------------------------------------------------------- */

static void
fail(struct tls_session *session, enum tls_failure failure, const char *detail)
{
	if (session->offered && session->state == TLS_HANDSHAKE)
		tls_context_judge_tickets(session->context, true);
	session->state = TLS_FAILED;
	session->failure = failure;
	session->detail = detail;
	session->in.len = 0;
}

/* What the peer says of our certificate; any other alert is a matter of protocol. */
static bool
is_refusal(int reason)
{
	switch (reason - SSL_AD_REASON_OFFSET) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_CERTIFICATE_REQUIRED:
		return true;
	default:
		return false;
	}
}

/* By what the library has put on its list of errors. */
static void
fail_by_error(struct tls_session *session)
{
	uint32_t error = ERR_peek_error();
	int reason = ERR_GET_REASON(error);
	const char *text = ERR_reason_error_string(error);
	enum tls_failure failure = session->failure;

	if (failure == TLS_OK && ERR_GET_LIB(error) == ERR_LIB_SSL && is_refusal(reason))
		failure = TLS_REFUSED;
	else if (failure == TLS_OK && ERR_GET_LIB(error) == ERR_LIB_SSL &&
		 reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		failure = TLS_UNTRUSTED;
	else if (failure == TLS_OK)
		failure = reason == ERR_R_MALLOC_FAILURE ? TLS_NO_MEMORY : TLS_PROTOCOL;
	/* Of a certificate that was judged here there are better words. */
	fail(session, failure,
	     session->detail != NULL ? session->detail
	     : text != NULL          ? text
				     : tls_failure_text(failure));
	ERR_clear_error();
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The library asks about certificates in a whole handshake only: a ticket has to be asked about
 * here, before anything that came with it is believed. */
static void
become_ready(struct tls_session *session)
{
	enum tls_failure failure = TLS_OK;

	if (SSL_session_reused(session->ssl))
		failure = tls_verify(session);
	if (failure == TLS_OK) {
		session->state = TLS_READY;
		if (session->offered)
			tls_context_judge_tickets(session->context, false);
		return;
	}
	SSL_send_fatal_alert(session->ssl, tls_alert(session->context->role, failure));
	ERR_clear_error();
	fail(session, failure, session->detail);
}

static void
shake_hands(struct tls_session *session)
{
	int done = SSL_do_handshake(session->ssl);
	int error = SSL_get_error(session->ssl, done);

	if (done == 1)
		become_ready(session);
	else if (error == SSL_ERROR_ZERO_RETURN)
		fail(session, TLS_CLOSED_EARLY, "the peer has ended the handshake");
	else if (error != SSL_ERROR_WANT_READ)
		fail_by_error(session);
}

void
tls_receive(struct tls_session *session, const void *data, size_t len)
{
	assert(session->in.len == 0);
	if (session->state == TLS_HANDSHAKE || session->state == TLS_READY)
		session->in = wire_span(data, len);
	if (session->state == TLS_HANDSHAKE)
		shake_hands(session);
}

size_t
tls_read(struct tls_session *session, void *room, size_t size)
{
	if (session->state != TLS_READY)
		return 0;
	int got = SSL_read(session->ssl, room, size < INT_MAX ? (int)size : INT_MAX);
	if (got > 0)
		return (size_t)got;
	switch (SSL_get_error(session->ssl, got)) {
	case SSL_ERROR_WANT_READ:
		assert(session->in.len == 0);
		break;
	case SSL_ERROR_ZERO_RETURN:
		session->state = TLS_CLOSED;
		session->in.len = 0; /* nothing of it can mean anything */
		break;
	default:
		fail_by_error(session);
	}
	return 0;
}

void
tls_receive_end(struct tls_session *session)
{
	if (session->state == TLS_HANDSHAKE)
		fail(session, TLS_CLOSED_EARLY, "the connection ended in the handshake");
	else if (session->state == TLS_READY)
		fail(session, TLS_CLOSED_EARLY, "the connection ended without close_notify");
}

/* --- writing ---------------------------------------------------------------------------------- */

bool
tls_write(struct tls_session *session, const void *data, size_t len)
{
	size_t sealed = len + (len / TLS_RECORD_MAX + 1) * TLS_RECORD_MORE;
	size_t before = buffer_len(&session->out);

	assert(len > 0 && len <= INT_MAX && !session->closing);
	if (session->state != TLS_READY && session->state != TLS_CLOSED)
		return false;
	/* Had before it is begun, but the library may have more to say than that. */
	if (buffer_room(&session->out, session->memory, sealed) == NULL) {
		fail(session, TLS_NO_MEMORY, "no memory for its output");
		return false;
	}
	if (SSL_write(session->ssl, data, (int)len) == (int)len)
		return true;
	fail_by_error(session);
	/* Whoever gave it may give it to another session: nothing of it must leave here. */
	session->out.tail = session->out.head + before;
	return false;
}

void
tls_close(struct tls_session *session)
{
	if (session->closing || (session->state != TLS_READY && session->state != TLS_CLOSED))
		return;
	session->closing = true;
	if (SSL_shutdown(session->ssl) < 0)
		fail_by_error(session);
}

struct wire_span
tls_output(const struct tls_session *session)
{
	size_t len = buffer_len(&session->out);

	return wire_span(len == 0 ? NULL : buffer_at(&session->out), len);
}

void
tls_sent(struct tls_session *session, size_t n)
{
	buffer_consume(&session->out, n);
	if (buffer_len(&session->out) == 0)
		buffer_release(&session->out, session->memory);
}

/* --- life ------------------------------------------------------------------------------------- */

static bool
attach(struct tls_session *session)
{
	BIO_METHOD *method = bio_method();
	BIO *bio = method == NULL ? NULL : BIO_new(method);

	if (bio == NULL)
		return false;
	BIO_set_data(bio, session);
	BIO_set_init(bio, 1);
	SSL_set_bio(session->ssl, bio, bio);
	SSL_set_app_data(session->ssl, session);
	SSL_set_shed_handshake_config(session->ssl, 1);
	return true;
}

/* The name goes to the peer as well, for one that has several certificates. */
static bool
connect_to(struct tls_session *session)
{
	const char *name = session->context->names[0];
	uint8_t address[sizeof(struct in6_addr)];

	SSL_set_connect_state(session->ssl);
	session->offered = tls_context_take_ticket(session->context, session->ssl);
	if (inet_pton(AF_INET, name, address) != 1 && inet_pton(AF_INET6, name, address) != 1 &&
	    SSL_set_tlsext_host_name(session->ssl, name) != 1)
		return false;
	shake_hands(session);
	return session->state == TLS_HANDSHAKE;
}

struct tls_session *
tls_session_new(struct tls_context *context, struct memory *memory, int64_t now)
{
	struct tls_session *session = calloc(1, sizeof *session);

	if (session == NULL)
		return NULL;
	tls_set_now(now);
	tls_context_hold(context);
	session->context = context;
	session->memory = memory;
	session->now = now;
	session->ssl = SSL_new(context->ssl);
	bool good = session->ssl != NULL && attach(session);
	if (good && context->role == TLS_OUT)
		good = connect_to(session);
	else if (good)
		SSL_set_accept_state(session->ssl);
	if (good)
		return session;
	ERR_clear_error();
	tls_session_free(session);
	return NULL;
}

void
tls_session_free(struct tls_session *session)
{
	if (session == NULL)
		return;
	buffer_release(&session->out, session->memory);
	SSL_free(session->ssl);
	tls_context_release(session->context);
	free(session);
}

/* --- what is known of it ---------------------------------------------------------------------- */

enum tls_state
tls_state(const struct tls_session *session)
{
	return session->state;
}

enum tls_failure
tls_failure(const struct tls_session *session)
{
	return session->failure;
}

const char *
tls_detail(const struct tls_session *session)
{
	return session->detail != NULL ? session->detail : "";
}

const char *
tls_cipher(const struct tls_session *session)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(session->ssl);

	return cipher == NULL ? "" : SSL_CIPHER_standard_name(cipher);
}

const char *
tls_peer_name(const struct tls_session *session)
{
	return session->peer_name != NULL ? session->peer_name : "";
}

int64_t
tls_peer_expiry(const struct tls_session *session)
{
	return session->peer_expiry;
}

bool
tls_resumed(const struct tls_session *session)
{
	return session->state != TLS_HANDSHAKE && SSL_session_reused(session->ssl);
}

const struct tls_context *
tls_session_context(const struct tls_session *session)
{
	return session->context;
}
