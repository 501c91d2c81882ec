/*
 * compare.c - from `relay-bench compare` to the script that does it.
 *
 * In the tree the program lies in build/ and the script in bench/; installed, they lie in bin/ and
 * share/relay/bench/.  The script is told where the programs are; installed, relayd lies in sbin/.
 */
#include "bench/compare.h"

#include <err.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Programs of this installation come before others of the same name. */
static void
add_sbin(const char *directory)
{
	const char *old = getenv("PATH");
	char *path;

	if (asprintf(&path, "%s/../sbin%s%s", directory, old != NULL ? ":" : "",
		     old != NULL ? old : "") < 0)
		err(1, "asprintf");
	if (setenv("PATH", path, 1) != 0)
		err(1, "setenv");
	free(path);
}

static int
run_script(const char *name, char **argv)
{
	static const char *const places[] = { "../bench", "../share/relay/bench" };
	char program[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

	if (n < 0)
		err(1, "/proc/self/exe");
	program[n] = '\0';
	const char *directory = dirname(program);
	if (setenv("RELAY_BUILD", directory, 1) != 0)
		err(1, "setenv");
	add_sbin(directory);
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		snprintf(path, sizeof path, "%s/%s/%s", directory, places[i], name);
		argv[0] = path;
		execv(path, argv);
		if (errno != ENOENT && errno != ENOTDIR)
			err(1, "%s", path);
	}
	warnx("the script %s is neither beside %s nor installed", name, directory);
	return 1;
}

int
compare_main(int argc, char **argv)
{
	(void)argc;
	return run_script("compare", argv);
}

int
guard_main(int argc, char **argv)
{
	(void)argc;
	return run_script("guard", argv);
}
