/*
 * storage_disk.h - what the storage thread does with a job.  Knows no threads: it is called with
 * one job at a time.
 */
#ifndef RELAY_STORAGE_DISK_H
#define RELAY_STORAGE_DISK_H

#include "relay/file_write.h"
#include "relay/storage.h"
#include "relay/storage_messages.h"
#include "relay/storage_queue.h"

/* A delivered message whose record or removal is not complete. */
struct storage_unfinished {
	uint64_t token;
	time_t now;
	bool recorded; /* in the permanent log */
};

struct storage_disk {
	struct storage_queue *queue; /* for notes only */
	struct spool *spool;
	struct file_append lonc_log;
	struct file_append perm_log;
	char *lonc_path;
	char *perm_path;
	storage_perm_line *perm_line;
	struct storage_unfinished unfinished[SPOOL_SENDING_MAX];
	size_t unfinished_count;
	struct storage_messages messages;
};

/* 0 or -ENOMEM. */
int storage_disk_init(struct storage_disk *disk, const struct storage_options *options,
		      struct storage_queue *queue);

/* Tries once more what is unfinished; a message that stays so will be found, and sent, again. */
void storage_disk_fini(struct storage_disk *disk);

/*
 * Does a job and frees what it brought; `line` is that of a job LOG.  True: *result is its result.
 */
bool storage_disk_do(struct storage_disk *disk, struct storage_job *job, char *line,
		     struct storage_result *result);

#endif
