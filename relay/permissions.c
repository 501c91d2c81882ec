/*
 * permissions.c - see permissions.h.
 *
 * Looks only: never changes a mode, never keeps anything open.  Owns nothing.
 */
#include "relay/permissions.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* What nobody may do with a secret: the group anything but read it, others anything. */
#define SECRET_REFUSED (S_IWGRP | S_IXGRP | S_IRWXO)

/* A sticky directory is shared on purpose, /tmp perhaps: that one is not to be changed. */
static bool
refuse(const char *path, const char *name, const struct stat *st, struct report *report)
{
	unsigned mode = st->st_mode & 07777u;

	if ((mode & S_ISVTX) != 0)
		report_add(report, REPORT_FATAL, path, 0,
			   "%s: anybody may write to it (mode %04o); mend it: name a directory "
			   "that is the relay's alone",
			   name, mode);
	else
		report_add(report, REPORT_FATAL, path, 0,
			   "%s: anybody may write to it (mode %04o); mend it by: chmod o-w %s",
			   name, mode, path);
	return false;
}

/* Volumes of configuration are mounted so, and their modes are those of who made them. */
static bool
is_read_only(const char *path)
{
	struct statvfs st;

	return statvfs(path, &st) == 0 && (st.f_flag & ST_RDONLY) != 0;
}

/* Goes up from a resolved path; in a sticky directory what belongs to others stays where it is. */
static void
check_above(char *path, const char *of, const char *name, struct report *report)
{
	struct stat st;

	for (char *slash = strrchr(path, '/'); slash != NULL; slash = strrchr(path, '/')) {
		bool top = slash == path;

		slash[top ? 1 : 0] = '\0';
		if (stat(path, &st) == 0 && (st.st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH &&
		    !is_read_only(path))
			report_add(report, REPORT_WARNING, of, 0,
				   "%s: anybody may put another one in its place, by %s "
				   "(mode %04o); mend it by: chmod o-w %s",
				   name, path, (unsigned)(st.st_mode & 07777u), path);
		if (top)
			return;
	}
}

bool
permissions_check_below(const char *path, const char *name, struct report *report)
{
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode) || (st.st_mode & S_IWOTH) == 0)
		return true;
	return refuse(path, name, &st, report);
}

bool
permissions_check_dir(const char *path, const char *name, struct report *report)
{
	char resolved[PATH_MAX];

	if (!permissions_check_below(path, name, report))
		return false;
	if (realpath(path, resolved) != NULL && resolved[1] != '\0')
		check_above(resolved, path, name, report);
	return true;
}

bool
permissions_check_dir_of(const char *path, const char *name, struct report *report)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];

	if (slash == NULL)
		return permissions_check_dir(".", name, report);
	if (slash - path >= (ptrdiff_t)sizeof dir)
		return true;
	snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return permissions_check_dir(dir, name, report);
}

bool
permissions_check_file(const char *path, const char *name, struct report *report)
{
	char resolved[PATH_MAX];
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		return true;
	if ((st.st_mode & S_IWOTH) != 0)
		return refuse(path, name, &st, report);
	if (realpath(path, resolved) != NULL)
		check_above(resolved, path, name, report);
	return true;
}

bool
permissions_check_secret(int fd, const char *path, const char *name, struct report *report)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		report_add(report, REPORT_FATAL, path, 0, "%s: %s", name, strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		report_add(report, REPORT_FATAL, path, 0, "%s: not a regular file", name);
		return false;
	}
	if ((st.st_mode & SECRET_REFUSED) == 0)
		return true;
	report_add(report, REPORT_FATAL, path, 0,
		   "%s: a secret that %s (mode %04o); mend it by: chmod g-wx,o-rwx %s", name,
		   (st.st_mode & S_IRWXO) != 0 ? "is open to others" : "the group may change",
		   (unsigned)(st.st_mode & 07777u), path);
	return false;
}

void
permissions_warn_mode(const char *path, mode_t mode, mode_t refused, struct report *report)
{
	if ((mode & refused) == 0)
		return;
	report_add(report, REPORT_WARNING, path, 0,
		   "%s may write to it (mode %04o); mend it by: chmod %s %s",
		   (mode & refused & S_IWOTH) != 0 ? "anybody" : "its group",
		   (unsigned)(mode & 07777u), (refused & S_IWGRP) != 0 ? "go-w" : "o-w", path);
}

void
permissions_warn(const char *path, mode_t refused, struct report *report)
{
	struct stat st;

	if (lstat(path, &st) == 0 && !S_ISLNK(st.st_mode))
		permissions_warn_mode(path, st.st_mode, refused, report);
}
