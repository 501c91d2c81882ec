/*
 * keeper_children.c - starting workers and control, and making them known to each other: each
 * worker has a channel to the keeper, with which it lives and ends, and one to control.  When one
 * of the two is started anew, a new pair is made and its ends are handed out.  Their end is
 * keeper_ends.c's.
 */
#include "relay/keeper_internal.h"

#include "relay/control_process.h"
#include "relay/log.h"
#include "relay/worker_process.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* --- logging ---------------------------------------------------------------------------------- */

/* Standard error, and control for the log file. */
void
keeper_log(void *context, enum log_level level, const char *host, const char *text)
{
	struct keeper *keeper = context;
	struct channel_message message = { .type = CHANNEL_LOG, .log = { .level = level } };

	log_write("keeper", level, host, text);
	if (host != NULL)
		strncpy(message.log.host, host, sizeof message.log.host - 1);
	strncpy(message.log.text, text, sizeof message.log.text - 1);
	if (keeper->control.channel != NULL &&
	    channel_send(keeper->control.channel, &message, -1) == 0)
		return;
	/* The file shall tell why a control process died, too: the next one writes it. */
	if (keeper->unsent_count < KEEPER_UNSENT_MAX)
		keeper->unsent[keeper->unsent_count++] = message;
}

void
keeper_pass_on(struct keeper *keeper, int number)
{
	struct channel_message message = { .type = CHANNEL_SIGNAL, .signal = { number } };

	if (number == SIGHUP)
		keeper->reload_due = true;
	if (keeper->control.channel != NULL)
		channel_send(keeper->control.channel, &message, -1);
}

static void
send_unsent(struct keeper *keeper)
{
	for (uint32_t i = 0; i < keeper->unsent_count; i++)
		channel_send(keeper->control.channel, &keeper->unsent[i], -1);
	keeper->unsent_count = 0;
}

/* --- introducing children to each other ------------------------------------------------------- */

/* A new channel between control and a worker. */
static void
introduce(struct keeper *keeper, uint32_t i)
{
	struct child *worker = &keeper->workers[i].child;
	struct channel_message to_worker = { .type = CHANNEL_CONTROL };
	struct channel_message to_control = { .type = CHANNEL_WORKER,
					      .worker = { .number = i, .pid = worker->pid } };
	int ends[2];

	if (worker->channel == NULL || keeper->control.channel == NULL)
		return;
	int error = channel_pair(ends);
	if (error != 0) {
		log_error(NULL, "no channel for %s: %s", worker->name, strerror(-error));
		return;
	}
	channel_send(worker->channel, &to_worker, ends[0]);
	channel_send(keeper->control.channel, &to_control, ends[1]);
	to_control.type = CHANNEL_STATS;
	channel_send(keeper->control.channel, &to_control, keeper->workers[i].stats);
	close(ends[0]);
	close(ends[1]);
}

/* Channels between a new worker and each of the others: clients of the one, hosts of the other. */
static void
introduce_peers(struct keeper *keeper, uint32_t number)
{
	struct channel_message message = { .type = CHANNEL_PEER };
	struct channel *channel = keeper->workers[number].child.channel;
	int ends[2];

	for (uint32_t i = 0; keeper->datagram.addresses > 0 && i < keeper->worker_count; i++) {
		const struct child *other = &keeper->workers[i].child;

		if (i == number || other->pid == 0 || other->channel == NULL)
			continue;
		int error = channel_pair(ends);
		if (error != 0) {
			log_error(NULL, "no channel between %s and %s: %s",
				  keeper->workers[number].child.name, other->name,
				  strerror(-error));
			continue;
		}
		message.peer.number = i;
		channel_send(channel, &message, ends[0]);
		message.peer.number = number;
		channel_send(other->channel, &message, ends[1]);
		close(ends[0]);
		close(ends[1]);
	}
}

void
keeper_start_worker(struct keeper *keeper, uint32_t i)
{
	struct keeper_worker *worker = &keeper->workers[i];
	struct worker_options options = {
		.memory_max = keeper->settings->memory_max / keeper->worker_count,
		.clients_max = keeper->clients_max,
		.seed = child_clock_ms() * 0x9e3779b97f4a7c15u + i + 1,
		.datagram_size =
		    keeper->datagram.addresses > 0 ? keeper->settings->datagram.size : 0,
	};
	int channel_fd;
	int result = child_fork(&worker->child, &channel_fd);

	if (result == 0 && keeper->options->daemonize != NULL)
		child_silence();
	if (result == 0)
		worker_process(channel_fd, worker->stats, worker->child.name, &options,
			       keeper->settings->sandbox);
	if (result < 0) {
		log_error(NULL, "%s cannot be started: %s", worker->child.name, strerror(-result));
		return;
	}
	keeper_datagram_give(&keeper->datagram, i, worker->child.channel);
	introduce_peers(keeper, i);
	introduce(keeper, i);
}

void
keeper_start_control(struct keeper *keeper)
{
	struct control_options options = {
		.source = keeper->options->source,
		.started = keeper->options->config,
		.worker_count = keeper->worker_count,
		.keeper_pid = getpid(),
		.boot_id = keeper->boot_id,
		.started_us = keeper->started_us,
		.generation = keeper->generation,
		.service_generation = keeper->services.generation_last,
		.first = !keeper->announced,
	};
	int channel_fd;
	int result = child_fork(&keeper->control, &channel_fd);

	if (result == 0 && keeper->options->daemonize != NULL)
		child_silence();
	if (result == 0)
		control_process(channel_fd, &options);
	if (result < 0) {
		log_error(NULL, "control cannot be started: %s", strerror(-result));
		return;
	}
	send_unsent(keeper);
	if (keeper->control_socket.fd >= 0)
		channel_send(keeper->control.channel,
			     &(struct channel_message){ .type = CHANNEL_CONTROL_SOCKET },
			     keeper->control_socket.fd);
	keeper_datagram_give_pager(&keeper->datagram, keeper->control.channel);
	for (uint32_t i = 0; i < keeper->worker_count; i++)
		introduce(keeper, i);
	if (keeper->reload_due)
		keeper_pass_on(keeper, SIGHUP);
}
