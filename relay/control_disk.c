/*
 * control_disk.c - see control_disk.h.
 */
#include "relay/control_disk.h"

#include <stdlib.h>
#include <string.h>

struct control_call *
control_disk_end(struct control_disk_call *waiting)
{
	struct control_call *call = waiting->call;

	call->state = NULL;
	call->gone = NULL;
	call->due = NULL;
	waiting->disk->count--;
	LIST_REMOVE(waiting, entry);
	free(waiting);
	return call;
}

static void
on_gone(struct control_call *call)
{
	(void)control_disk_end(call->state);
}

static void
on_due(struct control_call *call)
{
	(void)control_disk_end(call->state);
	control_answer_error(call, RELAY__CONTROL__CODE__WAIT_EXPIRED,
			     "the disk has not answered yet");
}

void
control_disk_wait(struct control_disk *disk, struct control_disk_call *waiting,
		  struct control_call *call)
{
	waiting->disk = disk;
	waiting->call = call;
	waiting->token = ++disk->token;
	disk->count++;
	LIST_INSERT_HEAD(&disk->calls, waiting, entry);
	call->state = waiting;
	call->gone = on_gone;
	call->due = on_due;
}

void
control_disk_refused(struct control_call *call, int error)
{
	control_answer_error(call, RELAY__CONTROL__CODE__LIMIT,
			     "too much is waiting for the disk: %s", strerror(-error));
}

struct control_disk_call *
control_disk_find(struct control_disk *disk, uint64_t token)
{
	struct control_disk_call *waiting;

	LIST_FOREACH(waiting, &disk->calls, entry) {
		if (waiting->token == token)
			break;
	}
	return waiting;
}
