/*
 * idea_path.h - the ways in which idea.c can do blocks, for what chooses among them, compares them
 * or measures them.  Everybody else includes idea.h and gets the fastest one that works here.
 */
#ifndef WIRE_IDEA_PATH_H
#define WIRE_IDEA_PATH_H

#include "wire/idea.h"

/* `blocks` blocks by one schedule; `in` and `out` may be the same memory and need no alignment. */
typedef void idea_crypt_fn(const uint16_t *subkeys, uint8_t *out, const uint8_t *in, size_t blocks);

struct idea_path {
	const char *name;
	bool (*usable)(void); /* whether this processor and its system can do it */
	size_t group;         /* blocks that take no longer than two */
	idea_crypt_fn *crypt;
};

/* Fastest first, NULL behind the last, which is "portable" and usable everywhere. */
extern const struct idea_path *const idea_paths[];

/* Only on x86-64 are there more than the portable one. */
extern const struct idea_path idea_path_avx2;
extern const struct idea_path idea_path_ssse3;
extern const struct idea_path idea_path_portable;

/*
 * Makes all of the process use `path`, which must be usable; NULL = the fastest usable one, as it
 * is from the start.
 */
void idea_path_use(const struct idea_path *path);

/* The path in use.  Never NULL. */
const struct idea_path *idea_path_used(void);

/* One block, by a way that gains from it being alone; the same on every path. */
void idea_block(const uint16_t *subkeys, uint8_t *out, const uint8_t *in);

#endif
