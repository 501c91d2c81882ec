/*
 * tls_verify.c - whether a peer's certificate is to be believed: trust, time, name.
 *
 * Never decides by the subject's common name, and never believes a certificate because it was
 * believed before: a resumed session is judged again, by the credentials and at the time of now.
 * Owns nothing.
 */
#include "relay/tls_internal.h"

#include <arpa/inet.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* Certificates between the peer's own and one that is trusted. */
#define CHAIN_DEPTH 8

int64_t
tls_not_after(const X509 *cert)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0;
	int seconds = 0;
	/* What has no end that can be read ends at once. */
	bool known =
	    epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(cert)) == 1;

	ASN1_TIME_free(epoch);
	return known ? (int64_t)days * 86400 + seconds : 0;
}

static bool
is_address(const char *name)
{
	uint8_t address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

static bool
matches(X509 *cert, const char *name)
{
	if (is_address(name))
		return X509_check_ip_asc(cert, name, 0) == 1;
	return X509_check_host(cert, name, strlen(name), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
			       NULL) == 1;
}

/* The name of ours that the certificate is for; NULL = none. */
static const char *
find_name(const struct tls_context *context, X509 *cert)
{
	for (uint32_t i = 0; i < context->names_count; i++) {
		if (matches(cert, context->names[i]))
			return context->names[i];
	}
	return NULL;
}

static enum tls_failure
failure_of(int error)
{
	switch (error) {
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return TLS_EXPIRED;
	case X509_V_ERR_OUT_OF_MEM:
		return TLS_NO_MEMORY;
	default:
		return TLS_UNTRUSTED;
	}
}

static int64_t
first_end(STACK_OF(X509) * chain)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < sk_X509_num(chain); i++) {
		int64_t end = tls_not_after(sk_X509_value(chain, i));
		first = end < first ? end : first;
	}
	return first;
}

static enum tls_failure
judge(struct tls_session *session, X509_STORE_CTX *store, X509 *cert)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);

	X509_VERIFY_PARAM_set_time(param, session->now);
	X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH);
	if (X509_verify_cert(store) != 1) {
		int error = X509_STORE_CTX_get_error(store);
		session->detail = X509_verify_cert_error_string(error);
		return failure_of(error);
	}
	session->peer_name = find_name(session->context, cert);
	if (session->peer_name == NULL) {
		session->detail = "the certificate is for another name";
		return TLS_WRONG_NAME;
	}
	session->peer_expiry = first_end(X509_STORE_CTX_get0_chain(store));
	return TLS_OK;
}

enum tls_failure
tls_verify(struct tls_session *session)
{
	const struct tls_context *context = session->context;
	STACK_OF(X509) *chain = SSL_get_peer_full_cert_chain(session->ssl);
	const char *purpose = context->role == TLS_OUT ? "ssl_server" : "ssl_client";
	enum tls_failure failure = TLS_NO_MEMORY;

	if (chain == NULL || sk_X509_num(chain) == 0) {
		session->detail = "the peer has no certificate";
		return TLS_UNTRUSTED;
	}
	session->detail = NULL;
	X509 *cert = sk_X509_value(chain, 0);
	X509_STORE_CTX *store = X509_STORE_CTX_new();
	if (store != NULL && X509_STORE_CTX_init(store, context->trusted, cert, chain) == 1 &&
	    X509_STORE_CTX_set_default(store, purpose) == 1)
		failure = judge(session, store, cert);
	X509_STORE_CTX_free(store);
	ERR_clear_error();
	if (failure != TLS_OK && session->detail == NULL)
		session->detail = "no memory to judge the certificate";
	return failure;
}

uint8_t
tls_alert(enum tls_role role, enum tls_failure failure)
{
	switch (failure) {
	case TLS_UNTRUSTED:
		return SSL_AD_UNKNOWN_CA;
	case TLS_WRONG_NAME:
		return role == TLS_IN ? SSL_AD_ACCESS_DENIED : SSL_AD_BAD_CERTIFICATE;
	case TLS_EXPIRED:
		return SSL_AD_CERTIFICATE_EXPIRED;
	case TLS_OK:
	case TLS_REFUSED:
	case TLS_PROTOCOL:
	case TLS_CLOSED_EARLY:
	case TLS_NO_MEMORY:
		break;
	}
	return SSL_AD_INTERNAL_ERROR;
}

enum ssl_verify_result_t
tls_on_verify(SSL *ssl, uint8_t *alert)
{
	struct tls_session *session = SSL_get_app_data(ssl);

	session->failure = tls_verify(session);
	if (session->failure == TLS_OK)
		return ssl_verify_ok;
	*alert = tls_alert(session->context->role, session->failure);
	return ssl_verify_invalid;
}
