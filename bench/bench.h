/*
 * bench.h - the scenarios of relay-bench, one entry each.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/* X(name, function, help); a function takes its own argc and argv and returns the exit status. */
#define BENCH_SCENARIOS(X)                                                                       \
	X("load", load_main, "clients in a closed or an open loop, every reply compared")        \
	X("calls", calls_main, "calls of a service for fd-passing, in a closed or an open loop") \
	X("overload", overload_main, "requests by UDP, twice as many as the peer can do")        \
	X("memory", memory_main, "how long this machine takes to read at a random place")        \
	X("compare", compare_main, "the same work on relayd, other relays and none")             \
	X("guard", guard_main, "exact counts per request against the recorded baseline")

#endif
