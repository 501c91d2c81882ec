/*
 * idea_word.h - the multiplication of IDEA on one word at a time.
 *
 * Multiplication is mod 2^16 + 1, where the word 0 stands for 2^16, which is -1.  Neither branches
 * on a word nor indexes memory by it: its time tells nothing of key and data.
 */
#ifndef WIRE_IDEA_WORD_H
#define WIRE_IDEA_WORD_H

#include <stdint.h>

/*
 * Words are held in 32 bits whose upper half is zero.  A zero `k` becomes 2^16, so that the product
 * hi * 2^16 + lo is right for it, and equals lo - hi, plus the modulus if that is negative.
 *
 * The product with its halves swapped, less the product, has lo - hi in its upper half, and one
 * less if hi < lo, for then hi - lo in the lower half borrows.  2^16 - 1 more carries one upwards
 * unless the lower half is zero: that gives back what was borrowed, and is the modulus if lo < hi.
 *
 * The product is zero only for a zero `a`, and the result then should be -k, which is 1 - k: more
 * is added, to an upper half of zero.
 */
static inline uint32_t
idea_word_mul(uint32_t a, uint32_t k)
{
	uint32_t product = a * (((k - 1) & 0xffff) + 1);
	uint32_t swapped = product << 16 | product >> 16;
	uint32_t more = ((a - 1) | 0xffff) & ((1 - k) << 16 | 0xffff);
	uint32_t rest = more - product;

	/* Subtracted while the halves are swapped, not after: the compiler would like to regroup.
	 */
	__asm__("" : "+r"(rest));
	return (swapped + rest) >> 16;
}

#endif
