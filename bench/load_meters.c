/*
 * load_meters.c - all meters of a load run, read at one moment, and the command that lets others
 * read theirs at the same moment.
 */
#include "bench/load.h"

#include "bench/clock.h"

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void
load_meters_read(struct load *load, struct load_mark *mark)
{
	const struct load_options *o = load->options;

	for (size_t i = 0; i < o->process_count; i++)
		mark->alive[i] = usage_read(o->processes[i].pid, &mark->usage[i]);
	mark->own_cpu_ns = clock_cpu_ns();
	mark->at_ns = clock_now_ns();
	mark->counts = load->counts;
}

void
load_meters_begin(struct load *load)
{
	struct load_mark *begin = &load->begin, *now = &load->resumed;
	const struct load_mark *end = &load->end;

	if (load->parts_done == 0) {
		load_meters_read(load, begin);
		return;
	}
	load_meters_read(load, now);
	for (size_t i = 0; i < load->options->process_count; i++) {
		usage_skip(&begin->usage[i], &end->usage[i], &now->usage[i]);
		begin->alive[i] = begin->alive[i] && now->alive[i];
	}
	begin->own_cpu_ns += now->own_cpu_ns - end->own_cpu_ns;
	begin->at_ns += now->at_ns - end->at_ns;
	begin->counts.replies += now->counts.replies - end->counts.replies;
	begin->counts.con_lost += now->counts.con_lost - end->counts.con_lost;
}

/* Its signals are as any program expects them, not blocked as ours are. */
static pid_t
spawn_shell(char *command)
{
	char shell[] = "sh", option[] = "-c";
	char *argv[] = { shell, option, command, NULL };
	posix_spawnattr_t attributes;
	sigset_t none;
	pid_t pid;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	int error = posix_spawn(&pid, "/bin/sh", NULL, &attributes, argv, environ);
	if (error != 0)
		errx(1, "the hook: %s", strerror(error));
	posix_spawnattr_destroy(&attributes);
	return pid;
}

/*
 * The run stands still meanwhile.  What the relay does of its own accord during the hook (it
 * finishes what is in flight) happens at both ends of the window, and with counted requests nothing
 * is in flight.
 */
void
load_hook(const struct load *load, const char *moment)
{
	const char *hook = load->options->hook;
	char command[4096];
	int status;

	if (hook == NULL)
		return;
	int n = snprintf(command, sizeof command, "%s %s", hook, moment);
	if (n < 0 || (size_t)n >= sizeof command)
		errx(2, "--hook: the command is too long");
	pid_t pid = spawn_shell(command);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			err(1, "the hook");
	if (status != 0)
		errx(1, "the hook failed: %s", command);
}
