/*
 * host_internal.h - what host.c (pool, listener), host_address.c, host_queue.c and host_hold.c
 * (pause, drain, resume) share.  Nobody else includes it.
 */
#ifndef RELAY_HOST_INTERNAL_H
#define RELAY_HOST_INTERNAL_H

#include "relay/host.h"

/* --- host.c */

/* The only writer of host->state. */
void host_set_state(struct host *host, enum host_state next, const char *why);

/* Opens the links that are wanted now, and sets the clock for what is to come. */
void host_go_on(struct host *host);

/* --- host_address.c */

/* No link could be made at this address of the present list.  true: another one is to be tried at
 * once; false: that was the last, and the host is what failed. */
bool host_move_on(struct host *host, const union resolve_address *failed, const char *why);

/* A link is ready there: so the others go there, too.  true: the last one was made at another. */
bool host_settle_at(struct host *host, const union resolve_address *address);

/* Takes the list over.  true: they are others than before, in whatever order. */
bool host_take_addresses(struct host *host, const struct resolve_list *list);

/* Where, if there are several. */
void host_log_online(const struct host *host);

/* `why`, with the address where it was if there are several: then in `text`. */
const char *host_which_failed(const struct host *host, const union resolve_address *last,
			      const char *why, char text[static LINK_WHY_SIZE]);

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
