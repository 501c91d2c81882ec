/*
 * overload.h - relay-bench overload: what a relay says to UDP clients that want twice of what the
 * peer can do.
 */
#ifndef BENCH_OVERLOAD_H
#define BENCH_OVERLOAD_H

/* The scenario: exit status 0 = measured, 1 = there were no answers, 2 = usage. */
int overload_main(int argc, char **argv);

#endif
