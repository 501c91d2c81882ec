/*
 * hex.h - bytes to lower-case hexadecimal digits and back, of either case.
 */
#ifndef WIRE_HEX_H
#define WIRE_HEX_H

#include "wire/wire.h"

/* The 2 n digits of `n` bytes.  `to` and `bytes` must not overlap. */
void hex_put(uint8_t *to, const uint8_t *bytes, size_t n);

/* How many of the `n` bytes are digits, up to the first that is none. */
size_t hex_span(const uint8_t *bytes, size_t n);

/*
 * The n / 2 bytes of `n` digits, rounded up: an odd last digit is a high nibble whose low one is
 * zero.  That all are digits must be known; other bytes give some value.  No overlap.
 */
void hex_get(uint8_t *to, const uint8_t *digits, size_t n);

#endif
