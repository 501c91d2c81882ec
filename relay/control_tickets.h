/*
 * control_tickets.h - the keys of gateways' session tickets: made here, the same in all workers, so
 * that a session can be resumed at whichever of them a link arrives.
 *
 * A key seals tickets for ticket_time and opens them for as long again.  Certificates and names
 * (ca, cert, allow) are part of a gateway's context: when they change so do the keys, and nothing
 * of before is resumed.  They are in no file: a new control process makes new ones.  Part of
 * struct control.
 */
#ifndef RELAY_CONTROL_TICKETS_H
#define RELAY_CONTROL_TICKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct control;
struct control_ticket;
LIST_HEAD(control_ticket_list, control_ticket);

struct control_tickets {
	struct control_ticket_list list; /* one for each gateway of the configuration in force */
};

/* Follows control->config; before the gateways are told, with which workers hear of it. */
void control_tickets_apply(struct control *control);

/* Right behind every message that tells a worker of the gateway, whose index that gives. */
void control_tickets_tell(struct control *control, uint32_t worker, uint32_t index,
			  const char *gateway);

/* A worker is about to be told everything anew. */
void control_tickets_untell(struct control *control, uint32_t worker);

/* Replaces keys that are due; control_tickets_deadline() says when to come again (ms). */
void control_tickets_run(struct control *control, uint64_t now_ms);
uint64_t control_tickets_deadline(const struct control *control);

#endif
