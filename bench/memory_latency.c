/*
 * memory_latency.c - walks a chain of pointers that visits every cache line of an area once, in an
 * order that no processor foresees.
 */
#include "bench/memory_latency.h"

#include "bench/clock.h"

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINE = 64, /* bytes that come together */
	STEPS = 200000,
	WALKS = 7,
};

static const size_t sizes_kib[] = { 64, 1024, 4096, 32768 };

#define SIZE_COUNT (sizeof sizes_kib / sizeof sizes_kib[0])

struct place {
	struct place *volatile next; /* each read is made */
	char rest[LINE - sizeof(struct place *)];
};

/* The same order each time: xorshift from a fixed seed. */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One cycle through all places (Sattolo's shuffle makes no shorter ones). */
static void
chain(struct place *places, size_t count)
{
	uint64_t state = 0x9e3779b97f4a7c15;

	for (size_t i = 0; i < count; i++)
		places[i].next = &places[i];
	for (size_t i = count - 1; i > 0; i--) {
		size_t j = (size_t)(next_random(&state) % i);
		struct place *other = places[i].next;
		places[i].next = places[j].next;
		places[j].next = other;
	}
}

static struct place *
walk(struct place *at, size_t steps)
{
	for (size_t i = 0; i < steps; i++)
		at = at->next;
	return at;
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double
memory_latency_ns(size_t bytes)
{
	size_t count = bytes / LINE;
	struct place *places = aligned_alloc(LINE, count * LINE);
	double ns[WALKS];

	if (places == NULL)
		return 0;
	chain(places, count);
	struct place *at = walk(places, count);
	for (size_t i = 0; i < WALKS; i++) {
		uint64_t began = clock_now_ns();
		at = walk(at, STEPS);
		ns[i] = (double)(clock_now_ns() - began) / STEPS;
	}
	free(places);
	qsort(ns, WALKS, sizeof ns[0], compare_doubles);
	return ns[WALKS / 2];
}

int
memory_main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		puts("usage: relay-bench memory\n\n"
		     "Prints a line `KIB NS` per size: nanoseconds of a read at a random place in "
		     "so many KiB.");
		return 0;
	}
	if (argc != 1) {
		warnx("no option \"%s\"", argv[1]);
		return 2;
	}
	for (size_t i = 0; i < SIZE_COUNT; i++) {
		double ns = memory_latency_ns(sizes_kib[i] << 10);
		if (ns <= 0) {
			warnx("no memory for %zu KiB", sizes_kib[i]);
			return 1;
		}
		printf("%zu %.1f\n", sizes_kib[i], ns);
	}
	return 0;
}
