/*
 * bench.h - the scenarios of relay-bench, one entry each.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/* X(name, function, help); a function takes its own argc and argv and returns the exit status. */
#define BENCH_SCENARIOS(X) X("load", load_main, "a closed loop of clients, every reply compared")

#endif
