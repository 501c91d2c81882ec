/*
 * idea.c - IDEA in portable C: both key schedules, and blocks in both directions.
 *
 * Never indexes memory by key or data, and needs no branch on either.  Owns nothing; the schedules
 * live in the caller's struct idea_key.
 *
 * The operations of the cipher are xor, addition mod 2^16, and multiplication mod 2^16 + 1, in
 * which the word 0 stands for 2^16.  One block alone spends its time waiting for its own
 * multiplications, but ECB blocks do not depend on each other: eight go side by side, one word of
 * each in a vector register.
 */
#include "wire/idea.h"

#define ROUNDS         8
#define ROUND_SUBKEYS  6
#define OUTPUT_SUBKEYS 4
#define LANES          8

_Static_assert(IDEA_SUBKEYS == ROUNDS * ROUND_SUBKEYS + OUTPUT_SUBKEYS, "subkeys of one schedule");
_Static_assert(IDEA_BLOCK_SIZE == 4 * sizeof(uint16_t), "a block is four words");

/*
 * 2^16 is -1 here, so a product hi * 2^16 + lo is lo - hi, plus the modulus if that is negative.
 * The product is 0 only if a word was 0, meaning 2^16 = -1: then the result is minus the other
 * one, 1 - a - b.
 */
static inline uint16_t
mul(uint16_t a, uint16_t b)
{
	uint16_t lo = (uint16_t)((uint32_t)a * b);
	uint16_t hi = (uint16_t)((uint32_t)a * b >> 16);
	uint16_t usual = (uint16_t)(lo - hi + (lo < hi));
	uint16_t with_zero = (uint16_t)(1 - a - b);

	return (lo | hi) == 0 ? with_zero : usual;
}

/* x to the power 2^16 - 1, its inverse in a group of 2^16 elements; right for 0 (= -1) as well. */
static uint16_t
inverse_mul(uint16_t x)
{
	uint16_t power = x;

	for (int i = 0; i < 15; i++)
		power = mul(mul(power, power), x);
	return power;
}

static uint16_t
inverse_add(uint16_t x)
{
	return (uint16_t)(0u - x);
}

static uint64_t
load64(const uint8_t *p)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | p[i];
	return value;
}

static inline uint16_t
load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void
store16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

/* Eight subkeys are the key itself, the next eight the key rotated left by 25 bits, and so on. */
static void
schedule_encrypt(uint16_t subkeys[static IDEA_SUBKEYS], const uint8_t *raw)
{
	uint64_t hi = load64(raw);
	uint64_t lo = load64(raw + 8);

	for (size_t i = 0; i < IDEA_SUBKEYS; i++) {
		size_t word = i % 8;
		if (word == 0 && i > 0) {
			uint64_t old_hi = hi;
			hi = hi << 25 | lo >> 39;
			lo = lo << 25 | old_hi >> 39;
		}
		subkeys[i] = (uint16_t)((word < 4 ? hi : lo) >> (48 - 16 * (word % 4)));
	}
}

/*
 * The same rounds run backwards with inverted subkeys.  The inner rounds swap the two middle words,
 * so there the two additive subkeys change places; the first round and the output step have no swap
 * to undo.
 */
static void
schedule_decrypt(uint16_t inverted[static IDEA_SUBKEYS], const uint16_t *subkeys)
{
	for (size_t round = 0; round <= ROUNDS; round++) {
		const uint16_t *from = subkeys + ROUND_SUBKEYS * (ROUNDS - round);
		uint16_t *to = inverted + ROUND_SUBKEYS * round;
		bool outer = round == 0 || round == ROUNDS;

		to[0] = inverse_mul(from[0]);
		to[1] = inverse_add(from[outer ? 1 : 2]);
		to[2] = inverse_add(from[outer ? 2 : 1]);
		to[3] = inverse_mul(from[3]);
		if (round < ROUNDS) {
			to[4] = from[-2];
			to[5] = from[-1];
		}
	}
}

void
idea_key_init(struct idea_key *key, const uint8_t raw[static IDEA_KEY_SIZE])
{
	schedule_encrypt(key->encrypt, raw);
	schedule_decrypt(key->decrypt, key->encrypt);
}

void
idea_key_wipe(struct idea_key *key)
{
	explicit_bzero(key, sizeof *key);
}

/* Words of a kind side by side, so that the compiler makes vector instructions of each loop. */
struct lanes {
	uint16_t word[4][LANES];
};

static void
lanes_load(struct lanes *lanes, const uint8_t *in, size_t blocks)
{
	for (size_t i = 0; i < blocks; i++, in += IDEA_BLOCK_SIZE)
		for (size_t w = 0; w < 4; w++)
			lanes->word[w][i] = load16(in + 2 * w);
}

static void
lanes_store(const struct lanes *lanes, uint8_t *out, size_t blocks)
{
	for (size_t i = 0; i < blocks; i++, out += IDEA_BLOCK_SIZE)
		for (size_t w = 0; w < 4; w++)
			store16(out + 2 * w, lanes->word[w][i]);
}

static void
lanes_round(struct lanes *lanes, const uint16_t *k)
{
	for (size_t i = 0; i < LANES; i++) {
		uint16_t w = mul(lanes->word[0][i], k[0]);
		uint16_t x = (uint16_t)(lanes->word[1][i] + k[1]);
		uint16_t y = (uint16_t)(lanes->word[2][i] + k[2]);
		uint16_t z = mul(lanes->word[3][i], k[3]);
		uint16_t s = mul(w ^ y, k[4]);
		uint16_t t = mul((uint16_t)((x ^ z) + s), k[5]);

		s = (uint16_t)(s + t);
		lanes->word[0][i] = w ^ t;
		lanes->word[1][i] = y ^ t;
		lanes->word[2][i] = x ^ s;
		lanes->word[3][i] = z ^ s;
	}
}

/* The output step undoes the swap of the last round: the third word comes before the second. */
static void
lanes_finish(struct lanes *lanes, const uint16_t *k)
{
	for (size_t i = 0; i < LANES; i++) {
		uint16_t second = lanes->word[1][i];

		lanes->word[0][i] = mul(lanes->word[0][i], k[0]);
		lanes->word[1][i] = (uint16_t)(lanes->word[2][i] + k[1]);
		lanes->word[2][i] = (uint16_t)(second + k[2]);
		lanes->word[3][i] = mul(lanes->word[3][i], k[3]);
	}
}

static void
crypt_blocks(const uint16_t *subkeys, uint8_t *out, const uint8_t *in, size_t blocks)
{
	struct lanes lanes = {
		0
	}; /* unused lanes of the last group compute on zeros or leftovers */

	while (blocks > 0) {
		size_t now = blocks < LANES ? blocks : LANES;
		const uint16_t *k = subkeys;

		lanes_load(&lanes, in, now);
		for (int round = 0; round < ROUNDS; round++, k += ROUND_SUBKEYS)
			lanes_round(&lanes, k);
		lanes_finish(&lanes, k);
		lanes_store(&lanes, out, now);
		in += now * IDEA_BLOCK_SIZE;
		out += now * IDEA_BLOCK_SIZE;
		blocks -= now;
	}
}

void
idea_encrypt(const struct idea_key *key, uint8_t *out, const uint8_t *in, size_t blocks)
{
	crypt_blocks(key->encrypt, out, in, blocks);
}

void
idea_decrypt(const struct idea_key *key, uint8_t *out, const uint8_t *in, size_t blocks)
{
	crypt_blocks(key->decrypt, out, in, blocks);
}
