/*
 * hex_ssse3.c - hexadecimal digits by SSSE3, 16 at a time.
 *
 * Called only where the processor has it; compiled without any flag for it.  Owns nothing.
 */
#ifdef __x86_64__

#include <immintrin.h>

#define HEX_FN static inline __attribute__((always_inline, target("ssse3")))

#include "wire/hex_vector.h"

__attribute__((target("ssse3"))) static void
put(uint8_t *to, const uint8_t *bytes, size_t n)
{
	for (; n >= STEP / 2; n -= STEP / 2, bytes += STEP / 2, to += STEP)
		step_put(to, bytes);
	if (n > 0)
		hex_path_portable.put(to, bytes, n);
}

__attribute__((target("ssse3"))) static size_t
span(const uint8_t *bytes, size_t n)
{
	size_t at = 0;

	if (n < STEP)
		return hex_path_portable.span(bytes, n);
	/* The last step reaches back over some that are known to be digits. */
	while (at < n) {
		size_t from = at <= n - STEP ? at : n - STEP;
		unsigned strangers = step_strangers(bytes + from);
		if (strangers != 0)
			return from + (size_t)__builtin_ctz(strangers);
		at = from + STEP;
	}
	return n;
}

__attribute__((target("ssse3"))) static void
get(uint8_t *to, const uint8_t *digits, size_t n)
{
	for (; n >= STEP; n -= STEP, digits += STEP, to += STEP / 2)
		step_get(to, digits);
	if (n > 0)
		hex_path_portable.get(to, digits, n);
}

static bool
usable(void)
{
	return __builtin_cpu_supports("ssse3");
}

const struct hex_path hex_path_ssse3 = { "ssse3", usable, put, span, get };

#endif
