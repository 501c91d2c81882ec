/*
 * sim.c - relay-sim SEED [COUNT]: runs the simulation for a seed, or for COUNT of them from it on.
 *
 * Each seed runs in a process of its own, so that an assertion or a crash is the failure of that
 * seed; the counts are in shared memory.  One line for each seed that failed, then a summary.  With
 * --trace: one seed, in this process, its events printed.
 */
#include "tests/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	EXIT_FAILED = 1,
	EXIT_USAGE = 64,
	TEXT_MAX = 512,
	SEED_SECONDS = 60, /* a run takes a fraction of one */
};

struct shared {
	struct sim_cover cover;
	char text[TEXT_MAX];
};

struct options {
	bool trace;
	bool print;
	bool require;
	bool first; /* the first failure is enough */
};

static struct shared *shared;

static _Noreturn void
usage(void)
{
	fputs("usage: relay-sim [--require-coverage] [--print-coverage] [--first] SEED [COUNT]\n"
	      "       relay-sim --trace SEED\n",
	      stderr);
	exit(EXIT_USAGE);
}

static void
keep_failure(const char *text)
{
	strncpy(shared->text, text, TEXT_MAX - 1);
	fflush(NULL);
	_exit(EXIT_FAILED);
}

/* What a child said on its way down, the last line that is not empty: an assertion, or a
 * sanitizer's summary. */
static void
keep_last_words(int fd)
{
	char bytes[4096];
	size_t len = 0;
	ssize_t got;

	while ((got = read(fd, bytes + len, sizeof bytes - 1 - len)) > 0) {
		len += (size_t)got;
		if (len == sizeof bytes - 1) {
			memmove(bytes, bytes + len / 2, len - len / 2);
			len -= len / 2;
		}
	}
	bytes[len] = '\0';
	while (len > 0 && bytes[len - 1] == '\n')
		bytes[--len] = '\0';
	const char *line = strrchr(bytes, '\n');
	if (shared->text[0] == '\0' && len > 0)
		snprintf(shared->text, TEXT_MAX, "%.*s", TEXT_MAX - 1,
			 line == NULL ? bytes : line + 1);
}

static bool
failed_process(int status)
{
	if (WIFSIGNALED(status) && shared->text[0] == '\0')
		snprintf(shared->text, TEXT_MAX, "%s", strsignal(WTERMSIG(status)));
	return status != 0;
}

/* true = the seed passed. */
static bool
run_seed(uint64_t seed)
{
	int fds[2];

	shared->text[0] = '\0';
	fflush(NULL);
	if (pipe(fds) != 0) {
		perror("pipe");
		exit(EXIT_FAILED);
	}
	pid_t child = fork();
	if (child == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		alarm(SEED_SECONDS);
		/* A worker that was cut short leaves its memory to the system: no leak to look for.
		 */
		if (!sim_run(seed, &shared->cover, false, keep_failure))
			_exit(0);
		exit(0);
	}
	close(fds[1]);
	if (child < 0) {
		perror("fork");
		exit(EXIT_FAILED);
	}
	keep_last_words(fds[0]);
	close(fds[0]);
	int status = 0;
	if (waitpid(child, &status, 0) != child)
		exit(EXIT_FAILED);
	return !failed_process(status);
}

static void
print_failure(const char *text)
{
	printf("FAILED: %s\n", text);
	fflush(NULL);
	_exit(EXIT_FAILED);
}

static uint64_t
number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		usage();
	return value;
}

static double
seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
run_seeds(uint64_t first, uint64_t count, const struct options *options)
{
	const struct sim_cover *cover = &shared->cover;
	double began = seconds_now();
	uint64_t passed = 0;
	uint64_t failed = 0;
	unsigned missing = 0;

	for (uint64_t seed = first; seed - first < count; seed++) {
		if (run_seed(seed)) {
			passed++;
			continue;
		}
		failed++;
		printf("seed %" PRIu64 ": %s\n", seed, shared->text);
		fflush(stdout);
		if (options->first)
			break;
	}
	if (options->print || options->require)
		missing = sim_cover_print(cover);
	printf("%" PRIu64 " requests, %" PRIu64 " replies, %" PRIu64 " turns, %" PRIu64
	       " virtual seconds in %.1f s\n",
	       cover->requests, cover->replies, cover->turns, cover->seconds,
	       seconds_now() - began);
	if (options->require && missing > 0) {
		printf("%u kinds of events never happened\n", missing);
		failed++;
	}
	printf("%" PRIu64 " passed, %" PRIu64 " failed, 0 skipped\n", passed, failed);
	return failed > 0 ? EXIT_FAILED : 0;
}

/* Takes the flags; the place of the first argument that is none. */
static int
take_options(struct options *options, char **argv)
{
	int at = 1;

	for (; argv[at] != NULL && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--trace") == 0)
			options->trace = true;
		else if (strcmp(argv[at], "--require-coverage") == 0)
			options->require = true;
		else if (strcmp(argv[at], "--print-coverage") == 0)
			options->print = true;
		else if (strcmp(argv[at], "--first") == 0)
			options->first = true;
		else
			usage();
	}
	return at;
}

int
main(int argc, char **argv)
{
	struct options options = { 0 };
	int at = take_options(&options, argv);

	if (argc - at < 1 || argc - at > (options.trace ? 1 : 2))
		usage();
	shared =
	    mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return EXIT_FAILED;
	}
	uint64_t seed = number(argv[at]);
	if (options.trace) {
		setvbuf(stdout, NULL, _IOLBF, 0);
		sim_run(seed, &shared->cover, true, print_failure);
		puts("passed");
		return 0;
	}
	return run_seeds(seed, argc - at == 2 ? number(argv[at + 1]) : 1, &options);
}
