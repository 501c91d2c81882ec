/*
 * idea_portable.c - IDEA blocks in portable C: one alone, and many in groups of eight.
 *
 * Holds to what idea.c promises of time and memory; owns nothing.  In a group one word of each
 * block lies beside the others, so that the compiler makes vector instructions where it has them.
 */
#include "wire/idea_path.h"

#include "wire/idea_word.h"

#define ROUNDS        8
#define ROUND_SUBKEYS 6
#define LANES         8

_Static_assert(IDEA_BLOCK_SIZE == 4 * sizeof(uint16_t), "a block is four words");

static inline uint16_t
load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void
store16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline uint32_t
add(uint32_t a, uint32_t b)
{
	return (a + b) & 0xffff;
}

void
idea_block(const uint16_t *k, uint8_t *out, const uint8_t *in)
{
	uint32_t a = load16(in), b = load16(in + 2), c = load16(in + 4), d = load16(in + 6);

	for (int round = 0; round < ROUNDS; round++, k += ROUND_SUBKEYS) {
		uint32_t w = idea_word_mul(a, k[0]);
		uint32_t x = add(b, k[1]);
		uint32_t y = add(c, k[2]);
		uint32_t z = idea_word_mul(d, k[3]);
		uint32_t s = idea_word_mul(w ^ y, k[4]);
		uint32_t t = idea_word_mul(add(x ^ z, s), k[5]);

		s = add(s, t);
		a = w ^ t;
		b = y ^ t;
		c = x ^ s;
		d = z ^ s;
	}
	/* The output step undoes the swap of the last round: the third word before the second. */
	store16(out, idea_word_mul(a, k[0]));
	store16(out + 2, add(c, k[1]));
	store16(out + 4, add(b, k[2]));
	store16(out + 6, idea_word_mul(d, k[3]));
}

/*
 * The same as idea_word_mul in steps that exist for vectors of 16-bit words.  The product is zero
 * only if a word was, meaning 2^16 = -1: then the result is minus the other one, 1 - a - k.
 */
static inline uint16_t
mul(uint16_t a, uint16_t k)
{
	uint16_t lo = (uint16_t)((uint32_t)a * k);
	uint16_t hi = (uint16_t)((uint32_t)a * k >> 16);
	uint16_t usual = (uint16_t)(lo - hi + (lo < hi));
	uint16_t with_zero = (uint16_t)(1 - a - k);

	return (lo | hi) == 0 ? with_zero : usual;
}

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
crypt(const uint16_t *subkeys, uint8_t *out, const uint8_t *in, size_t blocks)
{
	/* Unused lanes of the last group compute on zeros or leftovers. */
	struct lanes lanes = { 0 };

	while (blocks > 1) {
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
	if (blocks == 1)
		idea_block(subkeys, out, in);
}

static bool
usable(void)
{
	return true;
}

const struct idea_path idea_path_portable = { "portable", usable, LANES, crypt };
