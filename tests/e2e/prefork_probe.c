/*
 * prefork_probe.c - a service on librelay-prefork that does and shows what its caller asks for.
 *
 *   prefork-probe OPTIONS [WORD...]
 *
 * OPTIONS, read at set-up, are commas between: max=N, idle=N, errors=N, reload=PATH, ignore (the
 * program ignores the signals that callers forward), open=PATH (a descriptor for all invocations),
 * spare=N (all descriptors but so many are taken), bad (a log facility that there is not).  WORDs
 * are done in order; see run().
 */
#include "relay/prefork.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const int forwarded[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH };
static const char *marker;

static void
pause_ms(long ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static void
touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
}

/* Its number, in two digits, goes to standard output. */
static void
note(int signal)
{
	const char text[] = { '<', (char)('0' + signal / 10), (char)('0' + signal % 10), '>' };

	if (write(STDOUT_FILENO, text, sizeof text) < 0)
		_exit(99);
}

static void
mark_and_end(int signal)
{
	(void)signal;
	touch(marker);
	_exit(9);
}

static void
copy_input(void)
{
	char bytes[4096];
	size_t got;

	while ((got = fread(bytes, 1, sizeof bytes, stdin)) > 0)
		fwrite(bytes, 1, got, stdout);
}

static void
show_descriptors(void)
{
	struct stat st;

	for (int fd = 0; fd < 256; fd++)
		if (fstat(fd, &st) == 0)
			printf("%d ", fd);
	printf("\n");
}

static void
show_signals(void)
{
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "SigBlk", 6) == 0 || strncmp(line, "SigIgn", 6) == 0)
			fputs(line, stdout);
	if (file != NULL)
		fclose(file);
}

static void
show_all(char **strings)
{
	for (; *strings != NULL; strings++)
		printf("[%s]", *strings);
	printf("\n");
}

/* A word with nothing behind it; false if it is another one. */
static int
run_alone(const char *word, char **argv)
{
	if (strcmp(word, "in") == 0)
		copy_input();
	else if (strcmp(word, "args") == 0)
		show_all(argv);
	else if (strcmp(word, "env") == 0)
		show_all(environ);
	else if (strcmp(word, "fds") == 0)
		show_descriptors();
	else if (strcmp(word, "signals") == 0)
		show_signals();
	else if (strcmp(word, "ids") == 0)
		printf("%d %d %d %d\n", (int)getpid(), (int)getppid(), (int)getpgrp(),
		       (int)getsid(0));
	else if (strcmp(word, "tty") == 0)
		printf("%d %d %d\n", isatty(0), isatty(1), isatty(2));
	else if (strcmp(word, "catch") == 0)
		for (size_t i = 0; i < COUNT(forwarded); i++)
			signal(forwarded[i], note);
	else if (strcmp(word, "group-term") == 0)
		kill(0, SIGTERM);
	else
		return 0;
	fflush(stdout);
	return 1;
}

/* A word and what is behind it. */
static int
run_with(const char *word, const char *value)
{
	if (strcmp(word, "exit") == 0)
		exit(atoi(value));
	else if (strcmp(word, "kill") == 0) {
		/* A sanitizer may have other plans with it. */
		signal(atoi(value), SIG_DFL);
		kill(getpid(), atoi(value));
	} else if (strcmp(word, "out") == 0)
		fputs(value, stdout);
	else if (strcmp(word, "err") == 0)
		fputs(value, stderr);
	else if (strcmp(word, "sleep") == 0)
		pause_ms(atol(value));
	else if (strcmp(word, "touch") == 0)
		touch(value);
	else if (strcmp(word, "await") == 0)
		while (access(value, F_OK) != 0)
			pause_ms(2);
	else if (strcmp(word, "trap") == 0) {
		marker = value;
		signal(SIGINT, mark_and_end);
	} else
		return 0;
	fflush(stdout);
	return 1;
}

static int
run(int argc, char **argv, long prepared)
{
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "prepared") == 0)
			printf("%ld\n", prepared);
		else if (run_alone(argv[i], argv))
			continue;
		else if (i + 1 >= argc || !run_with(argv[i], argv[i + 1])) {
			fprintf(stderr, "prefork-probe: %s?\n", argv[i]);
			return 64;
		} else
			i++;
	}
	return 0;
}

static void
leave_spare(int count)
{
	const struct rlimit few = { .rlim_cur = 64, .rlim_max = 64 };
	int last = -1, fd;

	setrlimit(RLIMIT_NOFILE, &few);
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		last = fd;
	while (count-- > 0)
		close(last--);
}

static void
configure(char *text, struct relay_prefork_options *options, const char **reload)
{
	for (char *word = strtok(text, ","); word != NULL; word = strtok(NULL, ",")) {
		char *value = strchr(word, '=');

		value = value == NULL ? word : value + 1;
		if (strncmp(word, "max=", 4) == 0)
			options->max_servers = atoi(value);
		else if (strncmp(word, "idle=", 5) == 0)
			options->idle_timeout = atol(value);
		else if (strncmp(word, "errors=", 7) == 0)
			options->max_errors = atoi(value);
		else if (strncmp(word, "reload=", 7) == 0)
			*reload = value;
		else if (strncmp(word, "open=", 5) == 0 && open(value, O_RDONLY) < 0)
			perror(value);
		else if (strncmp(word, "spare=", 6) == 0)
			leave_spare(atoi(value));
		else if (strcmp(word, "bad") == 0)
			options->log_facility = 1;
		else if (strcmp(word, "ignore") == 0)
			for (size_t i = 0; i < COUNT(forwarded); i++)
				signal(forwarded[i], SIG_IGN);
	}
}

int
main(int argc, char *argv[])
{
	/* Nothing that a test does belongs into the machine's log. */
	struct relay_prefork_options options = { .log_facility = -1 };
	const char *files[] = { NULL, NULL };
	long prepared = (long)getpid();

	options.autoreload = files;
	if (argc > 1)
		configure(argv[1], &options, &files[0]);
	printf("set up"); /* with no line end: still buffered */
	int result = relay_prefork_initialisation_complete(&options, &argc, &argv);
	if (result < 0) {
		fprintf(stderr, "\n%s\n", strerrorname_np(-result));
		return 70;
	}
	if (result == RELAY_PREFORK_STANDALONE)
		printf(" standalone\n");
	return run(argc, argv, prepared);
}
