/*
 * path_steps.c - walks paths one name at a time and watches each name where it stands.
 *
 * Never reads a file and never looks at events.  Owns nothing but the copies of names; the inotify
 * descriptor and the watches in it are the caller's.
 */
#include "relay/path_steps.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names that come, go and move; and the directory itself. */
#define DIRECTORY_EVENTS                                                                    \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | \
	 IN_MOVE_SELF)
/* Writes are asked for at the file: it may be written through another name of it. */
#define FILE_EVENTS \
	(IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_DONT_FOLLOW)

enum {
	LINKS_MAX = 40 /* the kernel's own bound for a path */
};

void
path_steps_free(struct path_steps *steps)
{
	for (size_t i = 0; i < steps->count; i++)
		free(steps->steps[i].name);
	free(steps->steps);
	*steps = (struct path_steps){ .steps = NULL };
}

static int
add_step(struct path_steps *steps, int wd, const char *name, size_t file)
{
	if (steps->count == steps->room) {
		size_t room = steps->room == 0 ? 32 : steps->room * 2;
		struct path_step *more = realloc(steps->steps, room * sizeof *more);

		if (more == NULL)
			return -ENOMEM;
		steps->steps = more;
		steps->room = room;
	}
	char *copy = name != NULL ? strdup(name) : NULL;
	if (name != NULL && copy == NULL)
		return -ENOMEM;
	steps->steps[steps->count++] = (struct path_step){ .wd = wd, .name = copy, .file = file };
	return 0;
}

static bool
has_watch(const struct path_steps *steps, int wd)
{
	for (size_t i = 0; i < steps->count; i++)
		if (steps->steps[i].wd == wd)
			return true;
	return false;
}

struct walk {
	int fd; /* of inotify */
	struct path_steps *steps;
	size_t file;
	char at[PATH_MAX];   /* the directory reached, free of links, without '/' at its end */
	char rest[PATH_MAX]; /* the names that follow */
	unsigned links;
};

/* Nothing there, or nothing that may be looked at: the walk is over, no harm done. */
static bool
is_end(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -EACCES || error == -ELOOP ||
	       error == -ENAMETOOLONG;
}

static int
add_watch(struct walk *walk, uint32_t events, const char *name)
{
	const char *path = walk->at[0] != '\0' ? walk->at : "/";
	int wd = inotify_add_watch(walk->fd, path, events);

	return wd < 0 ? -errno : add_step(walk->steps, wd, name, walk->file);
}

/* Takes the next name off the rest; false at the end of the path. */
static bool
next_name(struct walk *walk, char name[NAME_MAX + 1])
{
	const char *start = walk->rest + strspn(walk->rest, "/");
	size_t len = strcspn(start, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	memmove(walk->rest, start + len, strlen(start + len) + 1);
	return true;
}

static void
go_up(struct walk *walk)
{
	char *slash = strrchr(walk->at, '/');

	if (slash != NULL)
		*slash = '\0';
}

static int
go_down(struct walk *walk, const char *name)
{
	size_t len = strlen(walk->at);
	int more = snprintf(walk->at + len, sizeof walk->at - len, "/%s", name);

	if ((size_t)more < sizeof walk->at - len)
		return 0;
	walk->at[len] = '\0';
	return -ENAMETOOLONG;
}

/* Replaces the link that was reached by what it says. */
static int
follow_link(struct walk *walk)
{
	char target[PATH_MAX];
	ssize_t len = readlink(walk->at, target, sizeof target - 1);

	if (len < 0)
		return -errno;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	target[len] = '\0';
	size_t rest = strlen(walk->rest);
	if ((size_t)len + rest >= sizeof walk->rest)
		return -ENAMETOOLONG;
	memmove(walk->rest + len, walk->rest, rest + 1);
	memcpy(walk->rest, target, (size_t)len);
	if (target[0] == '/')
		walk->at[0] = '\0';
	else
		go_up(walk);
	return 0;
}

/* One name further.  1: go on; 0: this was the file; or a negative errno. */
static int
walk_step(struct walk *walk, const char *name)
{
	struct stat st;

	if (strcmp(name, ".") == 0)
		return 1;
	if (strcmp(name, "..") == 0) {
		go_up(walk);
		return 1;
	}
	/* The watch comes before the look: what happens in between is an event. */
	int error = add_watch(walk, DIRECTORY_EVENTS | IN_ONLYDIR, name);
	if (error != 0 && error != -EACCES)
		return error;
	error = go_down(walk, name);
	if (error != 0)
		return error;
	if (lstat(walk->at, &st) != 0)
		return -errno;
	if (S_ISLNK(st.st_mode)) {
		error = follow_link(walk);
		return error != 0 ? error : 1;
	}
	if (S_ISDIR(st.st_mode))
		return 1;
	return walk->rest[0] == '\0' ? add_watch(walk, FILE_EVENTS, NULL) : -ENOTDIR;
}

int
path_steps_walk(struct path_steps *steps, int fd, const char *path, size_t file)
{
	struct walk walk = { .fd = fd, .steps = steps, .file = file };
	char name[NAME_MAX + 1];
	int result = 1;

	snprintf(walk.rest, sizeof walk.rest, "%s", path);
	while (result == 1 && next_name(&walk, name))
		result = walk_step(&walk, name);
	return result == 1 || is_end(result) ? 0 : result;
}

void
path_steps_drop(struct path_steps *old, int fd, const struct path_steps *kept)
{
	for (size_t i = 0; i < old->count; i++)
		if (!has_watch(kept, old->steps[i].wd))
			/* It may be gone with its directory already, or twice in the list. */
			(void)inotify_rm_watch(fd, old->steps[i].wd);
	path_steps_free(old);
}
