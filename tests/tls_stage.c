/*
 * tls_stage.c - see tls_stage.h.  Certificates are of P-256, which is quick to make.
 */
#include "tests/tls_stage.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define DAY 86400

struct tls_identity {
	X509 *cert;
	EVP_PKEY *key;
	BIO *cert_text;
	BIO *key_text;
};

static void
need(bool done)
{
	if (!done)
		abort();
}

static EVP_PKEY *
make_key(void)
{
	EC_KEY *pair = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	EVP_PKEY *key = EVP_PKEY_new();

	need(pair != NULL && key != NULL && EC_KEY_generate_key(pair) == 1 &&
	     EVP_PKEY_assign_EC_KEY(key, pair) == 1);
	return key;
}

static void
set_names(X509 *cert, const struct tls_wish *wish)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_STRING *value =
	    wish->dns != NULL ? ASN1_IA5STRING_new() : (ASN1_STRING *)ASN1_OCTET_STRING_new();

	need(names != NULL && name != NULL && value != NULL);
	need(ASN1_STRING_set(value, wish->dns != NULL ? wish->dns : wish->ip,
			     wish->dns != NULL ? (int)strlen(wish->dns) : 4) == 1);
	GENERAL_NAME_set0_value(name, wish->dns != NULL ? GEN_DNS : GEN_IPADD, value);
	need(sk_GENERAL_NAME_push(names, name) == 1);
	need(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1);
	GENERAL_NAMES_free(names);
}

static void
set_ca(X509 *cert)
{
	BASIC_CONSTRAINTS *basic = BASIC_CONSTRAINTS_new();

	need(basic != NULL);
	basic->ca = 0xff;
	need(X509_add1_ext_i2d(cert, NID_basic_constraints, basic, 1, 0) == 1);
	BASIC_CONSTRAINTS_free(basic);
}

static void
fill(struct tls_identity *identity, const struct tls_wish *wish)
{
	X509 *cert = identity->cert;
	const struct tls_identity *issuer = wish->issuer != NULL ? wish->issuer : identity;
	static uint64_t serial; /* also what tells the subjects apart */
	char subject[32];
	int64_t from = wish->from != 0 ? wish->from : TLS_STAGE_NOW - DAY;
	int64_t until = wish->until != 0 ? wish->until : TLS_STAGE_NOW + 10 * DAY;

	snprintf(subject, sizeof subject, "subject %llu", (unsigned long long)++serial);
	need(X509_set_version(cert, X509_VERSION_3) == 1);
	need(ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial) == 1);
	need(ASN1_TIME_set(X509_getm_notBefore(cert), from) != NULL);
	need(ASN1_TIME_set(X509_getm_notAfter(cert), until) != NULL);
	need(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
					(const uint8_t *)subject, -1, -1, 0) == 1);
	need(X509_set_issuer_name(cert, X509_get_subject_name(issuer->cert)) == 1);
	need(X509_set_pubkey(cert, identity->key) == 1);
	if (wish->issuer == NULL)
		set_ca(cert);
	if (wish->dns != NULL || wish->ip != NULL)
		set_names(cert, wish);
	need(X509_sign(cert, issuer->key, EVP_sha256()) > 0);
}

struct tls_identity *
tls_identity_new(const struct tls_wish *wish)
{
	struct tls_identity *identity = calloc(1, sizeof *identity);

	need(identity != NULL);
	identity->cert = X509_new();
	identity->key = make_key();
	identity->cert_text = BIO_new(BIO_s_mem());
	identity->key_text = BIO_new(BIO_s_mem());
	need(identity->cert != NULL && identity->cert_text != NULL && identity->key_text != NULL);
	fill(identity, wish);
	need(PEM_write_bio_X509(identity->cert_text, identity->cert) == 1);
	need(PEM_write_bio_PKCS8PrivateKey(identity->key_text, identity->key, NULL, NULL, 0, NULL,
					   NULL) == 1);
	return identity;
}

void
tls_identity_free(struct tls_identity *identity)
{
	X509_free(identity->cert);
	EVP_PKEY_free(identity->key);
	BIO_free(identity->cert_text);
	BIO_free(identity->key_text);
	free(identity);
}

static struct wire_span
text_of(BIO *bio)
{
	const uint8_t *text;
	size_t len;

	need(BIO_mem_contents(bio, &text, &len) == 1);
	return wire_span(text, len);
}

struct wire_span
tls_identity_cert(const struct tls_identity *identity)
{
	return text_of(identity->cert_text);
}

struct wire_span
tls_identity_key(const struct tls_identity *identity)
{
	return text_of(identity->key_text);
}

static struct tls_context *
make(enum tls_role role, const struct tls_identity *ca, const struct tls_identity *own,
     const char *name)
{
	const struct tls_options options = {
		.role = role,
		.ca = tls_identity_cert(ca),
		.cert = tls_identity_cert(own),
		.key = tls_identity_key(own),
		.name = name,
		.allow = &name,
		.allow_count = 1,
		.session_id_context = wire_span_str("stage"),
	};
	const char *why;
	struct tls_context *context = tls_context_new(&options, &why);

	need(context != NULL);
	return context;
}

struct tls_context *
tls_stage_out(const struct tls_identity *ca, const struct tls_identity *client, const char *name)
{
	return make(TLS_OUT, ca, client, name);
}

struct tls_context *
tls_stage_in(const struct tls_identity *ca, const struct tls_identity *server, const char *allow)
{
	return make(TLS_IN, ca, server, allow);
}

bool
tls_stage_carry(struct tls_session *from, struct tls_session *to, size_t step, uint8_t *room,
		size_t size, size_t *used)
{
	struct wire_span out = tls_output(from);
	size_t n = out.len < step ? out.len : step;
	uint8_t nothing[1];
	size_t got;

	if (n == 0)
		return false;
	tls_receive(to, out.data, n);
	do {
		bool any = room != NULL && *used < size;
		got = tls_read(to, any ? room + *used : nothing, any ? size - *used : 1);
		need(any || got == 0);
		if (any)
			*used += got;
	} while (got > 0);
	tls_sent(from, n);
	return true;
}

void
tls_stage_shake(struct tls_session *a, struct tls_session *b, size_t step)
{
	bool moved;

	do {
		moved = tls_stage_carry(a, b, step, NULL, 0, NULL);
		moved |= tls_stage_carry(b, a, step, NULL, 0, NULL);
	} while (moved);
}
