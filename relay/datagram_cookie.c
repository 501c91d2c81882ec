/*
 * datagram_cookie.c - see datagram_cookie.h.  SipHash-2-4 of BoringSSL: made for short texts under
 * a key.  Owns nothing.
 */
#include "relay/datagram_cookie.h"

#include <assert.h>
#include <string.h>

#include <openssl/siphash.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "the headers of OpenSSL were found instead of BoringSSL's: compile with -isystem of those"
#endif

/* What is digested: no padding, and 0 where an address has nothing to say. */
struct words {
	uint64_t client;
	uint64_t a;
	uint32_t b;
	uint32_t port;
	uint32_t address_len;
	uint32_t scope;
	uint8_t address[16];
};

static_assert(sizeof(struct words) == 48, "no padding");

static uint32_t
digest(const uint64_t key[2], const struct datagram_cookie *cookie, uint64_t a, uint32_t b)
{
	const union dgram_address *address = cookie->address;
	struct words words = { .client = cookie->client, .a = a, .b = b };

	words.address_len = dgram_address_bytes(address, words.address, &words.port);
	if (address->any.sa_family == AF_INET6)
		words.scope = address->ip6.sin6_scope_id;
	return (uint32_t)SIPHASH_24(key, (const uint8_t *)&words, sizeof words);
}

uint64_t
datagram_cookie_make(const struct datagram_cookie_keys *keys, const struct datagram_cookie *cookie)
{
	uint32_t check = digest(keys->digest, cookie, cookie->tick, cookie->size);
	uint32_t said = cookie->size << 16 | (uint32_t)(cookie->tick & 0xffff);

	assert(cookie->size <= UINT16_MAX);
	return (uint64_t)(said ^ digest(keys->mask, cookie, check, 0)) << 32 | check;
}

bool
datagram_cookie_read(const struct datagram_cookie_keys *keys, struct datagram_cookie *cookie,
		     uint64_t number, uint64_t now, uint64_t age_max)
{
	uint32_t check = (uint32_t)number;
	uint32_t said = (uint32_t)(number >> 32) ^ digest(keys->mask, cookie, check, 0);
	uint64_t age = (now - said) & 0xffff;

	cookie->size = said >> 16;
	cookie->tick = now - age;
	/* The whole tick is digested: so it is not taken for one of 131 seconds later. */
	return age <= age_max && age <= now &&
	       digest(keys->digest, cookie, cookie->tick, cookie->size) == check;
}
