/*
 * control_gateways.h - gateways as the control process has them: what is configured, the sockets
 * that the keeper gave, where the local lond is, and which workers know all of that.
 *
 * A gateway keeps its index for as long as it is configured.  Part of struct control; owns the
 * duplicates of the sockets.
 */
#ifndef RELAY_CONTROL_GATEWAYS_H
#define RELAY_CONTROL_GATEWAYS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "relay/channel_gateway.h"

struct channel_message;
struct config_gateway;
struct control;
struct resolver_answer;

struct control_gateway_door {
	uint32_t address_len;
	struct sockaddr_storage address;
	int fd;            /* -1 = none (yet) */
	bool asked;        /* of the keeper */
	uint32_t number;   /* of the last question: an answer to another one is not for this door */
	uint32_t in_use;   /* answers in a row that somebody else has the address */
	int error;         /* of its last answer: each one is told once */
	uint64_t retry_at; /* ms: it could not be opened; 0 = nothing to try again */
};

struct control_gateway {
	const struct config_gateway *config; /* in control->config; NULL = the place is free */
	char name[GATEWAY_NAME_MAX + 1];
	struct control_gateway_door doors[GATEWAY_LISTEN_MAX];
	uint32_t doors_count;
	bool resolving;
	uint32_t question; /* number of the last one asked of the resolver */
	char *connect;     /* what was resolved, or is being */
	struct resolve_list resolved;
	uint64_t told; /* bit N: worker N knows all of it */
};

struct control_gateways {
	struct control_gateway table[GATEWAYS_MAX]; /* by index */
	uint64_t retry_at;                          /* ms: the earliest of all; 0 = none */
	uint32_t question;                          /* number of the last one asked of the keeper */
};

/* Follows control->config. */
void control_gateways_apply(struct control *control);

/* Asks the keeper for what is not asked yet, and again for what could not be had. */
void control_gateways_run(struct control *control, uint64_t now_ms);
uint64_t control_gateways_deadline(const struct control *control);

/* Everything will be asked anew: part of a sync with the keeper; whether it is. */
void control_gateways_unlist(struct control *control);
bool control_gateways_listed(const struct control *control);

/* Tells a worker what it does not know; _untell: it knows nothing any more. */
void control_gateways_tell(struct control *control, uint32_t worker);
void control_gateways_untell(struct control *control, uint32_t worker);

/* The keeper's answer; `fd` (-1: none) went with it. */
void control_gateways_on_listener(struct control *control,
				  const struct channel_gateway_listen *message, int fd);

/* A worker did not reach the local lond: its name is looked up again. */
void control_gateways_resolve(struct control *control, uint32_t index);

/* false: the answer is about something else. */
bool control_gateways_on_resolved(struct control *control, const struct resolver_answer *answer);

#endif
