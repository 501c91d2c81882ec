/*
 * hex_vector.h - the steps that hex_avx2.c and hex_ssse3.c share: 8 bytes or 16 digits by SSSE3.
 *
 * Not a header of its own: who includes it has <immintrin.h>, and defines HEX_FN, the attributes of
 * an inline function for its instruction set.
 */
#ifndef WIRE_HEX_VECTOR_H
#define WIRE_HEX_VECTOR_H

#include "wire/hex_path.h"

#define STEP ((size_t)16) /* digits */

HEX_FN __m128i
step_load(const uint8_t *from)
{
	return _mm_loadu_si128((const __m128i *)(const void *)from);
}

HEX_FN __m128i
step_alphabet(void)
{
	return _mm_setr_epi8('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd',
			     'e', 'f');
}

/* 8 bytes: each becomes a word of two nibbles, the high one first in memory. */
HEX_FN void
step_put(uint8_t *to, const uint8_t *bytes)
{
	__m128i eight = _mm_loadl_epi64((const __m128i *)(const void *)bytes);
	__m128i words = _mm_unpacklo_epi8(eight, _mm_setzero_si128());
	__m128i both = _mm_or_si128(_mm_srli_epi16(words, 4), _mm_slli_epi16(words, 8));
	__m128i nibbles = _mm_and_si128(both, _mm_set1_epi8(0xf));

	_mm_storeu_si128((__m128i *)(void *)to, _mm_shuffle_epi8(step_alphabet(), nibbles));
}

/*
 * A bit for each of 16 bytes that is no digit.  Both kinds are moved to the top of the signed
 * numbers; the cases of letters differ in one bit.
 */
HEX_FN unsigned
step_strangers(const uint8_t *bytes)
{
	__m128i c = step_load(bytes);
	__m128i lower = _mm_or_si128(c, _mm_set1_epi8(0x20));
	__m128i number = _mm_add_epi8(c, _mm_set1_epi8(127 - '9'));
	__m128i letter = _mm_add_epi8(lower, _mm_set1_epi8(127 - 'f'));
	__m128i digit = _mm_or_si128(_mm_cmpgt_epi8(number, _mm_set1_epi8(127 - 10)),
				     _mm_cmpgt_epi8(letter, _mm_set1_epi8(127 - 6)));

	return 0xffffu ^ (unsigned)_mm_movemask_epi8(digit);
}

/* 16 digits: letters begin at 1 in their low nibble, so 9 more; then pairs as 16 high + low. */
HEX_FN void
step_get(uint8_t *to, const uint8_t *digits)
{
	__m128i c = step_load(digits);
	__m128i nine = _mm_and_si128(_mm_cmpgt_epi8(c, _mm_set1_epi8('9')), _mm_set1_epi8(9));
	__m128i nibbles = _mm_add_epi8(_mm_and_si128(c, _mm_set1_epi8(0xf)), nine);
	__m128i words = _mm_maddubs_epi16(nibbles, _mm_set1_epi16(0x0110));

	_mm_storel_epi64((__m128i *)(void *)to, _mm_packus_epi16(words, words));
}

#endif
