/*
 * watch.c - inotify on every directory that a path leads through, and on the file at its end.
 *
 * Events only say that it is worth looking; whether a file changed is decided by comparing what
 * stat(2) says of it (and by writes to the very file, which may leave its size and, within one tick
 * of the clock, its time).
 *
 * Never reads a file's contents and never waits.  Owns the inotify descriptor and the watches in
 * it.
 */
#include "relay/watch.h"

#include "relay/path_steps.h"

#include <errno.h>
#include <limits.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	EVENTS_ROOM = 16384, /* bytes read at once */
	READS_MAX = 64,      /* of one watch_read */
};

/* What makes a file another one. */
struct state {
	int error; /* why there is nothing else to say, or 0 */
	dev_t device;
	ino_t inode;
	off_t size;
	mode_t mode; /* an unreadable file may become readable */
	uid_t uid;
	gid_t gid;
	struct timespec modified;
};

struct file {
	char *path;            /* absolute, owned */
	struct state reported; /* as of the last report */
	struct state seen;     /* as of the last look */
	bool touched;          /* written to since the last look */
	bool written;          /* written to since the last report */
};

struct watch {
	int fd;
	struct file *files;
	size_t file_count;
	struct path_steps steps;
	bool pending; /* a change was seen and not yet reported */
	uint64_t first_at;
	uint64_t due_at;
};

/* ---- files ---- */

static struct state
look_at(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct state){ .error = errno };
	return (struct state){
		.device = st.st_dev,
		.inode = st.st_ino,
		.size = st.st_size,
		.mode = st.st_mode,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.modified = st.st_mtim,
	};
}

static bool
is_same(const struct state *a, const struct state *b)
{
	return a->error == b->error && a->device == b->device && a->inode == b->inode &&
	       a->size == b->size && a->mode == b->mode && a->uid == b->uid && a->gid == b->gid &&
	       a->modified.tv_sec == b->modified.tv_sec &&
	       a->modified.tv_nsec == b->modified.tv_nsec;
}

static void
free_files(struct file *files, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(files[i].path);
	free(files);
}

/* ---- paths ---- */

/* The steps of all paths as they lead now; after a failure some of them. */
static int
walk_paths(int fd, const struct file *files, size_t count, struct path_steps *steps)
{
	int error = 0;

	*steps = (struct path_steps){ .steps = NULL };
	for (size_t i = 0; i < count && error == 0; i++)
		error = path_steps_walk(steps, fd, files[i].path, i);
	return error;
}

/* Watches where the paths lead now.  After a failure all is watched as before. */
static int
walk_again(struct watch *watch)
{
	struct path_steps steps;
	int error = walk_paths(watch->fd, watch->files, watch->file_count, &steps);

	if (error != 0) {
		path_steps_drop(&steps, watch->fd, &watch->steps);
		return error;
	}
	path_steps_drop(&watch->steps, watch->fd, &steps);
	watch->steps = steps;
	return 0;
}

/* ---- the set of files ---- */

/* An owned copy; NULL with errno. */
static char *
absolute(const char *path)
{
	char *whole = NULL;

	if (path[0] == '/')
		return strdup(path);
	char *here = getcwd(NULL, 0);
	if (here != NULL && asprintf(&whole, "%s/%s", here, path) < 0)
		whole = NULL;
	free(here);
	return whole;
}

static int
set_paths(struct file *files, const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		files[i].path = absolute(paths[i]);
		if (files[i].path == NULL)
			return -errno;
		if (strlen(files[i].path) >= PATH_MAX)
			return -ENAMETOOLONG;
	}
	return 0;
}

/* What is known of the path, or how it looks now. */
static void
set_state(struct file *file, const struct file *known, size_t known_count)
{
	for (size_t i = 0; i < known_count; i++) {
		if (strcmp(known[i].path, file->path) == 0) {
			file->reported = known[i].reported;
			file->seen = known[i].seen;
			file->touched = known[i].touched;
			file->written = known[i].written;
			return;
		}
	}
	file->reported = look_at(file->path);
	file->seen = file->reported;
}

int
watch_set(struct watch *watch, const char *const *paths, size_t count)
{
	struct path_steps steps = { .steps = NULL };

	if (count > WATCH_FILES_MAX)
		return -E2BIG;
	struct file *files = calloc(count + 1, sizeof *files);
	if (files == NULL)
		return -ENOMEM;
	int error = set_paths(files, paths, count);
	if (error == 0)
		error = walk_paths(watch->fd, files, count, &steps);
	if (error != 0) {
		path_steps_drop(&steps, watch->fd, &watch->steps);
		free_files(files, count);
		return error;
	}
	/* Looked at after the watches are there, so that no change falls in between. */
	for (size_t i = 0; i < count; i++)
		set_state(&files[i], watch->files, watch->file_count);
	path_steps_drop(&watch->steps, watch->fd, &steps);
	free_files(watch->files, watch->file_count);
	watch->steps = steps;
	watch->files = files;
	watch->file_count = count;
	return 0;
}

int
watch_open(struct watch **out, const char *const *paths, size_t count)
{
	struct watch *watch = calloc(1, sizeof *watch);

	*out = NULL;
	if (watch == NULL)
		return -ENOMEM;
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int error = watch->fd < 0 ? -errno : watch_set(watch, paths, count);
	if (error != 0) {
		watch_close(watch);
		return error;
	}
	*out = watch;
	return 0;
}

void
watch_close(struct watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->fd >= 0)
		close(watch->fd);
	path_steps_free(&watch->steps);
	free_files(watch->files, watch->file_count);
	free(watch);
}

int
watch_fd(const struct watch *watch)
{
	return watch->fd;
}

/* ---- events ---- */

/* Whether the event concerns a step; a write to a file is remembered. */
static bool
is_relevant(struct watch *watch, const struct inotify_event *event)
{
	bool relevant = (event->mask & IN_Q_OVERFLOW) != 0;

	for (size_t i = 0; i < watch->steps.count; i++) {
		const struct path_step *step = &watch->steps.steps[i];

		if (step->wd != event->wd)
			continue;
		if (step->name != NULL && event->len > 0 && strcmp(step->name, event->name) != 0)
			continue;
		relevant = true;
		if (step->name == NULL && (event->mask & IN_MODIFY) != 0)
			watch->files[step->file].touched = true;
	}
	return relevant;
}

/* Reads what is there, but no endless flood: the rest keeps the descriptor readable. */
static bool
drain(struct watch *watch)
{
	alignas(struct inotify_event) char events[EVENTS_ROOM];
	bool relevant = false;

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t got = read(watch->fd, events, sizeof events);
		if (got <= 0)
			break;
		for (ssize_t at = 0; at < got;) {
			/* The kernel pads each name, so that the next event is aligned. */
			const struct inotify_event *event = (const void *)(events + at);

			relevant |= is_relevant(watch, event);
			at += (ssize_t)(sizeof *event + event->len);
		}
	}
	return relevant;
}

/* Compares; each change that is seen begins the quiet anew. */
static void
look(struct watch *watch, uint64_t now_ms)
{
	bool changed = false;

	for (size_t i = 0; i < watch->file_count; i++) {
		struct file *file = &watch->files[i];
		struct state state = look_at(file->path);

		changed |= file->touched || !is_same(&state, &file->seen);
		file->written |= file->touched;
		file->touched = false;
		file->seen = state;
	}
	if (!changed)
		return;
	if (!watch->pending)
		watch->first_at = now_ms;
	watch->pending = true;
	watch->due_at = now_ms + WATCH_QUIET_MS;
	if (watch->due_at > watch->first_at + WATCH_SETTLE_MS)
		watch->due_at = watch->first_at + WATCH_SETTLE_MS;
}

/* What came back to how it was is no change. */
static bool
report(struct watch *watch)
{
	bool changed = false;

	for (size_t i = 0; i < watch->file_count; i++) {
		struct file *file = &watch->files[i];

		changed |= file->written || !is_same(&file->seen, &file->reported);
		file->written = false;
		file->reported = file->seen;
	}
	watch->pending = false;
	return changed;
}

uint64_t
watch_deadline(const struct watch *watch)
{
	return watch->pending ? watch->due_at : WATCH_NO_DEADLINE;
}

int
watch_read(struct watch *watch, uint64_t now_ms)
{
	int error = 0;

	if (drain(watch)) {
		error = walk_again(watch);
		look(watch, now_ms);
	}
	/* After an error the caller comes again for what is due. */
	if (error != 0)
		return error;
	return watch->pending && now_ms >= watch->due_at && report(watch) ? 1 : 0;
}
