/*
 * test_idea.c - IDEA against libgcrypt and the published vector, on random, weak and extreme keys,
 * by every path that this processor has.
 *
 * The random cases repeat: the seed is fixed unless RELAY_SEED gives another one, and is printed.
 */
#include <criterion/criterion.h>
#include <gcrypt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/idea_path.h"

#define BLOCKS_MAX 40
#define BYTES_MAX  (BLOCKS_MAX * IDEA_BLOCK_SIZE)

/* For counts of blocks and alignments; an instruction set may care for 32 bytes. */
#define LONG_BLOCKS    250
#define LONG_MAX_BYTES (LONG_BLOCKS * IDEA_BLOCK_SIZE)
#define ALIGNMENTS     32

static uint64_t random_state;

static void
random_start(uint64_t fallback)
{
	const char *given = getenv("RELAY_SEED");

	random_state = given != NULL ? strtoull(given, NULL, 0) : fallback;
	fprintf(stderr, "test_idea: RELAY_SEED=%" PRIu64 "\n", random_state);
}

/* splitmix64 */
static uint64_t
random_next(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void
random_fill(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)random_next();
}

static void
yardstick_start(void)
{
	cr_assert_not_null(gcry_check_version(NULL));
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

static void
yardstick(uint8_t *encrypted, uint8_t *decrypted, const uint8_t *raw, const uint8_t *in, size_t n)
{
	gcry_cipher_hd_t cipher;

	cr_assert_eq(gcry_cipher_open(&cipher, GCRY_CIPHER_IDEA, GCRY_CIPHER_MODE_ECB, 0), 0);
	cr_assert_eq(gcry_cipher_setkey(cipher, raw, IDEA_KEY_SIZE), 0);
	cr_assert_eq(gcry_cipher_encrypt(cipher, encrypted, n, in, n), 0);
	cr_assert_eq(gcry_cipher_decrypt(cipher, decrypted, n, in, n), 0);
	gcry_cipher_close(cipher);
}

/* Starting with NULL, each path that works here, made the one in use; then NULL again. */
static const struct idea_path *
next_path(const struct idea_path *last)
{
	const struct idea_path *const *at = idea_paths;

	while (last != NULL && *at++ != last)
		;
	while (*at != NULL && !(*at)->usable())
		at++;
	idea_path_use(*at);
	return *at;
}

static void
compare(const uint8_t *raw, const uint8_t *in, size_t blocks)
{
	uint8_t want_enc[BYTES_MAX], want_dec[BYTES_MAX], got[BYTES_MAX];
	size_t n = blocks * IDEA_BLOCK_SIZE;
	struct idea_key key;

	yardstick(want_enc, want_dec, raw, in, n);
	idea_key_init(&key, raw);
	for (const struct idea_path *p = NULL; (p = next_path(p)) != NULL;) {
		idea_encrypt(&key, got, in, blocks);
		cr_assert_arr_eq(got, want_enc, n, "%s", p->name);
		idea_decrypt(&key, got, got, blocks);
		cr_assert_arr_eq(got, in, n, "%s: decryption undoes encryption", p->name);
		idea_decrypt(&key, got, in, blocks);
		cr_assert_arr_eq(got, want_dec, n, "%s", p->name);
		idea_encrypt(&key, got, got, blocks);
		cr_assert_arr_eq(got, in, n, "%s: encryption undoes decryption", p->name);
	}
}

/* The last path works everywhere, others are on the list before it, and NULL takes the first. */
Test(idea, paths)
{
	const struct idea_path *first = next_path(NULL);
	size_t count = 0;

	cr_assert_not_null(first);
	cr_assert_eq(idea_path_used(), first, "one is in use although none was asked for");
	while (idea_paths[count] != NULL)
		count++;
	cr_assert_eq(idea_paths[count - 1], &idea_path_portable);
	cr_assert(idea_path_portable.usable());
	for (size_t i = 0; i < count; i++) {
		fprintf(stderr, "test_idea: %s: %s\n", idea_paths[i]->name,
			idea_paths[i]->usable() ? "compared" : "not on this processor");
		cr_assert_leq(idea_paths[i]->group, IDEA_GROUP_MAX);
	}
	idea_path_use(&idea_path_portable);
	cr_assert_eq(idea_path_used(), &idea_path_portable);
	idea_path_use(NULL);
	cr_assert_eq(idea_path_used(), first);
}

Test(idea, published_vector)
{
	static const uint8_t raw[IDEA_KEY_SIZE] = {
		0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8
	};
	static const uint8_t plain[] = { 0, 0, 0, 1, 0, 2, 0, 3 };
	static const uint8_t want[] = { 0x11, 0xfb, 0xed, 0x2b, 0x01, 0x98, 0x6d, 0xe5 };
	uint8_t got[IDEA_BLOCK_SIZE];
	struct idea_key key;

	idea_key_init(&key, raw);
	idea_encrypt(&key, got, plain, 1);
	cr_assert_arr_eq(got, want, sizeof want);
	idea_decrypt(&key, got, want, 1);
	cr_assert_arr_eq(got, plain, sizeof plain);
}

/* The same in all lanes of a group; the one block alone has code of its own. */
Test(idea, published_vector_in_every_lane)
{
	static const uint8_t raw[IDEA_KEY_SIZE] = {
		0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8
	};
	static const uint8_t plain[] = { 0, 0, 0, 1, 0, 2, 0, 3 };
	static const uint8_t want[] = { 0x11, 0xfb, 0xed, 0x2b, 0x01, 0x98, 0x6d, 0xe5 };
	uint8_t blocks[BYTES_MAX];
	struct idea_key key;

	idea_key_init(&key, raw);
	for (const struct idea_path *p = NULL; (p = next_path(p)) != NULL;) {
		for (size_t at = 0; at < BYTES_MAX; at += IDEA_BLOCK_SIZE)
			memcpy(blocks + at, plain, IDEA_BLOCK_SIZE);
		idea_encrypt(&key, blocks, blocks, BLOCKS_MAX);
		for (size_t at = 0; at < BYTES_MAX; at += IDEA_BLOCK_SIZE)
			cr_assert_arr_eq(blocks + at, want, sizeof want, "%s: %zu", p->name, at);
	}
}

Test(idea, random_keys_and_blocks, .init = yardstick_start)
{
	random_start(20021120);
	for (int i = 0; i < 5000; i++) {
		uint8_t raw[IDEA_KEY_SIZE], in[BYTES_MAX];
		random_fill(raw, sizeof raw);
		random_fill(in, sizeof in);
		compare(raw, in, 1 + random_next() % BLOCKS_MAX);
	}
}

/* Words like 0 (= 2^16), 1, 2^15, 2^16 - 1: where a multiplication mod 2^16 + 1 would go wrong. */
Test(idea, extreme_words, .init = yardstick_start)
{
	static const uint16_t words[] = { 0, 1, 2, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff };

	random_start(65537);
	for (int i = 0; i < 5000; i++) {
		uint8_t raw[IDEA_KEY_SIZE], in[BYTES_MAX];
		for (size_t w = 0; w < sizeof raw; w += 2) {
			uint16_t word = words[random_next() % 8];
			raw[w] = (uint8_t)(word >> 8);
			raw[w + 1] = (uint8_t)word;
		}
		for (size_t w = 0; w < sizeof in; w += 2) {
			uint16_t word = words[random_next() % 8];
			in[w] = (uint8_t)(word >> 8);
			in[w + 1] = (uint8_t)word;
		}
		compare(raw, in, BLOCKS_MAX);
	}
}

/* The keys of all zeros and all ones, and each with one bit flipped; weak ones are among them. */
Test(idea, weak_keys, .init = yardstick_start)
{
	uint8_t in[BYTES_MAX];

	random_start(7);
	random_fill(in, sizeof in);
	memset(in, 0, IDEA_BLOCK_SIZE);
	memset(in + IDEA_BLOCK_SIZE, 0xff, IDEA_BLOCK_SIZE);
	for (int fill = 0; fill <= 0xff; fill += 0xff) {
		uint8_t raw[IDEA_KEY_SIZE];
		memset(raw, fill, sizeof raw);
		compare(raw, in, BLOCKS_MAX);
		for (size_t bit = 0; bit < 128; bit++) {
			raw[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
			compare(raw, in, BLOCKS_MAX);
			raw[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		}
	}
}

/* A block stands for itself: what one alone becomes, it becomes among any number of others. */
static void
one_by_one(const struct idea_key *key, uint8_t *out, const uint8_t *in, size_t blocks)
{
	for (size_t i = 0; i < blocks * IDEA_BLOCK_SIZE; i += IDEA_BLOCK_SIZE)
		idea_block(key->encrypt, out + i, in + i);
}

static void
assert_untouched(const uint8_t *from, const uint8_t *to, const char *name, size_t blocks)
{
	for (; from < to; from++)
		cr_assert_eq(*from, 0xa5, "%s: beside %zu blocks", name, blocks);
}

/*
 * Every count up to 2,000 bytes, from and to memory of every alignment: right, and nothing written
 * beside it.
 */
Test(idea, every_count_of_blocks_at_every_alignment)
{
	uint8_t raw[IDEA_KEY_SIZE], in[LONG_MAX_BYTES + ALIGNMENTS], want[LONG_MAX_BYTES];
	uint8_t got[LONG_MAX_BYTES + 2 * ALIGNMENTS];
	struct idea_key key;

	random_start(1);
	random_fill(raw, sizeof raw);
	idea_key_init(&key, raw);
	for (size_t blocks = 0; blocks <= LONG_BLOCKS; blocks++) {
		size_t n = blocks * IDEA_BLOCK_SIZE;
		size_t from = blocks % ALIGNMENTS;

		random_fill(in, sizeof in);
		one_by_one(&key, want, in + from, blocks);
		for (const struct idea_path *p = NULL; (p = next_path(p)) != NULL;)
			for (size_t at = 0; at < ALIGNMENTS; at++) {
				memset(got, 0xa5, sizeof got);
				idea_encrypt(&key, got + at, in + from, blocks);
				cr_assert_arr_eq(got + at, want, n, "%s: %zu", p->name, blocks);
				assert_untouched(got, got + at, p->name, blocks);
				assert_untouched(got + at + n, got + sizeof got, p->name, blocks);
				idea_decrypt(&key, got + at, got + at, blocks);
				cr_assert_arr_eq(got + at, in + from, n, "%s: %zu", p->name,
						 blocks);
				assert_untouched(got + at + n, got + sizeof got, p->name, blocks);
			}
	}
}

Test(idea, rounded_counts_are_whole_groups)
{
	for (const struct idea_path *p = NULL; (p = next_path(p)) != NULL;)
		for (size_t blocks = 0; blocks <= LONG_BLOCKS; blocks++) {
			size_t rounded = idea_blocks_round(blocks);
			cr_assert_geq(rounded, blocks);
			cr_assert_lt(rounded, blocks + IDEA_GROUP_MAX);
			cr_assert(blocks < 2 ? rounded == blocks : rounded % p->group == 0,
				  "%s: %zu -> %zu", p->name, blocks, rounded);
		}
}

Test(idea, unaligned_key)
{
	uint8_t raw[IDEA_KEY_SIZE + 1];
	struct idea_key key, same;

	random_start(3);
	random_fill(raw, sizeof raw);
	idea_key_init(&key, raw + 1);
	memmove(raw, raw + 1, IDEA_KEY_SIZE);
	idea_key_init(&same, raw);
	cr_assert_arr_eq(&key, &same, sizeof key);
}

Test(idea, key_wipe_leaves_nothing)
{
	uint8_t raw[IDEA_KEY_SIZE];
	struct idea_key key;
	struct idea_key zero;

	memset(&zero, 0, sizeof zero);
	memset(raw, 0x5a, sizeof raw);
	idea_key_init(&key, raw);
	cr_assert_arr_neq(key.encrypt, zero.encrypt, sizeof zero.encrypt);
	cr_assert_arr_neq(key.decrypt, zero.decrypt, sizeof zero.decrypt);
	idea_key_wipe(&key);
	cr_assert_arr_eq(&key, &zero, sizeof zero);
}
