/*
 * worker_query.h - a worker's answers to what control asks for an operator.
 */
#ifndef RELAY_WORKER_QUERY_H
#define RELAY_WORKER_QUERY_H

#include <stdbool.h>

#include "relay/worker.h"

/*
 * Handles `ask_host`, `query`, `kill` and `request`; false: it is none of these.  `fd` (-1: none)
 * is closed by whoever handles it.
 */
bool worker_on_question(struct worker *worker, const struct channel_message *message, int fd);

#endif
