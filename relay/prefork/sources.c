/*
 * sources.c - see sources.h.
 */
#include "relay/prefork/sources.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the kernel adds to the name of a program whose file was replaced since. */
static const char gone[] = " (deleted)";

void
prefork_sources_init(struct prefork_sources *sources, struct timespec fresh,
		     const char *const *extra)
{
	const size_t suffix = sizeof gone - 1;

	sources->fresh = fresh;
	sources->extra = extra;
	ssize_t got = readlink("/proc/self/exe", sources->program, sizeof sources->program - 1);
	size_t length = got > 0 ? (size_t)got : 0;
	sources->program[length] = '\0';
	/* Replaced already: its name then leads to the new one, which is what counts. */
	if (length > suffix && strcmp(sources->program + length - suffix, gone) == 0)
		sources->program[length - suffix] = '\0';
}

static bool
newer(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

static bool
changed(const struct prefork_sources *sources, const char *path, int *error)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return newer(&st.st_mtim, &sources->fresh);
	if (errno == ENOENT || errno == ENOTDIR)
		return false;
	*error = errno;
	return true;
}

const char *
prefork_sources_changed(const struct prefork_sources *sources, int *error)
{
	*error = 0;
	if (sources->program[0] != '\0' && changed(sources, sources->program, error))
		return sources->program;
	for (const char *const *file = sources->extra; file != NULL && *file != NULL; file++)
		if (changed(sources, *file, error))
			return *file;
	return NULL;
}
