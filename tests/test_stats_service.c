/*
 * test_stats_service.c - what is counted of services: a block goes on with the service of the same
 * name only, what a crash cut off has ended, and there is always a place to count at.
 */
#include "relay/stats.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct stats_services *
fresh(void)
{
	struct stats_services *services = calloc(1, sizeof *services);

	cr_assert_not_null(services);
	stats_services_begin(services);
	return services;
}

static uint64_t
calls_of(const struct stats_services *services, const char *name)
{
	struct stats_service sum = { .calls = 0 };

	return stats_service_add(services, name, &sum) ? sum.calls : UINT64_MAX;
}

Test(stats_service, a_block_is_its_services)
{
	struct stats_services *services = fresh();

	cr_assert_eq(calls_of(services, "a"), UINT64_MAX);
	struct stats_service *a = stats_service_take(services, "a");
	struct stats_service *ab = stats_service_take(services, "ab");
	cr_assert_neq(a, ab);
	stats_count(&a->calls);
	histogram_add(&a->duration, 5);
	cr_assert_eq(calls_of(services, "a"), 1u);
	cr_assert_eq(calls_of(services, "ab"), 0u);
	cr_assert_eq(calls_of(services, "b"), UINT64_MAX);
	/* It leaves while its successor is there. */
	cr_assert_eq(stats_service_take(services, "a"), a);
	stats_service_leave(services, a);
	stats_count(&a->calls);
	stats_service_leave(services, a);
	cr_assert_eq(calls_of(services, "a"), 2u, "what it counted stays");
	cr_assert_eq(stats_service_take(services, "a"), a);
	cr_assert_eq(calls_of(services, "a"), 2u);
	free(services);
}

Test(stats_service, sums_over_workers)
{
	struct stats_services *one = fresh();
	struct stats_services *other = fresh();
	struct stats_service sum = { .calls = 0 };

	struct stats_service *a = stats_service_take(one, "a");
	stats_service_take(other, "z");
	struct stats_service *b = stats_service_take(other, "a");
	stats_count(&a->ends[CALL_ANSWERED]);
	stats_count(&b->ends[CALL_ANSWERED]);
	stats_count(&b->ends[CALL_BROKEN]);
	histogram_add(&a->queue_wait, 1000000);
	histogram_add(&b->queue_wait, 3000000);
	stats_count(&b->gauges[STATS_SERVICE_GAUGES - 1]);
	cr_assert(stats_service_add(one, "a", &sum));
	cr_assert(stats_service_add(other, "a", &sum));
	cr_assert_eq(sum.ends[CALL_ANSWERED], 2u);
	cr_assert_eq(stats_service_failed(&sum), 1u);
	cr_assert_eq(histogram_total(&sum.queue_wait), 2u);
	cr_assert_eq(sum.queue_wait.sum_ns, 4000000u);
	cr_assert_eq(sum.gauges[STATS_SERVICE_GAUGES - 1], 1u);
	free(one);
	free(other);
}

Test(stats_service, what_a_crash_cut_off_has_ended)
{
	struct stats_services *services = fresh();
	struct stats_service sum = { .calls = 0 };

	struct stats_service *a = stats_service_take(services, "a");
	for (int i = 0; i < 5; i++)
		stats_count(&a->calls);
	stats_count(&a->ends[CALL_ANSWERED]);
	stats_count(&a->gauges[STATS_SERVICE_WAITING]);
	stats_set(&services->names.sequence,
		  services->names.sequence | 1); /* in the midst of a change */
	stats_services_begin(services);
	cr_assert(stats_service_add(services, "a", &sum));
	cr_assert_eq(sum.ends[CALL_STOPPED], 4u);
	cr_assert_eq(sum.ends[CALL_ANSWERED], 1u);
	cr_assert_eq(sum.gauges[STATS_SERVICE_WAITING], 0u);
	cr_assert_eq(services->names.sequence % 2, 0u);
	/* Nobody has it any more, but its name keeps it. */
	cr_assert_eq(stats_service_take(services, "a"), a);
	cr_assert_eq(calls_of(services, "a"), 5u);
	free(services);
}

/* The name was written, that there is a block was not. */
Test(stats_service, a_block_that_was_half_taken_can_be_taken)
{
	struct stats_services *services = fresh();

	snprintf(services->names.name[0].text, sizeof services->names.name[0].text, "a");
	stats_set(&services->block[0].calls, 7);
	stats_services_begin(services);
	cr_assert_eq(calls_of(services, "a"), UINT64_MAX);
	stats_service_take(services, "a");
	cr_assert_eq(calls_of(services, "a"), 0u);
	free(services);
}

Test(stats_service, there_is_always_a_place)
{
	struct stats_services *services = fresh();
	struct stats_service *blocks[STATS_SERVICES];
	char name[16];

	for (int i = 0; i < STATS_SERVICES; i++) {
		snprintf(name, sizeof name, "s%d", i);
		blocks[i] = stats_service_take(services, name);
		stats_count(&blocks[i]->calls);
	}
	struct stats_service *nowhere = stats_service_take(services, "late");
	stats_count(&nowhere->calls);
	cr_assert_eq(calls_of(services, "late"), UINT64_MAX);
	cr_assert_eq(calls_of(services, "s255"), 1u);
	stats_service_leave(services, nowhere);
	/* When another one has gone its block is free. */
	stats_service_leave(services, blocks[100]);
	cr_assert_eq(stats_service_take(services, "late"), blocks[100]);
	cr_assert_eq(calls_of(services, "late"), 0u);
	cr_assert_eq(calls_of(services, "s100"), UINT64_MAX);
	cr_assert_eq(stats_service_take(services, "s100"), nowhere);
	free(services);
}
