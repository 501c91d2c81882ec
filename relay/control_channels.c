/*
 * control_channels.c - what the keeper and the workers say, and what is done then.
 */
#include "relay/control.h"

#include "relay/control_ask.h"
#include "relay/control_server.h"
#include "relay/log.h"
#include "relay/stats.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum {
	MESSAGES_PER_ROUND = 256, /* of one channel, so that none starves another */
};

/* --- the keeper ------------------------------------------------------------------------------- */

void
control_say_ready(struct control *control)
{
	if (control->ready_said || !control->listed)
		return;
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		const struct control_worker *worker = &control->workers[i];
		if (worker->channel != NULL && !control_worker_ready(worker))
			return;
	}
	control->ready_said = true;
	control->ready_once = true;
	channel_send(control->keeper, &(struct channel_message){ .type = CHANNEL_READY }, -1);
}

static void
on_signal(struct control *control, int number)
{
	switch (number) {
	case SIGHUP:
		log_info(NULL, "HUP: reading everything again, renewing every link");
		control_load_watched(control);
		control_tell_all(control, CHANNEL_RENEW);
		control->ready_said = false; /* says so to the service manager */
		break;
	case SIGUSR1:
		log_info(NULL, "USR1: Trying to establish connections again");
		control_tell_all(control, CHANNEL_RETRY);
		control_write_status(control);
		break;
	case SIGTERM:
		control->ending = true;
		break;
	default:
		log_warning(NULL, "signal %d has no effect", number);
	}
}

static void
map_stats(struct control *control, uint32_t number, int fd)
{
	if (number < control->options->worker_count && control->workers[number].stats == NULL)
		control->workers[number].stats = stats_map(fd, false);
	close(fd);
}

static void
on_keeper(struct control *control, struct channel_message *message, int fd)
{
	if (control_services_on_keeper(control, message, fd)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	switch (message->type) {
	case CHANNEL_LISTENER:
		message->listen.id[sizeof message->listen.id - 1] = '\0';
		control_on_listener(control, &message->listen, fd);
		return;
	case CHANNEL_GATEWAY_LISTENER:
		control_gateways_on_listener(control, &message->gateway_listen, fd);
		return;
	case CHANNEL_WORKER:
		control_on_worker(control, &message->worker, fd);
		return;
	case CHANNEL_STATS:
		if (fd >= 0)
			map_stats(control, message->worker.number, fd);
		return;
	case CHANNEL_CONTROL_SOCKET:
		if (fd >= 0)
			control_server_listen(control->server, fd);
		return;
	case CHANNEL_WEBPAGER_SOCKET:
		control_webpager_open(control, fd);
		return;
	case CHANNEL_SYNC_END:
		control_on_listed(control);
		break;
	case CHANNEL_SIGNAL:
		on_signal(control, message->signal.number);
		break;
	case CHANNEL_LOG:
		message->log.host[sizeof message->log.host - 1] = '\0';
		message->log.text[sizeof message->log.text - 1] = '\0';
		control_log(control, NULL, control->options->keeper_pid, message->log.level,
			    message->log.host, message->log.text);
		break;
	case CHANNEL_STOP:
		control->stopping = true;
		break;
	default:
		log_error(NULL, "unexpected message from the keeper: %s",
			  channel_type_text(message->type));
	}
	if (fd >= 0)
		close(fd);
}

/* --- workers ---------------------------------------------------------------------------------- */

static void
on_host_state(struct control *control, uint32_t number, const struct channel_name *message)
{
	struct control_host *host = control_host_at(control, message->index);
	uint64_t bit = 1ull << number;

	/* One that was told to let it go may not know that yet. */
	if (host == NULL || !(host->homes & bit))
		return;
	bool was_up = host->up != 0;
	bool was_down = control_host_down(host);
	host->up = message->up ? host->up | bit : host->up & ~bit;
	host->down = message->down ? host->down | bit : host->down & ~bit;
	if (message->in_use.any.sa_family != AF_UNSPEC)
		host->in_use = message->in_use;
	/* Its line of the log came just before. */
	if (host->up != 0 && !was_up)
		control_event(control, "host_up", host->id, "%s", host->last_log.text);
	else if (control_host_down(host) && !was_down)
		control_event(control, "host_down", host->id, "%s", host->last_log.text);
	control_set_text(&host->status, host->up != 0 ? "online" : "Trying to connect");
	if (message->up)
		control_delayed_host_up(control, host);
	control_host_learn_hold(control, host, (enum host_hold)message->hold);
}

static void
on_worker(struct control *control, uint32_t number, struct channel_message *message)
{
	struct control_host *host;
	char name[24];

	switch (message->type) {
	case CHANNEL_LOG:
		message->log.host[sizeof message->log.host - 1] = '\0';
		message->log.text[sizeof message->log.text - 1] = '\0';
		snprintf(name, sizeof name, "worker-%u", number);
		control_log(control, name, control->workers[number].pid, message->log.level,
			    message->log.host, message->log.text);
		break;
	case CHANNEL_HOST_STATE:
		on_host_state(control, number, &message->name);
		break;
	case CHANNEL_RESOLVE:
		host = control_host_at(control, message->name.index);
		if (host != NULL)
			control_resolve(control, host);
		break;
	case CHANNEL_GATEWAY_RESOLVE:
		control_gateways_resolve(control, message->gateway_index.index);
		break;
	case CHANNEL_DELAYED_DONE:
		control_on_delayed_done(control, &message->delayed);
		break;
	case CHANNEL_SERVICE_CALLS:
		control_services_on_calls(control, number, &message->service_calls);
		break;
	case CHANNEL_SERVICE_SLOW:
		control_services_on_slow(control, number, &message->service_slow);
		break;
	case CHANNEL_HOST_IS:
	case CHANNEL_ROWS:
	case CHANNEL_KILLED:
	case CHANNEL_REPLY:
		control_on_answer(control, number, message);
		break;
	default:
		log_error(NULL, "unexpected message from worker-%u: %s", number,
			  channel_type_text(message->type));
	}
}

/* --- reading ---------------------------------------------------------------------------------- */

/* 0, or the error that ended the channel. */
static int
read_channel(struct control *control, struct channel *channel, int worker)
{
	struct channel_message message;
	int fd;
	int got = 0;

	for (int i = 0; i < MESSAGES_PER_ROUND; i++) {
		got = channel_receive(channel, &message, &fd);
		if (got <= 0)
			break;
		if (worker < 0) {
			on_keeper(control, &message, fd);
			continue;
		}
		if (!control_messages_on_worker(control, (uint32_t)worker, &message, fd))
			on_worker(control, (uint32_t)worker, &message);
		if (fd >= 0)
			close(fd);
	}
	return got < 0 ? got : channel_flush(channel);
}

void
control_read_worker(struct control *control, uint32_t number)
{
	struct control_worker *worker = &control->workers[number];

	if (read_channel(control, worker->channel, (int)number) == 0)
		return;
	/* It died; the keeper sends the channel to the next one. */
	channel_free(worker->channel);
	worker->channel = NULL;
	worker->sync_next = 0;
	control_delayed_worker_gone(control, number);
	control_services_forget_worker(control, number);
	control_messages_forget_worker(control, number);
	control_asks_worker_gone(control, number);
}

bool
control_read_keeper(struct control *control)
{
	return read_channel(control, control->keeper, -1) == 0;
}

void
control_read_rest(struct control *control)
{
	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		while (control->workers[i].channel != NULL &&
		       read_channel(control, control->workers[i].channel, (int)i) == 0 &&
		       control->workers[i].channel != NULL) {
			struct pollfd more = { channel_fd(control->workers[i].channel), POLLIN, 0 };
			if (poll(&more, 1, 0) <= 0)
				break;
		}
	}
}
