/*
 * child.h - a process that the keeper starts again whenever it ends: a worker, or the control
 * process.
 */
#ifndef RELAY_CHILD_H
#define RELAY_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "relay/channel.h"

struct child {
	char name[24];
	pid_t pid; /* 0 = none */
	struct channel
	    *channel;        /* NULL = none; may outlive the process until it is read to its end */
	uint64_t ready_at;   /* ms; 0 = not yet */
	uint64_t restart_at; /* ms; while there is no process */
	unsigned backoff_ms;
};

/* Milliseconds of the monotonic clock. */
uint64_t child_clock_ms(void);

/*
 * Forks.  In the parent: 1, child->pid and child->channel are set.  In the child: 0 and *channel_fd
 * is its end. A negative errno: nothing was started, restart_at says when to try again.
 */
int child_fork(struct child *child, int *channel_fd);

/* The process has ended: decides when the next one is due. At once after a good life, else with a
 * growing delay. */
void child_ended(struct child *child);

/* For the new process of a relay in the background: standard input, output and error are nobody's
 * any more. */
void child_silence(void);

/*
 * For the new process: keeps the descriptors `keep[0..count)`, which become 3, 4, ..., closes all
 * others, and takes signals back to what a worker or control wants: those of a terminal are the
 * keeper's business.
 */
void child_let_go(const int *keep, int count);

#endif
