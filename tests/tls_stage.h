/*
 * tls_stage.h - for tests of TLS: certificates made as they are needed, and two sessions that are
 * wired to each other in memory.
 */
#ifndef TESTS_TLS_STAGE_H
#define TESTS_TLS_STAGE_H

#include "relay/memory.h"
#include "relay/tls.h"

/* The time at which the tests play. */
#define TLS_STAGE_NOW 1700000000

struct tls_identity;

/* What a certificate is to be; the rest is zero. */
struct tls_wish {
	const struct tls_identity *issuer; /* NULL: it signs itself, as a ca */
	const char *dns;                   /* subjectAltName, DNS; NULL = none */
	const char *ip;                    /* likewise, an address in network order, 4 bytes */
	int64_t from;                      /* 0: a day before TLS_STAGE_NOW */
	int64_t until;                     /* 0: ten days after it */
};

struct tls_identity *tls_identity_new(const struct tls_wish *wish);
void tls_identity_free(struct tls_identity *identity);

/* PEM, as long as the identity is there. */
struct wire_span tls_identity_cert(const struct tls_identity *identity);
struct wire_span tls_identity_key(const struct tls_identity *identity);

/* A client of `client` that trusts `ca` and expects `name`, and a server likewise. */
struct tls_context *tls_stage_out(const struct tls_identity *ca, const struct tls_identity *client,
				  const char *name);
struct tls_context *tls_stage_in(const struct tls_identity *ca, const struct tls_identity *server,
				 const char *allow);

/*
 * Moves what `from` has to send to `to`, `step` bytes at a time; what `to` reads of it is appended
 * to `room` (of `size` bytes, of which *used are).  Whether there was anything.
 */
bool tls_stage_carry(struct tls_session *from, struct tls_session *to, size_t step, uint8_t *room,
		     size_t size, size_t *used);

/* Until both are silent; nothing but the handshake may be under way. */
void tls_stage_shake(struct tls_session *a, struct tls_session *b, size_t step);

#endif
