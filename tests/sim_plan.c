/*
 * sim_plan.c - what a seed means: which faults it has, how rough the ring is, the settings of its
 * hosts.
 */
#include "tests/sim.h"

#include <stdio.h>

static uint64_t
between(struct sim *sim, uint64_t least, uint64_t most)
{
	return fake_between(&sim->random, least, most);
}

static void
plan_ring(struct sim *sim, struct fake_options *ring)
{
	bool rough = sim_chance(sim, 800);

	ring->seed = fake_random_next(&sim->random);
	ring->room_min = sim_chance(sim, 200) ? 16 : 512;
	ring->room_max = sim_chance(sim, 300) ? 1024 : 65536;
	ring->delay_ns = sim_chance(sim, 300) ? MS(20) : MS(1);
	if (sim->plan.quiet) {
		/* Nothing is slow there but what waits for nobody. */
		ring->room_min = ring->room_max = 65536;
		ring->delay_ns = MS(1);
	}
	if (!rough)
		return;
	ring->short_read = (unsigned)sim_below(sim, 400);
	ring->short_send = (unsigned)sim_below(sim, 150);
	ring->send_again = (unsigned)sim_below(sim, 80);
	ring->no_buffers = (unsigned)sim_below(sim, 80);
	ring->recv_stopped = (unsigned)sim_below(sim, 80);
	ring->delay = (unsigned)sim_below(sim, 400);
	ring->late_cancel = (unsigned)sim_below(sim, 800);
	ring->early_submit = (unsigned)sim_below(sim, 100);
	ring->accept_aborted = (unsigned)sim_below(sim, 20);
	ring->accept_emfile = (unsigned)sim_below(sim, 20);
	ring->void_send = 500;
	if (!sim->plan.calm)
		ring->socket_emfile = (unsigned)sim_below(sim, 60);
}

void
sim_plan(struct sim *sim, struct fake_options *ring, struct worker_options *worker)
{
	struct sim_plan *plan = &sim->plan;
	bool calm = sim_chance(sim, 150);

	bool quiet = calm && sim_chance(sim, 500);

	*plan = (struct sim_plan){
		.calm = calm,
		.quiet = quiet,
		.faults = !calm && sim_chance(sim, 850),
		.flaps = !calm && sim_chance(sim, 500),
		.changes = !quiet && sim_chance(sim, 500),
		.removals = !calm && sim_chance(sim, 400),
		.small = !calm && sim_chance(sim, 300),
		.memory_small = !calm && sim_chance(sim, 150),
		.stop_early = !calm && sim_chance(sim, 200),
		.orphan = sim_chance(sim, 200),
		.short_stop = !calm && sim_chance(sim, 100),
		.holds_channel = sim_chance(sim, 300),
		.operates = !calm && sim_chance(sim, 300),
		.clients = (unsigned)between(sim, 20, SIM_CLIENTS_MAX),
		.requests = (unsigned)between(sim, 1000, 1200),
	};
	if (quiet) {
		plan->clients = (unsigned)between(sim, 1, 3);
		plan->requests = 200;
	}
	if (plan->stop_early)
		plan->stop_at = MS(between(sim, 100, 10000));
	plan_ring(sim, ring);
	*worker = (struct worker_options){
		.memory_max = plan->memory_small ? between(sim, 40000, 400000) : 64u << 20,
		.clients_max = plan->small ? (uint32_t)between(sim, 6, 20) : 1000,
		.seed = fake_random_next(&sim->random),
	};
}

static void
small_bounds(struct sim *sim, struct host_settings *set)
{
	set->clients_max = (uint32_t)between(sim, 2, 10);
	set->queue_max = (uint32_t)between(sim, 1, 6);
	set->queue_bytes_max = between(sim, 100, 3000);
}

void
sim_host_settings(struct sim *sim, struct sim_host *host)
{
	static const uint32_t pipelines[] = { 1, 1, 1, 2, 4, 16 };
	bool calm = sim->plan.calm;
	uint64_t line_max = host->settings.line_max;

	host->settings = (struct host_settings){
		.links_max = (uint32_t)between(sim, 1, 5),
		.pipeline = pipelines[sim_below(sim, 6)],
		.spread = 1,
		.clients_max = 1000,
		.queue_max = 1000,
		.busy_line = "con_lost",
		.queue_bytes_max = 16u << 20,
		.line_max = line_max, /* what was asked must not become too long on its way */
		.connect_timeout_ms = calm ? 60000 : between(sim, 500, 5000),
		.queue_timeout_ms = calm ? 600000 : between(sim, 300, 6000),
		.reply_timeout_ms = calm ? 600000 : between(sim, 1000, 8000),
		.idle_timeout_ms = sim->plan.quiet ? 3600000 : between(sim, 1000, 20000),
		.down_grace_ms = between(sim, calm ? 1000 : 0, 2000),
	};
	if (sim->plan.small)
		small_bounds(sim, &host->settings);
	if (host->settings.queue_timeout_ms > host->queue_most_ms)
		host->queue_most_ms = host->settings.queue_timeout_ms;
	if (host->settings.reply_timeout_ms > host->reply_most_ms)
		host->reply_most_ms = host->settings.reply_timeout_ms;
}

void
sim_host_plan(struct sim *sim, struct sim_host *host)
{
	static const uint64_t lines[] = { 64, 300, 3000, SIM_LINE_MAX };
	static const uint64_t delays[] = { MS(1), MS(1), MS(30), MS(2000) };

	snprintf(host->id, sizeof host->id, "host%u", host->index);
	host->port = (uint16_t)(1000 + 2 * host->index);
	host->addresses = 1 + (uint32_t)sim_below(sim, sim_chance(sim, 500) ? 1 : 4);
	host->good = (uint32_t)sim_below(sim, host->addresses + 1);
	host->mute = !sim->plan.calm && sim_chance(sim, 300);
	host->six = sim_chance(sim, 200);
	host->settings.line_max = lines[sim_below(sim, 4)];
	host->reply_delay_ns = delays[sim_below(sim, sim->plan.calm ? 3 : 4)];
	host->fault_chance = sim->plan.faults ? (unsigned)between(sim, 100, 800) : 0;
	sim_host_settings(sim, host);
}
