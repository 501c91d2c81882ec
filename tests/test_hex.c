/*
 * test_hex.c - hexadecimal digits against the C library, by every path that this processor has.
 *
 * Every length up to 2,000 bytes, every alignment, every byte value, and a byte that is no digit in
 * every place.
 */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>

#include "wire/hex_path.h"

#define BYTES_MAX  2000
#define DIGITS_MAX (2 * BYTES_MAX)
#define ALIGNMENTS 32
#define SHORT_MAX  150 /* digits; over any number of steps and rests of steps */

/* Starting with NULL, each path that works here, made the one in use; then NULL again. */
static const struct hex_path *
next_path(const struct hex_path *last)
{
	const struct hex_path *const *at = hex_paths;

	while (last != NULL && *at++ != last)
		;
	while (*at != NULL && !(*at)->usable())
		at++;
	hex_path_use(*at);
	return *at;
}

/* All values and their neighbourhoods differ from place to place. */
static uint8_t
some_byte(size_t i)
{
	return (uint8_t)(i * 167 + i / 256 * 13 + 5);
}

static void
assert_untouched(const uint8_t *from, const uint8_t *to, const char *name, size_t n)
{
	for (; from < to; from++)
		cr_assert_eq(*from, 0xa5, "%s: beside %zu", name, n);
}

Test(hex, paths)
{
	const struct hex_path *first = next_path(NULL);
	size_t count = 0;

	cr_assert_not_null(first);
	cr_assert_eq(hex_path_used(), first, "one is in use although none was asked for");
	while (hex_paths[count] != NULL)
		count++;
	cr_assert_eq(hex_paths[count - 1], &hex_path_portable);
	cr_assert(hex_path_portable.usable());
	for (size_t i = 0; i < count; i++)
		fprintf(stderr, "test_hex: %s: %s\n", hex_paths[i]->name,
			hex_paths[i]->usable() ? "compared" : "not on this processor");
	hex_path_use(&hex_path_portable);
	cr_assert_eq(hex_path_used(), &hex_path_portable);
	hex_path_use(NULL);
	cr_assert_eq(hex_path_used(), first);
}

Test(hex, every_length_there_and_back)
{
	uint8_t bytes[BYTES_MAX], back[BYTES_MAX + 1], got[DIGITS_MAX + 1];
	char want[DIGITS_MAX + 1];

	for (size_t i = 0; i < BYTES_MAX; i++) {
		bytes[i] = some_byte(i);
		sprintf(want + 2 * i, "%02x", bytes[i]);
	}
	for (const struct hex_path *p = NULL; (p = next_path(p)) != NULL;)
		for (size_t n = 0; n <= BYTES_MAX; n++) {
			memset(got, 0xa5, sizeof got);
			memset(back, 0xa5, sizeof back);
			hex_put(got, bytes, n);
			cr_assert_arr_eq(got, want, 2 * n, "%s: %zu", p->name, n);
			cr_assert_eq(got[2 * n], 0xa5, "%s: %zu", p->name, n);
			cr_assert_eq(hex_span(got, 2 * n), 2 * n, "%s: %zu", p->name, n);
			hex_get(back, got, 2 * n);
			cr_assert_arr_eq(back, bytes, n, "%s: %zu", p->name, n);
			cr_assert_eq(back[n], 0xa5, "%s: %zu", p->name, n);
		}
}

/* Digits of both cases in any count, odd ones too: the last is then a high nibble. */
Test(hex, every_count_of_digits)
{
	static const char alphabet[] = "0123456789abcdefABCDEF";

	for (const struct hex_path *p = NULL; (p = next_path(p)) != NULL;)
		for (size_t n = 0; n <= SHORT_MAX; n++) {
			char digits[SHORT_MAX + 2];
			uint8_t want[SHORT_MAX], got[SHORT_MAX];
			for (size_t i = 0; i < n; i++)
				digits[i] = alphabet[some_byte(i + n) % 22];
			memcpy(digits + n, "0", 2);
			for (size_t i = 0; i < n; i += 2)
				cr_assert_eq(sscanf(digits + i, "%2hhx", &want[i / 2]), 1);
			memset(got, 0xa5, sizeof got);
			hex_get(got, (const uint8_t *)digits, n);
			cr_assert_arr_eq(got, want, (n + 1) / 2, "%s: %zu", p->name, n);
			assert_untouched(got + (n + 1) / 2, got + sizeof got, p->name, n);
		}
}

Test(hex, every_alignment)
{
	uint8_t bytes[SHORT_MAX + ALIGNMENTS], got[2 * SHORT_MAX + 2 * ALIGNMENTS];
	uint8_t back[SHORT_MAX + 2 * ALIGNMENTS];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = some_byte(i);
	for (const struct hex_path *p = NULL; (p = next_path(p)) != NULL;)
		for (size_t at = 0; at < ALIGNMENTS; at++)
			for (size_t n = 0; n <= SHORT_MAX; n += 7) {
				const uint8_t *from = bytes + (at * 5 + n) % ALIGNMENTS;
				memset(got, 0xa5, sizeof got);
				memset(back, 0xa5, sizeof back);
				hex_put(got + at, from, n);
				assert_untouched(got, got + at, p->name, n);
				assert_untouched(got + at + 2 * n, got + sizeof got, p->name, n);
				cr_assert_eq(hex_span(got + at, 2 * n), 2 * n);
				hex_get(back + at, got + at, 2 * n);
				cr_assert_arr_eq(back + at, from, n, "%s: %zu", p->name, n);
				assert_untouched(back, back + at, p->name, n);
				assert_untouched(back + at + n, back + sizeof back, p->name, n);
			}
}

/* Each byte value at each place of each length, all other places being digits. */
Test(hex, a_stranger_in_every_place)
{
	for (const struct hex_path *p = NULL; (p = next_path(p)) != NULL;)
		for (size_t n = 1; n <= SHORT_MAX; n++) {
			uint8_t digits[SHORT_MAX];
			memset(digits, 'f', n);
			for (size_t at = 0; at < n; at++) {
				for (int c = 0; c < 256; c++) {
					digits[at] = (uint8_t)c;
					size_t want = isxdigit(c) ? n : at;
					if (hex_span(digits, n) != want)
						cr_assert_fail("%s: %d at %zu of %zu", p->name, c,
							       at, n);
				}
				digits[at] = (uint8_t) "09afAF"[at % 6];
			}
		}
}

/* The first one counts, wherever others are. */
Test(hex, the_first_stranger_counts)
{
	for (const struct hex_path *p = NULL; (p = next_path(p)) != NULL;)
		for (size_t first = 0; first < SHORT_MAX; first++)
			for (size_t second = first + 1; second < SHORT_MAX; second++) {
				uint8_t digits[SHORT_MAX];
				memset(digits, '0', sizeof digits);
				digits[first] = 'g';
				digits[second] = ':';
				if (hex_span(digits, sizeof digits) != first)
					cr_assert_fail("%s: %zu, %zu", p->name, first, second);
			}
}
