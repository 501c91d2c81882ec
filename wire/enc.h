/*
 * enc.h - the encrypted line frame `enc:<n>:<hex>` of the lond protocol, both directions.
 *
 * n = plaintext bytes in decimal, hex = lower case, 16 digits per IDEA block, floor(n / 8) + 1
 * blocks, the missing bytes padded with spaces.  Source: gatewayc as observed.
 */
#ifndef WIRE_ENC_H
#define WIRE_ENC_H

#include "wire/idea.h"
#include "wire/wire.h"

/* By this a client asks for an encrypted request; lower case, at the very start of a line. */
#define ENC_REQUEST_PREFIX     "encrypt:"
#define ENC_REQUEST_PREFIX_LEN (sizeof ENC_REQUEST_PREFIX - 1)

/* Exact length, without a LF, of the frame for `n` bytes; SIZE_MAX if no size_t can hold it. */
size_t enc_frame_size(size_t n);

/*
 * Appends the frame for `plain` (no LF).  Too little room sets out->overflow; nothing is written.
 * `plain` must not overlap the room in `out`: the frame grows twice as fast and would overtake it.
 */
void enc_encode(struct wire_out *out, const struct idea_key *key, struct wire_span plain);

/*
 * Whether a reply line is a frame: `enc:`, at least one decimal digit, `:`, hex digits of either
 * case (maybe none), then the end of the line or `:` and anything.  Everything else that starts
 * with `enc` is an ordinary reply.
 */
bool enc_is_frame(struct wire_span line);

/* An upper bound of what enc_decode appends for `line`. */
size_t enc_decoded_bound(struct wire_span line);

/*
 * Appends the plaintext of a frame.  As the original reads it: fields after the third are ignored,
 * a last group of fewer than 16 digits is taken as if followed by zeros, n beyond what is there
 * means all of it.  `line` must not overlap the room in `out`.
 *
 * WIRE_BAD_FORM  if !enc_is_frame(line).
 * WIRE_BAD_LONG  it does not fit: nothing is appended, and out->overflow is set.
 */
WIRE_MUST_CHECK enum wire_status enc_decode(struct wire_out *out, const struct idea_key *key,
					    struct wire_span line);

#endif
