/*
 * spool_scan.c - a look at the directory of delayed messages: which are due, and when to look
 * again.
 *
 * Reads names and stamps, never what a message says.
 */
#include "relay/spool.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/spool_internal.h"

/*
 * A directory stream of its own descriptor; spool->dir stays for the files.  NULL and a negative
 * errno, or the stream.
 */
static DIR *
open_dir(struct spool *spool, int *error)
{
	DIR *stream = NULL;
	int copy = -1;
	int fd = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy >= 0)
		stream = fdopendir(copy);
	if (stream != NULL) {
		spool->dir = fd;
		return stream;
	}
	*error = -errno;
	if (copy >= 0)
		close(copy);
	if (fd >= 0)
		close(fd);
	return NULL;
}

/* The next name that is a host's.  1, 0 at the end, or a negative errno. */
static int
next_name(const struct spool *spool, DIR *stream, const char **name, size_t *host)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(stream);
		if (entry == NULL)
			return -errno;
		if (entry->d_type == DT_DIR)
			continue;
		*host = spool_hosts_match(&spool->hosts, entry->d_name);
		if (*host == SPOOL_NO_HOST)
			continue;
		*name = entry->d_name;
		return 1;
	}
}

static void
add_file(struct spool *spool, const char *name, size_t host, struct spool_time now)
{
	struct spool_stamp stamp;
	struct spool_item item;

	if (spool_file_stamp(spool->dir, name, &stamp) != 0 || S_ISDIR(stamp.mode))
		return;
	struct spool_key key = spool_key_of(name, &stamp);
	struct spool_failure *failure = spool_backoff_find(&spool->backoff, &key);
	if (failure != NULL) {
		failure->seen = 1;
		if (failure->due_ms > now.monotonic_ms)
			return;
	}
	if (spool_sending_has_file(&spool->sending, &key))
		return;
	uint64_t unsettled = spool_unsettled_ms(spool, now, &stamp);
	if (unsettled > 0) {
		spool_rescan_after(spool, now, unsettled);
		return;
	}
	item.mtime_ns = stamp.mtime_ns;
	item.size = (uint64_t)stamp.size;
	/* A name of readdir is never longer. */
	memcpy(item.name, name, strnlen(name, NAME_MAX) + 1);
	item.name[NAME_MAX] = '\0';
	spool_list_add(&spool->list, host, &item);
}

static int
read_dir(struct spool *spool, DIR *stream, struct spool_time now)
{
	const char *name = "";
	size_t host = SPOOL_NO_HOST;
	int got;

	int error = spool_list_init(&spool->list, spool->hosts.count);
	if (error != 0)
		return error;
	while ((got = next_name(spool, stream, &name, &host)) > 0)
		spool_list_count(&spool->list, host);
	if (got < 0)
		return got;
	error = spool_list_share(&spool->list, spool->options.entries_max, spool->turn);
	if (error != 0)
		return error;
	rewinddir(stream);
	spool_backoff_begin(&spool->backoff);
	while ((got = next_name(spool, stream, &name, &host)) > 0)
		add_file(spool, name, host, now);
	/* Only a complete look tells which files are gone. */
	if (got == 0)
		spool_backoff_end(&spool->backoff);
	spool_list_sort(&spool->list);
	spool->turn += spool->options.entries_max;
	return got;
}

/* One block for both, which begins with what its owner frees. */
static void
fill_hosts(const struct spool *spool, struct spool_scan *scan, void *block)
{
	uint32_t *ready = scan->ready = block;
	struct spool_files *files = scan->files = (void *)(ready + scan->ready_count);

	static_assert(alignof(struct spool_files) == alignof(uint32_t), "they follow each other");
	for (size_t i = 0; i < spool->list.host_count; i++) {
		const struct spool_range *range = &spool->list.ranges[i];
		uint32_t index = spool->hosts.hosts[i].index;
		if (range->count > 0)
			*ready++ = index;
		if (range->files > 0)
			*files++ = (struct spool_files){ .host = index, .files = range->files };
	}
}

static int
fill_scan(const struct spool *spool, struct spool_time now, struct spool_scan *scan)
{
	for (size_t i = 0; i < spool->list.host_count; i++) {
		scan->due += spool->list.ranges[i].count;
		scan->ready_count += spool->list.ranges[i].count > 0;
		scan->files_count += spool->list.ranges[i].files > 0;
	}
	scan->left_out = spool->list.left_out;
	scan->wait_ms = spool_wait_ms(spool, now);
	if (scan->files_count == 0)
		return 0; /* what is due is a file too */
	struct spool_files *files =
	    malloc(scan->files_count * sizeof *files + scan->ready_count * sizeof *scan->ready);
	if (files == NULL)
		return -ENOMEM;
	fill_hosts(spool, scan, files);
	return 0;
}

int
spool_scan(struct spool *spool, struct spool_time now, struct spool_scan *scan)
{
	int error = 0;

	*scan = (struct spool_scan){ .wait_ms = UINT64_MAX };
	spool_list_fini(&spool->list);
	spool->rescan_ms = UINT64_MAX;
	if (spool->dir >= 0)
		close(spool->dir);
	spool->dir = -1;
	DIR *stream = open_dir(spool, &error);
	if (stream == NULL)
		return error == -ENOENT ? 0 : error;
	error = read_dir(spool, stream, now);
	closedir(stream);
	if (error == 0) {
		if (spool->list.left_out > 0)
			spool_rescan_after(spool, now, SPOOL_RESCAN_MS);
		error = fill_scan(spool, now, scan);
	}
	if (error != 0) {
		spool_list_fini(&spool->list);
		*scan = (struct spool_scan){ .wait_ms = UINT64_MAX };
	}
	return error;
}
