/*
 * prefork_client_sha256.h - SHA-256 (FIPS 180-4), for names: the original client makes the name of
 * a service's socket with it.
 *
 * Nothing secret goes in and nothing rests on its strength, so this one is small and not fast.
 */
#ifndef RELAY_PREFORK_CLIENT_SHA256_H
#define RELAY_PREFORK_CLIENT_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE  32
#define SHA256_BLOCK 64

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;              /* that were added */
	uint8_t block[SHA256_BLOCK]; /* [0, bytes % SHA256_BLOCK) waits for the rest of its block */
};

void sha256_init(struct sha256 *hash);
void sha256_add(struct sha256 *hash, const void *bytes, size_t len);

/* Ends it: `hash` is used up. */
void sha256_digest(struct sha256 *hash, uint8_t digest[static SHA256_SIZE]);

#endif
