/*
 * test_memory.c - the budget: exact at its bound, back to nothing at the end, with the cache in
 * between.
 */
#include "relay/memory.h"

#include <criterion/criterion.h>
#include <string.h>

#define MAX (1u << 20)
#define KIB 1024u

static struct memory memory;

static void
set_up(void)
{
	memory_init(&memory, MAX);
}

/* The end of each test. */
static void
all_given_back(void)
{
	cr_assert_eq(memory.used, 0);
	memory_fini(&memory);
	cr_assert_eq(memory.spare, 0);
}

static void *
get(size_t want, size_t *got)
{
	void *block = memory_resize(&memory, NULL, 0, 0, want, got);

	if (block != NULL)
		memset(block, 0x5a, *got);
	return block;
}

TestSuite(memory, .init = set_up);

Test(memory, blocks_are_counted_with_their_size)
{
	const size_t wants[] = { 1,        511,          512,       513,      4096,
				 64 * KIB, 64 * KIB + 1, 100 * KIB, 200 * KIB };
	const size_t sizes[] = { 512,      512,       512,       1024,     4096,
				 64 * KIB, 128 * KIB, 128 * KIB, 256 * KIB };
	void *blocks[9];
	uint64_t sum = 0;

	for (int i = 0; i < 9; i++) {
		size_t got = 0;
		blocks[i] = get(wants[i], &got);
		cr_assert_not_null(blocks[i]);
		cr_assert_eq(got, sizes[i], "%zu bytes gave %zu", wants[i], got);
		sum += got;
		cr_assert_eq(memory.used, sum);
	}
	for (int i = 0; i < 9; i++) {
		memory_put(&memory, blocks[i], sizes[i]);
		sum -= sizes[i];
		cr_assert_eq(memory.used, sum);
	}
	memory_put(&memory, NULL, 0);
	all_given_back();
}

Test(memory, exact_at_the_bound)
{
	size_t big, small, got;
	void *most = get(MAX - 64 * KIB, &big);
	void *last = get(64 * KIB, &small);

	cr_assert_not_null(most);
	cr_assert_not_null(last);
	cr_assert_eq(memory.used, MAX);
	cr_assert_eq(memory.refused, 0);
	cr_assert_null(get(1, &got));
	cr_assert_eq(memory.refused, 1);
	cr_assert_eq(memory.used, MAX, "a refusal counts nothing");
	memory_put(&memory, last, small);

	last = get(64 * KIB, &small);
	cr_assert_not_null(last, "what is given back can be had again");
	memory_put(&memory, last, small);
	cr_assert_null(get(64 * KIB + 1, &got));
	cr_assert_eq(memory.refused, 2);
	memory_put(&memory, most, big);
	all_given_back();
}

Test(memory, one_block_of_all_and_none_of_more)
{
	size_t got;
	void *all = get(MAX, &got);

	cr_assert_not_null(all);
	cr_assert_eq(got, MAX);
	memory_put(&memory, all, got);
	cr_assert_null(get(MAX + 1, &got));
	cr_assert_null(get(SIZE_MAX / 2, &got));
	cr_assert_null(get(SIZE_MAX, &got));
	cr_assert_null(get(SIZE_MAX - 100, &got));
	cr_assert_eq(memory.refused, 4);
	all_given_back();
}

static void
check_content(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		cr_assert_eq(bytes[i], (uint8_t)(i * 31 + (i >> 8)));
}

/* From a small block through all classes and large ones up to the budget. */
Test(memory, resizing_keeps_the_content)
{
	size_t size, len;
	uint8_t *block = get(1, &size);

	cr_assert_not_null(block);
	for (len = 0; len < size; len++)
		block[len] = (uint8_t)(len * 31 + (len >> 8));
	for (;;) {
		size_t got;
		uint8_t *next = memory_resize(&memory, block, size, len, size + size / 2, &got);
		if (next == NULL)
			break;
		block = next;
		size = got;
		check_content(block, len);
		for (; len < size; len++)
			block[len] = (uint8_t)(len * 31 + (len >> 8));
		cr_assert_eq(memory.used, size, "the old block was given back");
	}
	cr_assert_gt(size, MAX / 2);
	check_content(block, len); /* a refusal leaves the block as it was */
	cr_assert_eq(memory.used, size);
	memory_put(&memory, block, size);
	all_given_back();
}

Test(memory, resizing_is_refused_by_the_difference)
{
	size_t big, size, got;
	void *most = get(MAX - 128 * KIB, &big);
	void *block = get(64 * KIB, &size);

	block = memory_resize(&memory, block, size, size, 65 * KIB, &got);
	cr_assert_not_null(block, "64 KiB more are left, and it takes just these");
	cr_assert_eq(memory.used, MAX);
	cr_assert_null(memory_resize(&memory, block, got, got, got + 1, &size));
	cr_assert_eq(memory.refused, 1);
	memory_put(&memory, block, got);
	memory_put(&memory, most, big);
	all_given_back();
}

#ifndef __SANITIZE_ADDRESS__ /* there nothing is cached */
Test(memory, the_last_block_is_used_again)
{
	size_t size;
	void *a = get(1000, &size), *b = get(1000, &size);

	memory_put(&memory, a, size);
	memory_put(&memory, b, size);
	cr_assert_eq(memory.spare, 2048);
	cr_assert_eq(get(600, &size), b);
	cr_assert_eq(get(1024, &size), a);
	cr_assert_eq(memory.spare, 0);
	memory_put(&memory, a, size);
	memory_put(&memory, b, size);
	all_given_back();
}

Test(memory, the_cache_has_a_bound)
{
	static void *blocks[64];
	size_t size = 0;

	memory_init(&memory, 4 * (uint64_t)MAX);
	for (int i = 0; i < 64; i++)
		blocks[i] = get(64 * KIB, &size);
	for (int i = 0; i < 64; i++) {
		memory_put(&memory, blocks[i], size);
		cr_assert_leq(memory.spare, MEMORY_SPARE_MAX);
	}
	cr_assert_eq(memory.spare, MEMORY_SPARE_MAX);
	all_given_back();
}
#endif

/* What large blocks may not have is left for small ones. */
Test(memory, large_blocks_have_a_bound_of_their_own)
{
	size_t big, size, got;

	memory.large_max = MAX / 2;
	void *most = get(MAX / 2, &big);
	cr_assert_not_null(most);
	cr_assert_null(get(MEMORY_SMALL_MAX + 1, &got));
	cr_assert_eq(memory.refused, 1);
	void *small = get(MEMORY_SMALL_MAX, &size);
	cr_assert_not_null(small);
	cr_assert_null(memory_resize(&memory, small, size, size, size + 1, &got));
	cr_assert_null(memory_resize(&memory, most, big, 0, SIZE_MAX - 100, &got));
	cr_assert_eq(memory.used, big + size);
	memory_put(&memory, small, size);
	memory_put(&memory, most, big);
	all_given_back();
}

#ifndef __SANITIZE_ADDRESS__ /* there nothing is kept */
#define MIB (1024 * KIB)

Test(memory, a_large_block_is_kept_for_a_larger_one)
{
	size_t size, got;

	memory_init(&memory, 64 * MIB);
	uint8_t *large = get(MIB, &size);
	memory_put(&memory, large, size);
	cr_assert_eq(memory.spare, 0);
	cr_assert_eq(memory.kept, MIB);

	uint8_t *line = get(64 * KIB, &size);
	memset(line, 7, size);
	line = memory_resize(&memory, line, size, size, size + 1, &got);
	cr_assert_eq(line, large);
	cr_assert_eq(got, MIB, "all of it, so that the line need not move again");
	cr_assert_eq(memory.used, MIB);
	cr_assert_eq(memory.kept, 0);
	for (size_t i = 0; i < size; i++)
		cr_assert_eq(line[i], 7);
	memory_put(&memory, line, got);

	line = get(MIB + 1, &size);
	cr_assert_neq(line, large, "one that is too small is left");
	cr_assert_eq(memory.kept, MIB);
	memory_put(&memory, line, size);
	all_given_back();
}

Test(memory, a_kept_block_saves_the_doublings)
{
	size_t size, got;

	memory_init(&memory, 8 * MIB);
	cr_assert_eq(memory_ample(&memory, 16 * KIB), 16 * KIB, "nothing is kept");
	void *large = get(MIB, &size);
	memory_put(&memory, large, size);
	cr_assert_eq(memory_ample(&memory, MEMORY_SMALL_MAX), MEMORY_SMALL_MAX);
	cr_assert_eq(get(memory_ample(&memory, MEMORY_SMALL_MAX + 1), &got), large);
	memory_put(&memory, large, got);
	cr_assert_eq(memory_ample(&memory, 70 * KIB), 70 * KIB);
	void *most = get(3 * MIB, &size);
	cr_assert_gt(memory.kept, 0);
	cr_assert_eq(memory_ample(&memory, 16 * KIB), 16 * KIB, "more than a quarter is used");
	memory_put(&memory, most, size);
	all_given_back();
}

Test(memory, a_kept_block_must_suit)
{
	size_t huge, size;

	memory_init(&memory, 64 * MIB);
	void *block = get(MEMORY_KEPT_BLOCK_MAX, &huge);
	memory_put(&memory, block, huge);
	void *small = get(65 * KIB, &size);
	cr_assert_eq(size, huge, "any large one is for any large line");
	memory_put(&memory, small, size);
	memory_trim(&memory);
	memory_trim(&memory);
	cr_assert_eq(memory.kept, 0);

	block = get(MEMORY_KEPT_BLOCK_MAX + 1, &huge);
	memory_put(&memory, block, huge);
	cr_assert_eq(memory.kept, 0, "the largest go back at once");

	/* The budget: it is the block's size that counts. */
	memory_init(&memory, 2 * MIB);
	block = get(MIB, &huge);
	memory_put(&memory, block, huge);
	void *most = get(2 * MIB - 512 * KIB, &size);
	cr_assert_eq(memory.kept, 0, "what is kept makes room");
	cr_assert_eq(memory.used, 2 * MIB - 512 * KIB);
	memory_put(&memory, most, size);
	cr_assert_eq(memory.kept, 2 * MIB - 512 * KIB);
	small = get(64 * KIB, &size);
	cr_assert_leq(memory.used + memory.kept, memory.max);
	most = get(2 * MIB - 64 * KIB, &huge);
	cr_assert_not_null(most);
	memory_put(&memory, most, huge);
	memory_put(&memory, small, size);
	all_given_back();
}

Test(memory, small_blocks_need_what_is_kept)
{
	static void *blocks[2048];
	size_t size;

	for (int round = 0; round < 2; round++) { /* from the system, then from the cache */
		void *large = get(MAX - 64 * KIB, &size);
		memory_put(&memory, large, size);
		cr_assert_eq(memory.kept, MAX - 64 * KIB);
		for (int i = 0; i < 2048; i++) {
			blocks[i] = memory_get_block(&memory);
			cr_assert_not_null(blocks[i]);
			cr_assert_leq(memory.used + memory.kept + memory.spare,
				      MAX + MEMORY_SPARE_MAX);
		}
		cr_assert_null(memory_get_block(&memory));
		for (int i = 0; i < 2048; i++)
			memory_put(&memory, blocks[i], MEMORY_BLOCK_MIN);
	}
	all_given_back();
}

Test(memory, what_is_kept_has_a_bound)
{
	void *blocks[40];
	size_t size = 0;

	memory_init(&memory, 64 * MIB);
	for (int i = 0; i < 40; i++)
		blocks[i] = get(MIB, &size);
	for (int i = 0; i < 40; i++)
		memory_put(&memory, blocks[i], size);
	cr_assert_eq(memory.kept, MEMORY_KEPT_MAX);
	all_given_back();
}

Test(memory, what_nobody_needs_is_given_back)
{
	void *blocks[4];
	size_t size = 0;

	memory_init(&memory, 64 * MIB);
	for (int i = 0; i < 4; i++)
		blocks[i] = get(MIB, &size);
	for (int i = 0; i < 4; i++)
		memory_put(&memory, blocks[i], size);
	memory_trim(&memory);
	cr_assert_eq(memory.kept, 4 * MIB, "kept since a moment");
	blocks[0] = get(MIB, &size); /* one is needed now and then */
	memory_put(&memory, blocks[0], size);
	memory_trim(&memory);
	cr_assert_eq(memory.kept, MIB);
	memory_trim(&memory);
	cr_assert_eq(memory.kept, 0);
	memory_trim(&memory);
	all_given_back();
}
#endif

Test(memory, tight)
{
	void *blocks[16];
	size_t size = 0;

	cr_assert_not(memory_tight(&memory));
	for (int i = 0; i < 16; i++) {
		blocks[i] = get(64 * KIB, &size);
		cr_assert_not_null(blocks[i]);
		cr_assert_eq(memory_tight(&memory), i >= 14, "above seven eighths");
	}
	for (int i = 0; i < 16; i++)
		memory_put(&memory, blocks[i], size);
	cr_assert_not(memory_tight(&memory));
	all_given_back();
}
