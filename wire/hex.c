/*
 * hex.c - hexadecimal digits by tables, and the choice of how they are done on this processor.
 *
 * Its tables are indexed by data: not for what must stay secret.  Owns nothing but the choice, made
 * once per process.
 */
#include "wire/hex_path.h"

#define PAIRS_OF(high)                                                                            \
	{ high, '0' }, { high, '1' }, { high, '2' }, { high, '3' }, { high, '4' }, { high, '5' }, \
	    { high, '6' }, { high, '7' }, { high, '8' }, { high, '9' }, { high, 'a' },            \
	    { high, 'b' }, { high, 'c' }, { high, 'd' }, { high, 'e' },                           \
	{                                                                                         \
		high, 'f'                                                                         \
	}

static const uint8_t pairs[256][2] = {
	PAIRS_OF('0'), PAIRS_OF('1'), PAIRS_OF('2'), PAIRS_OF('3'), PAIRS_OF('4'), PAIRS_OF('5'),
	PAIRS_OF('6'), PAIRS_OF('7'), PAIRS_OF('8'), PAIRS_OF('9'), PAIRS_OF('a'), PAIRS_OF('b'),
	PAIRS_OF('c'), PAIRS_OF('d'), PAIRS_OF('e'), PAIRS_OF('f'),
};

static const bool is_digit[256] = {
	['0'] = true, ['1'] = true, ['2'] = true, ['3'] = true, ['4'] = true, ['5'] = true,
	['6'] = true, ['7'] = true, ['8'] = true, ['9'] = true, ['a'] = true, ['b'] = true,
	['c'] = true, ['d'] = true, ['e'] = true, ['f'] = true, ['A'] = true, ['B'] = true,
	['C'] = true, ['D'] = true, ['E'] = true, ['F'] = true,
};

const struct hex_path *const hex_paths[] = {
#ifdef __x86_64__
	&hex_path_avx2,
	&hex_path_ssse3,
#endif
	&hex_path_portable,
	NULL,
};

/* NULL until first asked for.  Threads that ask at once all find the same, so the order is free. */
static const struct hex_path *chosen;

static const struct hex_path *
fastest(void)
{
	for (const struct hex_path *const *at = hex_paths; *at != NULL; at++)
		if ((*at)->usable())
			return *at;
	return &hex_path_portable;
}

void
hex_path_use(const struct hex_path *path)
{
	__atomic_store_n(&chosen, path != NULL ? path : fastest(), __ATOMIC_RELAXED);
}

const struct hex_path *
hex_path_used(void)
{
	const struct hex_path *path = __atomic_load_n(&chosen, __ATOMIC_RELAXED);

	if (path == NULL) {
		path = fastest();
		__atomic_store_n(&chosen, path, __ATOMIC_RELAXED);
	}
	return path;
}

static void
put(uint8_t *to, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++, to += 2)
		memcpy(to, pairs[bytes[i]], 2);
}

static size_t
span(const uint8_t *bytes, size_t n)
{
	size_t i = 0;

	while (i < n && is_digit[bytes[i]])
		i++;
	return i;
}

/* Letters of both cases are in the upper half of ASCII, and begin at 1 in their low nibble. */
static unsigned
nibble(uint8_t digit)
{
	return (digit & 0xfu) + 9u * (digit >> 6 & 1u);
}

static void
get(uint8_t *to, const uint8_t *digits, size_t n)
{
	for (; n >= 2; n -= 2, digits += 2)
		*to++ = (uint8_t)(nibble(digits[0]) << 4 | nibble(digits[1]));
	if (n == 1)
		*to = (uint8_t)(nibble(digits[0]) << 4);
}

static bool
usable(void)
{
	return true;
}

const struct hex_path hex_path_portable = { "portable", usable, put, span, get };

void
hex_put(uint8_t *to, const uint8_t *bytes, size_t n)
{
	hex_path_used()->put(to, bytes, n);
}

size_t
hex_span(const uint8_t *bytes, size_t n)
{
	return hex_path_used()->span(bytes, n);
}

void
hex_get(uint8_t *to, const uint8_t *digits, size_t n)
{
	hex_path_used()->get(to, digits, n);
}
