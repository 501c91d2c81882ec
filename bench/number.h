/*
 * number.h - decimal numbers from command lines and requests.
 */
#ifndef BENCH_NUMBER_H
#define BENCH_NUMBER_H

#include "wire/wire.h"

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

#endif
