/*
 * tls_internal.h - what the parts of tls.h share: contexts (tls_context.c), the judgement of a
 * peer's certificate (tls_verify.c), sessions (tls.c).
 */
#ifndef RELAY_TLS_INTERNAL_H
#define RELAY_TLS_INTERNAL_H

#include "relay/buffer.h"
#include "relay/tls.h"

#include <openssl/ssl.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "the headers of OpenSSL were found instead of BoringSSL's: compile with -isystem of those"
#endif

struct tls_ticket {
	SSL_SESSION *session;
	int64_t until; /* the first of the certificates that it goes back to ends */
};

struct tls_context {
	uint32_t holders;
	enum tls_role role;
	SSL_CTX *ssl;
	X509_STORE *trusted;
	int64_t expiry;
	uint32_t names_count;
	char (*names)[TLS_NAME_MAX + 1]; /* OUT: the one expected; IN: those allowed */
	uint32_t tickets_count;
	struct tls_ticket tickets[TLS_TICKETS_MAX]; /* OUT: the oldest first */
	uint32_t tickets_failed;                    /* in a row */
	int64_t tickets_failed_at;                  /* the last of them */
	uint32_t keys_count;
	struct tls_ticket_key keys[TLS_TICKET_KEYS_MAX]; /* IN */
};

struct tls_session {
	SSL *ssl;
	struct tls_context *context;
	struct memory *memory;
	struct wire_span in; /* received, not yet read; the caller's */
	struct buffer out;
	int64_t now;
	enum tls_state state;
	enum tls_failure failure;
	const char *detail;
	bool offered; /* a ticket */
	bool closing; /* we have said that we send no more */
	const char *peer_name;
	int64_t peer_expiry;
};

/* What stands behind a context, and is given to sessions. */
bool tls_context_take_ticket(struct tls_context *context, SSL *ssl);
int tls_context_keep_ticket(SSL *ssl, SSL_SESSION *ticket);

/* How a handshake ended in which one was offered. */
void tls_context_judge_tickets(struct tls_context *context, bool failed);

/*
 * Judges the certificates that the peer has shown, or had shown when the session was begun that
 * this one resumes.  TLS_OK: name and expiry are in the session.
 */
enum tls_failure tls_verify(struct tls_session *session);

/* The same as the library's callback. */
enum ssl_verify_result_t tls_on_verify(SSL *ssl, uint8_t *alert);

/* Of the alert that says so to the peer. */
uint8_t tls_alert(enum tls_role role, enum tls_failure failure);

/* Unix seconds of when the certificate ends. */
int64_t tls_not_after(const X509 *cert);

/* The time that was passed in last: the library asks for it when it makes and opens tickets. */
void tls_set_now(int64_t now);

#endif
