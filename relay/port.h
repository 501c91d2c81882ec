/*
 * port.h - a channel as a worker uses it: polled on the ring, messages handed to one callback.
 */
#ifndef RELAY_PORT_H
#define RELAY_PORT_H

#include <stdbool.h>

#include "relay/channel.h"
#include "uring/uring.h"

struct port;

/* `fd` is -1 or now the callee's. */
typedef void port_message(void *context, const struct channel_message *message, int fd);

/* The other end is gone, or not to be understood; the port closes itself afterwards. */
typedef void port_end(void *context);

/*
 * Takes over the channel.  NULL without memory (the channel stays the caller's).  `*count` is the
 * number of ports that the ring still holds; it goes up now and down when this one's memory goes.
 */
struct port *port_new(struct uring *ring, struct channel *channel, port_message *on_message,
		      port_end *on_end, void *context, unsigned *count);

/* Sends or queues; 0 or a negative errno. */
int port_send(struct port *port, const struct channel_message *message, int fd);

/* No callback comes after this.  The memory goes when the ring has let go of it. */
void port_close(struct port *port);

/* Gives the memory back of one whose ring is gone. */
void port_abandon(struct port *port);

#endif
