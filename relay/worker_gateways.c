/*
 * worker_gateways.c - a worker's table of gateways, and what control says about them.
 *
 * The index of a gateway is control's; a restarted control process may give it another one, which
 * disturbs nobody: a gateway is known by its name.  One that leaves gives its place free at once
 * and ends on a list of its own.  There is nothing at all before the first one comes.
 */
#include "relay/gateway.h"
#include "relay/log.h"
#include "relay/tunnel.h"
#include "relay/worker.h"

#include <stdlib.h>
#include <string.h>

static struct gateways *
table_of(struct worker *worker)
{
	if (worker->gateways != NULL)
		return worker->gateways;
	struct gateways *made = calloc(1, sizeof *made);
	if (made == NULL)
		return NULL;
	TAILQ_INIT(&made->leaving);
	TAILQ_INIT(&made->dirty);
	slab_init(&made->tunnels, sizeof(struct tunnel));
	worker->gateways = made;
	return made;
}

static struct gateway *
gateway_at(const struct worker *worker, uint32_t index)
{
	return worker->gateways == NULL || index >= GATEWAYS_MAX ? NULL
								 : worker->gateways->table[index];
}

static void
leave(struct worker *worker, struct gateway *gateway)
{
	worker->gateways->table[gateway->index] = NULL;
	TAILQ_INSERT_TAIL(&worker->gateways->leaving, gateway, leaving_entry);
	gateway_leave(gateway);
}

void
worker_leave_gateways(struct worker *worker)
{
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		if (gateway_at(worker, i) != NULL)
			leave(worker, gateway_at(worker, i));
	}
}

bool
worker_has_gateways(const struct worker *worker)
{
	if (worker->gateways == NULL)
		return false;
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		if (worker->gateways->table[i] != NULL)
			return true;
	}
	return !TAILQ_EMPTY(&worker->gateways->leaving);
}

void
worker_arm_gateways(struct worker *worker)
{
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		if (gateway_at(worker, i) != NULL)
			gateway_arm_accepts(gateway_at(worker, i));
	}
}

bool
worker_look_at_gateways(struct worker *worker)
{
	bool any = false;

	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		struct gateway *gateway = gateway_at(worker, i);

		if (gateway == NULL)
			continue;
		any = true;
		gateway_look_again(gateway);
	}
	return any;
}

void
worker_flush_gateways(struct worker *worker)
{
	struct tunnel *tunnel;

	while ((tunnel = TAILQ_FIRST(&worker->gateways->dirty)) != NULL) {
		TAILQ_REMOVE(&worker->gateways->dirty, tunnel, dirty_entry);
		tunnel->dirty = false;
		tunnel_flush(tunnel);
	}
}

void
worker_turn_gateways(struct worker *worker)
{
	struct gateway *gateway;
	struct gateway *next;

	slab_turn(&worker->gateways->tunnels);
	for (gateway = TAILQ_FIRST(&worker->gateways->leaving); gateway != NULL; gateway = next) {
		next = TAILQ_NEXT(gateway, leaving_entry);
		if (!gateway_is_over(gateway))
			continue;
		TAILQ_REMOVE(&worker->gateways->leaving, gateway, leaving_entry);
		gateway_free(gateway);
	}
}

void
worker_free_gateways(struct worker *worker)
{
	if (worker->gateways == NULL)
		return;
	slab_fini(&worker->gateways->tunnels);
	free(worker->gateways);
	worker->gateways = NULL;
}

/* --- messages --------------------------------------------------------------------------------- */

static struct gateway *
find(const struct gateways *gateways, const char *name)
{
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		if (gateways->table[i] != NULL && strcmp(gateways->table[i]->name, name) == 0)
			return gateways->table[i];
	}
	return NULL;
}

/* To its new place.  Who has that gets the old one: what is to become of it will be said. */
static void
move(struct gateways *gateways, struct gateway *gateway, uint32_t index)
{
	struct gateway *there = gateways->table[index];

	gateways->table[gateway->index] = there;
	if (there != NULL)
		there->index = gateway->index;
	gateways->table[index] = gateway;
	gateway->index = index;
}

/* For one that is new.  Who has the place waits elsewhere for what a sync will say of it. */
static void
make_way(struct worker *worker, uint32_t index)
{
	struct gateways *gateways = worker->gateways;
	struct gateway *there = gateways->table[index];
	uint32_t place = 0;

	while (place < GATEWAYS_MAX && gateways->table[place] != NULL)
		place++;
	if (there == NULL)
		return;
	if (there->synced || place == GATEWAYS_MAX)
		leave(worker, there);
	else
		move(gateways, there, place);
}

static void
add(struct worker *worker, const struct channel_gateway *message, int allow)
{
	struct gateways *gateways = table_of(worker);
	struct gateway *gateway = NULL;

	if (gateways == NULL || message->index >= GATEWAYS_MAX || message->name[0] == '\0' ||
	    message->name[GATEWAY_NAME_MAX] != '\0' || worker->state != WORKER_RUNNING)
		return;
	gateway = find(gateways, message->name);
	if (gateway != NULL) {
		move(gateways, gateway, message->index);
		gateway_change(gateway, message, allow);
	} else {
		make_way(worker, message->index);
		gateway = gateway_new(worker, message, allow);
		if (gateway == NULL)
			log_error(NULL, "gateway %s cannot be added", message->name);
		gateways->table[message->index] = gateway;
		worker_look_at_shared(worker);
	}
	if (gateway != NULL)
		gateway->synced = true;
}

void
worker_sync_gateways(struct worker *worker, bool end)
{
	for (uint32_t i = 0; i < GATEWAYS_MAX; i++) {
		struct gateway *gateway = gateway_at(worker, i);

		if (gateway != NULL && end && !gateway->synced)
			leave(worker, gateway);
		else if (gateway != NULL && !end)
			gateway->synced = false;
	}
}

static void
set_door(struct worker *worker, const struct channel_gateway_door *message, int fd)
{
	struct gateway *gateway = gateway_at(worker, message->index);

	if (fd < 0) {
		if (message->closed != 0 && gateway != NULL && message->number < GATEWAY_LISTEN_MAX)
			gateway_shut_door(gateway, message->number);
		return;
	}
	if (gateway != NULL)
		gateway_set_door(gateway, message->number, fd);
	else
		uring_close(worker->ring, fd);
}

bool
worker_on_gateway(struct worker *worker, const struct channel_message *message, int fd)
{
	struct gateway *gateway;

	switch (message->type) {
	case CHANNEL_GATEWAY:
		add(worker, &message->gateway, fd);
		break;
	case CHANNEL_GATEWAY_DOOR:
		set_door(worker, &message->gateway_door, fd);
		return true; /* the descriptor went with it */
	case CHANNEL_GATEWAY_REMOVE:
		if ((gateway = gateway_at(worker, message->gateway_index.index)) != NULL)
			leave(worker, gateway);
		break;
	case CHANNEL_TICKET_KEYS:
		if ((gateway = gateway_at(worker, message->ticket_keys.index)) != NULL)
			gateway_read_ticket_keys(gateway, &message->ticket_keys, fd);
		break;
	default:
		return false;
	}
	if (fd >= 0)
		uring_close(worker->ring, fd);
	return true;
}
