/*
 * memory_latency.h - relay-bench memory: how long this machine takes to read where it was not just
 * now.  What a request costs at 500 clients is mostly that: each of them has sockets of its own.
 */
#ifndef BENCH_MEMORY_LATENCY_H
#define BENCH_MEMORY_LATENCY_H

#include <stddef.h>

/* Nanoseconds per read that waits for the one before, at random places of `bytes` bytes; the median
 * of several walks.  0 = no memory. */
double memory_latency_ns(size_t bytes);

/* The scenario: a line per size.  Exit status 0 = measured, 1 = no memory, 2 = usage. */
int memory_main(int argc, char **argv);

#endif
