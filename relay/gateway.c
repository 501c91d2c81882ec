/*
 * gateway.c - the doors of a gateway, its clients' number, and its end.  Owns the listening sockets
 * that it was given; what happens behind the door is the business of tunnel.c.
 */
#include "relay/gateway.h"

#include "relay/log.h"
#include "relay/stats.h"
#include "relay/tunnel.h"
#include "relay/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TUNNEL_FDS = 2,
	RESOLVE_MS = 1000,        /* between two questions where it is */
	UNREACHABLE_MS = 10000,   /* between two warnings of it */
	FAILURES_PER_SECOND = 20, /* that are told; all are counted */
};

/* --- doors ------------------------------------------------------------------------------------ */

static void
close_listener(struct gateway_door *door)
{
	if (door->listener >= 0)
		uring_close(door->gateway->worker->ring, door->listener);
	door->listener = -1;
}

static void
take_next(struct gateway_door *door)
{
	if (door->next < 0 || door->op.in_flight)
		return;
	close_listener(door);
	door->listener = door->next;
	door->next = -1;
}

static void
on_accepted(struct uring_op *op, int res, const uint8_t *data)
{
	struct gateway_door *door = uring_container_of(op, struct gateway_door, op);
	struct gateway *gateway = door->gateway;
	struct worker *worker = gateway->worker;

	(void)data;
	if (res >= 0 && !gateway->leaving && gateway->context != NULL) {
		tunnel_accept(gateway, res);
	} else if (res >= 0) {
		uring_close(worker->ring, res);
	} else if (res == -EMFILE || res == -ENFILE || res == -ENOMEM || res == -ENOBUFS) {
		worker_pause_accepting(worker);
	}
	take_next(door);
	if (door->shut)
		close_listener(door);
	gateway_arm_accepts(gateway);
}

static uint32_t
armed(const struct gateway *gateway)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < GATEWAY_LISTEN_MAX; i++)
		count += gateway->doors[i].op.in_flight;
	return count;
}

/* Whoever reaches a gateway can stay for as long as a handshake may take: half of the worker's
 * descriptors are left for clients of hosts and services. */
static bool
worker_has_room(const struct worker *worker)
{
	uint32_t max = worker->clients_max / (2 * TUNNEL_FDS);

	return worker->gateways->tunnels_count < (max > 0 ? max : 1);
}

/* Every door is open as long as there is one place, or the last one would be always the first
 * door's. */
void
gateway_arm_accepts(struct gateway *gateway)
{
	struct worker *worker = gateway->worker;
	bool room =
	    gateway->tunnels_count < gateway->settings.clients_max && worker_has_room(worker);

	if (gateway->leaving || gateway->context == NULL)
		return;
	if (room && !worker_accepting(worker)) {
		worker_pause_accepting(worker);
		return;
	}
	for (uint32_t i = 0; i < gateway->settings.doors; i++) {
		struct gateway_door *door = &gateway->doors[i];

		if (room && door->listener >= 0 && !door->op.in_flight)
			uring_accept(worker->ring, &door->op, door->listener);
		else if (!room && door->op.in_flight)
			uring_cancel(worker->ring, &door->op);
	}
}

/* An accept that is armed anew tries first: it finds who nobody was woken for. */
void
gateway_look_again(struct gateway *gateway)
{
	for (uint32_t i = 0; i < GATEWAY_LISTEN_MAX; i++) {
		if (gateway->doors[i].op.in_flight)
			uring_cancel(gateway->worker->ring, &gateway->doors[i].op);
	}
}

void
gateway_set_door(struct gateway *gateway, uint32_t number, int listener)
{
	struct uring *ring = gateway->worker->ring;

	if (number >= gateway->settings.doors || gateway->leaving) {
		uring_close(ring, listener);
		return;
	}
	struct gateway_door *door = &gateway->doors[number];
	if (door->next >= 0)
		uring_close(ring, door->next);
	door->next = listener;
	door->shut = false;
	if (door->op.in_flight)
		uring_cancel(ring, &door->op);
	take_next(door);
	gateway_arm_accepts(gateway);
}

void
gateway_shut_door(struct gateway *gateway, uint32_t number)
{
	struct gateway_door *door = &gateway->doors[number];
	struct uring *ring = gateway->worker->ring;

	if (door->next >= 0)
		uring_close(ring, door->next);
	door->next = -1;
	door->shut = true;
	if (door->op.in_flight)
		uring_cancel(ring, &door->op);
	else
		close_listener(door);
}

/* Those that it has no more. */
static void
shut_doors(struct gateway *gateway, uint32_t from)
{
	for (uint32_t i = from; i < GATEWAY_LISTEN_MAX; i++)
		gateway_shut_door(gateway, i);
}

/* --- tunnels ---------------------------------------------------------------------------------- */

/* Whether there is room matters to all gateways of the worker. */
static void
count_tunnels(struct worker *worker, int change)
{
	bool before = worker_has_room(worker);

	worker->gateways->tunnels_count += (uint32_t)change;
	worker->call_fds += (uint32_t)(change * TUNNEL_FDS);
	if (worker_has_room(worker) != before)
		worker_arm_gateways(worker);
}

void
gateway_add_tunnel(struct gateway *gateway, struct tunnel *tunnel)
{
	LIST_INSERT_HEAD(&gateway->tunnels, tunnel, entry);
	gateway->tunnels_count++;
	count_tunnels(gateway->worker, 1);
	stats_count(&gateway->stats->accepted);
	stats_count(&gateway->stats->open);
}

void
gateway_remove_tunnel(struct gateway *gateway, struct tunnel *tunnel, enum tunnel_end end)
{
	LIST_REMOVE(tunnel, entry);
	gateway->tunnels_count--;
	count_tunnels(gateway->worker, -1);
	stats_uncount(&gateway->stats->open);
	stats_count(&gateway->stats->ends[end]);
	gateway_arm_accepts(gateway);
}

bool
gateway_may_log(struct gateway *gateway)
{
	uint64_t second = worker_now(gateway->worker) / 1000000000u;

	if (second != gateway->log_second) {
		gateway->log_second = second;
		gateway->log_count = 0;
	}
	return gateway->log_count < FAILURES_PER_SECOND && gateway->log_count++ < UINT32_MAX;
}

void
gateway_on_unreachable(struct gateway *gateway, const char *why)
{
	struct worker *worker = gateway->worker;
	uint64_t now = worker_now(worker);
	struct channel_message message = { .type = CHANNEL_GATEWAY_RESOLVE,
					   .gateway_index = { .index = gateway->index } };

	/* The index of one that leaves may be another's by now. */
	if (!gateway->leaving &&
	    (gateway->asked_at == 0 || now - gateway->asked_at >= ms_to_ns(RESOLVE_MS))) {
		gateway->asked_at = now;
		worker_tell_control(worker, &message);
	}
	if (gateway->warned_at != 0 && now - gateway->warned_at < ms_to_ns(UNREACHABLE_MS))
		return;
	gateway->warned_at = now;
	log_warning(NULL, "gateway %s: the local lond cannot be reached: %s", gateway->name, why);
}

/* --- life ------------------------------------------------------------------------------------- */

void
gateway_change(struct gateway *gateway, const struct channel_gateway *message, int allow)
{
	struct channel_gateway before = gateway->settings;
	struct tunnel *tunnel;
	struct tunnel *next;

	gateway->settings = *message;
	if (message->doors > GATEWAY_LISTEN_MAX)
		gateway->settings.doors = GATEWAY_LISTEN_MAX;
	/* A new control process may not have resolved its name yet: what is known of the same name
	 * stays good. */
	if (message->addresses.count == 0 && message->connect_mark == before.connect_mark)
		gateway->settings.addresses = before.addresses;
	if (gateway->settings.addresses.count > RESOLVE_ADDRESSES_MAX)
		gateway->settings.addresses.count = RESOLVE_ADDRESSES_MAX;
	shut_doors(gateway, gateway->settings.doors);
	gateway_renew_context(gateway, gateway_read_allow(gateway, allow, message->allow_len));
	for (tunnel = LIST_FIRST(&gateway->tunnels); tunnel != NULL; tunnel = next) {
		next = LIST_NEXT(tunnel, entry);
		tunnel_on_change(tunnel);
	}
	gateway_arm_accepts(gateway);
}

struct gateway *
gateway_new(struct worker *worker, const struct channel_gateway *message, int allow)
{
	struct gateway *gateway = calloc(1, sizeof *gateway);

	if (gateway == NULL)
		return NULL;
	gateway->worker = worker;
	gateway->index = message->index;
	memcpy(gateway->name, message->name, sizeof gateway->name - 1);
	gateway->stats = stats_gateway_take(&worker->stats->gateways, gateway->name);
	for (uint32_t i = 0; i < GATEWAY_LISTEN_MAX; i++) {
		gateway->doors[i] = (struct gateway_door){
			.op = { .done = on_accepted },
			.gateway = gateway,
			.listener = -1,
			.next = -1,
		};
	}
	LIST_INIT(&gateway->tunnels);
	gateway_change(gateway, message, allow);
	return gateway;
}

void
gateway_leave(struct gateway *gateway)
{
	struct tunnel *tunnel;
	struct tunnel *next;

	gateway->leaving = true;
	gateway->left_at = worker_now(gateway->worker);
	shut_doors(gateway, 0);
	for (tunnel = LIST_FIRST(&gateway->tunnels); tunnel != NULL; tunnel = next) {
		next = LIST_NEXT(tunnel, entry);
		tunnel_on_change(tunnel);
	}
}

bool
gateway_is_over(const struct gateway *gateway)
{
	return gateway->leaving && gateway->tunnels_count == 0 && armed(gateway) == 0;
}

void
gateway_free(struct gateway *gateway)
{
	stats_gateway_leave(&gateway->worker->stats->gateways, gateway->stats);
	gateway_drop_context(gateway);
	free(gateway);
}
