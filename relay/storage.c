/*
 * storage.c - the storage thread and the calls of the loop that feeds it.
 *
 * The thread alone touches files; this side only puts jobs into the queue and takes results out.
 */
#include "relay/storage.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay/storage_disk.h"
#include "relay/storage_queue.h"

struct storage {
	struct storage_queue queue;
	struct storage_disk disk; /* the thread's */
	pthread_t thread;
	bool running;
	bool has_messages;
};

const char *
storage_thing_text(enum storage_thing thing)
{
	switch (thing) {
#define X(name, text) \
	case name:    \
		return text;
		STORAGE_THINGS(X)
#undef X
	case STORAGE_THING_COUNT:
		break;
	}
	return "unknown";
}

static void *
run(void *context)
{
	struct storage *storage = context;
	char line[STORAGE_LINE_MAX];
	struct storage_job job;
	struct storage_result result;

	pthread_setname_np(pthread_self(), "storage");
	storage_messages_open(&storage->disk.messages);
	while (storage_queue_wait(&storage->queue, &job, line))
		if (storage_disk_do(&storage->disk, &job, line, &result))
			storage_queue_answer(&storage->queue, &result);
	storage_disk_fini(&storage->disk);
	return NULL;
}

/* Signals are the loop's; and a write beyond the limit of file sizes must fail, not kill.  The
 * sandbox's is for the thread that it speaks of. */
static int
start_thread(struct storage *storage)
{
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	sigdelset(&all, SIGSYS);
	int error = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (error != 0)
		return -error;
	error = pthread_create(&storage->thread, NULL, run, storage);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	storage->running = error == 0;
	return -error;
}

int
storage_new(struct storage **out, const struct storage_options *options)
{
	*out = NULL;
	struct storage *storage = malloc(sizeof *storage);
	if (storage == NULL)
		return -ENOMEM;
	storage->running = false;
	storage->has_messages = options->messages_db != NULL;
	int error = storage_queue_init(&storage->queue);
	if (error != 0)
		goto free_storage;
	error = storage_disk_init(&storage->disk, options, &storage->queue);
	if (error != 0)
		goto fini_queue;
	error = start_thread(storage);
	if (error != 0)
		goto fini_disk;
	*out = storage;
	return 0;
fini_disk:
	storage_disk_fini(&storage->disk);
fini_queue:
	storage_queue_fini(&storage->queue);
free_storage:
	free(storage);
	return error;
}

void
storage_stop(struct storage *storage)
{
	if (!storage->running)
		return;
	storage_queue_stop(&storage->queue);
	pthread_join(storage->thread, NULL);
	storage->running = false;
}

void
storage_free(struct storage *storage)
{
	struct storage_result result;

	if (storage == NULL)
		return;
	storage_stop(storage);
	while (storage_queue_take(&storage->queue, &result))
		storage_result_fini(&result);
	storage_queue_fini(&storage->queue);
	free(storage);
}

int
storage_fd(const struct storage *storage)
{
	return storage->queue.event;
}

bool
storage_take(struct storage *storage, struct storage_result *result)
{
	return storage_queue_take(&storage->queue, result);
}

void
storage_result_fini(struct storage_result *result)
{
	switch (result->type) {
	case STORAGE_SCANNED:
		free(result->scan.ready);
		result->scan.ready = NULL;
		break;
	case STORAGE_NEXT:
		if (result->next.entry.fd >= 0)
			close(result->next.entry.fd);
		result->next.entry.fd = -1;
		break;
	case STORAGE_VIEW:
		spool_view_free(result->view);
		result->view = NULL;
		break;
	case STORAGE_MESSAGE:
		message_view_free(result->message);
		result->message = NULL;
		break;
	case STORAGE_ENDED:
	case STORAGE_REPLACED:
	case STORAGE_NOTICE:
		break;
	}
}

/* ---- jobs ---- */

bool
storage_log(struct storage *storage, const char *line, size_t len)
{
	return storage_queue_push_line(&storage->queue, line, len);
}

int
storage_hosts(struct storage *storage, const struct spool_host *hosts, size_t count)
{
	struct storage_job job = { .type = STORAGE_JOB_HOSTS };

	int error = spool_hosts_init(&job.hosts, hosts, count);
	if (error != 0)
		return error;
	error = storage_queue_push(&storage->queue, &job);
	if (error != 0)
		spool_hosts_fini(&job.hosts);
	return error;
}

static int
push(struct storage *storage, struct storage_job job)
{
	return storage_queue_push(&storage->queue, &job);
}

int
storage_scan(struct storage *storage)
{
	return push(storage, (struct storage_job){ .type = STORAGE_JOB_SCAN });
}

int
storage_next(struct storage *storage, uint32_t host)
{
	return push(storage, (struct storage_job){ .type = STORAGE_JOB_NEXT, .host = host });
}

int
storage_done(struct storage *storage, uint64_t token, time_t now)
{
	return push(storage,
		    (struct storage_job){ .type = STORAGE_JOB_DONE, .token = token, .now = now });
}

int
storage_fail(struct storage *storage, uint64_t token)
{
	return push(storage, (struct storage_job){ .type = STORAGE_JOB_FAIL, .token = token });
}

int
storage_release(struct storage *storage, uint64_t token)
{
	return push(storage, (struct storage_job){ .type = STORAGE_JOB_RELEASE, .token = token });
}

int
storage_ask(struct storage *storage, uint64_t token, const struct spool_ask *ask)
{
	struct storage_job job = {
		.type = STORAGE_JOB_ASK,
		.token = token,
		.ask = malloc(sizeof *ask),
	};

	if (job.ask == NULL)
		return -ENOMEM;
	*job.ask = *ask;
	int error = storage_queue_push(&storage->queue, &job);
	if (error != 0)
		free(job.ask);
	return error;
}

int
storage_message(struct storage *storage, uint64_t token, const struct message_order *order)
{
	bool too_long;

	if (!storage->has_messages)
		return -ENOENT;
	struct message_task *task = message_task_new(token, order, &too_long);
	if (task == NULL)
		return too_long ? -EMSGSIZE : -ENOMEM;
	int error = storage_queue_push_message(&storage->queue, task);
	if (error != 0)
		message_task_free(task);
	return error;
}

int
storage_save(struct storage *storage, uint64_t token, const char *path, char *bytes, size_t len)
{
	struct storage_job job = {
		.type = STORAGE_JOB_REPLACE,
		.token = token,
		.path = strdup(path),
		.bytes = bytes,
		.len = len,
	};

	if (job.path == NULL)
		return -ENOMEM;
	int error = storage_queue_push(&storage->queue, &job);
	if (error != 0)
		free(job.path);
	return error;
}

int
storage_replace(struct storage *storage, const char *path, char *bytes, size_t len)
{
	return storage_save(storage, 0, path, bytes, len);
}
