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

/* Takes over the channel.  NULL without memory (the channel stays the caller's). */
struct port *port_new(struct uring *ring, struct channel *channel, port_message *on_message,
    port_end *on_end, void *context);

/* Sends or queues; 0 or a negative errno. */
int port_send(struct port *port, const struct channel_message *message, int fd);

/* No callback comes after this.  The memory goes when the ring has let go of it. */
void port_close(struct port *port);

/* Ports of this process that the ring still holds. */
unsigned port_count(void);

#endif
