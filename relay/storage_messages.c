/*
 * storage_messages.c - group commit.
 *
 * Each order of a batch is answered exactly once, after the commit: with what it found, or, if the
 * batch failed, all with why.  A store that cannot be opened is tried again once a second at most.
 */
#include "relay/storage_messages.h"

#include <errno.h>
#include <time.h>

#define TRY_AGAIN_MS 1000u

int
storage_messages_init(struct storage_messages *messages, const char *path,
		      const struct message_bounds *bounds, struct storage_queue *queue)
{
	*messages = (struct storage_messages){ .queue = queue };
	if (path == NULL)
		return 0;
	messages->store = message_store_new(path, bounds);
	return messages->store != NULL ? 0 : -ENOMEM;
}

void
storage_messages_fini(struct storage_messages *messages)
{
	message_store_free(messages->store);
	messages->store = NULL;
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int
errno_of(enum message_status status)
{
	if (!message_status_breaks(status))
		return 0;
	switch (status) {
	case MESSAGE_NO_SPACE:
		return -ENOSPC;
	case MESSAGE_NO_MEMORY:
		return -ENOMEM;
	case MESSAGE_IN_USE:
		return -EBUSY;
	case MESSAGE_DENIED:
		return -EACCES;
	case MESSAGE_NEWER:
		return -EPROTONOSUPPORT;
	case MESSAGE_DAMAGED:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

static void
note(struct storage_messages *messages, enum message_status status)
{
	bool broken = message_status_breaks(status);

	storage_queue_note_text(messages->queue, STORAGE_MESSAGES, errno_of(status),
				broken ? message_status_text(status) : NULL);
}

static enum message_status
begin(struct storage_messages *messages)
{
	uint64_t now = now_ms();

	if (messages->broken != MESSAGE_DONE && now - messages->broken_ms < TRY_AGAIN_MS)
		return messages->broken;
	messages->broken = message_store_begin(messages->store);
	messages->broken_ms = now;
	return messages->broken;
}

void
storage_messages_open(struct storage_messages *messages)
{
	if (messages->store == NULL)
		return;
	enum message_status status = begin(messages);
	if (status == MESSAGE_DONE)
		status = message_store_commit(messages->store);
	note(messages, status);
}

static enum message_status
do_batch(struct storage_messages *messages, struct message_task **tasks, size_t count)
{
	/* Also while there is no file to be had. */
	for (size_t i = 0; i < count; i++)
		if (tasks[i]->order.verb == MESSAGE_BOUNDS)
			message_store_set_bounds(messages->store, &tasks[i]->order.bounds);
	enum message_status status = begin(messages);
	if (status != MESSAGE_DONE)
		return status;
	for (size_t i = 0; i < count; i++) {
		status = message_task_do(tasks[i], messages->store);
		if (message_status_breaks(status)) {
			message_store_rollback(messages->store);
			return status;
		}
	}
	return message_store_commit(messages->store);
}

static void
answer(struct storage_messages *messages, struct message_task *task)
{
	struct storage_result result = {
		.type = STORAGE_MESSAGE,
		.token = task->token,
		.message = message_task_take_view(task),
	};

	result.message->commits = messages->commits;
	storage_queue_answer(messages->queue, &result);
	message_task_free(task);
}

void
storage_messages_do(struct storage_messages *messages)
{
	struct message_task *tasks[STORAGE_BATCH_MAX];
	size_t count = storage_queue_batch(messages->queue, tasks);
	enum message_status status = do_batch(messages, tasks, count);

	messages->commits += status == MESSAGE_DONE;
	note(messages, status);
	for (size_t i = 0; i < count; i++) {
		if (message_status_breaks(status))
			message_task_refuse(tasks[i], status, message_store_why(messages->store));
		answer(messages, tasks[i]);
	}
}
