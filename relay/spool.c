/*
 * spool.c - which delayed message is next, and what became of it.
 *
 * Never forgets a message: all that it knows is made from the directory by the next scan.  Owns the
 * list of the last scan, the failures, and the descriptors of the lines that are being sent.
 */
#include "relay/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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

void
spool_rescan_after(struct spool *spool, struct spool_time now, uint64_t ms)
{
	if (now.monotonic_ms + ms < spool->rescan_ms)
		spool->rescan_ms = now.monotonic_ms + ms;
}

uint64_t
spool_wait_ms(const struct spool *spool, struct spool_time now)
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
		spool_rescan_after(spool, now, SPOOL_RESCAN_MS);
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
		spool_rescan_after(spool, now,
				   unsettled > 0 ? unsettled : spool->options.settle_ms);
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
	*entry = (struct spool_entry){ .fd = -1, .wait_ms = spool_wait_ms(spool, now) };
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
