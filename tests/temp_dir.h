/*
 * temp_dir.h - a directory of its own for each test, removed after it.
 */
#ifndef TESTS_TEMP_DIR_H
#define TESTS_TEMP_DIR_H

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char temp_dir[64];

static inline void
temp_dir_make(void)
{
	umask(022); /* files that the group may write to are told of */
	snprintf(temp_dir, sizeof temp_dir, "/tmp/relay-test-XXXXXX");
	cr_assert_not_null(mkdtemp(temp_dir));
}

static inline int
temp_dir_remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static inline void
temp_dir_remove(void)
{
	nftw(temp_dir, temp_dir_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a name in the directory; good until the eighth call after this one. */
static inline const char *
temp_path(const char *name)
{
	static char paths[8][512];
	static size_t next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", temp_dir, name);
	return path;
}

static inline void
temp_write(const char *name, const char *text)
{
	FILE *file = fopen(temp_path(name), "w");

	cr_assert_not_null(file, "%s: %s", name, strerror(errno));
	cr_assert_geq(fputs(text, file), 0);
	cr_assert_eq(fclose(file), 0);
}

/* The beginning of a file; good until the next call. */
static inline const char *
temp_read(const char *name)
{
	static char text[512];
	FILE *file = fopen(temp_path(name), "r");

	cr_assert_not_null(file, "%s: %s", name, strerror(errno));
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	return text;
}

#endif
