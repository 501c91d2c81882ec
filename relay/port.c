/*
 * port.c - see port.h.  One poll at a time; it includes POLLOUT only while something is queued.
 */
#include "relay/port.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

struct port {
	struct uring_op poll;
	struct uring *ring;
	struct channel *channel;
	port_message *on_message;
	port_end *on_end; /* NULL = closing */
	void *context;
	unsigned *count;
};

static void
watch(struct port *port)
{
	unsigned events = POLLIN | (channel_pending(port->channel) ? POLLOUT : 0u);

	uring_poll(port->ring, &port->poll, channel_fd(port->channel), events);
}

static void
port_free(struct port *port)
{
	channel_free(port->channel);
	--*port->count;
	free(port);
}

static void
end(struct port *port)
{
	port_end *on_end = port->on_end;

	port->on_end = NULL;
	on_end(port->context);
	port_free(port);
}

static void
on_poll(struct uring_op *op, int res, const uint8_t *data)
{
	struct port *port = uring_container_of(op, struct port, poll);
	struct channel_message message;
	int fd;
	int got = res < 0 && res != -ECANCELED ? res : 0;

	(void)data;
	/* A bounded number per turn: a flood of messages must not hold up the clients. */
	for (int i = 0; i < CHANNEL_MESSAGES_PER_TURN && port->on_end != NULL && got >= 0; i++) {
		got = channel_receive(port->channel, &message, &fd);
		if (got <= 0)
			break;
		port->on_message(port->context, &message, fd);
	}
	if (port->on_end == NULL) {
		port_free(port);
		return;
	}
	if (got >= 0)
		got = channel_flush(port->channel);
	if (got < 0)
		end(port);
	else
		watch(port);
}

struct port *
port_new(struct uring *ring, struct channel *channel, port_message *on_message, port_end *on_end,
	 void *context, unsigned *count)
{
	struct port *port = calloc(1, sizeof *port);

	if (port == NULL)
		return NULL;
	port->poll.done = on_poll;
	port->ring = ring;
	port->channel = channel;
	port->on_message = on_message;
	port->on_end = on_end;
	port->context = context;
	port->count = count;
	++*count;
	watch(port);
	return port;
}

int
port_send(struct port *port, const struct channel_message *message, int fd)
{
	bool pending = channel_pending(port->channel);
	int error = channel_send(port->channel, message, fd);

	/* The armed poll does not look for room: end it, its callback arms the right one. */
	if (!pending && channel_pending(port->channel) && port->poll.in_flight)
		uring_cancel(port->ring, &port->poll);
	return error;
}

void
port_close(struct port *port)
{
	port->on_end = NULL;
	(void)channel_flush(port->channel); /* the last words, if there is room for them */
	if (port->poll.in_flight)
		uring_cancel(port->ring, &port->poll);
	/* Otherwise this is called from inside on_poll, which frees it. */
}

void
port_abandon(struct port *port)
{
	if (port != NULL)
		port_free(port);
}
