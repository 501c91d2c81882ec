/*
 * clock.h - the clock that every wait is measured by.
 */
#ifndef RELAY_PREFORK_CLOCK_H
#define RELAY_PREFORK_CLOCK_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

/* Milliseconds of the monotonic clock. */
static inline int64_t
prefork_clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* For poll(2): until `deadline_ms`, at most what it can wait. */
static inline int
prefork_clock_left(int64_t deadline_ms)
{
	int64_t left = deadline_ms - prefork_clock_ms();

	if (left <= 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

#endif
