/*
 * datagram_parts.c - splits what is longer than a datagram, and joins it again.
 *
 * Never allocates, never trusts that the parts are of one whole: each is compared with those before
 * it.  Owns nothing: the whole and the marks are the caller's.
 */
#include "wire/datagram_parts.h"

#include <assert.h>

struct datagram_split
datagram_split(uint32_t total, size_t size, bool is_sealed)
{
	struct datagram_split split = { .total = total, .count = 1 };
	size_t around = DATAGRAM_HEADER_SIZE + DATAGRAM_PART_PREFIX;

	assert(size >= DATAGRAM_SIZE_MIN && size <= DATAGRAM_SIZE_MAX);
	if (is_sealed)
		around += DATAGRAM_SEAL_SIZE;
	split.step = (uint32_t)(size - around);
	if (total > 0)
		split.count = (total - 1) / split.step + 1;
	return split;
}

struct datagram_part
datagram_split_part(const struct datagram_split *split, uint32_t index, const uint8_t *bytes)
{
	struct datagram_part part = { .total = split->total };

	assert(index < split->count);
	part.is_last = index == split->count - 1;
	part.offset = index * split->step;
	part.bytes =
	    wire_span(bytes + part.offset, part.is_last ? split->total - part.offset : split->step);
	return part;
}

/* What the part says of all of them.  A last one that is alone is a step by itself. */
static void
measure(struct datagram_join *join, const struct datagram_part *part, uint32_t index)
{
	uint32_t len = (uint32_t)part->bytes.len;

	join->total = part->total;
	if (part->is_last) {
		join->count = index + 1;
		join->step = index > 0 ? part->offset / index : len;
		return;
	}
	join->step = len;
	join->count = (part->total - 1) / len + 1;
}

/* The index and the place of the part, seen by itself. */
static bool
is_sound(const struct datagram_part *part, uint32_t index)
{
	uint64_t len = part->bytes.len;

	if (part->bytes.len > part->total || part->offset > part->total - part->bytes.len)
		return false;
	if (part->is_last)
		return part->offset + len == part->total && index < UINT32_MAX &&
		       (index == 0
			    ? part->offset == 0
			    : len > 0 && part->offset % index == 0 && part->offset / index >= len);
	return len > 0 && part->offset == index * len && part->offset + len < part->total;
}

enum datagram_joined
datagram_join_take(struct datagram_join *join, const struct datagram_part *part, uint32_t index,
		   uint8_t *whole, uint8_t *marks, size_t mark_bytes)
{
	struct datagram_join said = { .have = join->have };
	uint8_t bit = (uint8_t)(1u << (index & 7));

	if (!is_sound(part, index))
		return DATAGRAM_JOIN_BAD;
	measure(&said, part, index);
	if (join->count != 0 &&
	    (said.total != join->total || said.step != join->step || said.count != join->count))
		return DATAGRAM_JOIN_BAD;
	if ((said.count - 1) / 8 >= mark_bytes)
		return DATAGRAM_JOIN_FULL;
	assert(index < said.count);
	if ((marks[index / 8] & bit) != 0)
		return DATAGRAM_JOIN_REPEAT;
	marks[index / 8] |= bit;
	if (part->bytes.len > 0)
		memcpy(whole + part->offset, part->bytes.data, part->bytes.len);
	said.have++;
	*join = said;
	return said.have == said.count ? DATAGRAM_JOIN_WHOLE : DATAGRAM_JOIN_MORE;
}
