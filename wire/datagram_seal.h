/*
 * datagram_seal.h - sealing of datagrams: XChaCha20-Poly1305 with a key for each direction, made of
 * the client's key by HKDF-SHA-256 (DATAGRAM.md, "Seal").
 *
 * Works in the caller's memory.  Whoever links this links BoringSSL.
 */
#ifndef WIRE_DATAGRAM_SEAL_H
#define WIRE_DATAGRAM_SEAL_H

#include "wire/datagram.h"

/* The keys of one client, by direction. */
struct datagram_cipher {
	uint8_t to_relay[DATAGRAM_KEY_SIZE];
	uint8_t to_client[DATAGRAM_KEY_SIZE];
};

void datagram_cipher_init(struct datagram_cipher *cipher, uint64_t client,
			  const uint8_t secret[static DATAGRAM_KEY_SIZE]);

/* Overwrites, whatever the compiler thinks of it. */
void datagram_wipe(void *memory, size_t len);

/*
 * Seals the datagram [bytes, bytes + len) that datagram_begin() and datagram_end() made: writes
 * nonce and tag and encrypts the body, in place.  The flag RELAY in it chooses the key.  `nonce`
 * must be random, never the same twice.  False: no sealed datagram, nothing was done.
 */
WIRE_MUST_CHECK bool datagram_seal(const struct datagram_cipher *cipher, uint8_t *bytes, size_t len,
				   const uint8_t nonce[static DATAGRAM_NONCE_SIZE]);

/*
 * Checks and decrypts, in place, what datagram_look() found well-formed; `datagram` then views the
 * plain body.  BAD_SEAL: nothing of it is to be believed, the body is overwritten.  NOT_SEALED: it
 * has no seal.
 */
WIRE_MUST_CHECK enum datagram_fault datagram_open(const struct datagram_cipher *cipher,
						  struct datagram *datagram, uint8_t *bytes,
						  size_t len);

#endif
