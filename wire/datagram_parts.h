/*
 * datagram_parts.h - replies and notices that are longer than a datagram: split by who sends them,
 * joined by who receives them, in any order and with repeats.
 *
 * All parts but the last are equally long, so each one says by itself where its bytes belong.
 */
#ifndef WIRE_DATAGRAM_PARTS_H
#define WIRE_DATAGRAM_PARTS_H

#include "wire/datagram.h"

/* How a whole is split. */
struct datagram_split {
	uint32_t total;
	uint32_t step; /* bytes of each part but the last */
	uint32_t count;
};

/* Into datagrams of at most `size` bytes (at least DATAGRAM_SIZE_MIN).  An empty whole is one part.
 */
struct datagram_split datagram_split(uint32_t total, size_t size, bool is_sealed);

/* Part `index` (below count) of the whole at `bytes`, total bytes long. */
struct datagram_part datagram_split_part(const struct datagram_split *split, uint32_t index,
					 const uint8_t *bytes);

/* What has come of a whole.  Begins as zeros. */
struct datagram_join {
	uint32_t total;
	uint32_t step;  /* 0 until a part has come that tells */
	uint32_t count; /* of parts; 0 likewise */
	uint32_t have;
};

enum datagram_joined {
	DATAGRAM_JOIN_MORE, /* taken, others are missing */
	DATAGRAM_JOIN_WHOLE,
	DATAGRAM_JOIN_REPEAT, /* was there before; nothing changed */
	DATAGRAM_JOIN_BAD,    /* does not fit the parts before it; nothing changed */
	DATAGRAM_JOIN_FULL,   /* more parts than `marks` has bits for; nothing changed */
};

/*
 * Copies the part's bytes into `whole`, which has room for part->total bytes (a bound that
 * datagram_part_get() has checked).  `marks` has a bit for each part, zeros at first; mark_bytes
 * bytes of it bound the number of parts.
 */
WIRE_MUST_CHECK enum datagram_joined datagram_join_take(struct datagram_join *join,
							const struct datagram_part *part,
							uint32_t index, uint8_t *whole,
							uint8_t *marks, size_t mark_bytes);

#endif
