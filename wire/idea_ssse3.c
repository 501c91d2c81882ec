/*
 * idea_ssse3.c - IDEA by SSSE3: groups of 8 blocks, two groups at a time.
 *
 * Called only where the processor has it; compiled without any flag for it.  Owns nothing.
 */
#ifdef __x86_64__

#include <immintrin.h>

#define VECTOR        __m128i
#define V(op)         _mm_##op
#define VSI(op)       _mm_##op##_si128
#define VECTOR_TARGET "ssse3"

#include "wire/idea_vector.h"

static bool
usable(void)
{
	return __builtin_cpu_supports("ssse3");
}

const struct idea_path idea_path_ssse3 = { "ssse3", usable, GROUP, vector_crypt };

#endif
