/*
 * storage_messages.h - the storage thread's work on the message store: all orders that wait, up to
 * a bound, are one transaction and one wait for the disk.
 */
#ifndef RELAY_STORAGE_MESSAGES_H
#define RELAY_STORAGE_MESSAGES_H

#include "relay/message_store.h"
#include "relay/storage_queue.h"

struct storage_messages {
	struct message_store *store; /* NULL: none is configured */
	struct storage_queue *queue;
	enum message_status broken; /* DONE, or why the last batch failed, if that may last */
	uint64_t broken_ms;         /* when that was found out */
	uint64_t pause_ms;          /* and for how long nothing is tried */
	uint64_t commits;
};

/* 0 or -ENOMEM.  Opens nothing. */
int storage_messages_init(struct storage_messages *messages, const char *path,
			  const struct message_bounds *bounds, struct storage_queue *queue);
void storage_messages_fini(struct storage_messages *messages);

/* Opens the file, so that the operator hears at once of one that cannot be used. */
void storage_messages_open(struct storage_messages *messages);

/* Does one batch of what waits, and answers it. */
void storage_messages_do(struct storage_messages *messages);

#endif
