/*
 * host_internal.h - what host.c (pool, listener), host_queue.c and host_hold.c (pause, drain,
 * resume) share.  Nobody else includes it.
 */
#ifndef RELAY_HOST_INTERNAL_H
#define RELAY_HOST_INTERNAL_H

#include "relay/host.h"

/* --- host.c */

/* The only writer of host->state. */
void host_set_state(struct host *host, enum host_state next, const char *why);

/* Opens the links that are wanted now, and sets the clock for what is to come. */
void host_go_on(struct host *host);

/* --- host_queue.c */

/* When a queued request has waited long enough; and ends those that have. */
uint64_t host_patience(const struct host *host, const struct request *request);
void host_expire_queue(struct host *host);

/* Ends every request of the queue. */
void host_answer_queue(struct host *host, enum request_result result);

/* --- host_hold.c */

/* The host leaves: a hold must not keep it. */
void host_end_hold(struct host *host);

#endif
