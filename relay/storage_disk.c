/*
 * storage_disk.c - the jobs of the storage thread.
 *
 * An answered message is first recorded, on the disk, and then removed: whenever the process ends,
 * it is recorded at least once and never only removed.  Owns the spool and the log files.
 */
#include "relay/storage_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LONC_LOG_MODE 0644
/* It holds commands. */
#define PERM_LOG_MODE 0640
/* Beside the command: time, id, local time. */
#define PERM_LINE_EXTRA 512u

int
storage_disk_init(struct storage_disk *disk, const struct storage_options *options,
		  struct storage_queue *queue)
{
	*disk = (struct storage_disk){ .queue = queue, .perm_line = options->perm_line };
	if (options->lonc_log != NULL)
		disk->lonc_path = strdup(options->lonc_log);
	if (options->perm_log != NULL)
		disk->perm_path = strdup(options->perm_log);
	int error = storage_messages_init(&disk->messages, options->messages_db,
					  &options->messages_bounds, queue);
	disk->spool = spool_new(options->delayed_dir, &options->spool);
	file_append_init(&disk->lonc_log, disk->lonc_path, LONC_LOG_MODE);
	file_append_init(&disk->perm_log, disk->perm_path, PERM_LOG_MODE);
	if ((disk->lonc_path == NULL) != (options->lonc_log == NULL) ||
	    (disk->perm_path == NULL) != (options->perm_log == NULL) || disk->spool == NULL ||
	    error != 0) {
		storage_disk_fini(disk);
		return -ENOMEM;
	}
	return 0;
}

static struct spool_time
now_time(void)
{
	struct timespec monotonic;
	struct timespec real;

	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	clock_gettime(CLOCK_REALTIME, &real);
	return (struct spool_time){
		.monotonic_ms =
		    (uint64_t)monotonic.tv_sec * 1000 + (uint64_t)monotonic.tv_nsec / 1000000,
		.real_ms = (int64_t)real.tv_sec * 1000 + real.tv_nsec / 1000000,
	};
}

/* ---- lonc.log ---- */

static void
write_log(struct storage_disk *disk, char *line, size_t len)
{
	struct iovec part = { .iov_base = line, .iov_len = len };
	int error = file_append_line(&disk->lonc_log, &part, 1, false);

	storage_queue_note(disk->queue, STORAGE_LONC_LOG, error, error != 0);
}

/* ---- the end of a message ---- */

/* The permanent line, composed around the command; *len is without its LF.  NULL: no memory. */
static char *
compose_perm_line(const struct storage_disk *disk, const struct spool_slot *slot,
		  struct wire_span command, time_t now, size_t *len)
{
	size_t size = command.len + PERM_LINE_EXTRA;

	/* The composer may need more than one byte for one of the command's. */
	for (int tries = 0; tries < 2; tries++) {
		char *line = malloc(size);
		if (line == NULL)
			return NULL;
		size_t need = disk->perm_line(line, size, now, slot->host_id, command);
		if (need <= size) {
			*len = need > 0 && line[need - 1] == '\n' ? need - 1 : need;
			return line;
		}
		free(line);
		size = need;
	}
	return NULL;
}

static int
record_command(struct storage_disk *disk, const struct spool_slot *slot, struct wire_span command,
	       time_t now)
{
	size_t len = 0;
	char *line = compose_perm_line(disk, slot, command, now, &len);

	if (line == NULL)
		return -ENOMEM;
	struct iovec part = { .iov_base = line, .iov_len = len };
	int error = file_append_line(&disk->perm_log, &part, 1, true);
	free(line);
	return error;
}

static int
record(struct storage_disk *disk, const struct spool_slot *slot, time_t now)
{
	if (disk->perm_path == NULL || disk->perm_line == NULL)
		return 0;
	/* Private: older kernels refuse to share what is sealed against writing. */
	void *bytes = mmap(NULL, slot->len, PROT_READ, MAP_PRIVATE, slot->fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	int error = record_command(disk, slot, wire_span(bytes, slot->len), now);
	munmap(bytes, slot->len);
	storage_queue_note(disk->queue, STORAGE_PERM_LOG, error, 0);
	return error;
}

/* One more step, or two. */
static int
finish(struct storage_disk *disk, struct storage_unfinished *message)
{
	const struct spool_slot *slot = spool_find(disk->spool, message->token);

	if (slot == NULL)
		return -EBADF;
	if (!message->recorded) {
		int error = record(disk, slot, message->now);
		if (error != 0)
			return error;
		message->recorded = true;
	}
	int error = spool_done(disk->spool, message->token);
	storage_queue_note(disk->queue, STORAGE_DELAYED_REMOVE, error, 0);
	return error;
}

static void
finish_all(struct storage_disk *disk)
{
	size_t kept = 0;

	for (size_t i = 0; i < disk->unfinished_count; i++) {
		int error = finish(disk, &disk->unfinished[i]);
		if (error != 0 && error != -EBADF)
			disk->unfinished[kept++] = disk->unfinished[i];
	}
	disk->unfinished_count = kept;
}

static bool
is_unfinished(const struct storage_disk *disk, uint64_t token)
{
	for (size_t i = 0; i < disk->unfinished_count; i++)
		if (disk->unfinished[i].token == token)
			return true;
	return false;
}

static void
do_done(struct storage_disk *disk, const struct storage_job *job, struct storage_result *result)
{
	struct storage_unfinished message = { .token = job->token, .now = job->now };
	const struct spool_slot *slot = spool_find(disk->spool, job->token);

	result->type = STORAGE_ENDED;
	result->token = job->token;
	if (slot == NULL || is_unfinished(disk, job->token)) {
		result->error = -EBADF;
		return;
	}
	result->host = slot->host;
	result->error = finish(disk, &message);
	/* Each has a slot of the spool, so there is room for it. */
	if (result->error != 0)
		disk->unfinished[disk->unfinished_count++] = message;
}

/* ---- the other jobs ---- */

static void
do_scan(struct storage_disk *disk, struct storage_result *result)
{
	finish_all(disk);
	result->type = STORAGE_SCANNED;
	result->error = spool_scan(disk->spool, now_time(), &result->scan);
	storage_queue_note(disk->queue, STORAGE_DELAYED_SCAN, result->error, 0);
}

static void
do_next(struct storage_disk *disk, uint32_t host, struct storage_result *result)
{
	result->type = STORAGE_NEXT;
	result->host = host;
	result->next.answer = spool_next(disk->spool, host, now_time(), &result->next.entry);
}

static void
do_replace(struct storage_job *job, struct storage_result *result)
{
	result->type = STORAGE_REPLACED;
	result->token = job->token;
	result->error = file_replace(job->path, job->bytes, job->len);
	free(job->path);
	free(job->bytes);
}

static void
do_ask(struct storage_disk *disk, struct storage_job *job, struct storage_result *result)
{
	result->type = STORAGE_VIEW;
	result->token = job->token;
	result->view = spool_ask(disk->spool, job->ask, now_time());
	free(job->ask);
}

bool
storage_disk_do(struct storage_disk *disk, struct storage_job *job, char *line,
		struct storage_result *result)
{
	*result = (struct storage_result){ .error = 0 };
	switch (job->type) {
	case STORAGE_JOB_LOG:
		write_log(disk, line, job->len);
		return false;
	case STORAGE_JOB_HOSTS:
		spool_set_hosts(disk->spool, &job->hosts);
		return false;
	case STORAGE_JOB_SCAN:
		do_scan(disk, result);
		return true;
	case STORAGE_JOB_NEXT:
		do_next(disk, job->host, result);
		return true;
	case STORAGE_JOB_DONE:
		do_done(disk, job, result);
		return true;
	case STORAGE_JOB_FAIL:
		if (!is_unfinished(disk, job->token))
			spool_fail(disk->spool, job->token, now_time());
		return false;
	case STORAGE_JOB_RELEASE:
		if (!is_unfinished(disk, job->token))
			spool_release(disk->spool, job->token);
		return false;
	case STORAGE_JOB_REPLACE:
		do_replace(job, result);
		return true;
	case STORAGE_JOB_ASK:
		do_ask(disk, job, result);
		return true;
	case STORAGE_JOB_MESSAGES:
		storage_messages_do(&disk->messages);
		return false;
	}
	return false;
}

void
storage_disk_fini(struct storage_disk *disk)
{
	finish_all(disk);
	file_append_fini(&disk->lonc_log);
	file_append_fini(&disk->perm_log);
	free(disk->lonc_path);
	free(disk->perm_path);
	spool_free(disk->spool);
	storage_messages_fini(&disk->messages);
}
