/*
 * sources.h - the files that the program was made of: is one newer than the program that runs?
 */
#ifndef RELAY_PREFORK_SOURCES_H
#define RELAY_PREFORK_SOURCES_H

#include <limits.h>
#include <time.h>

struct prefork_sources {
	struct timespec fresh;    /* what changed later is newer */
	char program[PATH_MAX];   /* the program's own file; empty if nobody knows */
	const char *const *extra; /* NULL at the end, or NULL for none */
};

/* Finds the program's own file. */
void prefork_sources_init(struct prefork_sources *sources, struct timespec fresh,
			  const char *const *extra);

/*
 * The first file that is newer, or that cannot be looked at (*error = errno, else 0); NULL if there
 * is none.  A file that does not exist is not newer.
 */
const char *prefork_sources_changed(const struct prefork_sources *sources, int *error);

#endif
