/*
 * datagram_seal.c - keys of a client and the seal of its datagrams, on BoringSSL.
 *
 * Never keeps a key: what is made of one on the way is wiped.  Tags are compared by BoringSSL, in
 * constant time.  Works in the caller's memory, but for BoringSSL's queue of errors: the first
 * wrong tag of a thread makes it, once.  Owns nothing.
 */
#include "wire/datagram_seal.h"

#include <assert.h>

#include <openssl/aead.h>
#include <openssl/err.h>
#include <openssl/sha.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "the headers of OpenSSL were found instead of BoringSSL's: compile with -isystem of those"
#endif

#define SHA_BLOCK SHA256_CBLOCK
#define INFO_MAX  64

static_assert(SHA256_DIGEST_LENGTH == DATAGRAM_KEY_SIZE, "one block of HKDF is one key");

void
datagram_wipe(void *memory, size_t len)
{
	explicit_bzero(memory, len);
}

/* --- HKDF (RFC 5869) with SHA-256: that of BoringSSL allocates */

static void
hmac(uint8_t mac[static SHA256_DIGEST_LENGTH], struct wire_span key, struct wire_span text)
{
	uint8_t pad[SHA_BLOCK] = { 0 };
	SHA256_CTX sha;

	assert(key.len <= SHA_BLOCK);
	memcpy(pad, key.data, key.len);
	for (size_t i = 0; i < SHA_BLOCK; i++)
		pad[i] ^= 0x36;
	SHA256_Init(&sha);
	SHA256_Update(&sha, pad, SHA_BLOCK);
	SHA256_Update(&sha, text.data, text.len);
	SHA256_Final(mac, &sha);
	for (size_t i = 0; i < SHA_BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	SHA256_Init(&sha);
	SHA256_Update(&sha, pad, SHA_BLOCK);
	SHA256_Update(&sha, mac, SHA256_DIGEST_LENGTH);
	SHA256_Final(mac, &sha);
	datagram_wipe(pad, sizeof pad);
	datagram_wipe(&sha, sizeof sha);
}

/* The first block of the expansion, which is as long as a key. */
static void
expand(uint8_t key[static DATAGRAM_KEY_SIZE], struct wire_span secret, const char *info)
{
	uint8_t text[INFO_MAX];
	size_t len = strlen(info);

	assert(len < sizeof text);
	memcpy(text, info, len);
	text[len] = 1;
	hmac(key, secret, wire_span(text, len + 1));
}

void
datagram_cipher_init(struct datagram_cipher *cipher, uint64_t client,
		     const uint8_t secret[static DATAGRAM_KEY_SIZE])
{
	uint8_t extracted[SHA256_DIGEST_LENGTH];
	struct wire_span made = wire_span(extracted, sizeof extracted);
	uint8_t salt[8];

	datagram_put_u64(salt, client);
	hmac(extracted, wire_span(salt, sizeof salt), wire_span(secret, DATAGRAM_KEY_SIZE));
	expand(cipher->to_relay, made, "relay datagram 1 client to relay");
	expand(cipher->to_client, made, "relay datagram 1 relay to client");
	datagram_wipe(extracted, sizeof extracted);
}

/* --- the seal */

#define AT_FLAGS 10
#define AT_NONCE DATAGRAM_HEADER_SIZE
#define AT_BODY  (DATAGRAM_HEADER_SIZE + DATAGRAM_NONCE_SIZE)

static bool
is_sealable(const uint8_t *bytes, size_t len)
{
	return len >= AT_BODY + DATAGRAM_TAG_SIZE && (bytes[AT_FLAGS] & DATAGRAM_SEALED) != 0;
}

/* For the direction that the datagram says; to believe a wrong one is to have the wrong key. */
static bool
start(EVP_AEAD_CTX *aead, const struct datagram_cipher *cipher, const uint8_t *bytes)
{
	const uint8_t *key =
	    (bytes[AT_FLAGS] & DATAGRAM_RELAY) != 0 ? cipher->to_client : cipher->to_relay;

	return EVP_AEAD_CTX_init(aead, EVP_aead_xchacha20_poly1305(), key, DATAGRAM_KEY_SIZE,
				 DATAGRAM_TAG_SIZE, NULL) == 1;
}

static void
finish(EVP_AEAD_CTX *aead)
{
	EVP_AEAD_CTX_cleanup(aead);
	datagram_wipe(aead, sizeof *aead);
}

bool
datagram_seal(const struct datagram_cipher *cipher, uint8_t *bytes, size_t len,
	      const uint8_t nonce[static DATAGRAM_NONCE_SIZE])
{
	EVP_AEAD_CTX aead;
	size_t body_len, tag_len;
	bool is_done;

	if (!is_sealable(bytes, len) || !start(&aead, cipher, bytes))
		return false;
	body_len = len - AT_BODY - DATAGRAM_TAG_SIZE;
	memcpy(bytes + AT_NONCE, nonce, DATAGRAM_NONCE_SIZE);
	is_done = EVP_AEAD_CTX_seal_scatter(&aead, bytes + AT_BODY, bytes + AT_BODY + body_len,
					    &tag_len, DATAGRAM_TAG_SIZE, bytes + AT_NONCE,
					    DATAGRAM_NONCE_SIZE, bytes + AT_BODY, body_len, NULL, 0,
					    bytes, DATAGRAM_HEADER_SIZE) == 1;
	finish(&aead);
	assert(!is_done || tag_len == DATAGRAM_TAG_SIZE);
	return is_done;
}

enum datagram_fault
datagram_open(const struct datagram_cipher *cipher, struct datagram *datagram, uint8_t *bytes,
	      size_t len)
{
	EVP_AEAD_CTX aead;
	size_t body_len;
	bool is_done;

	if (!is_sealable(bytes, len))
		return DATAGRAM_NOT_SEALED;
	if (!start(&aead, cipher, bytes))
		return DATAGRAM_BAD_SEAL;
	body_len = len - AT_BODY - DATAGRAM_TAG_SIZE;
	assert(datagram->body.data == bytes + AT_BODY && datagram->body.len == body_len);
	is_done =
	    EVP_AEAD_CTX_open_gather(&aead, bytes + AT_BODY, bytes + AT_NONCE, DATAGRAM_NONCE_SIZE,
				     bytes + AT_BODY, body_len, bytes + AT_BODY + body_len,
				     DATAGRAM_TAG_SIZE, bytes, DATAGRAM_HEADER_SIZE) == 1;
	finish(&aead);
	if (is_done)
		return DATAGRAM_OK;
	ERR_clear_error();
	datagram->body.len = 0;
	return DATAGRAM_BAD_SEAL;
}
