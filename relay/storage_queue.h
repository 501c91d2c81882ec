/*
 * storage_queue.h - all that the loop of control and the storage thread share: jobs one way,
 * results and notices the other.
 */
#ifndef RELAY_STORAGE_QUEUE_H
#define RELAY_STORAGE_QUEUE_H

#include <assert.h>
#include <pthread.h>

#include "relay/storage.h"

enum storage_job_type {
	STORAGE_JOB_LOG,
	STORAGE_JOB_HOSTS,
	STORAGE_JOB_SCAN,
	STORAGE_JOB_NEXT,
	STORAGE_JOB_DONE,
	STORAGE_JOB_FAIL,
	STORAGE_JOB_RELEASE,
	STORAGE_JOB_REPLACE,
	STORAGE_JOB_ASK,
	STORAGE_JOB_MESSAGES, /* not in the queue: orders wait for the message store */
};

/* What it points to belongs to whoever has the job. */
struct storage_job {
	enum storage_job_type type;
	uint32_t host;
	uint64_t token;
	time_t now;
	struct spool_hosts hosts;
	struct spool_ask *ask;
	char *path;
	char *bytes;
	size_t len;
	size_t line; /* LOG: where in `lines` */
};

struct storage_note {
	int error;
	uint64_t lost;
	const char *text;
	bool changed; /* since it was taken */
};

struct storage_queue {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the thread's */
	int event;           /* an eventfd, readable while there is something to take */
	bool stopping;
	size_t job_first, job_count;
	size_t line_next; /* of `lines`, the next to be used; each waiting job LOG uses one */
	size_t result_first, result_count;
	size_t owed; /* results of accepted jobs, not taken yet */
	size_t message_first, message_count;
	size_t message_owed;  /* the same of orders, not in `owed` */
	size_t message_bytes; /* that those of message_owed may hold */
	size_t turn;          /* jobs since the last batch of orders */
	struct storage_note notes[STORAGE_THING_COUNT];
	struct storage_job jobs[STORAGE_JOBS_MAX];
	struct storage_result results[STORAGE_RESULTS_MAX + STORAGE_MESSAGES_MAX];
	size_t costs[STORAGE_MESSAGES_MAX]; /* of message_owed, in their order; [cost_first ...] */
	size_t cost_first;
	struct message_task *messages[STORAGE_MESSAGES_MAX];
	char lines[STORAGE_JOBS_MAX / 2][STORAGE_LINE_MAX];
};

/* Entries of ended messages always find room: no more are on their way than can be sent at a time.
 */
static_assert(STORAGE_JOBS_MAX / 4 >= SPOOL_SENDING_MAX, "the last quarter holds all endings");
static_assert(STORAGE_RESULTS_MAX > 2 * SPOOL_SENDING_MAX,
	      "results of endings leave room for others");

/* 0 or a negative errno. */
int storage_queue_init(struct storage_queue *queue);
void storage_queue_fini(struct storage_queue *queue);

/* Copies the job.  0, -ENOBUFS or -ESHUTDOWN. */
int storage_queue_push(struct storage_queue *queue, const struct storage_job *job);

/* The same for a line of lonc.log; what is refused is counted. */
bool storage_queue_push_line(struct storage_queue *queue, const char *line, size_t len);

/* Takes the order over if it is accepted: 0, -ENOBUFS or -ESHUTDOWN. */
int storage_queue_push_message(struct storage_queue *queue, struct message_task *task);

/* The orders of one batch, oldest first; they are the caller's.  At least one after
 * storage_queue_wait gave a job MESSAGES. */
size_t storage_queue_batch(struct storage_queue *queue,
			   struct message_task *tasks[static STORAGE_BATCH_MAX]);

/*
 * Waits for a job, or for orders, which are then the job MESSAGES: when nothing else is to be done,
 * or so many jobs were.  A job LOG has its line in `line`, without LF, `job->len` bytes.  False:
 * stopping, and all is done.
 */
bool storage_queue_wait(struct storage_queue *queue, struct storage_job *job,
			char line[static STORAGE_LINE_MAX]);

/* The result of a job that gives one; its room was kept. */
void storage_queue_answer(struct storage_queue *queue, const struct storage_result *result);

/* How a thing is now, and how many lines it cost. */
void storage_queue_note(struct storage_queue *queue, enum storage_thing thing, int error,
			uint64_t lost);

/* The same with a text of static storage, or NULL. */
void storage_queue_note_text(struct storage_queue *queue, enum storage_thing thing, int error,
			     const char *text);

bool storage_queue_take(struct storage_queue *queue, struct storage_result *result);

/* No more jobs from now on. */
void storage_queue_stop(struct storage_queue *queue);

#endif
