/*
 * bench.c - relay-bench: picks the scenario, and sees that what it printed was written.  Knows
 * nothing of what a scenario does.
 */
#include "bench/bench.h"

#include "bench/calls.h"
#include "bench/compare.h"
#include "bench/load.h"
#include "bench/memory_latency.h"
#include "bench/overload.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} scenarios[] = {

#define X(name, function, help) { name, function, help },
	BENCH_SCENARIOS(X)
#undef X
};

#define SCENARIO_COUNT (sizeof scenarios / sizeof scenarios[0])

static void
print_help(FILE *file)
{
	fputs("usage: relay-bench SCENARIO [option ...]\n\n", file);
	for (size_t i = 0; i < SCENARIO_COUNT; i++)
		fprintf(file, "  %-9s %s\n", scenarios[i].name, scenarios[i].help);
	fputs("\nrelay-bench SCENARIO --help explains its options.\n", file);
}

/* Results that are lost on a full disk are no success. */
static void
end_output(void)
{
	if (fflush(stdout) != 0 || ferror(stdout) != 0) {
		warn("standard output");
		_exit(1);
	}
}

/* The name under which getopt_long() complains is the first argument. */
static int
run_scenario(size_t i, int argc, char **argv)
{
	static char name[64];

	snprintf(name, sizeof name, "%s %s", program_invocation_short_name, scenarios[i].name);
	argv[0] = name;
	return scenarios[i].run(argc, argv);
}

int
main(int argc, char **argv)
{
	if (atexit(end_output) != 0)
		err(1, "atexit");
	if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
		print_help(stdout);
		return 0;
	}
	for (size_t i = 0; argc >= 2 && i < SCENARIO_COUNT; i++)
		if (strcmp(argv[1], scenarios[i].name) == 0)
			return run_scenario(i, argc - 1, argv + 1);
	if (argc >= 2)
		warnx("no scenario \"%s\"", argv[1]);
	print_help(stderr);
	return 2;
}
