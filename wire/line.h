/*
 * line.h - LF-terminated lines, the only framing between clients, relay and lond.
 *
 * Source of the facts: gatewayc (LON-CAPA, 2002) as observed: every byte except LF is data, NUL, CR
 * and 8-bit bytes included; the empty line is a line.
 */
#ifndef WIRE_LINE_H
#define WIRE_LINE_H

#include "wire/wire.h"

/*
 * Takes one line out of [*src, end).
 *
 * WIRE_OK        *line is the line without its LF, a view into the input; *src stands behind the
 * LF. WIRE_MORE      no LF yet; *src is untouched. WIRE_BAD_LONG  more than `max` bytes without a
 * LF; *src is untouched.  A line of exactly max is fine.
 *
 * `scanned` bytes at *src are known to hold no LF (0 if unknown), so that a line which arrives in
 * pieces is searched only once.
 */
WIRE_MUST_CHECK enum wire_status line_next(struct wire_span *line, const uint8_t **src,
					   const uint8_t *end, size_t scanned, size_t max);

/*
 * Makes bytes that were decrypted into one line, in place: a LF at the very end is cut, any other
 * becomes a space, so that one reply can never look like two.  Returns the new length.
 */
size_t line_flatten(uint8_t *bytes, size_t len);

#endif
