/*
 * path_steps.h - the names that a path leads through, each watched by inotify in the directory
 * where it stands: so the swap of a symbolic link or a directory anywhere on the way is seen.
 */
#ifndef RELAY_PATH_STEPS_H
#define RELAY_PATH_STEPS_H

#include <stddef.h>

/* One name on the way, in the watched directory where it stands; the last step of a path that is
 * there is the file itself, without a name. */
struct path_step {
	int wd;
	char *name;  /* owned, or NULL */
	size_t file; /* whose way this is: the caller's number */
};

/* Zeroed = empty. */
struct path_steps {
	struct path_step *steps;
	size_t count;
	size_t room;
};

/*
 * Walks an absolute path through all symbolic links, as far as it leads, and adds its steps.  `fd`
 * is of inotify.  What is not there or may not be looked at ends the walk without an error.  0 or a
 * negative errno (-ENOSPC, -ENOMEM: of inotify or ours); the steps until then are added.
 */
__attribute__((warn_unused_result)) int path_steps_walk(struct path_steps *steps, int fd,
							const char *path, size_t file);

/* Ends the watches of `old` that `kept` has no use for, and frees `old`. */
void path_steps_drop(struct path_steps *old, int fd, const struct path_steps *kept);

/* Frees the steps; the watches stay. */
void path_steps_free(struct path_steps *steps);

#endif
