/*
 * calls.h - `relay-bench calls`: calls of a service for fd-passing, by its socket or by a command
 * that is started for each.
 */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/pfi_client.h"

/* What is asked, the same every time. */
struct calls_work {
	const char *path;     /* of the socket, or NULL: */
	char *const *command; /* what is started */
	uint8_t *message;     /* length and message of a request */
	size_t message_len;
	int null; /* the stdin, stdout and stderr of all calls */
};

/* One call: the connection or the process, and what came from it. */
struct calls_one {
	int fd; /* connection or pidfd; -1 = none */
	pid_t pid;
	uint64_t due_ns;
	struct pfi_client answer;
};

/* `path` or `command` is NULL.  False: errno says why. */
bool calls_work_init(struct calls_work *work, const char *path, char *const *command);
void calls_work_fini(struct calls_work *work);

/* Begins a call: one->fd becomes readable when there is something to hear.  False: errno. */
bool calls_begin(struct calls_one *one, const struct calls_work *work);

enum calls_heard {
	CALLS_GOES_ON,
	CALLS_RIGHT, /* it ended with exit code 0 */
	CALLS_WRONG  /* it ended otherwise, or without a status */
};

/* Hears what there is.  What is over is closed and reaped. */
enum calls_heard calls_hear(struct calls_one *one);

/* Gives a call up. */
void calls_give_up(struct calls_one *one);

/* The scenario: exit status 0 = every call ended with exit code 0, 1 = one did not, 2 = usage. */
int calls_main(int argc, char **argv);

#endif
