/*
 * idea.h - the IDEA block cipher: 128-bit key, 64-bit blocks, as the lond protocol uses it (ECB).
 *
 * The subkeys of both directions are computed once per key.  Check vector: key
 * 00010002000300040005000600070008, block 0000000100020003 -> 11FBED2B01986DE5.
 */
#ifndef WIRE_IDEA_H
#define WIRE_IDEA_H

#include "wire/wire.h"

#define IDEA_KEY_SIZE   16
#define IDEA_BLOCK_SIZE 8
#define IDEA_SUBKEYS    52

struct idea_key {
	uint16_t encrypt[IDEA_SUBKEYS];
	uint16_t decrypt[IDEA_SUBKEYS];
};

/* Fills both schedules from the raw key. */
void idea_key_init(struct idea_key *key, const uint8_t raw[static IDEA_KEY_SIZE]);

/* Overwrites the schedules in a way the compiler may not drop. */
void idea_key_wipe(struct idea_key *key);

/* `blocks` blocks from `in` to `out`; the two may be the same memory. */
void idea_encrypt(const struct idea_key *key, uint8_t *out, const uint8_t *in, size_t blocks);
void idea_decrypt(const struct idea_key *key, uint8_t *out, const uint8_t *in, size_t blocks);

/*
 * The count from `blocks` up that costs no more on this processor: who has room for so many may as
 * well have them done, which is quicker than a part of a group.  At most IDEA_GROUP_MAX - 1 more.
 */
#define IDEA_GROUP_MAX 16
size_t idea_blocks_round(size_t blocks);

#endif
