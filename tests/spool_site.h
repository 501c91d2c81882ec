/*
 * spool_site.h - a directory with delayed messages, for the tests of the spool and of the storage
 * thread.  One for each test, below /tmp, removed after it.
 */
#ifndef TESTS_SPOOL_SITE_H
#define TESTS_SPOOL_SITE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/spool.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Files are as old as a test says, counted from here in seconds; long settled. */
#define SITE_TIME 1000000000

static char site[64];
static char site_delayed[80];

/* A path in the site; of the last four calls. */
static inline const char *
site_path(const char *name)
{
	static char paths[4][800];
	static unsigned next;
	char *path = paths[next++ % COUNT_OF(paths)];

	snprintf(path, sizeof paths[0], "%s/%s", site, name);
	return path;
}

/* A path of a delayed message; of the last four calls. */
static inline const char *
delayed_path(const char *name)
{
	char below[500];

	snprintf(below, sizeof below, "delayed/%s", name);
	return site_path(below);
}

static inline void
site_set_up(void)
{
	snprintf(site, sizeof site, "/tmp/relay-spool-XXXXXX");
	cr_assert_not_null(mkdtemp(site));
	snprintf(site_delayed, sizeof site_delayed, "%s/delayed", site);
	cr_assert_eq(mkdir(site_delayed, 0755), 0);
}

static inline int
site_remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static inline void
site_tear_down(void)
{
	nftw(site, site_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline bool
path_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static inline void
set_time(const char *path, int seconds)
{
	struct timespec times[2] = {
		{ .tv_sec = SITE_TIME + seconds },
		{ .tv_sec = SITE_TIME + seconds },
	};

	cr_assert_eq(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0, "%s",
		     strerror(errno));
}

/* A delayed message; written in place if it is there. */
static inline void
put_bytes(const char *name, const void *bytes, size_t len, int seconds)
{
	const char *path = delayed_path(name);
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file, "%s: %s", path, strerror(errno));
	cr_assert_eq(fwrite(bytes, 1, len, file), len);
	cr_assert_eq(fclose(file), 0);
	set_time(path, seconds);
}

static inline void
put_text(const char *name, const char *text, int seconds)
{
	put_bytes(name, text, strlen(text), seconds);
}

/* A file's content as a string, to be freed. */
static inline char *
read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;

	cr_assert_not_null(file, "%s: %s", path, strerror(errno));
	ssize_t got = getdelim(&text, &room, EOF, file);
	fclose(file);
	if (got < 0) {
		free(text);
		text = strdup("");
		got = 0;
	}
	if (len != NULL)
		*len = (size_t)got;
	return text;
}

static inline void
assert_file(const char *path, const char *expected)
{
	char *text = read_file(path, NULL);

	cr_assert_str_eq(text, expected);
	free(text);
}

/* The line of an entry, to be freed; closes its descriptor. */
static inline char *
take_line(struct spool_entry *entry)
{
	struct stat st;
	char *text = calloc(1, entry->len + 1);

	cr_assert_eq(fstat(entry->fd, &st), 0);
	cr_assert_eq((size_t)st.st_size, entry->len);
	cr_assert_eq(pread(entry->fd, text, entry->len, 0), (ssize_t)entry->len);
	close(entry->fd);
	entry->fd = -1;
	return text;
}

/* Gives up the rights of root, to which nothing is forbidden.  Call it in the test's own process
 * only. */
static inline void
become_ordinary(void)
{
	if (geteuid() != 0)
		return;
	const uid_t nobody = 65534;
	cr_assert_eq(chown(site, nobody, nobody), 0);
	cr_assert_eq(chown(site_delayed, nobody, nobody), 0);
	cr_assert_eq(setresgid(nobody, nobody, nobody), 0);
	cr_assert_eq(setresuid(nobody, nobody, nobody), 0);
	/* Or the leak checker may not look at us. */
	cr_assert_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}

#endif
