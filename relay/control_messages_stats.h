/*
 * control_messages_stats.h - what the message plane has counted, for the verbs `stats`, `limits`
 * and `health`.
 */
#ifndef RELAY_CONTROL_MESSAGES_STATS_H
#define RELAY_CONTROL_MESSAGES_STATS_H

#include "relay/control_call.h"

/* Workers, webpager, store; what is off is left out. */
void control_messages_fill_stats(struct control_call *call, Relay__Control__Stats *stats);

/* Why nothing can be kept for clients at the moment; NULL = it can, or there is no store. */
const char *control_messages_trouble(const struct control *control);

#endif
