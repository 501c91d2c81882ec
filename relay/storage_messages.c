/*
 * storage_messages.c - group commit.
 *
 * Each order of a batch is answered exactly once, after the commit: with what it found, or, if the
 * batch failed, all with why.  What is wrong with one message, or one order, is no reason for the
 * others to fail: the message is put aside or the order refused, and the rest is done again.  A
 * store that fails as a whole is left alone for longer and longer, up to a bound, unless its file
 * is replaced.
 */
#include "relay/storage_messages.h"

#include <errno.h>
#include <time.h>

#define TRY_AGAIN_MS     1000u
#define TRY_AGAIN_MAX_MS 30000u
/* Messages put aside in one batch: each is a transaction. */
#define BATCH_ASIDE_MAX 16u
/* Orders of a batch that find the file damaged; with more of them it is the file. */
#define BATCH_DAMAGED_MAX 4u

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

/* These do not pass by themselves: the disk, or the file, is to be mended. */
static bool
is_lasting(enum message_status status)
{
	return status == MESSAGE_IO || status == MESSAGE_DAMAGED || status == MESSAGE_NEWER ||
	       status == MESSAGE_DENIED;
}

/* After the first time it is tried again at once. */
static void
fail(struct storage_messages *messages, enum message_status status)
{
	uint64_t pause = messages->pause_ms;

	if (messages->broken == MESSAGE_DONE)
		pause = 0;
	else if (!is_lasting(status) || pause == 0)
		pause = TRY_AGAIN_MS;
	else
		pause = pause * 2 < TRY_AGAIN_MAX_MS ? pause * 2 : TRY_AGAIN_MAX_MS;
	messages->pause_ms = pause;
	messages->broken = status;
	messages->broken_ms = now_ms();
}

static enum message_status
begin(struct storage_messages *messages)
{
	if (messages->broken != MESSAGE_DONE &&
	    now_ms() - messages->broken_ms < messages->pause_ms &&
	    !message_store_was_replaced(messages->store))
		return messages->broken;
	enum message_status status = message_store_begin(messages->store);
	if (message_status_breaks(status))
		fail(messages, status);
	return status;
}

static enum message_status
commit(struct storage_messages *messages)
{
	enum message_status status = message_store_commit(messages->store);

	if (status == MESSAGE_DONE)
		messages->broken = MESSAGE_DONE;
	else if (is_lasting(status))
		fail(messages, status);
	return status;
}

void
storage_messages_open(struct storage_messages *messages)
{
	if (messages->store == NULL)
		return;
	enum message_status status = begin(messages);
	if (status == MESSAGE_DONE)
		status = commit(messages);
	note(messages, status);
}

/* A batch on its way. */
struct batch {
	struct message_task **tasks;
	size_t count;
	size_t at;      /* the one that failed */
	size_t aside;   /* messages put aside */
	size_t damaged; /* orders that found the file damaged */
};

static void
excuse(struct storage_messages *messages, struct batch *batch, enum message_status status)
{
	struct message_task *task = batch->tasks[batch->at];

	message_task_refuse(task, status, message_store_why(messages->store));
	task->over = true;
}

/* What stood in the way of this order is out of the way, or it is refused. */
static void
put_aside(struct storage_messages *messages, struct batch *batch)
{
	struct message_view *view = batch->tasks[batch->at]->view;
	struct timespec now;

	if (batch->aside == BATCH_ASIDE_MAX || view->aside_count == MESSAGE_ASIDE_MAX) {
		excuse(messages, batch, MESSAGE_ROW_DAMAGED);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	enum message_status status = message_store_put_aside(
	    messages->store, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000,
	    &view->aside[view->aside_count]);
	if (status != MESSAGE_DONE) {
		excuse(messages, batch, status);
		return;
	}
	view->aside_count++;
	batch->aside++;
}

/* Whether all can be done again without what made one of them fail. */
static bool
leave_out(struct storage_messages *messages, struct batch *batch, enum message_status status)
{
	if (status == MESSAGE_ROW_DAMAGED)
		put_aside(messages, batch);
	else if (status == MESSAGE_DAMAGED && ++batch->damaged <= BATCH_DAMAGED_MAX)
		excuse(messages, batch, status);
	else
		return false;
	for (size_t i = 0; i < batch->count; i++)
		if (!batch->tasks[i]->over)
			message_task_reset(batch->tasks[i]);
	return true;
}

/* DONE: all that are not over are done. */
static enum message_status
try_tasks(struct storage_messages *messages, struct batch *batch)
{
	for (batch->at = 0; batch->at < batch->count; batch->at++) {
		struct message_task *task = batch->tasks[batch->at];
		if (task->over)
			continue;
		enum message_status status = message_task_do(task, messages->store);
		if (message_status_breaks(status)) {
			message_store_rollback(messages->store);
			return status;
		}
	}
	return MESSAGE_DONE;
}

static enum message_status
do_batch(struct storage_messages *messages, struct message_task **tasks, size_t count)
{
	struct batch batch = { .tasks = tasks, .count = count };
	enum message_status status;

	/* Also while there is no file to be had. */
	for (size_t i = 0; i < count; i++)
		if (tasks[i]->order.verb == MESSAGE_BOUNDS)
			message_store_set_bounds(messages->store, &tasks[i]->order.bounds);
	do {
		status = begin(messages);
		if (status != MESSAGE_DONE)
			return status;
		status = try_tasks(messages, &batch);
		if (status == MESSAGE_DONE)
			return commit(messages);
	} while (leave_out(messages, &batch, status));
	if (is_lasting(status))
		fail(messages, status);
	return status;
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
