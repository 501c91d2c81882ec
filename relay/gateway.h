/*
 * gateway.h - a gateway inside a worker: its listening sockets, who may come in, and the tunnels of
 * those who did.
 *
 * All workers share the sockets, and each has its share of clients_max; with that many it accepts
 * no more, and the next ones wait in the listen queue.  (Who comes by several doors in the moment
 * when the last place is taken is let in.)  Without credentials nobody is let in.
 */
#ifndef RELAY_GATEWAY_H
#define RELAY_GATEWAY_H

#include "relay/channel.h"
#include "relay/slab.h"
#include "relay/stats_gateway.h"
#include "relay/tls.h"
#include "uring/uring.h"

#include <sys/queue.h>

struct tunnel;
struct worker;
TAILQ_HEAD(gateway_list, gateway);
TAILQ_HEAD(tunnel_queue, tunnel);
LIST_HEAD(tunnel_list, tunnel);

/* One listening socket, and the accept that is armed on it. */
struct gateway_door {
	struct uring_op op;
	struct gateway *gateway;
	int listener; /* -1 = none */
	int next;     /* takes its place when the accept has ended; -1 = none */
	bool shut;    /* the one that is there goes when the accept has ended */
};

struct gateway {
	struct worker *worker;
	uint32_t index;
	bool leaving;     /* takes nobody new, goes when the last one has gone */
	uint64_t left_at; /* ns: when it began to */
	bool synced;      /* named since the last sync_begin */
	TAILQ_ENTRY(gateway) leaving_entry;
	char name[GATEWAY_NAME_MAX + 1];
	struct channel_gateway settings;
	struct gateway_door doors[GATEWAY_LISTEN_MAX];
	struct tunnel_list tunnels;
	uint32_t tunnels_count;
	struct stats_gateway *stats;
	uint64_t log_second; /* in which log_count failures of clients were told */
	uint32_t log_count;
	uint64_t asked_at;  /* control to look the local lond up again; 0 = never */
	uint64_t warned_at; /* that the local lond cannot be reached, at whatever address; 0 = it
			       can, for all we know */

	/* What contexts are made of (gateway_context.c). */
	struct tls_context *context; /* for those who come now; NULL = nobody may */
	char *allow;                 /* names, each with its NUL */
	uint32_t allow_len;
	uint8_t digest[TLS_DIGEST_SIZE]; /* of the credentials of the context */
	uint8_t session_context[TICKET_CONTEXT_SIZE];
	struct tls_ticket_key keys[TLS_TICKET_KEYS_MAX];
	uint32_t keys_count;
};

/* All of a worker (worker_gateways.c). */
struct gateways {
	struct gateway *table[GATEWAYS_MAX]; /* by index; NULL = none */
	struct gateway_list leaving;         /* not in the table any more */
	struct slab tunnels;
	uint32_t tunnels_count;    /* of all gateways */
	struct tunnel_queue dirty; /* have output for this turn's end, or may */
};

/* --- from worker_gateways.c: for the worker */

/* Handles what control says of gateways; false: it is about something else.  `fd` (-1: none) went
 * with it. */
bool worker_on_gateway(struct worker *worker, const struct channel_message *message, int fd);

void worker_sync_gateways(struct worker *worker, bool end);

/* All leave: the worker stops. */
void worker_leave_gateways(struct worker *worker);
bool worker_has_gateways(const struct worker *worker);

/* Accepts again after a pause. */
void worker_arm_gateways(struct worker *worker);

/* Takes in who connected without that this worker was woken; whether there is any gateway. */
bool worker_look_at_gateways(struct worker *worker);

/* Sends what is to be sent; behind the turn, what went is cleared away. */
void worker_flush_gateways(struct worker *worker);
void worker_turn_gateways(struct worker *worker);

/* Only when none is left. */
void worker_free_gateways(struct worker *worker);

/* --- gateway.c */

/* From its message; `allow` is a memfd and stays the caller's.  NULL without memory. */
struct gateway *gateway_new(struct worker *worker, const struct channel_gateway *message,
			    int allow);

void gateway_change(struct gateway *gateway, const struct channel_gateway *message, int allow);

/* Takes the socket over. */
void gateway_set_door(struct gateway *gateway, uint32_t number, int listener);

/* Nobody comes in by it any more, until there is a socket for it. */
void gateway_shut_door(struct gateway *gateway, uint32_t number);

void gateway_leave(struct gateway *gateway);

/* Whether a leaving one has nothing left; then it may be freed. */
bool gateway_is_over(const struct gateway *gateway);
void gateway_free(struct gateway *gateway);

void gateway_arm_accepts(struct gateway *gateway);
void gateway_look_again(struct gateway *gateway);

/* --- for tunnels */

void gateway_add_tunnel(struct gateway *gateway, struct tunnel *tunnel);
void gateway_remove_tunnel(struct gateway *gateway, struct tunnel *tunnel, enum tunnel_end end);

/* Whether one more failure of a client may be told: whoever can connect can fail. */
bool gateway_may_log(struct gateway *gateway);

/* The local lond, as far as its address is known, did not take a connection. */
void gateway_on_unreachable(struct gateway *gateway, const char *why);

/* --- gateway_context.c */

/* Who may come in, from a memfd, which stays the caller's; false: that is no such list. */
bool gateway_read_allow(struct gateway *gateway, int memfd, uint32_t len);

/* From a memfd, which stays the caller's. */
void gateway_read_ticket_keys(struct gateway *gateway, const struct channel_ticket_keys *message,
			      int memfd);

/* A new context if there is anything new to make it of: `anew` also if the credentials are the
 * same.
 */
void gateway_renew_context(struct gateway *gateway, bool anew);

/* Everything is wiped and freed; tunnels keep the contexts that they have. */
void gateway_drop_context(struct gateway *gateway);

#endif
