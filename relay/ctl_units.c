/*
 * ctl_units.c - numbers and texts for people.
 *
 * Never sees a whole message, never writes anywhere but into its caller's room.  Owns nothing.
 */
#include "relay/ctl_units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND ((uint64_t)1000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

const char *
ctl_bytes(char to[static CTL_UNIT_SIZE], uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	/* Not 1024: 1023.9 would be shown as 1024. */
	for (; value >= 1023.5; unit++)
		value /= 1024;
	if (bytes == 0)
		snprintf(to, CTL_UNIT_SIZE, "0");
	else if (unit == 0 || value >= 9.95)
		snprintf(to, CTL_UNIT_SIZE, "%.0f%s", value, units[unit]);
	else
		snprintf(to, CTL_UNIT_SIZE, "%.1f%s", value, units[unit]);
	return to;
}

const char *
ctl_duration(char to[static CTL_UNIT_SIZE], uint64_t us)
{
	if (us == 0)
		snprintf(to, CTL_UNIT_SIZE, "0");
	else if (us < 1000)
		snprintf(to, CTL_UNIT_SIZE, "%" PRIu64 "us", us);
	else if (us < 9950)
		snprintf(to, CTL_UNIT_SIZE, "%.1fms", (double)us / 1000);
	else if (us < SECOND - 500)
		snprintf(to, CTL_UNIT_SIZE, "%.0fms", (double)us / 1000);
	else if (us < MINUTE - SECOND / 20)
		snprintf(to, CTL_UNIT_SIZE, "%.1fs", (double)us / (double)SECOND);
	else if (us < HOUR)
		snprintf(to, CTL_UNIT_SIZE, "%" PRIu64 "m%02" PRIu64 "s", us / MINUTE,
			 us % MINUTE / SECOND);
	else if (us < DAY)
		snprintf(to, CTL_UNIT_SIZE, "%" PRIu64 "h%02" PRIu64 "m", us / HOUR,
			 us % HOUR / MINUTE);
	else
		snprintf(to, CTL_UNIT_SIZE, "%" PRIu64 "d%02" PRIu64 "h", us / DAY,
			 us % DAY / HOUR);
	return to;
}

const char *
ctl_moment(char to[static CTL_UNIT_SIZE], uint64_t us)
{
	time_t seconds = (time_t)(us / SECOND);
	struct tm tm;

	if (us == 0 || !localtime_r(&seconds, &tm) ||
	    strftime(to, CTL_UNIT_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(to, CTL_UNIT_SIZE, "-");
	return to;
}

/* --- histograms */

/* What came since `before`; a counter that went back began anew. */
static uint64_t
count_at(const Relay__Control__Histogram *histogram, const Relay__Control__Histogram *before,
	 size_t i)
{
	uint64_t count = histogram->count[i];

	if (!before || i >= before->n_count || before->n_bound_us != histogram->n_bound_us ||
	    before->count[i] > count)
		return count;
	return count - before->count[i];
}

static uint64_t
total_since(const Relay__Control__Histogram *histogram, const Relay__Control__Histogram *before)
{
	uint64_t total = 0;

	for (size_t i = 0; histogram && i < histogram->n_count; i++)
		total += count_at(histogram, before, i);
	return total;
}

uint64_t
ctl_histogram_total(const Relay__Control__Histogram *histogram)
{
	return total_since(histogram, NULL);
}

/* Where in bucket `i` the value is that `part` of its count are at most. */
static uint64_t
within(const Relay__Control__Histogram *histogram, size_t i, double part)
{
	double from = i > 0 ? (double)histogram->bound_us[i - 1] : 0;
	double width = (double)histogram->bound_us[i] - from;
	double value = from + (width > 0 && part > 0 ? width * part : 0);

	/* No bound that large is meant; it must not overflow. */
	return value < 1e18 ? (uint64_t)(value + 0.5) : (uint64_t)1e18;
}

uint64_t
ctl_quantile_us(const Relay__Control__Histogram *histogram, const Relay__Control__Histogram *before,
		unsigned percent)
{
	uint64_t total = total_since(histogram, before);
	double rank = (double)total * percent / 100;
	double below = 0;

	for (size_t i = 0; total > 0 && i < histogram->n_count; i++) {
		double count = (double)count_at(histogram, before, i);

		if (count > 0 && below + count >= rank)
			return i < histogram->n_bound_us
				   ? within(histogram, i, (rank - below) / count)
				   : UINT64_MAX;
		below += count;
	}
	return 0;
}

const char *
ctl_quantile(char to[static CTL_UNIT_SIZE], const Relay__Control__Histogram *histogram,
	     const Relay__Control__Histogram *before, unsigned percent)
{
	uint64_t us = ctl_quantile_us(histogram, before, percent);
	char last[CTL_UNIT_SIZE];

	if (total_since(histogram, before) == 0) {
		snprintf(to, CTL_UNIT_SIZE, "-");
		return to;
	}
	if (us != UINT64_MAX)
		return ctl_duration(to, us);
	ctl_duration(last,
		     histogram->n_bound_us ? histogram->bound_us[histogram->n_bound_us - 1] : 0);
	snprintf(to, CTL_UNIT_SIZE, ">%.*s", CTL_UNIT_SIZE - 2, last);
	return to;
}

/* --- texts */

/* The character at `at`, and its length; 0 = it is none that may be shown. */
static size_t
shown_len(const uint8_t *at, size_t len, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

	if (n == 0 || n > len || at[0] > 0xf4)
		return 0;
	*code = n == 1 ? at[0] : at[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (at[i] & 0x3f);
	}
	if (*code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return n;
}

/* Controls (C0, DEL, C1), and what turns the direction of writing. */
static bool
is_harmful(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || code == 0x200e ||
	       code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

char *
ctl_clean(const void *text, size_t len, int lines)
{
	const uint8_t *from = text;
	char *copy = malloc(len + 1);
	char *to = copy;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < len;) {
		uint32_t code = 0;
		size_t n = shown_len(from + i, len - i, &code);
		bool kept = lines && (code == '\n' || code == '\t');

		if (n == 0 || (is_harmful(code) && !kept)) {
			*to++ = '?';
		} else {
			memcpy(to, from + i, n);
			to += n;
		}
		i += n ? n : 1;
	}
	*to = '\0';
	return copy;
}

size_t
ctl_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}
