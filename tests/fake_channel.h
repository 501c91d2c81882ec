/*
 * fake_channel.h - the other end of a worker's channel, in memory: implements relay/channel.h for
 * the simulation.
 *
 * The worker polls a descriptor of the fake ring; what the simulation says is received in order,
 * what the worker sends is handed to a callback.
 */
#ifndef TESTS_FAKE_CHANNEL_H
#define TESTS_FAKE_CHANNEL_H

#include "relay/channel.h"
#include "tests/fake_uring.h"

typedef void fake_channel_said(void *context, const struct channel_message *message);

/* `said` gets what the worker sends.  Freed by channel_free(). */
struct channel *fake_channel_new(struct uring *ring, fake_channel_said *said, void *context);

/* Queues a message for the worker; the descriptor (-1: none) goes with it. */
void fake_channel_say(struct channel *channel, const struct channel_message *message, int fd);

/* Nobody reads the worker's messages for now; or somebody does again. */
void fake_channel_hold(struct channel *channel, bool held);

/* Our end is closed: after what is queued, the worker finds the end. */
void fake_channel_end(struct channel *channel);

#endif
