/*
 * ctl_units.h - values as people read them: bytes, times, quantiles; and texts of the daemon made
 * safe for a terminal.
 */
#ifndef RELAY_CTL_UNITS_H
#define RELAY_CTL_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "control.pb-c.h"

#define CTL_UNIT_SIZE 32 /* of the room for any of these */

/* "0", "812B", "1.5KiB", "23MiB". */
const char *ctl_bytes(char to[static CTL_UNIT_SIZE], uint64_t bytes);

/* "0", "85us", "1.2ms", "3.4s", "5m12s", "2h03m", "4d05h". */
const char *ctl_duration(char to[static CTL_UNIT_SIZE], uint64_t us);

/* Local time, "2024-02-29 23:59:59"; "-" for 0. */
const char *ctl_moment(char to[static CTL_UNIT_SIZE], uint64_t us);

uint64_t ctl_histogram_total(const Relay__Control__Histogram *histogram);

/*
 * What `percent` of all are at most, within its bucket by proportion; 0 when nothing was counted,
 * UINT64_MAX above the last bound.  `before` (may be NULL) is subtracted: what came since.
 */
uint64_t ctl_quantile_us(const Relay__Control__Histogram *histogram,
			 const Relay__Control__Histogram *before, unsigned percent);

/* Likewise as text: "-" when nothing was counted, ">1.0s" above the last bound. */
const char *ctl_quantile(char to[static CTL_UNIT_SIZE], const Relay__Control__Histogram *histogram,
			 const Relay__Control__Histogram *before, unsigned percent);

/*
 * A copy for a terminal; what is no printable UTF-8 becomes '?', and so do characters that reorder
 * the text around them.  Newlines and tabs stay when `lines` is set.  To be freed; NULL: no memory.
 */
char *ctl_clean(const void *text, size_t len, int lines);

/* Columns that clean UTF-8 takes; wide characters are counted as one. */
size_t ctl_width(const char *text);

#endif
