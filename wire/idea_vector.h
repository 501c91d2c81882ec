/*
 * idea_vector.h - the body that idea_avx2.c and idea_ssse3.c share: IDEA blocks in vectors of
 * words.
 *
 * Not a header of its own.  Who includes it has <immintrin.h>, and says before:
 *
 *   VECTOR         the type of a vector
 *   V(op)          the intrinsic of an operation on 8, 16 or 32-bit elements
 *   VSI(op)        the same for one on a whole vector
 *   VECTOR_TARGET  the instruction set, for the compiler
 *
 * and gets vector_crypt.  A group is as many blocks as a vector has words.  A word of each block
 * lies in one vector; two groups go together, because each waits for its own multiplications.
 * Holds to what idea.c promises of time and memory.
 */
#ifndef WIRE_IDEA_VECTOR_H
#define WIRE_IDEA_VECTOR_H

#include "wire/idea_path.h"

#define VECTOR_FN static inline __attribute__((always_inline, target(VECTOR_TARGET)))

#define ROUNDS        8
#define ROUND_SUBKEYS 6
#define GROUP         (sizeof(VECTOR) / sizeof(uint16_t))
#define GROUP_SIZE    (GROUP * IDEA_BLOCK_SIZE)

struct group {
	VECTOR word[4];
};

/* For every 16 bytes: two blocks of big-endian words to pairs of equal words, and back. */
static const uint8_t pair_words[32] = {
	1, 0, 9, 8, 3, 2, 11, 10, 5, 4, 13, 12, 7, 6, 15, 14,
	1, 0, 9, 8, 3, 2, 11, 10, 5, 4, 13, 12, 7, 6, 15, 14,
};
static const uint8_t part_words[32] = {
	1, 0, 5, 4, 9, 8, 13, 12, 3, 2, 7, 6, 11, 10, 15, 14,
	1, 0, 5, 4, 9, 8, 13, 12, 3, 2, 7, 6, 11, 10, 15, 14,
};

VECTOR_FN VECTOR
vector_load(const uint8_t *from)
{
	return VSI(loadu)((const VECTOR *)(const void *)from);
}

VECTOR_FN void
vector_store(uint8_t *to, VECTOR value)
{
	VSI(storeu)((VECTOR *)(void *)to, value);
}

/* Four by four pairs of words, within every 16 bytes; its own inverse. */
VECTOR_FN void
group_transpose(struct group *g)
{
	VECTOR low01 = V(unpacklo_epi32)(g->word[0], g->word[1]);
	VECTOR high01 = V(unpackhi_epi32)(g->word[0], g->word[1]);
	VECTOR low23 = V(unpacklo_epi32)(g->word[2], g->word[3]);
	VECTOR high23 = V(unpackhi_epi32)(g->word[2], g->word[3]);

	g->word[0] = V(unpacklo_epi64)(low01, low23);
	g->word[1] = V(unpackhi_epi64)(low01, low23);
	g->word[2] = V(unpacklo_epi64)(high01, high23);
	g->word[3] = V(unpackhi_epi64)(high01, high23);
}

VECTOR_FN void
group_load(struct group *g, const uint8_t *in)
{
	VECTOR order = vector_load(pair_words);

	for (size_t i = 0; i < 4; i++)
		g->word[i] = V(shuffle_epi8)(vector_load(in + i * sizeof(VECTOR)), order);
	group_transpose(g);
}

VECTOR_FN void
group_store(struct group *g, uint8_t *out)
{
	VECTOR order = vector_load(part_words);

	group_transpose(g);
	for (size_t i = 0; i < 4; i++)
		vector_store(out + i * sizeof(VECTOR), V(shuffle_epi8)(g->word[i], order));
}

/*
 * The product hi * 2^16 + lo is lo - hi, plus the modulus if that is negative.  lo == hi only if
 * the product is zero; then a word was zero and the result is 1 - a - k.  So one more is due where
 * lo <= hi, that is where the saturated difference is zero, and a + k less where they are equal.
 */
VECTOR_FN VECTOR
mul(VECTOR a, VECTOR k)
{
	VECTOR lo = V(mullo_epi16)(a, k);
	VECTOR hi = V(mulhi_epu16)(a, k);
	VECTOR minus_one = V(cmpeq_epi16)(V(subs_epu16)(lo, hi), VSI(setzero)());
	VECTOR for_zero = VSI(and)(V(cmpeq_epi16)(lo, hi), V(add_epi16)(a, k));

	return V(sub_epi16)(V(sub_epi16)(lo, hi), V(add_epi16)(minus_one, for_zero));
}

VECTOR_FN VECTOR
subkey(const uint16_t *k)
{
	return V(set1_epi16)((short)*k);
}

VECTOR_FN void
group_round(struct group *g, const uint16_t *k)
{
	VECTOR w = mul(g->word[0], subkey(k));
	VECTOR x = V(add_epi16)(g->word[1], subkey(k + 1));
	VECTOR y = V(add_epi16)(g->word[2], subkey(k + 2));
	VECTOR z = mul(g->word[3], subkey(k + 3));
	VECTOR s = mul(VSI(xor)(w, y), subkey(k + 4));
	VECTOR t = mul(V(add_epi16)(VSI(xor)(x, z), s), subkey(k + 5));

	s = V(add_epi16)(s, t);
	g->word[0] = VSI(xor)(w, t);
	g->word[1] = VSI(xor)(y, t);
	g->word[2] = VSI(xor)(x, s);
	g->word[3] = VSI(xor)(z, s);
}

/* The output step undoes the swap of the last round: the third word comes before the second. */
VECTOR_FN void
group_finish(struct group *g, const uint16_t *k)
{
	VECTOR second = g->word[1];

	g->word[0] = mul(g->word[0], subkey(k));
	g->word[1] = V(add_epi16)(g->word[2], subkey(k + 1));
	g->word[2] = V(add_epi16)(second, subkey(k + 2));
	g->word[3] = mul(g->word[3], subkey(k + 3));
}

__attribute__((target(VECTOR_TARGET))) static void
crypt_one(const uint16_t *k, uint8_t *out, const uint8_t *in)
{
	struct group g;

	group_load(&g, in);
	for (int round = 0; round < ROUNDS; round++, k += ROUND_SUBKEYS)
		group_round(&g, k);
	group_finish(&g, k);
	group_store(&g, out);
}

__attribute__((target(VECTOR_TARGET))) static void
crypt_two(const uint16_t *k, uint8_t *out, const uint8_t *in)
{
	struct group g, h;

	group_load(&g, in);
	group_load(&h, in + GROUP_SIZE);
	for (int round = 0; round < ROUNDS; round++, k += ROUND_SUBKEYS) {
		group_round(&g, k);
		group_round(&h, k);
	}
	group_finish(&g, k);
	group_finish(&h, k);
	group_store(&g, out);
	group_store(&h, out + GROUP_SIZE);
}

/* What fills no groups is copied to where there is room for whole ones. */
static void
crypt_rest(const uint16_t *subkeys, uint8_t *out, const uint8_t *in, size_t blocks)
{
	uint8_t room[2 * GROUP_SIZE] = { 0 };

	memcpy(room, in, blocks * IDEA_BLOCK_SIZE);
	if (blocks > GROUP)
		crypt_two(subkeys, room, room);
	else
		crypt_one(subkeys, room, room);
	memcpy(out, room, blocks * IDEA_BLOCK_SIZE);
}

static void
vector_crypt(const uint16_t *subkeys, uint8_t *out, const uint8_t *in, size_t blocks)
{
	for (; blocks >= 2 * GROUP; blocks -= 2 * GROUP) {
		crypt_two(subkeys, out, in);
		in += 2 * GROUP_SIZE;
		out += 2 * GROUP_SIZE;
	}
	if (blocks == GROUP)
		crypt_one(subkeys, out, in);
	else if (blocks > 1)
		crypt_rest(subkeys, out, in, blocks);
	else if (blocks == 1)
		idea_block(subkeys, out, in);
}

#endif
