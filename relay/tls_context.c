/*
 * tls_context.c - credentials made ready for sessions, and what sessions leave for later ones:
 * tickets on the side that connects, the keys of tickets on the side that accepts.
 *
 * Never reads a file, never asks for a passphrase.  Owns the private key: it is freed, and wiped by
 * that, with the last session that uses the context.
 */
#include "relay/tls_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

/* A ticket is good for so long, as long as its key lives; certificates are judged anew anyway. */
#define TICKET_SECONDS (24 * 3600)

/* Handshakes with a ticket that fail, one after the other, before no more tickets are kept for a
 * while. */
#define TICKETS_FAILED_MAX    2
#define TICKETS_PAUSE_SECONDS 3600

/* Bytes of the certificates that a peer may show. */
#define PEER_CERTS_MAX (64 * 1024)

static const uint8_t alpn_list[] = { sizeof TLS_ALPN - 1, 'r', 'e', 'l', 'a', 'y', '/', '1' };

static_assert(sizeof alpn_list == sizeof TLS_ALPN, "the list has one name");

/* One per process: a worker has one thread, and the library's callback knows no session. */
static int64_t passed_now;

void
tls_set_now(int64_t now)
{
	passed_now = now;
}

static void
on_time(const SSL *ssl, struct timeval *now)
{
	(void)ssl;
	*now = (struct timeval){ .tv_sec = passed_now };
}

bool
tls_prepare(void)
{
	uint8_t some[32];

	CRYPTO_library_init();
	return RAND_bytes(some, sizeof some) == 1;
}

/* --- PEM -------------------------------------------------------------------------------------- */

/* A key that needs a passphrase is refused, not asked for. */
static int
no_passphrase(char *text, int size, int writing, void *context)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)context;
	return -1;
}

static BIO *
open_text(struct wire_span pem)
{
	return pem.len == 0 || pem.len > TLS_PEM_MAX ? NULL
						     : BIO_new_mem_buf(pem.data, (int)pem.len);
}

/* Certificates go to each(), which takes no reference. false = none, too many, or not one. */
static bool
each_cert(struct wire_span pem, struct tls_context *context,
	  bool (*each)(struct tls_context *context, X509 *cert, unsigned number))
{
	BIO *text = open_text(pem);
	bool good = text != NULL;
	unsigned number = 0;
	X509 *cert;

	while (good && (cert = PEM_read_bio_X509(text, NULL, no_passphrase, NULL)) != NULL) {
		good = number < TLS_CERTS_MAX && each(context, cert, number);
		number++;
		X509_free(cert);
	}
	/* Its last attempt finds no beginning; anything else was a broken certificate. */
	uint32_t error = ERR_peek_last_error();
	bool ended =
	    ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
	BIO_free(text);
	ERR_clear_error();
	return good && number > 0 && ended;
}

static bool
trust(struct tls_context *context, X509 *cert, unsigned number)
{
	(void)number;
	/* Sent to clients as well, for those that choose their certificate by it. */
	if (context->role == TLS_IN && SSL_CTX_add_client_CA(context->ssl, cert) != 1)
		return false;
	return X509_STORE_add_cert(context->trusted, cert) == 1;
}

static bool
show(struct tls_context *context, X509 *cert, unsigned number)
{
	int64_t end = tls_not_after(cert);

	context->expiry = number == 0 || end < context->expiry ? end : context->expiry;
	return number == 0 ? SSL_CTX_use_certificate(context->ssl, cert) == 1
			   : SSL_CTX_add1_chain_cert(context->ssl, cert) == 1;
}

static const char *
use_key(struct tls_context *context, struct wire_span pem)
{
	BIO *text = open_text(pem);
	EVP_PKEY *key =
	    text == NULL ? NULL : PEM_read_bio_PrivateKey(text, NULL, no_passphrase, NULL);
	const char *why = NULL;

	if (key == NULL)
		why = "key: not a private key in PEM without a passphrase";
	else if (SSL_CTX_use_PrivateKey(context->ssl, key) != 1 ||
		 SSL_CTX_check_private_key(context->ssl) != 1)
		why = "key: not the one of the certificate";
	EVP_PKEY_free(key);
	BIO_free(text);
	ERR_clear_error();
	return why;
}

static const char *
use_credentials(struct tls_context *context, const struct tls_options *options)
{
	if (!each_cert(options->ca, context, trust))
		return "ca: not certificates in PEM";
	if (!each_cert(options->cert, context, show))
		return "cert: not certificates in PEM";
	return use_key(context, options->key);
}

/* --- names ------------------------------------------------------------------------------------ */

static const char *
use_names(struct tls_context *context, const struct tls_options *options)
{
	bool out = options->role == TLS_OUT;
	size_t count = out ? 1 : options->allow_count;

	if (count == 0 || count > TLS_ALLOW_MAX)
		return "allow: no names, or too many";
	context->names = calloc(count, sizeof *context->names);
	if (context->names == NULL)
		return "no memory";
	for (size_t i = 0; i < count; i++) {
		const char *name = out ? options->name : options->allow[i];
		size_t len = name == NULL ? 0 : strlen(name);
		if (len == 0 || len > TLS_NAME_MAX)
			return "name: empty, or too long";
		memcpy(context->names[i], name, len + 1);
	}
	context->names_count = (uint32_t)count;
	return NULL;
}

/* --- ALPN ------------------------------------------------------------------------------------- */

/* Called only if the client offers any: ours must be among them. */
static int
on_alpn(SSL *ssl, const uint8_t **chosen, uint8_t *chosen_len, const uint8_t *offered,
	unsigned offered_len, void *context)
{
	uint8_t *found;

	(void)ssl;
	(void)context;
	if (SSL_select_next_proto(&found, chosen_len, alpn_list, sizeof alpn_list, offered,
				  offered_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*chosen = found;
	return SSL_TLSEXT_ERR_OK;
}

/* --- tickets ---------------------------------------------------------------------------------- */

static void
drop_tickets(struct tls_context *context)
{
	while (context->tickets_count > 0)
		SSL_SESSION_free(context->tickets[--context->tickets_count].session);
}

static bool
gives_tickets_up(const struct tls_context *context)
{
	return context->tickets_failed >= TICKETS_FAILED_MAX &&
	       passed_now >= context->tickets_failed_at &&
	       passed_now < context->tickets_failed_at + TICKETS_PAUSE_SECONDS;
}

int
tls_context_keep_ticket(SSL *ssl, SSL_SESSION *ticket)
{
	struct tls_session *session = SSL_get_app_data(ssl);
	struct tls_context *context = session->context;

	if (gives_tickets_up(context))
		return 0; /* the library's, to free */
	if (context->tickets_count == TLS_TICKETS_MAX) {
		SSL_SESSION_free(context->tickets[0].session);
		memmove(context->tickets, context->tickets + 1,
			--context->tickets_count * sizeof *context->tickets);
	}
	context->tickets[context->tickets_count++] =
	    (struct tls_ticket){ .session = ticket, .until = session->peer_expiry };
	return 1; /* it is ours */
}

bool
tls_context_take_ticket(struct tls_context *context, SSL *ssl)
{
	bool used = false;

	while (!used && context->tickets_count > 0) {
		struct tls_ticket *ticket = &context->tickets[--context->tickets_count];
		/* The peer may have a new certificate, of which it would say nothing. */
		used = passed_now < ticket->until && SSL_set_session(ssl, ticket->session) == 1;
		SSL_SESSION_free(ticket->session);
	}
	return used;
}

/*
 * There are servers that give tickets and fail when they get one back (OpenSSL, where clients show
 * certificates and nobody has thought of a session id context).  They are to cost a few handshakes,
 * not one in two; a peer that was only started anew is to have its tickets again.
 */
void
tls_context_judge_tickets(struct tls_context *context, bool failed)
{
	context->tickets_failed = failed ? context->tickets_failed + 1 : 0;
	if (!failed)
		return;
	context->tickets_failed_at = passed_now;
	drop_tickets(context);
}

static const struct tls_ticket_key *
find_key(const struct tls_context *context, const uint8_t *name)
{
	for (uint32_t i = 0; i < context->keys_count; i++) {
		if (memcmp(context->keys[i].name, name, sizeof context->keys[i].name) == 0)
			return &context->keys[i];
	}
	return NULL;
}

/* The library's odd interface: 1 = go on, 2 = open it and give a new one, 0 = not one of ours. */
static int
on_ticket(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher, HMAC_CTX *mac, int sealing)
{
	const struct tls_session *session = SSL_get_app_data(ssl);
	const struct tls_context *context = session->context;
	const struct tls_ticket_key *key = sealing ? context->keys : find_key(context, name);

	if (key == NULL || context->keys_count == 0)
		return sealing ? -1 : 0;
	if (sealing) {
		memcpy(name, key->name, sizeof key->name);
		if (RAND_bytes(iv, 16) != 1)
			return -1;
	}
	if (EVP_CipherInit_ex(cipher, EVP_aes_128_cbc(), NULL, key->aes, iv, sealing) != 1 ||
	    HMAC_Init_ex(mac, key->mac, sizeof key->mac, EVP_sha256(), NULL) != 1)
		return -1;
	return sealing || key == context->keys ? 1 : 2;
}

void
tls_context_set_ticket_keys(struct tls_context *context, const struct tls_ticket_key *keys,
			    size_t count)
{
	assert(context->role == TLS_IN);
	count = count < TLS_TICKET_KEYS_MAX ? count : TLS_TICKET_KEYS_MAX;
	explicit_bzero(context->keys, sizeof context->keys);
	if (count > 0)
		memcpy(context->keys, keys, count * sizeof *keys);
	context->keys_count = (uint32_t)count;
	if (count > 0)
		SSL_CTX_clear_options(context->ssl, SSL_OP_NO_TICKET);
	else
		SSL_CTX_set_options(context->ssl, SSL_OP_NO_TICKET);
}

/* --- life ------------------------------------------------------------------------------------- */

static bool
set_in(struct tls_context *context, const struct tls_options *options)
{
	struct wire_span id = options->session_id_context;

	SSL_CTX_set_alpn_select_cb(context->ssl, on_alpn, NULL);
	SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context->ssl, SSL_OP_NO_TICKET); /* until it has keys */
	return id.len <= SSL_MAX_SID_CTX_LENGTH &&
	       SSL_CTX_set_session_id_context(context->ssl, id.data, id.len) == 1 &&
	       SSL_CTX_set_tlsext_ticket_key_cb(context->ssl, on_ticket) == 1;
}

static bool
set_out(struct tls_context *context)
{
	SSL_CTX_set_session_cache_mode(context->ssl,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context->ssl, tls_context_keep_ticket);
	return SSL_CTX_set_alpn_protos(context->ssl, alpn_list, sizeof alpn_list) == 0;
}

static const char *
set_up(struct tls_context *context, const struct tls_options *options)
{
	context->ssl = SSL_CTX_new(TLS_method());
	context->trusted = X509_STORE_new();
	if (context->ssl == NULL || context->trusted == NULL)
		return "no memory";
	SSL_CTX_set_custom_verify(context->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
				  tls_on_verify);
	SSL_CTX_set_max_cert_list(context->ssl, PEER_CERTS_MAX);
	SSL_CTX_set_current_time_cb(context->ssl, on_time);
	SSL_CTX_set_session_psk_dhe_timeout(context->ssl, TICKET_SECONDS);
	SSL_CTX_set_mode(context->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_set_min_proto_version(context->ssl, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(context->ssl, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set1_curves_list(context->ssl, "X25519:P-256") != 1 ||
	    !(options->role == TLS_IN ? set_in(context, options) : set_out(context)))
		return "no memory";
	const char *why = use_names(context, options);
	return why != NULL ? why : use_credentials(context, options);
}

struct tls_context *
tls_context_new(const struct tls_options *options, const char **why)
{
	struct tls_context *context = calloc(1, sizeof *context);

	*why = "no memory";
	if (context == NULL)
		return NULL;
	context->holders = 1;
	context->role = options->role;
	*why = set_up(context, options);
	if (*why == NULL)
		return context;
	tls_context_release(context);
	return NULL;
}

void
tls_context_hold(struct tls_context *context)
{
	assert(context->holders > 0);
	context->holders++;
}

void
tls_context_release(struct tls_context *context)
{
	if (context == NULL)
		return;
	assert(context->holders > 0);
	if (--context->holders > 0)
		return;
	drop_tickets(context);
	SSL_CTX_free(context->ssl);
	X509_STORE_free(context->trusted);
	free(context->names);
	explicit_bzero(context, sizeof *context);
	free(context);
}

int64_t
tls_context_expiry(const struct tls_context *context)
{
	return context->expiry;
}
