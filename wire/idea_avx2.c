/*
 * idea_avx2.c - IDEA by AVX2: groups of 16 blocks, two groups at a time.
 *
 * Called only where the processor has it; compiled without any flag for it.  Owns nothing.
 */
#ifdef __x86_64__

#include <immintrin.h>

#define VECTOR        __m256i
#define V(op)         _mm256_##op
#define VSI(op)       _mm256_##op##_si256
#define VECTOR_TARGET "avx2"

#include "wire/idea_vector.h"

static bool
usable(void)
{
	return __builtin_cpu_supports("avx2");
}

const struct idea_path idea_path_avx2 = { "avx2", usable, GROUP, vector_crypt };

#endif
