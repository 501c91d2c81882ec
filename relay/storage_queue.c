/*
 * storage_queue.c - two rings and a few notices under one lock, held for the copy of one item.
 *
 * Room for the result of a job is kept when the job is accepted, so the thread never waits for the
 * loop.
 */
#include "relay/storage_queue.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define COUNT_OF_RESULTS (STORAGE_RESULTS_MAX + STORAGE_MESSAGES_MAX)
/* So many jobs at most are done while orders wait. */
#define STORAGE_TURN_MAX 64u

int
storage_queue_init(struct storage_queue *queue)
{
	memset(queue, 0, offsetof(struct storage_queue, jobs));
	queue->cost_first = 0;
	queue->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->event < 0)
		return -errno;
	int error = -pthread_mutex_init(&queue->lock, NULL);
	if (error != 0)
		goto close_event;
	error = -pthread_cond_init(&queue->wake, NULL);
	if (error != 0)
		goto destroy_lock;
	return 0;
destroy_lock:
	pthread_mutex_destroy(&queue->lock);
close_event:
	close(queue->event);
	return error;
}

void
storage_queue_fini(struct storage_queue *queue)
{
	pthread_cond_destroy(&queue->wake);
	pthread_mutex_destroy(&queue->lock);
	close(queue->event);
}

static void
lock(struct storage_queue *queue)
{
	int error = pthread_mutex_lock(&queue->lock);
	assert(error == 0);
	(void)error;
}

static void
unlock(struct storage_queue *queue)
{
	int error = pthread_mutex_unlock(&queue->lock);
	assert(error == 0);
	(void)error;
}

static void
ring(struct storage_queue *queue)
{
	uint64_t one = 1;
	/* It can only fail when it is readable as it is. */
	ssize_t n = write(queue->event, &one, sizeof one);
	(void)n;
}

static void
quiet(struct storage_queue *queue)
{
	uint64_t count;
	ssize_t n = read(queue->event, &count, sizeof count);
	(void)n;
}

/* ---- jobs ---- */

static bool
has_result(enum storage_job_type type)
{
	switch (type) {
	case STORAGE_JOB_SCAN:
	case STORAGE_JOB_NEXT:
	case STORAGE_JOB_DONE:
	case STORAGE_JOB_REPLACE:
	case STORAGE_JOB_ASK:
		return true;
	case STORAGE_JOB_LOG:
	case STORAGE_JOB_HOSTS:
	case STORAGE_JOB_FAIL:
	case STORAGE_JOB_RELEASE:
	case STORAGE_JOB_MESSAGES:
		return false;
	}
	return false;
}

/* Waiting jobs from which on no more of this kind are accepted. */
static size_t
jobs_limit(enum storage_job_type type)
{
	switch (type) {
	case STORAGE_JOB_LOG:
		return STORAGE_JOBS_MAX / 2;
	case STORAGE_JOB_HOSTS:
	case STORAGE_JOB_SCAN:
	case STORAGE_JOB_NEXT:
	case STORAGE_JOB_REPLACE:
	case STORAGE_JOB_ASK:
		return STORAGE_JOBS_MAX - SPOOL_SENDING_MAX;
	case STORAGE_JOB_DONE:
	case STORAGE_JOB_FAIL:
	case STORAGE_JOB_RELEASE:
		return STORAGE_JOBS_MAX;
	case STORAGE_JOB_MESSAGES:
		break;
	}
	return 0;
}

static int
check_room(const struct storage_queue *queue, enum storage_job_type type)
{
	size_t results = STORAGE_RESULTS_MAX;

	if (queue->stopping)
		return -ESHUTDOWN;
	if (queue->job_count >= jobs_limit(type))
		return -ENOBUFS;
	if (type != STORAGE_JOB_DONE)
		results -= SPOOL_SENDING_MAX;
	return has_result(type) && queue->owed >= results ? -ENOBUFS : 0;
}

static void
append_job(struct storage_queue *queue, const struct storage_job *job)
{
	queue->jobs[(queue->job_first + queue->job_count) % STORAGE_JOBS_MAX] = *job;
	queue->job_count++;
	queue->owed += has_result(job->type);
	pthread_cond_signal(&queue->wake);
}

int
storage_queue_push(struct storage_queue *queue, const struct storage_job *job)
{
	lock(queue);
	int error = check_room(queue, job->type);
	if (error == 0)
		append_job(queue, job);
	unlock(queue);
	return error;
}

/* ---- orders for the message store ---- */

int
storage_queue_push_message(struct storage_queue *queue, struct message_task *task)
{
	int error = 0;

	lock(queue);
	/* One that is larger than the bound comes alone. */
	bool fits = queue->message_owed == 0 ||
		    (queue->message_owed < STORAGE_MESSAGES_MAX &&
		     task->cost <= STORAGE_MESSAGES_BYTES_MAX &&
		     queue->message_bytes <= STORAGE_MESSAGES_BYTES_MAX - task->cost);
	if (queue->stopping) {
		error = -ESHUTDOWN;
	} else if (!fits) {
		error = -ENOBUFS;
	} else {
		queue->costs[(queue->cost_first + queue->message_owed) % STORAGE_MESSAGES_MAX] =
		    task->cost;
		queue->messages[(queue->message_first + queue->message_count) %
				STORAGE_MESSAGES_MAX] = task;
		queue->message_count++;
		queue->message_owed++;
		queue->message_bytes += task->cost;
		pthread_cond_signal(&queue->wake);
	}
	unlock(queue);
	return error;
}

size_t
storage_queue_batch(struct storage_queue *queue,
		    struct message_task *tasks[static STORAGE_BATCH_MAX])
{
	size_t count = 0;
	size_t bytes = 0;

	lock(queue);
	while (queue->message_count > 0 && count < STORAGE_BATCH_MAX &&
	       bytes < STORAGE_BATCH_BYTES_MAX) {
		tasks[count] = queue->messages[queue->message_first];
		bytes += tasks[count++]->cost;
		queue->message_first = (queue->message_first + 1) % STORAGE_MESSAGES_MAX;
		queue->message_count--;
	}
	unlock(queue);
	return count;
}

/* ---- lines ---- */

/* Copies a line without its LF, as one line. */
static size_t
copy_line(char to[static STORAGE_LINE_MAX], const char *line, size_t len)
{
	if (len > 0 && line[len - 1] == '\n')
		len--;
	if (len > STORAGE_LINE_MAX - 1)
		len = STORAGE_LINE_MAX - 1;
	for (size_t i = 0; i < len; i++)
		to[i] = line[i] == '\n' ? ' ' : line[i];
	return len;
}

bool
storage_queue_push_line(struct storage_queue *queue, const char *line, size_t len)
{
	struct storage_job job = { .type = STORAGE_JOB_LOG };

	lock(queue);
	bool accepted = check_room(queue, job.type) == 0;
	if (accepted) {
		/* There are as many as there may be jobs LOG, used in turn: this one is free. */
		job.line = queue->line_next;
		job.len = copy_line(queue->lines[job.line], line, len);
		queue->line_next = (queue->line_next + 1) % (STORAGE_JOBS_MAX / 2);
		append_job(queue, &job);
	} else {
		queue->notes[STORAGE_LONC_LOG].lost++;
	}
	unlock(queue);
	return accepted;
}

/*
 * Lines that found no room are told once there is room again, or never will be; while the log
 * cannot be written, more losses are no news.
 */
static void
tell_lost_lines(struct storage_queue *queue)
{
	struct storage_note *note = &queue->notes[STORAGE_LONC_LOG];
	bool drained = note->error == 0 && queue->job_count < STORAGE_JOBS_MAX / 4;

	if (note->lost > 0 && !note->changed && (drained || queue->stopping)) {
		note->changed = true;
		ring(queue);
	}
}

bool
storage_queue_wait(struct storage_queue *queue, struct storage_job *job,
		   char line[static STORAGE_LINE_MAX])
{
	lock(queue);
	while (queue->job_count == 0 && queue->message_count == 0 && !queue->stopping)
		pthread_cond_wait(&queue->wake, &queue->lock);
	bool orders =
	    queue->message_count > 0 && (queue->job_count == 0 || queue->turn >= STORAGE_TURN_MAX);
	bool found = orders || queue->job_count > 0;
	if (orders) {
		*job = (struct storage_job){ .type = STORAGE_JOB_MESSAGES };
		queue->turn = 0;
	} else if (found) {
		queue->turn++;
		*job = queue->jobs[queue->job_first];
		queue->job_first = (queue->job_first + 1) % STORAGE_JOBS_MAX;
		queue->job_count--;
		if (job->type == STORAGE_JOB_LOG)
			memcpy(line, queue->lines[job->line], job->len);
	}
	tell_lost_lines(queue);
	unlock(queue);
	return found;
}

void
storage_queue_stop(struct storage_queue *queue)
{
	lock(queue);
	queue->stopping = true;
	pthread_cond_signal(&queue->wake);
	unlock(queue);
}

/* ---- results ---- */

void
storage_queue_answer(struct storage_queue *queue, const struct storage_result *result)
{
	lock(queue);
	assert(queue->result_count < queue->owed + queue->message_owed);
	queue->results[(queue->result_first + queue->result_count) % COUNT_OF_RESULTS] = *result;
	queue->result_count++;
	ring(queue);
	unlock(queue);
}

static void
set_note(struct storage_queue *queue, struct storage_note *note, int error, const char *text)
{
	if (note->error == error && note->text == text)
		return;
	note->error = error;
	note->text = text;
	note->changed = true;
	ring(queue);
}

void
storage_queue_note(struct storage_queue *queue, enum storage_thing thing, int error, uint64_t lost)
{
	struct storage_note *note = &queue->notes[thing];

	lock(queue);
	note->lost += lost;
	set_note(queue, note, error, NULL);
	unlock(queue);
}

void
storage_queue_note_text(struct storage_queue *queue, enum storage_thing thing, int error,
			const char *text)
{
	lock(queue);
	set_note(queue, &queue->notes[thing], error, text);
	unlock(queue);
}

/* Answers are given, and taken, in the order of their orders. */
static void
end_message(struct storage_queue *queue)
{
	queue->message_bytes -= queue->costs[queue->cost_first];
	queue->cost_first = (queue->cost_first + 1) % STORAGE_MESSAGES_MAX;
	queue->message_owed--;
}

static bool
take_note(struct storage_queue *queue, struct storage_result *result)
{
	for (int i = 0; i < STORAGE_THING_COUNT; i++) {
		struct storage_note *note = &queue->notes[i];
		if (!note->changed)
			continue;
		*result = (struct storage_result){
			.type = STORAGE_NOTICE,
			.error = note->error,
			.notice = { .thing = (enum storage_thing)i,
				    .lost = note->lost,
				    .text = note->text },
		};
		note->changed = false;
		note->lost = 0;
		return true;
	}
	return false;
}

bool
storage_queue_take(struct storage_queue *queue, struct storage_result *result)
{
	lock(queue);
	bool found = take_note(queue, result);
	if (!found && queue->result_count > 0) {
		*result = queue->results[queue->result_first];
		queue->result_first = (queue->result_first + 1) % COUNT_OF_RESULTS;
		queue->result_count--;
		if (result->type == STORAGE_MESSAGE)
			end_message(queue);
		else
			queue->owed--;
		found = true;
	}
	if (!found)
		quiet(queue);
	unlock(queue);
	return found;
}
