/*
 * keeper_ends.c - the end of workers and control: the one that was asked for, and the one that
 * comes by itself, after which they are started anew.
 */
#include "relay/keeper_internal.h"

#include "relay/log.h"
#include "relay/service_manager.h"

#include <signal.h>
#include <sys/wait.h>

enum {
	KILL_AFTER_MS = 3000, /* on top of stop_timeout */
};

static void
stop_child(struct keeper *keeper, struct child *child)
{
	struct channel_message message = { .type = CHANNEL_STOP,
					   .stop = { keeper->quit ? 0 : keeper->stop_timeout_ms } };

	child->restart_at = 0;
	if (child->pid != 0 &&
	    (child->channel == NULL || channel_send(child->channel, &message, -1) != 0))
		kill(child->pid, SIGKILL); /* it does not even read its channel */
}

bool
keeper_workers_alive(const struct keeper *keeper)
{
	for (uint32_t i = 0; i < keeper->worker_count; i++) {
		if (keeper->workers[i].child.pid != 0)
			return true;
	}
	return false;
}

void
keeper_begin_stop(struct keeper *keeper)
{
	if (keeper->stopping_at != 0)
		return;
	keeper->stopping_at = child_clock_ms();
	service_manager_stopping(keeper->options->manager);
	keeper_pass_on(keeper, SIGTERM); /* control says so to who asks */
	for (uint32_t i = 0; i < keeper->worker_count; i++)
		stop_child(keeper, &keeper->workers[i].child);
	if (!keeper_workers_alive(keeper))
		stop_child(keeper, &keeper->control);
}

static void
child_died(struct keeper *keeper, struct child *child, int wait_status)
{
	bool control = child == &keeper->control;
	int status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;

	keeper_read_channel(keeper, child);
	bool never_ready = child->ready_at == 0;
	child_ended(child);
	if (WIFSIGNALED(wait_status))
		log_error(NULL, "%s died of signal %d%s", child->name, WTERMSIG(wait_status),
			  control ? "" : "; its requests in flight are lost");
	else if (status != 0 || keeper->stopping_at == 0)
		log_error(NULL, "%s ended with status %d", child->name, status);
	/* It has said why; trying again would only say it again. */
	if (never_ready && !keeper->announced &&
	    (status == EXIT_UNAVAILABLE || status == EXIT_CONFIG)) {
		keeper->status = (enum exit_status)status;
		keeper_begin_stop(keeper);
	}
	/* Control goes last: what the workers log at their end is still to be written. */
	if (keeper->stopping_at != 0 && !control && !keeper_workers_alive(keeper))
		stop_child(keeper, &keeper->control);
}

void
keeper_reap(struct keeper *keeper)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
		if (keeper->control.pid == pid)
			child_died(keeper, &keeper->control, wait_status);
		keeper_exporter_reap(&keeper->exporter, pid, wait_status);
		keeper_services_reap(&keeper->services, pid, wait_status);
		for (uint32_t i = 0; i < keeper->worker_count; i++) {
			if (keeper->workers[i].child.pid == pid)
				child_died(keeper, &keeper->workers[i].child, wait_status);
		}
	}
}

uint64_t
keeper_child_clock(struct keeper *keeper, struct child *child, uint64_t now)
{
	if (keeper->stopping_at == 0) {
		if (child->pid != 0)
			return UINT64_MAX;
		bool control = child == &keeper->control;
		struct keeper_worker *worker =
		    control ? NULL : (struct keeper_worker *)(void *)child;
		/* The first shows whether io_uring works here at all: once, not once per worker. */
		if (worker > keeper->workers && keeper->workers[0].child.ready_at == 0)
			return UINT64_MAX;
		if (child->restart_at <= now && control)
			keeper_start_control(keeper);
		else if (child->restart_at <= now)
			keeper_start_worker(keeper, (uint32_t)(worker - keeper->workers));
		return child->pid == 0 ? child->restart_at : UINT64_MAX;
	}
	if (child->pid == 0)
		return UINT64_MAX;
	uint64_t end =
	    keeper->stopping_at + KILL_AFTER_MS + (keeper->quit ? 0 : keeper->stop_timeout_ms);
	if (end <= now)
		kill(child->pid, SIGKILL);
	return end <= now ? now + 100 : end;
}
