/*
 * call_internal.h - what the files of a call share: call.c is the life of it, call_client.c what
 * its client says, call_give.c what is said to its service and what that answers.
 */
#ifndef RELAY_CALL_INTERNAL_H
#define RELAY_CALL_INTERNAL_H

#include "relay/call.h"

/* The only place where the state changes: lists, numbers, what control is told. */
void call_set_state(struct call *call, enum call_state next);

/* Gives the status word to the client and ends the call. */
void call_answer(struct call *call, uint32_t status, enum call_end end);

/* What the client said while nobody listened, or will say: goes on listening.  For a call that
 * runs. */
void call_listen(struct call *call);

/* Closes the connections and frees the call if the ring holds none of it. */
void call_reap(struct call *call);

/* The service shall interrupt the call; no more bytes will go there. */
void call_interrupt(struct call *call);

/* Passes a signal on to a service: by its byte, or, one that is not known there, by interrupting
 * the call if that is what it means. */
void call_pass_signal(struct call *call, uint8_t code);

/* The time until it ends, from now; 0 = as long as it takes. */
void call_set_clock(struct call *call, uint64_t timeout_ms);

/* For call_accept(). */
void call_init_client(struct call *call);
void call_init_server(struct call *call);
void call_await_request(struct call *call);

/* Closes the connection to the service, now or when the ring has let go of it. */
void call_disconnect(struct call *call);

static inline struct worker *
call_worker(const struct call *call)
{
	return call->service->worker;
}

#endif
