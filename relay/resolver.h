/*
 * resolver.h - a thread that looks names up, so that nobody else has to wait for it.
 *
 * A bounded queue each way and no other shared state.  A resolver that never answers holds up the
 * names behind it and nothing else.
 */
#ifndef RELAY_RESOLVER_H
#define RELAY_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/resolve.h"

/* Longest name; more is not found. */
#define RESOLVER_NAME_MAX 255
/* Questions and answers that may wait, together. */
#define RESOLVER_QUEUE_MAX 4096

struct resolver;

struct resolver_answer {
	uint64_t token; /* of the question */
	int error;      /* 0, or for resolve_error_text() */
	struct resolve_list addresses;
};

/* NULL: no memory or no thread. */
struct resolver *resolver_new(void);

/* Readable when there is an answer. */
int resolver_fd(const struct resolver *resolver);

/* false: the queue is full, ask again later. */
bool resolver_ask(struct resolver *resolver, uint64_t token, const char *name, uint16_t port);

/* Takes one answer; false = none. */
bool resolver_take(struct resolver *resolver, struct resolver_answer *answer);

#endif
