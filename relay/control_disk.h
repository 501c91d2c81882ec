/*
 * control_disk.h - calls that wait for the storage thread: one question each at a time, known by
 * its token.
 *
 * A call that ends before its answer leaves the question behind; the answer then belongs to nobody.
 */
#ifndef RELAY_CONTROL_DISK_H
#define RELAY_CONTROL_DISK_H

#include <stdint.h>
#include <sys/queue.h>

#include "relay/control_call.h"

/* The first member of what a verb remembers, allocated by malloc() and its kind. */
struct control_disk_call {
	LIST_ENTRY(control_disk_call) entry;
	struct control_disk *disk;
	struct control_call *call;
	uint64_t token;
};

/* Those of one kind.  Zeroed = none. */
struct control_disk {
	LIST_HEAD(, control_disk_call) calls;
	uint64_t token; /* of the last one */
	uint32_t count; /* of calls */
};

/*
 * The call waits for the answer to the question that was asked with the token disk->token + 1, and
 * is answered if that does not come in time.  Takes `waiting` over.
 */
void control_disk_wait(struct control_disk *disk, struct control_disk_call *waiting,
		       struct control_call *call);

/* The question could not be asked (-errno): the call is answered so. */
void control_disk_refused(struct control_call *call, int error);

/* Whoever waits for this answer; NULL = nobody any more. */
struct control_disk_call *control_disk_find(struct control_disk *disk, uint64_t token);

/* Frees `waiting`; its call, which waits no longer and is to be answered. */
struct control_call *control_disk_end(struct control_disk_call *waiting);

#endif
