/*
 * spool_site.h - a directory with delayed messages, for the tests of the spool and of the storage
 * thread.
 */
#ifndef TESTS_SPOOL_SITE_H
#define TESTS_SPOOL_SITE_H

#include <fcntl.h>
#include <sys/prctl.h>

#include "relay/spool.h"
#include "tests/temp_dir.h"

/* Files are as old as a test says, counted from here in seconds; long settled. */
#define SITE_TIME 1000000000

static char site_delayed[80];

/* A path of a delayed message; good as long as that of temp_path(). */
static inline const char *
delayed_path(const char *name)
{
	char below[500];

	snprintf(below, sizeof below, "delayed/%s", name);
	return temp_path(below);
}

static inline void
site_set_up(void)
{
	temp_dir_make();
	snprintf(site_delayed, sizeof site_delayed, "%s/delayed", temp_dir);
	temp_make_dir("delayed");
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
	char below[500];

	snprintf(below, sizeof below, "delayed/%s", name);
	temp_write_bytes(below, bytes, len);
	set_time(temp_path(below), seconds);
}

static inline void
put_text(const char *name, const char *text, int seconds)
{
	put_bytes(name, text, strlen(text), seconds);
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
	cr_assert_eq(chown(temp_dir, nobody, nobody), 0);
	cr_assert_eq(chown(site_delayed, nobody, nobody), 0);
	cr_assert_eq(setresgid(nobody, nobody, nobody), 0);
	cr_assert_eq(setresuid(nobody, nobody, nobody), 0);
	/* Or the leak checker may not look at us. */
	cr_assert_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}

#endif
