/*
 * pattern.c - reproducible bytes.  No state but the table made at the first call.
 */
#include "bench/pattern.h"

#include <endian.h>

#define TABLE_SIZE (16 * (size_t)PATTERN_PERIOD)

/* Several periods in a row: the longer the copies, the fewer of them. */
static const uint8_t *
pattern_table(void)
{
	static const char letters[32] = "0123456789ABCDEFGHJKLMNPQRSTUVWX";
	static uint8_t table[TABLE_SIZE];
	static bool made;

	if (!made) {
		uint32_t x = 1;
		for (size_t i = 0; i < PATTERN_PERIOD; i++) {
			x = x * 1664525u + 1013904223u;
			table[i] = (uint8_t)letters[x >> 27];
		}
		for (size_t i = PATTERN_PERIOD; i < TABLE_SIZE; i++)
			table[i] = table[i - PATTERN_PERIOD];
		made = true;
	}
	return table;
}

void
pattern_fill(uint8_t *to, size_t n, size_t phase)
{
	const uint8_t *table = pattern_table();
	size_t from = phase < PATTERN_PERIOD ? phase : phase % PATTERN_PERIOD;

	while (n > 0) {
		size_t chunk = TABLE_SIZE - from;
		if (chunk > n)
			chunk = n;
		memcpy(to, table + from, chunk);
		to += chunk;
		n -= chunk;
		from = 0; /* the table ends with a whole period */
	}
}

/* Eight bytes a step, because both ends do this for each request; the last step overlaps. */
static uint64_t
hash(struct wire_span s)
{
	uint64_t h = s.len, x = 0;

	for (size_t i = 0; i + sizeof x <= s.len; i += sizeof x) {
		memcpy(&x, s.data + i, sizeof x);
		h = (h ^ le64toh(x)) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	if (s.len % sizeof x != 0) {
		x = 0;
		if (s.len >= sizeof x)
			memcpy(&x, s.data + s.len - sizeof x, sizeof x);
		else
			memcpy(&x, s.data, s.len);
		h = (h ^ le64toh(x)) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	return h;
}

void
pattern_reply(uint8_t *to, size_t n, struct wire_span head)
{
	size_t len = head.len < n ? head.len : n;

	if (len > 0)
		memcpy(to, head.data, len);
	if (n > len)
		pattern_fill(to + len, n - len, (size_t)(hash(head) % PATTERN_PERIOD));
}

void
pattern_noise(uint8_t *to, size_t n)
{
	uint32_t x = 2463534242u;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		uint8_t byte = (uint8_t)(x >> 24);
		to[i] = byte == '\n' ? (uint8_t)'~' : byte;
	}
}

uint64_t
pattern_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}
