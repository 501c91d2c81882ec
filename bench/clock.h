/*
 * clock.h - monotonic time and this process's processor time, both in nanoseconds.
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

static inline uint64_t
clock_read_ns(clockid_t which)
{
	struct timespec t;

	clock_gettime(which, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static inline uint64_t
clock_now_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

static inline uint64_t
clock_cpu_ns(void)
{
	return clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* The wait until `at_ns`, for epoll_pwait2. */
static inline const struct timespec *
clock_wait(struct timespec *t, uint64_t now_ns, uint64_t at_ns)
{
	uint64_t wait = at_ns > now_ns ? at_ns - now_ns : 0;
	t->tv_sec = (time_t)(wait / NS_PER_S);
	t->tv_nsec = (long)(wait % NS_PER_S);
	return t;
}

#endif
