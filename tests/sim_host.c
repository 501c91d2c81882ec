/*
 * sim_host.c - what the control side does to the worker: hosts are added, changed, moved, renewed
 * and removed by messages; peers go down and come back.
 */
#include "tests/sim.h"

#include <arpa/inet.h>
#include <string.h>

static void
set_address(const struct sim_host *host, uint32_t number, union resolve_address *address)
{
	if (host->six && host->good < host->addresses && number != host->good) {
		address->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
						     .sin6_port = htons(host->port) };
		address->v6.sin6_addr.s6_addr[15] = (uint8_t)(1 + number);
		sim_cover(host->sim, SIM_ADDRESS_SIX);
		return;
	}
	address->v4 = (struct sockaddr_in){ .sin_family = AF_INET,
					    .sin_port = htons(host->port),
					    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + number) };
}

struct channel_message
sim_host_message(const struct sim_host *host, enum channel_type type)
{
	struct channel_message message = { .type = type };

	message.host.index = host->place;
	message.host.addresses.count = host->addresses;
	for (uint32_t i = 0; i < host->addresses; i++)
		set_address(host, (i + host->turned) % host->addresses,
			    &message.host.addresses.address[i]);
	memcpy(message.host.id, host->id, sizeof host->id);
	memcpy(message.host.local_id, "local", sizeof "local");
	message.host.settings = host->settings;
	message.host.hold = host->hold;
	return message;
}

struct sim_host *
sim_host_by_id(struct sim *sim, const char *id)
{
	for (unsigned i = 0; i < sim->hosts_count; i++) {
		if (strcmp(sim->hosts[i].id, id) == 0)
			return &sim->hosts[i];
	}
	return NULL;
}

struct host *
sim_host_inside(struct sim *sim, const struct sim_host *host)
{
	struct worker *worker = &sim->worker;
	struct host *inside = host->place < worker->hosts_cap ? worker->hosts[host->place] : NULL;

	return inside != NULL && strcmp(inside->id, host->id) == 0 ? inside : NULL;
}

/* --- peers that go down ----------------------------------------------------------------------- */

static void
on_flap(struct uring_timer *timer)
{
	struct sim_host *host = uring_container_of(timer, struct sim_host, flap);
	struct sim *sim = host->sim;
	bool down = host->refusing || host->silent;

	if (down) {
		host->refusing = host->silent = false;
	} else {
		host->refusing = sim_chance(sim, 700);
		host->silent = !host->refusing;
		sim_cover(sim, SIM_PEER_DOWN);
	}
	sim_trace(sim, "%s: peer %s", host->id,
		  host->refusing ? "refuses"
		  : host->silent ? "is silent"
				 : "is back");
	fake_timer_set(sim->ring, timer, sim_now(sim) + MS(100 + sim_below(sim, 12000)));
}

/* --- hosts ------------------------------------------------------------------------------------ */

void
sim_host_add(struct sim *sim, uint32_t place)
{
	struct sim_host *host = &sim->hosts[sim->hosts_count];

	*host = (struct sim_host){ .sim = sim, .index = sim->hosts_count++, .place = place };
	host->hold = HOST_HOLD_NONE;
	host->held_requests = UINT32_MAX;
	sim_host_plan(sim, host);
	host->flap.due = on_flap;
	host->listener = fake_listener(sim->ring);
	host->present = true;
	struct channel_message message = sim_host_message(host, CHANNEL_HOST_ADD);
	fake_channel_say(sim->channel, &message, host->listener);
	sim_trace(sim,
		  "%s: added, line %u, links %u, pipeline %u, queue %u ms, reply %u ms, fault %u",
		  host->id, (unsigned)host->settings.line_max, host->settings.links_max,
		  host->settings.pipeline, (unsigned)host->settings.queue_timeout_ms,
		  (unsigned)host->settings.reply_timeout_ms, host->fault_chance);
	if (sim->plan.flaps)
		fake_timer_set(sim->ring, &host->flap, sim_now(sim) + MS(sim_below(sim, 5000)));
}

/* A host that is there, as after a restart of control: told anew, and the listener that came with
 * it is closed. */
static void
add_again(struct sim *sim, const struct sim_host *host)
{
	struct channel_message message = sim_host_message(host, CHANNEL_HOST_ADD);

	if (sim_chance(sim, 500))
		message.host.hold = HOST_HOLD_KEEP; /* a new control process does not know */
	fake_channel_say(sim->channel, &message, fake_listener(sim->ring));
	sim_cover(sim, SIM_HOST_REFUSED);
}

static void
change(struct sim *sim, struct sim_host *host)
{
	bool moves = sim_chance(sim, 500);

	if (moves)
		host->port ^= 1;
	else
		host->turned = (uint32_t)sim_below(sim, host->addresses);
	if (!moves || sim_chance(sim, 300))
		sim_host_settings(sim, host);
	sim_cover(sim, moves ? SIM_HOST_MOVED : SIM_HOST_CHANGED);
	sim_trace(sim, "%s: %s", host->id, moves ? "moved" : "settings changed");
	struct channel_message message = sim_host_message(host, CHANNEL_HOST_CHANGE);
	fake_channel_say(sim->channel, &message, -1);
}

static void
remove_host(struct sim *sim, struct sim_host *host)
{
	struct channel_message message = { .type = CHANNEL_HOST_REMOVE };

	message.name.index = host->place;
	if (sim_chance(sim, 500))
		sim_clients_knock(sim, host); /* at its door when it closes */
	host->present = false;
	fake_channel_say(sim->channel, &message, -1);
	sim_cover(sim, SIM_HOST_REMOVED);
	sim_trace(sim, "%s: removed", host->id);
	/* The keeper gives the place away at once, while the last clients still leave. */
	if (sim->hosts_count < SIM_HOSTS_MAX) {
		bool again = sim_chance(sim, 500);
		sim_host_add(sim, again ? host->place : sim->hosts_count);
		if (again)
			sim_cover(sim, SIM_BLOCK_TAKEN);
		sim_cover(sim, SIM_HOST_ADDED);
	}
}

void
sim_host_renew(struct sim *sim, struct sim_host *host)
{
	struct host *inside = sim_host_inside(sim, host);

	if (inside == NULL)
		return;
	sim_cover(sim, SIM_HOST_RENEWED);
	sim_trace(sim, "%s: renewed", host->id);
	host_renew(inside);
}

static unsigned
present_hosts(const struct sim *sim)
{
	unsigned count = 0;

	for (unsigned i = 0; i < sim->hosts_count; i++)
		count += sim->hosts[i].present;
	return count;
}

static void
act(struct sim *sim)
{
	struct sim_host *host = &sim->hosts[sim_below(sim, sim->hosts_count)];

	if (!host->present)
		return;
	uint64_t what = sim_below(sim, 10);
	if (what < 5 && sim->plan.changes)
		change(sim, host);
	else if (what < 7 && sim->plan.changes)
		sim->renew = host;
	else if (what == 7 && sim->plan.changes)
		add_again(sim, host);
	else if (what >= 8 && sim->plan.removals && present_hosts(sim) > 2)
		remove_host(sim, host);
}

/* What may still be under way when the stop comes: a wait in the queue, then one for the reply. */
static uint64_t
longest_ms(const struct sim *sim)
{
	uint64_t longest = 0;

	for (unsigned i = 0; i < sim->hosts_count; i++) {
		uint64_t ms = 3 * sim->hosts[i].queue_most_ms + 2 * sim->hosts[i].reply_most_ms;
		longest = ms > longest ? ms : longest;
	}
	return longest;
}

static void
stop(struct sim *sim)
{
	uint64_t timeout_ms = longest_ms(sim) + 10000;

	sim->stopping = true;
	for (unsigned i = 0; i < sim->hosts_count; i++)
		sim->hosts[i].present = false;
	if (sim->plan.orphan) {
		fake_channel_end(sim->keeper);
		timeout_ms = ORPHAN_STOP_MS;
		sim_cover(sim, SIM_STOP_ORPHAN);
	} else {
		if (sim->plan.short_stop)
			timeout_ms = sim_below(sim, 500);
		struct channel_message message = { .type = CHANNEL_STOP };
		message.stop.timeout_ms = timeout_ms;
		fake_channel_say(sim->keeper, &message, -1);
	}
	sim->stop_due = sim_now(sim) + MS(timeout_ms) + SECONDS(2);
	sim_trace(sim, "stop, %u ms", (unsigned)timeout_ms);
}

static void
on_event(struct uring_timer *timer)
{
	struct sim *sim = uring_container_of(timer, struct sim, events);

	bool done = sim_clients_done(sim);

	sim_check_time(sim);
	if (!sim->stopping)
		act(sim);
	if (!sim->stopping && sim->plan.operates)
		sim_operate(sim);
	if (!sim->stopping &&
	    (done || (sim->plan.stop_at != 0 && sim_now(sim) > sim->plan.stop_at))) {
		if (!done)
			sim_cover(sim, SIM_STOP_BUSY);
		stop(sim);
	}
	fake_timer_set(sim->ring, timer, sim_now(sim) + MS(50 + sim_below(sim, 3000)));
}

/* Now and then nobody reads what the worker says. */
static void
on_held(struct uring_timer *timer)
{
	struct sim *sim = uring_container_of(timer, struct sim, held);

	if (sim->worker.control == NULL)
		return; /* the worker has closed it */
	if (channel_pending(sim->channel))
		sim_cover(sim, SIM_LOG_HELD);
	sim->holding = !sim->holding;
	sim->released_at = sim_now(sim);
	fake_channel_hold(sim->channel, sim->holding);
	fake_timer_set(sim->ring, timer, sim_now(sim) + MS(100 + sim_below(sim, 5000)));
}

void
sim_hosts_start(struct sim *sim)
{
	for (int i = 0; i < 3; i++)
		sim_host_add(sim, sim->hosts_count);
	sim->events.due = on_event;
	fake_timer_set(sim->ring, &sim->events, sim_now(sim) + MS(sim_below(sim, 500)));
	sim->held.due = on_held;
	if (sim->plan.holds_channel)
		fake_timer_set(sim->ring, &sim->held, sim_now(sim) + MS(sim_below(sim, 500)));
}
