/*
 * channel_gateway.h - what keeper, control and workers say of gateways: parts of the messages of
 * channel.h.
 *
 * `index` is given by control and names a gateway to the workers, one at a time; the keeper knows a
 * gateway by its name, and opens an address for it only if relay.conf says so.
 */
#ifndef RELAY_CHANNEL_GATEWAY_H
#define RELAY_CHANNEL_GATEWAY_H

#include <stdint.h>
#include <sys/socket.h>

#include "relay/resolve.h"

/* Gateways of one relay; addresses of one; bytes of the name of one. */
#define GATEWAYS_MAX       32u
#define GATEWAY_LISTEN_MAX 8u
#define GATEWAY_NAME_MAX   64u

/* An address that control wants to be listened on, and the keeper's answer. */
struct channel_gateway_listen {
	uint32_t number; /* of the question; its answer has the same */
	int32_t error;   /* LISTENER: 0, or the negative errno (then without a socket); -ESTALE:
			    relay.conf says something else than control */
	uint32_t address_len;
	struct sockaddr_storage address;
	char name[GATEWAY_NAME_MAX + 1];
};

/* Bytes of all names that may come in, an end for each. */
#define GATEWAY_ALLOW_BYTES_MAX (64u * 1024)

/* All that a worker has to know of a gateway; in the memfd is who may come in. */
struct channel_gateway {
	uint32_t index;
	uint32_t credentials;          /* their number */
	uint32_t allow_len;            /* bytes of the memfd: names, each with its NUL */
	uint32_t clients_max;          /* of this worker: its share */
	uint32_t doors;                /* a socket for each of these numbers follows or is known */
	struct resolve_list addresses; /* of the local lond, to be tried in this order; none = it
					  is not known (yet) */
	uint64_t connect_mark;         /* of the words that they were found by: for those only */
	uint64_t handshake_timeout_ms;
	uint64_t connect_timeout_ms;
	uint64_t idle_timeout_ms;
	uint64_t drain_timeout_ms; /* when it leaves */
	char name[GATEWAY_NAME_MAX + 1];
};

/* One of its listening sockets, shared by all workers: number < doors. */
struct channel_gateway_door {
	uint32_t index;
	uint32_t number;
	uint32_t closed; /* 1: there is none, and what was there before is not to be kept */
};

/* REMOVE; RESOLVE: look the address of the local lond up again. */
struct channel_gateway_index {
	uint32_t index;
};

#endif
