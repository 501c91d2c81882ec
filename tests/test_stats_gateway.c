/*
 * test_stats_gateway.c - what is counted of gateways: by name, through deaths of workers, with room
 * for more names than there are at a time.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/stats_gateway.h"

static struct stats_gateways *gateways;

static void
begin(void)
{
	gateways = calloc(1, sizeof *gateways);
	cr_assert_neq(gateways, NULL);
}

static void
end(void)
{
	free(gateways);
}

TestSuite(stats_gateway, .init = begin, .fini = end);

static uint64_t
accepted(const char *name)
{
	struct stats_gateway sum = { .accepted = 0 };

	return stats_gateway_add(gateways, name, &sum) ? sum.accepted : UINT64_MAX;
}

Test(stats_gateway, counts_by_name)
{
	struct stats_gateway *east = stats_gateway_take(gateways, "east");
	struct stats_gateway *west = stats_gateway_take(gateways, "west");

	histogram_bump(&east->accepted, 3);
	histogram_bump(&west->accepted, 1);
	cr_assert_eq(accepted("east"), 3u);
	cr_assert_eq(accepted("west"), 1u);
	cr_assert_eq(accepted("eas"), UINT64_MAX);
	stats_gateway_leave(gateways, east);
	cr_assert_eq(stats_gateway_take(gateways, "east"), east, "it comes back");
	cr_assert_eq(accepted("east"), 3u);
}

/* A worker that died had tunnels open: they ended with it. */
Test(stats_gateway, another_worker_goes_on)
{
	struct stats_gateway *east = stats_gateway_take(gateways, "east");
	struct stats_gateway sum = { .accepted = 0 };

	histogram_bump(&east->accepted, 5);
	histogram_bump(&east->ends[TUNNEL_FINISHED], 2);
	histogram_bump(&east->open, 3);
	histogram_bump(&east->own_expiry, 1000);
	stats_gateways_begin(gateways);
	cr_assert(stats_gateway_add(gateways, "east", &sum));
	cr_assert_eq(sum.accepted, 5u);
	cr_assert_eq(sum.ends[TUNNEL_STOPPED], 3u);
	cr_assert_eq(sum.open, 0u);
	cr_assert_eq(sum.own_expiry, 0u);
}

/* Of two workers: numbers add up, of the ends of certificates the first counts. */
Test(stats_gateway, adds_up)
{
	struct stats_gateway *east = stats_gateway_take(gateways, "east");
	struct stats_gateway sum = { .own_expiry = 500, .accepted = 1, .open = 1 };

	histogram_bump(&east->accepted, 2);
	histogram_bump(&east->open, 2);
	histogram_bump(&east->own_expiry, 400);
	cr_assert(stats_gateway_add(gateways, "east", &sum));
	cr_assert_eq(sum.accepted, 3u);
	cr_assert_eq(sum.open, 3u);
	cr_assert_eq(sum.own_expiry, 400u);
}

Test(stats_gateway, gives_old_blocks_to_new_names)
{
	struct stats_gateway *first = NULL;
	char name[16];

	for (int i = 0; i < STATS_GATEWAYS; i++) {
		snprintf(name, sizeof name, "g%d", i);
		struct stats_gateway *block = stats_gateway_take(gateways, name);
		histogram_bump(&block->accepted, 1);
		first = i == 0 ? block : first;
	}
	cr_assert_eq(stats_gateway_take(gateways, "more"), &gateways->nowhere);
	stats_gateway_leave(gateways, first);
	cr_assert_eq(stats_gateway_take(gateways, "next"), first);
	cr_assert_eq(accepted("next"), 0u);
	cr_assert_eq(accepted("g0"), UINT64_MAX);
}
