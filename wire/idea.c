/*
 * idea.c - IDEA: both key schedules, and the choice of how blocks are done on this processor.
 *
 * Never indexes memory by key or data, and needs no branch on either.  Owns nothing but the choice,
 * made once per process; the schedules live in the caller's struct idea_key.
 *
 * The operations of the cipher are xor, addition mod 2^16, and the multiplication of idea_word.h.
 * One block alone spends its time waiting for its own multiplications, but ECB blocks do not depend
 * on each other: all paths do as many side by side as the processor has room for.
 */
#include "wire/idea_path.h"

#include "wire/idea_word.h"

#define ROUNDS         8
#define ROUND_SUBKEYS  6
#define OUTPUT_SUBKEYS 4

_Static_assert(IDEA_SUBKEYS == ROUNDS * ROUND_SUBKEYS + OUTPUT_SUBKEYS, "subkeys of one schedule");

const struct idea_path *const idea_paths[] = {
#ifdef __x86_64__
	&idea_path_avx2,
	&idea_path_ssse3,
#endif
	&idea_path_portable,
	NULL,
};

/* NULL until first asked for.  Threads that ask at once all find the same, so the order is free. */
static const struct idea_path *chosen;

static const struct idea_path *
fastest(void)
{
	for (const struct idea_path *const *at = idea_paths; *at != NULL; at++)
		if ((*at)->usable())
			return *at;
	return &idea_path_portable;
}

void
idea_path_use(const struct idea_path *path)
{
	__atomic_store_n(&chosen, path != NULL ? path : fastest(), __ATOMIC_RELAXED);
}

const struct idea_path *
idea_path_used(void)
{
	const struct idea_path *path = __atomic_load_n(&chosen, __ATOMIC_RELAXED);

	if (path == NULL) {
		path = fastest();
		__atomic_store_n(&chosen, path, __ATOMIC_RELAXED);
	}
	return path;
}

/*
 * x to the power 2^16 - 1, its inverse in a group of 2^16 elements; right for 0 (= -1) as well.
 * The exponent's ones double: 1, 11, 1111 and so on in binary.
 */
static uint16_t
inverse_mul(uint16_t x)
{
	uint32_t power = x;

	for (int ones = 1; ones < 16; ones *= 2) {
		uint32_t shifted = power;
		for (int i = 0; i < ones; i++)
			shifted = idea_word_mul(shifted, shifted);
		power = idea_word_mul(shifted, power);
	}
	return (uint16_t)power;
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

void
idea_encrypt(const struct idea_key *key, uint8_t *out, const uint8_t *in, size_t blocks)
{
	idea_path_used()->crypt(key->encrypt, out, in, blocks);
}

void
idea_decrypt(const struct idea_key *key, uint8_t *out, const uint8_t *in, size_t blocks)
{
	idea_path_used()->crypt(key->decrypt, out, in, blocks);
}

size_t
idea_blocks_round(size_t blocks)
{
	size_t group = idea_path_used()->group;

	return blocks < 2 ? blocks : (blocks + group - 1) / group * group;
}
