/*
 * fake_random.h - the one source of chance of a simulation: splitmix64, so that a seed replays
 * exactly.
 */
#ifndef TESTS_FAKE_RANDOM_H
#define TESTS_FAKE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct fake_random {
	uint64_t state;
};

static inline uint64_t
fake_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static inline uint64_t
fake_random_next(struct fake_random *random)
{
	random->state += 0x9e3779b97f4a7c15u;
	return fake_mix(random->state);
}

/* 0 .. below - 1; 0 if below is 0. */
static inline uint64_t
fake_below(struct fake_random *random, uint64_t below)
{
	return below == 0 ? 0 : fake_random_next(random) % below;
}

/* least .. most, both included. */
static inline uint64_t
fake_between(struct fake_random *random, uint64_t least, uint64_t most)
{
	return least + fake_below(random, most - least + 1);
}

static inline bool
fake_chance(struct fake_random *random, unsigned permille)
{
	return permille > 0 && fake_below(random, 1000) < permille;
}

#endif
