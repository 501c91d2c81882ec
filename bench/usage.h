/*
 * usage.h - what a process used so far, read from /proc: processor time, context switches, memory.
 */
#ifndef BENCH_USAGE_H
#define BENCH_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
	uint64_t
	    run_ns; /* run time of all live threads by the scheduler's clock; 0: not available */
	uint64_t user_ns;   /* by ticks of 10 ms, ended threads included */
	uint64_t system_ns; /* likewise */
	uint64_t voluntary; /* context switches of all live threads */
	uint64_t involuntary;
	uint64_t rss;      /* bytes, shared pages included */
	uint64_t rss_anon; /* bytes */
	uint64_t start;    /* when it was started; tells a reused pid */
};

/* False if the process is gone. */
bool usage_read(pid_t pid, struct usage *usage);

/*
 * Moves the beginning of a window forward by what was used between two readings, so that it does
 * not count.  A thread that ended in between took its share along: then nothing is moved.
 */
void usage_skip(struct usage *begin, const struct usage *from, const struct usage *to);

/* The processor time between two readings: the scheduler's if there is one, else the ticks. */
uint64_t usage_cpu_ns(const struct usage *from, const struct usage *to);

#endif
