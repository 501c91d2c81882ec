/*
 * hex_avx2.c - hexadecimal digits by AVX2, 32 at a time.
 *
 * Called only where the processor has it; compiled without any flag for it.  Owns nothing.
 */
#ifdef __x86_64__

#include <immintrin.h>

#define HEX_FN static inline __attribute__((always_inline, target("avx2")))

#include "wire/hex_vector.h"

#define WIDE ((size_t)32) /* digits */

HEX_FN __m256i
wide_load(const uint8_t *from)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

/* All of these do what their likes of 16 digits do. */
HEX_FN void
wide_put(uint8_t *to, const uint8_t *bytes)
{
	__m256i words = _mm256_cvtepu8_epi16(step_load(bytes));
	__m256i both = _mm256_or_si256(_mm256_srli_epi16(words, 4), _mm256_slli_epi16(words, 8));
	__m256i nibbles = _mm256_and_si256(both, _mm256_set1_epi8(0xf));
	__m256i alphabet = _mm256_broadcastsi128_si256(step_alphabet());

	_mm256_storeu_si256((__m256i *)(void *)to, _mm256_shuffle_epi8(alphabet, nibbles));
}

/* All bits of a byte if it is a digit: both kinds are moved to the top of the signed numbers. */
HEX_FN __m256i
wide_digits(const uint8_t *bytes)
{
	__m256i c = wide_load(bytes);
	__m256i lower = _mm256_or_si256(c, _mm256_set1_epi8(0x20));
	__m256i number = _mm256_add_epi8(c, _mm256_set1_epi8(127 - '9'));
	__m256i letter = _mm256_add_epi8(lower, _mm256_set1_epi8(127 - 'f'));

	return _mm256_or_si256(_mm256_cmpgt_epi8(number, _mm256_set1_epi8(127 - 10)),
			       _mm256_cmpgt_epi8(letter, _mm256_set1_epi8(127 - 6)));
}

/* 32 digits to words, each with the value of a pair. */
HEX_FN __m256i
wide_pairs(const uint8_t *digits)
{
	__m256i c = wide_load(digits);
	__m256i above = _mm256_cmpgt_epi8(c, _mm256_set1_epi8('9'));
	__m256i nine = _mm256_and_si256(above, _mm256_set1_epi8(9));
	__m256i nibbles = _mm256_add_epi8(_mm256_and_si256(c, _mm256_set1_epi8(0xf)), nine);

	return _mm256_maddubs_epi16(nibbles, _mm256_set1_epi16(0x0110));
}

/*
 * Twice as many digits, so that 32 bytes are stored at once: who reads them back as 32 would wait
 * for two stores.  Packing goes by halves of a vector, which leaves the middle quarters swapped.
 */
HEX_FN void
wide_get(uint8_t *to, const uint8_t *digits)
{
	__m256i packed = _mm256_packus_epi16(wide_pairs(digits), wide_pairs(digits + WIDE));

	_mm256_storeu_si256((__m256i *)(void *)to, _mm256_permute4x64_epi64(packed, 0xd8));
}

__attribute__((target("avx2"))) static void
put(uint8_t *to, const uint8_t *bytes, size_t n)
{
	for (; n >= WIDE / 2; n -= WIDE / 2, bytes += WIDE / 2, to += WIDE)
		wide_put(to, bytes);
	if (n >= STEP / 2) {
		step_put(to, bytes);
		n -= STEP / 2, bytes += STEP / 2, to += STEP;
	}
	if (n > 0)
		hex_path_portable.put(to, bytes, n);
}

__attribute__((target("avx2"))) static size_t
span(const uint8_t *bytes, size_t n)
{
	size_t at = 0;

	if (n < WIDE)
		return hex_path_ssse3.span(bytes, n);
	for (; n - at >= 2 * WIDE; at += 2 * WIDE) {
		__m256i low = wide_digits(bytes + at), high = wide_digits(bytes + at + WIDE);
		if (_mm256_movemask_epi8(_mm256_and_si256(low, high)) != -1)
			break;
	}
	/* The last step reaches back over some that are known to be digits. */
	while (at < n) {
		size_t from = at <= n - WIDE ? at : n - WIDE;
		unsigned strangers = ~(unsigned)_mm256_movemask_epi8(wide_digits(bytes + from));
		if (strangers != 0)
			return from + (size_t)__builtin_ctz(strangers);
		at = from + WIDE;
	}
	return n;
}

__attribute__((target("avx2"))) static void
get(uint8_t *to, const uint8_t *digits, size_t n)
{
	for (; n >= 2 * WIDE; n -= 2 * WIDE, digits += 2 * WIDE, to += WIDE)
		wide_get(to, digits);
	for (; n >= STEP; n -= STEP, digits += STEP, to += STEP / 2)
		step_get(to, digits);
	if (n > 0)
		hex_path_portable.get(to, digits, n);
}

static bool
usable(void)
{
	return __builtin_cpu_supports("avx2");
}

const struct hex_path hex_path_avx2 = { "avx2", usable, put, span, get };

#endif
