/*
 * option.h - values of options, for scenarios that take few.  What is none ends the program with
 * status 2 and says which option, what was given and what it takes.
 */
#ifndef BENCH_OPTION_H
#define BENCH_OPTION_H

#include <stdint.h>

/* A decimal number from `min` to `max`; `name` is without its dashes. */
uint64_t option_number(const char *name, const char *text, uint64_t min, uint64_t max);

/* Seconds, with or without a fraction (0.5), in nanoseconds: from `min_ns` to `max_s` seconds. */
uint64_t option_seconds(const char *name, const char *text, uint64_t min_ns, uint64_t max_s);

#endif
