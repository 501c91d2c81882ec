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

/* --- worker_query_calls.c */

struct service;

/* Calls of the service in the order of their numbers, from behind *number on, up to `max` rows in
 * all.  true = not all had room. */
bool worker_query_calls(const struct service *service, struct channel_rows *rows, uint32_t max,
			uint64_t *number);

/* Closes both sides of it; false: there is no such call. */
bool worker_kill_call(struct worker *worker, const struct channel_kill *kill);

#endif
