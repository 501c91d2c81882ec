/*
 * temp_dir.h - a directory of its own for each test, removed after it, and its files.
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

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

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
	static char paths[8][800];
	static size_t next;
	char *path = paths[next++ % COUNT_OF(paths)];

	snprintf(path, sizeof paths[0], "%s/%s", temp_dir, name);
	return path;
}

/* In place if it is there already. */
static inline void
temp_write_bytes(const char *name, const void *bytes, size_t len)
{
	FILE *file = fopen(temp_path(name), "w");

	cr_assert_not_null(file, "%s: %s", name, strerror(errno));
	cr_assert_eq(fwrite(bytes, 1, len, file), len);
	cr_assert_eq(fclose(file), 0);
}

static inline void
temp_write(const char *name, const char *text)
{
	temp_write_bytes(name, text, strlen(text));
}

static inline void
temp_make_dir(const char *name)
{
	cr_assert_eq(mkdir(temp_path(name), 0755), 0, "%s: %s", name, strerror(errno));
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

/* All of a file anywhere, as a string, to be freed; its length, if that is asked for. */
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

#endif
