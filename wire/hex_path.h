/*
 * hex_path.h - the ways in which hex.c can do its work, for what chooses among them, compares them
 * or measures them.  Everybody else includes hex.h and gets the fastest one that works here.
 */
#ifndef WIRE_HEX_PATH_H
#define WIRE_HEX_PATH_H

#include "wire/hex.h"

/* The functions do what those of hex.h do. */
struct hex_path {
	const char *name;
	bool (*usable)(void); /* whether this processor and its system can do it */
	void (*put)(uint8_t *to, const uint8_t *bytes, size_t n);
	size_t (*span)(const uint8_t *bytes, size_t n);
	void (*get)(uint8_t *to, const uint8_t *digits, size_t n);
};

/* Fastest first, NULL behind the last, which is "portable" and usable everywhere. */
extern const struct hex_path *const hex_paths[];

/* Only on x86-64 are there more than the portable one. */
extern const struct hex_path hex_path_avx2;
extern const struct hex_path hex_path_ssse3;
extern const struct hex_path hex_path_portable;

/*
 * Makes all of the process use `path`, which must be usable; NULL = the fastest usable one, as it
 * is from the start.
 */
void hex_path_use(const struct hex_path *path);

/* The path in use.  Never NULL. */
const struct hex_path *hex_path_used(void);

#endif
