/*
 * compare.h - the comparison is a script (bench/compare): these entries of relay-bench find and run
 * it.
 */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

/* Become bench/compare, bench/guard; return (with 1) only if it cannot be found. */
int compare_main(int argc, char **argv);
int guard_main(int argc, char **argv);

#endif
