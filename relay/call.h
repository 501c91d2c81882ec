/*
 * call.h - one call of a service: a client's connection, its request, the connection to the service
 * and the way back of the status.
 *
 *   COLLECTING -> WAITING -> CONNECTED -> GIVING -> RUNNING -> CLOSING -> (freed)
 *                    ^-----------'  the generation ended before it greeted
 *
 * Not one byte of a request goes to a service before its greeting: until then the call can be given
 * to another generation, from then on to none.  A descriptor of the caller is closed as soon as it
 * was passed on, or the call ended; the memory of the message likewise.
 */
#ifndef RELAY_CALL_H
#define RELAY_CALL_H

#include "relay/buffer.h"
#include "relay/service.h"
#include "wire/pfi_client.h"
#include "wire/pfi_server.h"

struct call {
	TAILQ_ENTRY(call) entry;
	struct service *service;
	struct service_generation *generation; /* while it is under way */
	enum call_state state;
	bool left;     /* the client will say nothing more; the service shall interrupt the call */
	bool muted;    /* what the client says is not listened to for now, only its end */
	uint8_t given; /* of PFI_BYTE and the descriptors */
	uint64_t turn; /* in the queue: the lowest goes first */

	int client; /* the connections; -1 = none */
	int server;
	struct uring_op client_poll;
	struct uring_op server_poll;
	struct uring_timer timer; /* of the request, then of the call */
	struct uring_timer again; /* the server's socket could not take a descriptor */

	struct pfi_server request;
	struct pfi_client answer;
	int fds[PFI_FDS];      /* the caller's; -1 = none */
	struct buffer message; /* with its length before it, as it is sent */

	uint64_t number; /* of the worker's; for the operator */
	uint64_t began_at;
	uint64_t queued_at; /* the request was complete; 0 = not yet */
	uint64_t taken_at;  /* the service greeted; 0 = not yet */
	uint32_t uid;       /* the caller's */
	uint32_t pid;
};

/* Takes over the connection, which came by this door. */
void call_accept(struct service_door *door, int fd);

enum call_connect {
	CALL_CONNECT_DONE,    /* it is under way, or was over */
	CALL_CONNECT_LATER,   /* its last connection is not closed yet: it will be, this turn */
	CALL_CONNECT_BUSY,    /* nothing wrong, but no room */
	CALL_CONNECT_REFUSED, /* nobody accepts there */
};

/* Connects a waiting call to the generation, else it goes on waiting. */
enum call_connect call_connect(struct call *call, struct service_generation *generation);

/* Takes a connected call away from its generation, which has not greeted: it waits again, at its
 * old place. */
void call_put_back(struct call *call);

/* Ends it, without a status. */
void call_close(struct call *call, enum call_end end);

const char *call_state_text(enum call_state state);

#endif
