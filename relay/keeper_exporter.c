/*
 * keeper_exporter.c - see keeper_exporter.h.
 *
 * Never waits.  Owns the process.
 */
#include "relay/keeper_exporter.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay/log.h"

#define PROGRAM "relay-exporter"

enum {
	KILL_AFTER_MS = 1000,
	STATUS_NO_PROGRAM = 127,
};

/* Beside the program that runs here, wherever that was installed. */
static void
find_program(struct keeper_exporter *exporter)
{
	char *path = exporter->program;
	size_t room = sizeof exporter->program - sizeof PROGRAM;
	ssize_t len = readlink("/proc/self/exe", path, room);

	path[len < 0 ? 0 : len] = '\0';
	char *slash = strrchr(path, '/');
	snprintf(slash == NULL ? path : slash + 1, sizeof PROGRAM, "%s", PROGRAM);
}

void
keeper_exporter_init(struct keeper_exporter *exporter, const struct relay_settings *settings)
{
	*exporter = (struct keeper_exporter){
		.child = { .name = "exporter" },
		.listen = settings->exporter_listen,
		.control = settings->control_socket,
		.sandbox = settings->sandbox,
		.said = -1,
	};
	find_program(exporter);
}

/* In the new process.  A keeper that dies takes it along. */
static _Noreturn void
become(const struct keeper_exporter *exporter, pid_t keeper, bool silent)
{
	if (silent)
		child_silence();
	child_let_go(NULL, 0);
	/* It is ended by TERM; what a terminal sends stays the keeper's business. */
	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == keeper)
		execl(exporter->program, PROGRAM, "--control", exporter->control, "--listen",
		      exporter->listen, exporter->sandbox ? NULL : "--no-sandbox", (char *)NULL);
	_exit(STATUS_NO_PROGRAM);
}

static void
start(struct keeper_exporter *exporter, bool silent)
{
	pid_t keeper = getpid();
	pid_t pid = fork();

	if (pid == 0)
		become(exporter, keeper, silent);
	if (pid < 0) {
		log_error(NULL, "exporter cannot be started: %s", strerror(errno));
		child_ended(&exporter->child);
		return;
	}
	exporter->child.pid = pid;
	exporter->child.ready_at = child_clock_ms();
}

uint64_t
keeper_exporter_clock(struct keeper_exporter *exporter, uint64_t now, bool silent)
{
	struct child *child = &exporter->child;

	if (exporter->listen == NULL)
		return UINT64_MAX;
	if (exporter->kill_at == 0) {
		if (child->pid == 0 && child->restart_at <= now)
			start(exporter, silent);
		return child->pid == 0 ? child->restart_at : UINT64_MAX;
	}
	if (child->pid == 0)
		return UINT64_MAX;
	if (exporter->kill_at <= now) {
		kill(child->pid, SIGKILL);
		return now + KILL_AFTER_MS;
	}
	return exporter->kill_at;
}

/* One that cannot start does so every few seconds: the same end is told once. */
static void
log_end(struct keeper_exporter *exporter, int wait_status, bool good_life)
{
	if (exporter->kill_at != 0 || (wait_status == exporter->said && !good_life))
		return;
	exporter->said = wait_status;
	if (WIFSIGNALED(wait_status))
		log_error(NULL, "exporter died of signal %d", WTERMSIG(wait_status));
	else if (WEXITSTATUS(wait_status) == STATUS_NO_PROGRAM)
		log_error(NULL, "exporter cannot be started: %s does not run", exporter->program);
	else
		log_error(NULL, "exporter ended with status %d", WEXITSTATUS(wait_status));
}

void
keeper_exporter_reap(struct keeper_exporter *exporter, pid_t pid, int wait_status)
{
	if (exporter->child.pid != pid)
		return;
	child_ended(&exporter->child);
	log_end(exporter, wait_status, exporter->child.backoff_ms == 0);
}

bool
keeper_exporter_stop(struct keeper_exporter *exporter)
{
	if (exporter->kill_at == 0) {
		exporter->kill_at = child_clock_ms() + KILL_AFTER_MS;
		if (exporter->child.pid != 0)
			kill(exporter->child.pid, SIGTERM);
	}
	return exporter->child.pid == 0;
}
