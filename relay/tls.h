/*
 * tls.h - TLS 1.3 as bytes in and bytes out, for links to peers and for gateways.
 *
 * A context is made of one set of credentials for one role and lives as long as a session uses it,
 * so that credentials are renewed without touching what is open.  A session is one connection: the
 * caller owns the socket and moves ciphertext between it and the session.  Neither ever blocks,
 * reads a file or a clock; TLS 1.3 alone is spoken, and both sides show a certificate.
 *
 * In a worker, for a session that is new:
 *
 *   socket -> tls_receive -> tls_read ... until it gives 0 -> tls_state says why
 *   tls_write -> tls_output -> socket -> tls_sent
 */
#ifndef RELAY_TLS_H
#define RELAY_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/memory.h"
#include "wire/wire.h"

#define TLS_ALPN "relay/1"

/* Plaintext of one record at most; what the seal of one adds to it. */
#define TLS_RECORD_MAX  16384u
#define TLS_RECORD_MORE 22u

/* A name of a certificate: as long as a DNS name may be. */
#define TLS_NAME_MAX 253u

/* Names in a gateway's list, certificates of a file, bytes of one PEM text. */
#define TLS_ALLOW_MAX 64u
#define TLS_CERTS_MAX 256u
#define TLS_PEM_MAX   (1u << 20)

/* Tickets that a context of the role OUT remembers: each is used once. */
#define TLS_TICKETS_MAX 4u

/* Keys of tickets that a context of the role IN knows: the first seals, all open. */
#define TLS_TICKET_KEYS_MAX 3u

#define TLS_STATES(X)                                                                              \
	X(TLS_HANDSHAKE, "handshake")                                                              \
	X(TLS_READY, "ready")                                                                      \
	X(TLS_CLOSED, "closed") /* the peer has said that it sends no more; writing still works */ \
	X(TLS_FAILED, "failed") /* nothing more is read or written; an alert may wait as output */

enum tls_state {
#define X(name, text) name,
	TLS_STATES(X)
#undef X
};

/* The peer's certificate is judged in this order: trust, time, name. */
#define TLS_FAILURES(X)                                                                     \
	X(TLS_OK, "none")                                                                   \
	X(TLS_UNTRUSTED, "untrusted")       /* not of our ca, or none was shown */          \
	X(TLS_WRONG_NAME, "wrong_name")     /* neither the name expected nor one allowed */ \
	X(TLS_EXPIRED, "expired")           /* not valid now */                             \
	X(TLS_REFUSED, "refused")           /* the peer does not accept our certificate */  \
	X(TLS_PROTOCOL, "protocol")         /* not TLS 1.3, or not as it should be; ALPN */ \
	X(TLS_CLOSED_EARLY, "closed_early") /* the stream ended without the peer's word */  \
	X(TLS_NO_MEMORY, "no_memory")       /* of ours */

enum tls_failure {
#define X(name, text) name,
	TLS_FAILURES(X)
#undef X
};

enum tls_role {
	TLS_OUT, /* a link: we connect, and expect one name */
	TLS_IN,  /* a gateway: we accept, and allow some names */
};

/* Everything is copied; the caller wipes the key's text. */
struct tls_options {
	enum tls_role role;
	struct wire_span ca;      /* PEM: who is trusted */
	struct wire_span cert;    /* PEM: our certificate, then those between it and the ca */
	struct wire_span key;     /* PEM, without a passphrase */
	const char *name;         /* OUT: DNS name or address literal */
	const char *const *allow; /* IN: DNS names (or address literals) of clients */
	size_t allow_count;
	struct wire_span session_id_context; /* IN: tickets of another one are not resumed; up to 32
						bytes */
};

/* 48 bytes, from a good source of random numbers. */
struct tls_ticket_key {
	uint8_t name[16];
	uint8_t mac[16];
	uint8_t aes[16];
};

struct tls_context;
struct tls_session;

/*
 * Once per process, before its sandbox: the library looks for its source of random numbers and
 * makes its tables.  false = there is no such source.
 */
bool tls_prepare(void);

/*
 * A context, for one holder.  NULL: `*why` says in words what is wrong with the options (a text
 * that stays).  Also tells whether credentials are any good: certificate and key must belong
 * together.
 */
struct tls_context *tls_context_new(const struct tls_options *options, const char **why);

void tls_context_hold(struct tls_context *context);

/* The last one frees it; the key is wiped. NULL does nothing. */
void tls_context_release(struct tls_context *context);

/* For the role IN.  Without keys, or with count 0, no tickets are given and none is accepted. */
void tls_context_set_ticket_keys(struct tls_context *context, const struct tls_ticket_key *keys,
				 size_t count);

/* When the first of our own certificates ends: unix seconds. */
int64_t tls_context_expiry(const struct tls_context *context);

/*
 * A session that has just been connected or accepted.  `memory` is what its output is taken of; it
 * and the context must outlive it (it holds the context).  `now`: unix seconds, by which
 * certificates are judged.  NULL = no memory.  A client has its first words as output at once.
 */
struct tls_session *tls_session_new(struct tls_context *context, struct memory *memory,
				    int64_t now);

/* NULL does nothing. */
void tls_session_free(struct tls_session *session);

/*
 * Ciphertext that came.  It is not copied: it must stay until tls_read() has given 0, and only then
 * may more come.  The handshake goes as far as it can.
 */
void tls_receive(struct tls_session *session, const void *data, size_t len);

/*
 * Plaintext into `room` (of `size` > 0 bytes; TLS_RECORD_MAX takes a whole record): how many bytes.
 * 0 = all that was received is used up, or no more can come: tls_state() tells.
 */
size_t tls_read(struct tls_session *session, void *room, size_t size);

/* The stream ended, in order or not: without the peer's word before that is TLS_CLOSED_EARLY. */
void tls_receive_end(struct tls_session *session);

/*
 * Seals all of it into the output, len > 0, in TLS_READY or TLS_CLOSED (without tls_close before).
 * How much to give is the caller's to bound: no more while output waits.  false = it failed,
 * and nothing of this is in the output.
 */
bool tls_write(struct tls_session *session, const void *data, size_t len);

/* Says that we send no more; reading goes on.  Nothing if that cannot be said, or was. */
void tls_close(struct tls_session *session);

/* Ciphertext to send, a view until the next call of any other function but tls_sent(); its len may
 * be 0.  It must not be changed while a send is under way. */
struct wire_span tls_output(const struct tls_session *session);

/* The socket took n bytes of it. */
void tls_sent(struct tls_session *session, size_t n);

enum tls_state tls_state(const struct tls_session *session);
enum tls_failure tls_failure(const struct tls_session *session);

/* More words for a failure, for the log: never NULL, never anything of the peer's own. */
const char *tls_detail(const struct tls_session *session);

/* From TLS_READY on. */
const char *tls_cipher(const struct tls_session *session);    /* "" before */
const char *tls_peer_name(const struct tls_session *session); /* that matched; "" before */
int64_t tls_peer_expiry(const struct tls_session *session);   /* unix seconds; 0 before */
bool tls_resumed(const struct tls_session *session);          /* by a ticket */
const struct tls_context *tls_session_context(const struct tls_session *session);

const char *tls_state_text(enum tls_state state);
const char *tls_failure_text(enum tls_failure failure);

#endif
