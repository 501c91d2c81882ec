/*
 * pattern.h - reproducible bytes, so that every reply of relay-peer can be foretold by whoever
 * asked.
 *
 * The pattern repeats after a prime number of bytes: a buffer that was lost or sent twice shifts
 * what follows and cannot stay unnoticed.  It has no LF, and none of it looks like an encrypted
 * frame or `con_lost`.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include "wire/wire.h"

#define PATTERN_PERIOD 1021

/* Writes `n` bytes of the pattern, beginning at any `phase`. */
void pattern_fill(uint8_t *to, size_t n, size_t phase);

/*
 * Writes the `n` bytes that answer `fill:<n>:<head>`: the head, cut if it is longer, then pattern
 * whose phase comes from the head, so that the tail too tells whose reply it is.
 */
void pattern_reply(uint8_t *to, size_t n, struct wire_span head);

/* Writes `n` bytes of noise, all values but LF. */
void pattern_noise(uint8_t *to, size_t n);

/* A one-to-one scrambling of 64-bit numbers (the finalizer of splitmix64). */
uint64_t pattern_mix(uint64_t x);

#endif
