/*
 * spool.c - which delayed message is next, and what became of it.
 *
 * Never forgets a message: all that it knows is made from the directory by the next scan.  Owns the
 * list of the last scan, the failures, and the descriptors of the lines that are being sent.
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

const char *
spool_answer_text(enum spool_answer answer)
{
	switch (answer) {
#define X(name, text) \
	case name:    \
		return text;
		SPOOL_ANSWERS(X)
#undef X
	}
	return "unknown";
}

/* ---- the object ---- */

static struct spool_options
complete_options(const struct spool_options *given)
{
	struct spool_options options = { .entries_max = 0 };

	if (given != NULL)
		options = *given;
	if (options.entries_max == 0)
		options.entries_max = SPOOL_ENTRIES_MAX;
	if (options.sending_bytes_max == 0)
		options.sending_bytes_max = SPOOL_SENDING_BYTES_MAX;
	if (options.backoff_min_ms == 0)
		options.backoff_min_ms = SPOOL_BACKOFF_MIN_MS;
	if (options.backoff_max_ms == 0)
		options.backoff_max_ms = SPOOL_BACKOFF_MAX_MS;
	if (options.settle_ms == 0)
		options.settle_ms = SPOOL_SETTLE_MS;
	return options;
}

struct spool *
spool_new(const char *dir, const struct spool_options *given)
{
	struct spool *spool = calloc(1, sizeof *spool);

	if (spool == NULL)
		return NULL;
	spool->dir = -1;
	spool->rescan_ms = UINT64_MAX;
	spool->options = complete_options(given);
	spool->path = strdup(dir);
	int error =
	    spool_backoff_init(&spool->backoff, spool->options.entries_max,
			       spool->options.backoff_min_ms, spool->options.backoff_max_ms);
	if (spool->path == NULL || error != 0) {
		spool_free(spool);
		return NULL;
	}
	return spool;
}

void
spool_free(struct spool *spool)
{
	if (spool == NULL)
		return;
	spool_sending_fini(&spool->sending);
	if (spool->dir >= 0)
		close(spool->dir);
	spool_list_fini(&spool->list);
	spool_hosts_fini(&spool->hosts);
	spool_backoff_fini(&spool->backoff);
	free(spool->path);
	free(spool);
}

void
spool_set_hosts(struct spool *spool, struct spool_hosts *hosts)
{
	spool_list_fini(&spool->list);
	spool_hosts_fini(&spool->hosts);
	spool->hosts = *hosts;
	*hosts = (struct spool_hosts){ .count = 0 };
}

/* ---- small questions ---- */

struct spool_key
spool_key_of(const char *name, const struct spool_stamp *stamp)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
	return (struct spool_key){
		.name = hash,
		.inode = stamp->inode,
		.mtime_ns = stamp->mtime_ns,
	};
}

static void
rescan_after(struct spool *spool, struct spool_time now, uint64_t ms)
{
	if (now.monotonic_ms + ms < spool->rescan_ms)
		spool->rescan_ms = now.monotonic_ms + ms;
}

static uint64_t
wait_ms(const struct spool *spool, struct spool_time now)
{
	uint64_t next = spool_backoff_next(&spool->backoff, now.monotonic_ms);

	if (spool->rescan_ms < next)
		next = spool->rescan_ms;
	if (next == UINT64_MAX)
		return UINT64_MAX;
	return next > now.monotonic_ms ? next - now.monotonic_ms : 0;
}

uint64_t
spool_age_ms(struct spool_time now, int64_t mtime_ns)
{
	int64_t age = now.real_ms - mtime_ns / 1000000;

	return age < 0 ? UINT64_MAX : (uint64_t)age;
}

uint64_t
spool_unsettled_ms(const struct spool *spool, struct spool_time now,
		   const struct spool_stamp *stamp)
{
	uint64_t age = spool_age_ms(now, stamp->mtime_ns);

	return age >= spool->options.settle_ms ? 0 : spool->options.settle_ms - age;
}

/* ---- scanning ---- */

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
		rescan_after(spool, now, unsettled);
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
	scan->wait_ms = wait_ms(spool, now);
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
			rescan_after(spool, now, SPOOL_RESCAN_MS);
		error = fill_scan(spool, now, scan);
	}
	if (error != 0) {
		spool_list_fini(&spool->list);
		*scan = (struct spool_scan){ .wait_ms = UINT64_MAX };
	}
	return error;
}

/* ---- giving out ---- */

static void
printable_name(char to[static NAME_MAX + 1], const char *name)
{
	size_t i = 0;

	for (; name[i] != '\0'; i++) {
		unsigned char c = (unsigned char)name[i];
		to[i] = c < 0x20 || c == 0x7f ? '?' : name[i];
	}
	to[i] = '\0';
}

static enum spool_answer
in_trouble(struct spool *spool, const char *name, const struct spool_stamp *stamp, int error,
	   struct spool_time now, struct spool_entry *entry)
{
	struct spool_key key = spool_key_of(name, stamp);

	spool_backoff_fail(&spool->backoff, &key, now.monotonic_ms);
	entry->error = error;
	return SPOOL_TROUBLE;
}

static enum spool_answer
start_sending(struct spool *spool, const struct spool_host *host, const char *name,
	      struct spool_line *line, struct spool_time now, struct spool_entry *entry)
{
	entry->fd = fcntl(line->fd, F_DUPFD_CLOEXEC, 0);
	if (entry->fd < 0) {
		int error = -errno;
		close(line->fd);
		return in_trouble(spool, name, &line->stamp, error, now, entry);
	}
	struct spool_slot *slot = spool_sending_add(&spool->sending, line);
	slot->host = host->index;
	slot->key = spool_key_of(name, &slot->stamp);
	memcpy(slot->name, name, strlen(name) + 1);
	/* It is a part of the name. */
	memcpy(slot->host_id, host->id, strlen(host->id) + 1);
	entry->token = slot->token;
	entry->len = slot->len;
	return SPOOL_ENTRY;
}

static enum spool_answer
set_aside(struct spool *spool, const struct spool_host *host, const char *name,
	  const struct spool_line *line, struct spool_time now, struct spool_entry *entry)
{
	char to[NAME_MAX + 1];
	int error = spool_file_set_aside(spool->dir, name, host->id, &line->stamp, to);

	/* Another file has the name now: it is judged by itself. */
	if (error == -ESTALE || (error == 0 && to[0] == '\0')) {
		rescan_after(spool, now, SPOOL_RESCAN_MS);
		return SPOOL_NONE;
	}
	return error == 0 ? SPOOL_SET_ASIDE
			  : in_trouble(spool, name, &line->stamp, error, now, entry);
}

/* SPOOL_NONE: nothing came of this file. */
static enum spool_answer
try_file(struct spool *spool, const struct spool_host *host, const struct spool_item *item,
	 struct spool_time now, struct spool_entry *entry)
{
	struct spool_line line;
	const char *name = item->name;
	bool heed_writers = spool_age_ms(now, item->mtime_ns) < SPOOL_WRITER_MS;
	int verdict = spool_file_read(spool->dir, name, host->line_max, heed_writers, &line);

	printable_name(entry->name, name);
	if (verdict < 0)
		return in_trouble(spool, name, &line.stamp, verdict, now, entry);
	entry->verdict = (enum spool_verdict)verdict;
	/* It may have been replaced since the scan, and now be half a file. */
	uint64_t unsettled = spool_unsettled_ms(spool, now, &line.stamp);
	if (verdict == SPOOL_CHANGING || (verdict != SPOOL_GONE && unsettled > 0)) {
		if (line.fd >= 0)
			close(line.fd);
		rescan_after(spool, now, unsettled > 0 ? unsettled : spool->options.settle_ms);
		return SPOOL_NONE;
	}
	if (verdict == SPOOL_GONE)
		return SPOOL_NONE;
	if (verdict == SPOOL_GOOD)
		return start_sending(spool, host, name, &line, now, entry);
	return set_aside(spool, host, name, &line, now, entry);
}

/* Whether the line of a file so large may be held beside the others. */
static bool
has_room(const struct spool *spool, uint64_t file_size, uint64_t line_max)
{
	uint64_t most = file_size < line_max ? file_size : line_max;

	return spool->sending.bytes == 0 ||
	       spool->sending.bytes + most <= spool->options.sending_bytes_max;
}

enum spool_answer
spool_next(struct spool *spool, uint32_t index, struct spool_time now, struct spool_entry *entry)
{
	size_t at = spool_hosts_find(&spool->hosts, index);

	*entry = (struct spool_entry){ .fd = -1, .wait_ms = UINT64_MAX };
	if (spool_sending_has_host(&spool->sending, index))
		return SPOOL_BUSY;
	while (at < spool->list.host_count) {
		const struct spool_host *host = &spool->hosts.hosts[at];
		const struct spool_item *first = spool_list_first(&spool->list, at);
		if (first == NULL)
			break;
		if (spool_sending_is_full(&spool->sending) ||
		    !has_room(spool, first->size, host->line_max))
			return SPOOL_BUSY;
		spool_list_pop(&spool->list, at);
		enum spool_answer answer = try_file(spool, host, first, now, entry);
		if (answer != SPOOL_NONE)
			return answer;
	}
	*entry = (struct spool_entry){ .fd = -1, .wait_ms = wait_ms(spool, now) };
	return SPOOL_NONE;
}

/* ---- what became of it ---- */

const struct spool_slot *
spool_find(struct spool *spool, uint64_t token)
{
	return spool_sending_find(&spool->sending, token);
}

int
spool_done(struct spool *spool, uint64_t token)
{
	struct spool_slot *slot = spool_sending_find(&spool->sending, token);

	if (slot == NULL)
		return -EBADF;
	int dir = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error = dir >= 0 ? 0 : -errno;
	if (dir >= 0) {
		error = spool_file_remove(dir, slot->name, slot->host_id, &slot->stamp);
		close(dir);
	}
	/* The message is gone if its directory is, or if another one has its name. */
	if (error == -ENOENT || error == -ESTALE)
		error = 0;
	if (error == 0)
		spool_sending_end(&spool->sending, slot);
	return error;
}

int
spool_fail(struct spool *spool, uint64_t token, struct spool_time now)
{
	struct spool_slot *slot = spool_sending_find(&spool->sending, token);

	if (slot == NULL)
		return -EBADF;
	spool_backoff_fail(&spool->backoff, &slot->key, now.monotonic_ms);
	spool_sending_end(&spool->sending, slot);
	return 0;
}

int
spool_release(struct spool *spool, uint64_t token)
{
	struct spool_slot *slot = spool_sending_find(&spool->sending, token);

	if (slot == NULL)
		return -EBADF;
	spool_sending_end(&spool->sending, slot);
	spool->rescan_ms = 0;
	return 0;
}
