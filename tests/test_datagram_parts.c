/*
 * test_datagram_parts.c - what is split is joined again, in any order, with repeats; parts that do
 * not belong together are told apart.
 */
#include <criterion/criterion.h>

#include "tests/vectors.h"
#include "wire/datagram_parts.h"

#define WHOLE_MAX  (64 * 1024)
#define MARK_BYTES 64

static uint8_t whole[WHOLE_MAX], joined[WHOLE_MAX], marks[MARK_BYTES], bytes[70000];
static struct datagram_join join;

static void
set_up(void)
{
	for (size_t i = 0; i < sizeof whole; i++)
		whole[i] = (uint8_t)(i * 7 + i / 256);
	memset(joined, 0, sizeof joined);
	memset(marks, 0, sizeof marks);
	memset(&join, 0, sizeof join);
}

TestSuite(datagram_parts, .init = set_up);

/* The part as it arrives: written into a datagram and read from it. */
static struct datagram_part
sent(const struct datagram_split *split, uint32_t index, size_t size, bool is_sealed)
{
	struct datagram_part part = datagram_split_part(split, index, whole), got;
	struct datagram_header header = { .client = 1,
					  .kind = DATAGRAM_REPLY,
					  .flags = DATAGRAM_RELAY,
					  .value = index,
					  .session = 2,
					  .number = index + 1,
					  .about = 3 };
	struct datagram_terms terms = { DATAGRAM_OF_RELAY, is_sealed, size };
	struct wire_out out = wire_out(bytes, sizeof bytes);
	struct datagram datagram;

	header.flags |= part.is_last ? DATAGRAM_LAST : 0;
	header.flags |= is_sealed ? DATAGRAM_SEALED : 0;
	datagram_begin(&out, &header);
	datagram_part_put(&out, &part);
	datagram_end(&out, &header);
	cr_assert_eq(datagram_look(&datagram, wire_span(bytes, out.len), &terms), DATAGRAM_OK);
	cr_assert_eq(datagram_part_get(&got, &datagram, WHOLE_MAX), DATAGRAM_OK, "part %u of %u",
		     index, split->count);
	cr_assert_eq(got.offset, part.offset);
	cr_assert_eq(got.total, split->total);
	cr_assert(wire_span_equal(got.bytes, part.bytes));
	return got;
}

static enum datagram_joined
take(const struct datagram_part *part, uint32_t index)
{
	return datagram_join_take(&join, part, index, joined, marks, sizeof marks);
}

/* Sends the parts in steps of `stride`, each twice. */
static void
through(uint32_t total, size_t size, bool is_sealed, uint32_t stride)
{
	struct datagram_split split = datagram_split(total, size, is_sealed);

	set_up();
	for (uint32_t i = 0; i < split.count; i++) {
		uint32_t index = (uint32_t)((uint64_t)i * stride % split.count);
		struct datagram_part part = sent(&split, index, size, is_sealed);

		cr_assert_eq(take(&part, index),
			     i + 1 == split.count ? DATAGRAM_JOIN_WHOLE : DATAGRAM_JOIN_MORE);
		cr_assert_eq(take(&part, index), DATAGRAM_JOIN_REPEAT);
	}
	cr_assert_eq(join.total, total);
	cr_assert(memcmp(joined, whole, total) == 0);
}

Test(datagram_parts, any_length_in_any_order)
{
	static const uint32_t totals[] = { 0,   1,   2,    475,  476,  477,      515,
					   516, 517, 1032, 1033, 9001, WHOLE_MAX };

	for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++)
		for (int is_sealed = 0; is_sealed < 2; is_sealed++) {
			uint32_t count = datagram_split(totals[i], 576, is_sealed).count;

			through(totals[i], 576, is_sealed, 1);
			through(totals[i], 576, is_sealed, count > 1 ? count - 1 : 1);
			through(totals[i], DATAGRAM_SIZE_MAX, is_sealed, 1);
		}
}

Test(datagram_parts, split_fills_the_datagrams)
{
	struct datagram_split split = datagram_split(2000, 576, false);

	cr_assert_eq(split.step, 516);
	cr_assert_eq(split.count, 4);
	split = datagram_split(2000, 576, true);
	cr_assert_eq(split.step, 476);
	cr_assert_eq(split.count, 5);
	split = datagram_split(0, 576, true);
	cr_assert_eq(split.count, 1);
	cr_assert(datagram_split_part(&split, 0, whole).is_last);
}

Test(datagram_parts, examples_fit_together)
{
	struct datagram_terms terms = { DATAGRAM_OF_RELAY, false, 1232 };
	struct vector first = vector_read("reply-part-0"), last = vector_read("reply-part-2");
	struct datagram datagram;
	struct datagram_part part;

	cr_assert_eq(datagram_look(&datagram, vector_span(&last), &terms), DATAGRAM_OK);
	cr_assert_eq(datagram_part_get(&part, &datagram, 11), DATAGRAM_OK);
	cr_assert_eq(take(&part, 2), DATAGRAM_JOIN_MORE);
	cr_assert_eq(datagram_look(&datagram, vector_span(&first), &terms), DATAGRAM_OK);
	cr_assert_eq(datagram_part_get(&part, &datagram, 11), DATAGRAM_OK);
	cr_assert_eq(take(&part, 0), DATAGRAM_JOIN_MORE);
	cr_assert_eq(join.count, 3);
	cr_assert_arr_eq(joined, "abcd\0\0\0\0ijk", 11);
	cr_assert_eq(datagram_part_get(&part, &datagram, 10), DATAGRAM_BAD_LONG);
}

static enum datagram_fault
part_of(uint32_t index, uint32_t total, size_t len, bool is_last, struct datagram_part *part)
{
	uint8_t prefix[DATAGRAM_PART_PREFIX + 1000] = { 0 };
	struct datagram datagram = {
		.header = { .kind = DATAGRAM_REPLY, .value = index },
		.body = wire_span(prefix, DATAGRAM_PART_PREFIX + len),
	};

	datagram.header.flags = is_last ? DATAGRAM_RELAY | DATAGRAM_LAST : DATAGRAM_RELAY;
	datagram_put_u32(prefix, total);
	return datagram_part_get(part, &datagram, UINT32_MAX);
}

Test(datagram_parts, parts_that_fit_no_whole)
{
	struct datagram_part part;

	/* not the last: at least one byte, and one more behind it */
	cr_assert_eq(part_of(0, 10, 9, false, &part), DATAGRAM_OK);
	cr_assert_eq(part_of(0, 10, 10, false, &part), DATAGRAM_BAD_PART);
	cr_assert_eq(part_of(0, 10, 0, false, &part), DATAGRAM_BAD_PART);
	cr_assert_eq(part_of(2, 10, 4, false, &part), DATAGRAM_BAD_PART);
	cr_assert_eq(part_of(1, 10, 4, false, &part), DATAGRAM_OK);
	cr_assert_eq(part_of(UINT32_MAX, UINT32_MAX, 1, false, &part), DATAGRAM_BAD_PART);
	cr_assert_eq(part_of(UINT32_MAX, UINT32_MAX, 2, false, &part), DATAGRAM_BAD_PART);
	/* the last: equal ones before it, none shorter */
	cr_assert_eq(part_of(0, 10, 10, true, &part), DATAGRAM_OK);
	cr_assert_eq(part_of(0, 10, 9, true, &part), DATAGRAM_BAD_PART);
	cr_assert_eq(part_of(0, 10, 11, true, &part), DATAGRAM_BAD_PART);
	cr_assert_eq(part_of(2, 10, 2, true, &part), DATAGRAM_OK);
	cr_assert_eq(part.offset, 8);
	cr_assert_eq(part_of(2, 10, 3, true, &part), DATAGRAM_BAD_PART);
	cr_assert_eq(part_of(2, 10, 4, true, &part), DATAGRAM_BAD_PART);
	cr_assert_eq(part_of(2, 10, 0, true, &part), DATAGRAM_BAD_PART);
	cr_assert_eq(part_of(1, 10, 6, true, &part), DATAGRAM_BAD_PART);
	cr_assert_eq(part_of(1, 10, 5, true, &part), DATAGRAM_OK);
	cr_assert_eq(part_of(UINT32_MAX, 10, 1, true, &part), DATAGRAM_BAD_PART);
}

static struct datagram_part
piece(uint32_t total, uint32_t offset, size_t len, bool is_last)
{
	return (struct datagram_part){ total, offset, wire_span(whole, len), is_last };
}

Test(datagram_parts, parts_of_another_whole_change_nothing)
{
	struct datagram_part part = piece(10, 0, 4, false);
	struct datagram_part others[] = { piece(11, 4, 4, false), piece(10, 3, 3, false),
					  piece(10, 9, 1, true), piece(12, 8, 4, true) };
	uint32_t indexes[] = { 1, 1, 3, 2 };

	cr_assert_eq(take(&part, 0), DATAGRAM_JOIN_MORE);
	memset(joined, 0xa5, sizeof joined);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(take(&others[i], indexes[i]), DATAGRAM_JOIN_BAD, "%zu", i);
	cr_assert_eq(join.have, 1);
	for (size_t i = 0; i < 64; i++)
		cr_assert_eq(joined[i], 0xa5);
	part = piece(10, 8, 2, true);
	cr_assert_eq(take(&part, 2), DATAGRAM_JOIN_MORE);
	part = piece(10, 4, 4, false);
	cr_assert_eq(take(&part, 1), DATAGRAM_JOIN_WHOLE);
}

Test(datagram_parts, offset_that_is_not_the_index_is_refused)
{
	struct datagram_part part = piece(10, 5, 4, false);

	cr_assert_eq(take(&part, 1), DATAGRAM_JOIN_BAD);
	part = piece(10, 4, 7, false);
	cr_assert_eq(take(&part, 1), DATAGRAM_JOIN_BAD);
	part = piece(10, UINT32_MAX, 4, true);
	cr_assert_eq(take(&part, 1), DATAGRAM_JOIN_BAD);
}

Test(datagram_parts, more_parts_than_marks_are_refused)
{
	struct datagram_part part = piece(8 * MARK_BYTES + 1, 0, 1, false);

	cr_assert_eq(take(&part, 0), DATAGRAM_JOIN_FULL);
	cr_assert_eq(join.count, 0);
	part = piece(8 * MARK_BYTES, 0, 1, false);
	cr_assert_eq(take(&part, 0), DATAGRAM_JOIN_MORE);
	part = piece(8 * MARK_BYTES, 8 * MARK_BYTES - 1, 1, true);
	cr_assert_eq(take(&part, 8 * MARK_BYTES - 1), DATAGRAM_JOIN_MORE);
}
