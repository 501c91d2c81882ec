/*
 * keeper_gateways.h - the listening sockets of gateways: TCP, shared by all workers.
 *
 * Control names a gateway and an address; the keeper opens it only if its own reading of relay.conf
 * has that.  A socket stays open across the deaths of control and workers.
 */
#ifndef RELAY_KEEPER_GATEWAYS_H
#define RELAY_KEEPER_GATEWAYS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "relay/channel.h"
#include "relay/config.h"

enum {
	KEEPER_GATEWAY_ADDRESSES = GATEWAYS_MAX * GATEWAY_LISTEN_MAX,
	/* A file that has not changed is not read again within. */
	KEEPER_GATEWAYS_READ_MS = 500,
};

struct keeper_gateway_address {
	char name[GATEWAY_NAME_MAX + 1]; /* of the gateway; "" = free */
	uint32_t address_len;
	struct sockaddr_storage address;
	int fd;     /* of those that are open */
	bool named; /* likewise: since the sync began */
};

struct keeper_gateways {
	const struct config_source *source;
	struct keeper_gateway_address open[KEEPER_GATEWAY_ADDRESSES];
	struct keeper_gateway_address read[KEEPER_GATEWAY_ADDRESSES]; /* what relay.conf says */
	uint32_t read_count;
	uint64_t read_at; /* ms */
	struct stat file; /* as it was then */
	bool was_read;
};

/* Reads and opens nothing yet.  The source must outlive it. */
void keeper_gateways_init(struct keeper_gateways *gateways, const struct config_source *source);

/* Closes everything. */
void keeper_gateways_fini(struct keeper_gateways *gateways);

/* What control says of them, answered on `channel`; false: it is about something else. */
bool keeper_gateways_on_message(struct keeper_gateways *gateways,
				const struct channel_message *message, struct channel *channel,
				uint64_t now);

/* Those that are not named between the two are closed. */
void keeper_gateways_mark(struct keeper_gateways *gateways);
void keeper_gateways_sweep(struct keeper_gateways *gateways);

#endif
