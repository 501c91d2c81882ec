/*
 * path_program.c - see path_program.h.
 *
 * Never starts a program and never opens its file.  Owns nothing.
 */
#include "relay/path_program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What execvp() takes when there is no $PATH. */
#define DEFAULT_PATH "/bin:/usr/bin"

static int
check_file(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0 || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EACCES;
}

int
path_program_check(const char *program)
{
	const char *at = getenv("PATH");
	int error = -ENOENT;
	char path[PATH_MAX];

	if (program[0] == '\0')
		return -ENOENT;
	if (strchr(program, '/') != NULL)
		return check_file(program);
	if (at == NULL)
		at = DEFAULT_PATH;
	for (const char *end;; at = end + 1) {
		end = strchrnul(at, ':');
		/* An empty entry is the directory that the relay happens to be in. */
		int n = snprintf(path, sizeof path, "%.*s/%s", (int)(end - at), at, program);
		int found = -ENOENT;

		if (end > at && n > 0 && (size_t)n < sizeof path)
			found = check_file(path);
		if (found == 0)
			return 0;
		if (found != -ENOENT && found != -ENOTDIR)
			error = found;
		if (*end == '\0')
			return error;
	}
}
