/*
 * test_datagram_seal.c - keys and seals as DATAGRAM.md says, and that nothing changed, cut, forged
 * or sent back is opened.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include <openssl/digest.h>
#include <openssl/hkdf.h>

#include "tests/vectors.h"
#include "wire/datagram_seal.h"

#define CLIENT UINT64_C(0x0123456789abcdef)

static const struct datagram_terms of_client = { DATAGRAM_OF_CLIENT, true, 1232 };
static const struct datagram_terms of_relay = { DATAGRAM_OF_RELAY, true, 1232 };
static const char *const sealed[] = { "hello-sealed", "request-sealed", "reply-sealed",
				      "bye-sealed" };
static const char *const plain[] = { "hello", "request", "reply", "bye" };

#define SEALED 4

static struct datagram_cipher
cipher_of(uint64_t client)
{
	struct vector secret = vector_read("secret");
	struct datagram_cipher cipher;

	cr_assert_eq(secret.len, DATAGRAM_KEY_SIZE);
	datagram_cipher_init(&cipher, client, secret.bytes);
	return cipher;
}

static const struct datagram_terms *
terms_of(const struct vector *vector)
{
	return (vector->bytes[10] & DATAGRAM_RELAY) != 0 ? &of_relay : &of_client;
}

/* Look and open, as a receiver does. */
static enum datagram_fault
receive(struct datagram *datagram, struct vector *vector, const struct datagram_cipher *cipher)
{
	enum datagram_fault fault = datagram_look(datagram, vector_span(vector), terms_of(vector));

	return fault == DATAGRAM_OK ? datagram_open(cipher, datagram, vector->bytes, vector->len)
				    : fault;
}

/* --- keys */

Test(datagram_seal, keys_are_those_of_the_examples)
{
	struct vector to_relay = vector_read("key-to-relay");
	struct vector to_client = vector_read("key-to-client");
	struct datagram_cipher cipher = cipher_of(CLIENT);

	cr_assert_arr_eq(cipher.to_relay, to_relay.bytes, DATAGRAM_KEY_SIZE);
	cr_assert_arr_eq(cipher.to_client, to_client.bytes, DATAGRAM_KEY_SIZE);
}

/* The library's own HKDF, which allocates. */
static void
derive(uint8_t *key, uint64_t client, const uint8_t *secret, const char *info)
{
	uint8_t salt[8];

	datagram_put_u64(salt, client);
	cr_assert_eq(HKDF(key, DATAGRAM_KEY_SIZE, EVP_sha256(), secret, DATAGRAM_KEY_SIZE, salt,
			  sizeof salt, (const uint8_t *)info, strlen(info)),
		     1);
}

Test(datagram_seal, keys_are_those_of_another_hkdf)
{
	for (unsigned i = 0; i < 100; i++) {
		uint64_t client = UINT64_C(0x9e3779b97f4a7c15) * (i + 1);
		struct datagram_cipher cipher;
		uint8_t secret[DATAGRAM_KEY_SIZE], want[DATAGRAM_KEY_SIZE];

		memset(secret, (int)i, sizeof secret);
		datagram_cipher_init(&cipher, client, secret);
		derive(want, client, secret, "relay datagram 1 client to relay");
		cr_assert_arr_eq(cipher.to_relay, want, sizeof want);
		derive(want, client, secret, "relay datagram 1 relay to client");
		cr_assert_arr_eq(cipher.to_client, want, sizeof want);
	}
}

Test(datagram_seal, wipe_overwrites)
{
	struct datagram_cipher cipher = cipher_of(CLIENT);
	uint8_t zeros[sizeof cipher] = { 0 };

	datagram_wipe(&cipher, sizeof cipher);
	cr_assert_arr_eq(&cipher, zeros, sizeof zeros);
}

/* --- seals */

Test(datagram_seal, examples_are_opened)
{
	struct datagram_cipher cipher = cipher_of(CLIENT);

	for (size_t i = 0; i < SEALED; i++) {
		struct vector vector = vector_read(sealed[i]), want = vector_read(plain[i]);
		struct datagram datagram;

		cr_assert_eq(receive(&datagram, &vector, &cipher), DATAGRAM_OK, "%s", sealed[i]);
		cr_assert_eq(vector.len, want.len + DATAGRAM_SEAL_SIZE);
		cr_assert_eq(datagram.body_at, DATAGRAM_HEADER_SIZE + DATAGRAM_NONCE_SIZE);
		cr_assert(
		    wire_span_equal(datagram.body, wire_span(want.bytes + DATAGRAM_HEADER_SIZE,
							     want.len - DATAGRAM_HEADER_SIZE)));
	}
}

Test(datagram_seal, examples_are_made)
{
	struct datagram_cipher cipher = cipher_of(CLIENT);
	struct vector nonce = vector_read("nonce");

	for (size_t i = 0; i < SEALED; i++) {
		struct vector from = vector_read(plain[i]), want = vector_read(sealed[i]);
		struct datagram_terms terms = *terms_of(&want);
		struct datagram datagram;
		uint8_t bytes[VECTOR_MAX];
		struct wire_out out = wire_out(bytes, sizeof bytes);

		terms.is_sealed = false;
		cr_assert_eq(datagram_look(&datagram, vector_span(&from), &terms), DATAGRAM_OK);
		datagram.header.flags |= DATAGRAM_SEALED;
		datagram_begin(&out, &datagram.header);
		wire_out_bytes(&out, datagram.body.data, datagram.body.len);
		datagram_end(&out, &datagram.header);
		cr_assert(datagram_seal(&cipher, bytes, out.len, nonce.bytes));
		cr_assert(wire_span_equal(wire_span(bytes, out.len), vector_span(&want)), "%s",
			  sealed[i]);
	}
}

Test(datagram_seal, every_bit_matters)
{
	struct datagram_cipher cipher = cipher_of(CLIENT);
	struct vector vector = vector_read("request-sealed");

	for (size_t bit = 0; bit < 8 * vector.len; bit++) {
		struct vector forged = vector;
		struct datagram datagram;

		forged.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_neq(receive(&datagram, &forged, &cipher), DATAGRAM_OK, "bit %zu", bit);
	}
}

Test(datagram_seal, cut_or_longer_is_not_opened)
{
	struct datagram_cipher cipher = cipher_of(CLIENT);
	size_t whole = vector_read("request-sealed").len;

	for (size_t len = 0; len <= whole + 1; len++) {
		struct vector vector = vector_read("request-sealed");
		struct datagram datagram;
		enum datagram_fault fault;

		vector.len = len;
		fault = receive(&datagram, &vector, &cipher);
		if (len == whole)
			cr_assert_eq(fault, DATAGRAM_OK);
		else
			cr_assert(fault == DATAGRAM_BAD_SEAL || fault == DATAGRAM_BAD_SHORT);
		cr_assert(fault == DATAGRAM_OK || len >= 96 || fault == DATAGRAM_BAD_SHORT);
	}
}

/* Its flag turned, so that it is looked at; the other direction has another key. */
Test(datagram_seal, what_was_sent_is_not_taken_back)
{
	struct datagram_cipher cipher = cipher_of(CLIENT), turned = cipher;
	struct vector vector = vector_read("bye-sealed");
	struct datagram datagram;

	cr_assert_eq(datagram_look(&datagram, vector_span(&vector), &of_relay), DATAGRAM_BAD_SIDE);
	memcpy(turned.to_relay, cipher.to_client, DATAGRAM_KEY_SIZE);
	cr_assert_eq(receive(&datagram, &vector, &turned), DATAGRAM_BAD_SEAL);
	vector = vector_read("bye-sealed");
	vector.bytes[10] |= DATAGRAM_RELAY;
	cr_assert_eq(receive(&datagram, &vector, &cipher), DATAGRAM_BAD_SEAL);
}

Test(datagram_seal, wrong_tag_leaves_no_body)
{
	struct datagram_cipher cipher = cipher_of(CLIENT);
	struct vector vector = vector_read("hello-sealed");
	struct datagram datagram;
	uint8_t zeros[DATAGRAM_HELLO_BODY] = { 0 };

	vector.bytes[vector.len - 1] ^= 1;
	cr_assert_eq(receive(&datagram, &vector, &cipher), DATAGRAM_BAD_SEAL);
	cr_assert_eq(datagram.body.len, 0);
	cr_assert_arr_eq(vector.bytes + DATAGRAM_HEADER_SIZE + DATAGRAM_NONCE_SIZE, zeros,
			 sizeof zeros);
}

Test(datagram_seal, of_another_client_is_not_opened)
{
	struct datagram_cipher cipher = cipher_of(CLIENT + 1);
	struct vector vector = vector_read("request-sealed");
	struct datagram datagram;

	cr_assert_eq(receive(&datagram, &vector, &cipher), DATAGRAM_BAD_SEAL);
}

Test(datagram_seal, sealed_is_what_keys_ask_for)
{
	struct vector open = vector_read("hello"), shut = vector_read("hello-sealed");
	struct datagram_terms terms = of_client;
	struct datagram datagram;

	cr_assert_eq(datagram_look(&datagram, vector_span(&open), &terms), DATAGRAM_NOT_SEALED);
	terms.is_sealed = false;
	cr_assert_eq(datagram_look(&datagram, vector_span(&shut), &terms), DATAGRAM_NOT_SEALED);
}

Test(datagram_seal, what_has_no_seal_is_not_sealed)
{
	struct datagram_cipher cipher = cipher_of(CLIENT);
	struct vector nonce = vector_read("nonce"), vector = vector_read("hello");
	struct vector before = vector;
	struct datagram datagram;

	cr_assert(!datagram_seal(&cipher, vector.bytes, vector.len, nonce.bytes));
	cr_assert_eq(datagram_open(&cipher, &datagram, vector.bytes, vector.len),
		     DATAGRAM_NOT_SEALED);
	vector.bytes[10] |= DATAGRAM_SEALED;
	cr_assert(!datagram_seal(&cipher, vector.bytes, 95, nonce.bytes));
	cr_assert_arr_eq(vector.bytes + 11, before.bytes + 11, before.len - 11);
}

Test(datagram_seal, no_answer_is_longer_than_what_came)
{
	cr_assert_eq(vector_read("hello-sealed").len, 128);
	cr_assert_eq(vector_read("bye-sealed").len, 96);
}
