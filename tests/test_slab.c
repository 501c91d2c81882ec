/*
 * test_slab.c - objects of one size: zeroed, apart from each other, and never handed out twice
 * within a turn.
 */
#include "relay/slab.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

#define OBJECTS 500

struct object {
	uint64_t number;
	char rest[93];
};

static struct slab slab;
static struct object *objects[OBJECTS];

static void
set_up(void)
{
	slab_init(&slab, sizeof(struct object));
}

static void
get(size_t i)
{
	static const struct object zero;

	objects[i] = slab_get(&slab);
	cr_assert_not_null(objects[i]);
	cr_assert_eq((uintptr_t)objects[i] % sizeof(void *), 0);
	cr_assert_eq(memcmp(objects[i], &zero, sizeof zero), 0, "object %zu is not zeroed", i);
	memset(objects[i], 0xa5, sizeof *objects[i]);
	objects[i]->number = i;
}

static void
put_all(void)
{
	for (size_t i = 0; i < OBJECTS; i++) {
		cr_assert_eq(objects[i]->number, i, "written over by a neighbour");
		slab_put(&slab, objects[i]);
	}
	cr_assert_eq(slab.used, 0);
}

TestSuite(slab, .init = set_up);

Test(slab, objects_are_apart_and_zeroed)
{
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < OBJECTS; i++)
			get(i);
		cr_assert_eq(slab.used, OBJECTS);
		put_all();
		slab_turn(&slab);
	}
	slab_fini(&slab);
	cr_assert_null(slab.free);
	cr_assert_null(slab.limbo);
	cr_assert_null(slab.chunks);
}

static bool
among(const struct object *object, struct object *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == object)
			return true;
	return false;
}

Test(slab, put_back_means_gone_until_the_turn)
{
	struct object *dead[OBJECTS];

	for (size_t i = 0; i < OBJECTS; i++)
		get(i);
	memcpy(dead, objects, sizeof dead);
	put_all();
	for (size_t i = 0; i < OBJECTS; i++) {
		get(i);
		cr_assert_not(among(objects[i], dead, OBJECTS), "object %zu came back at once", i);
	}
	/* The dead ones are still readable: whoever knows one within the turn finds it as it was,
	 * but for its first word. */
	for (size_t i = 0; i < OBJECTS; i++)
		cr_assert_eq((unsigned char)dead[i]->rest[50], 0xa5);
	put_all();
	slab_turn(&slab);
	slab_fini(&slab);
}

#ifndef __SANITIZE_ADDRESS__ /* there each object is freed for good in the turn */
Test(slab, memory_is_used_again_after_the_turn)
{
	struct object *dead[OBJECTS];

	for (size_t i = 0; i < OBJECTS; i++)
		get(i);
	memcpy(dead, objects, sizeof dead);
	put_all();
	slab_turn(&slab);
	/* Some memory may be left over from the last chunk: of twice as many, the dead ones must be
	 * among them. */
	struct slab_chunk *chunks = slab.chunks;
	for (size_t i = 0; i < OBJECTS; i++) {
		get(i);
		cr_assert(among(objects[i], dead, OBJECTS));
	}
	cr_assert_eq(slab.chunks, chunks, "no more memory was taken");
	put_all();
	slab_fini(&slab);
}
#endif

Test(slab, used_counts_what_is_out)
{
	get(0);
	get(1);
	cr_assert_eq(slab.used, 2);
	slab_put(&slab, objects[0]);
	cr_assert_eq(slab.used, 1);
	slab_turn(&slab);
	cr_assert_eq(slab.used, 1);
	get(0);
	cr_assert_eq(slab.used, 2);
	slab_put(&slab, objects[0]);
	slab_put(&slab, objects[1]);
	slab_fini(&slab); /* also with objects still waiting for the turn */
}

Test(slab, sizes)
{
	const size_t sizes[] = { 8, 9, 100, 4096, 8192 };

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint8_t *some[40];
		slab_init(&slab, sizes[i]);
		for (int k = 0; k < 40; k++) {
			some[k] = slab_get(&slab);
			cr_assert_not_null(some[k]);
			memset(some[k], k + 1, sizes[i]);
		}
		for (int k = 0; k < 40; k++) {
			for (size_t at = 0; at < sizes[i]; at++)
				cr_assert_eq(some[k][at], k + 1);
			slab_put(&slab, some[k]);
		}
		slab_fini(&slab);
	}
}
