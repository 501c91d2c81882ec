/*
 * number.h - decimal numbers from command lines and requests; lengths of time.
 */
#ifndef BENCH_NUMBER_H
#define BENCH_NUMBER_H

#include "bench/clock.h"
#include "wire/wire.h"

#include <stdlib.h>

/* Reads a decimal number of at most `max` that fills all of `text`.  False if it is not one. */
static inline bool
number_parse(struct wire_span text, uint64_t max, uint64_t *value)
{
	uint64_t n = 0;

	/* 15 digits cannot overflow. */
	if (text.len == 0 || text.len > 15)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(text.data[i] - '0');
	}
	if (n > max)
		return false;
	*value = n;
	return true;
}

/*
 * Reads seconds, with or without a fraction, at most `max_s`: 0.5 is half a second.  False if
 * `text` is no such time, or one other than 0 that is below a nanosecond.
 */
static inline bool
seconds_parse(const char *text, uint64_t max_s, uint64_t *ns)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || !(value >= 0.0 && value <= (double)max_s))
		return false;
	*ns = (uint64_t)(value * (double)NS_PER_S);
	return *ns != 0 || value == 0.0;
}

#endif
