/*
 * keeper_messages.c - what workers and control say to the keeper, and what it does then.
 */
#include "relay/keeper_internal.h"

#include "relay/daemonize.h"
#include "relay/log.h"
#include "relay/service_manager.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum {
	CONTROL_BACKLOG = 1024, /* messages to control above which none of its own are read */
};

static void
announce(struct keeper *keeper)
{
	if (keeper->announced || keeper->control.ready_at == 0)
		return;
	for (uint32_t i = 0; i < keeper->worker_count; i++) {
		if (keeper->workers[i].child.ready_at == 0)
			return;
	}
	keeper->announced = true;
	log_info(NULL, "Done starting initial servers");
	service_manager_ready(keeper->options->manager, NULL);
	/* Sockets of hosts that are not in the table: nobody will serve them. */
	service_manager_close_rest(keeper->options->manager, NULL);
	if (keeper->options->daemonize != NULL &&
	    daemonize_ready(keeper->options->daemonize, false) != 0)
		log_error(NULL, "cannot let go of the terminal: %s", strerror(errno));
}

/* Of control alone; false: it does not say such things. */
static bool
on_control_message(struct keeper *keeper, const struct channel_message *message)
{
	switch (message->type) {
	case CHANNEL_STOP:
		log_warning(NULL, "CRITICAL: Shutting down: asked by the control socket");
		keeper_begin_stop(keeper);
		return true;
	case CHANNEL_GENERATION:
		keeper->generation = message->generation.number;
		return true;
	case CHANNEL_LOG_LEVEL: /* children that are started later inherit it */
		log_set_level(message->level.level);
		return true;
	default:
		return false;
	}
}

static void
on_message(struct keeper *keeper, struct child *child, struct channel_message *message)
{
	bool control = child == &keeper->control;

	switch (message->type) {
	case CHANNEL_READY:
		/* Control says it again at the end of each reload. */
		if (control && keeper->reload_due && keeper->stopping_at == 0)
			service_manager_ready(keeper->options->manager, NULL);
		if (control)
			keeper->reload_due = false;
		child->ready_at = child_clock_ms();
		announce(keeper);
		return;
	case CHANNEL_LOG: /* from a worker that has no control yet */
		message->log.host[sizeof message->log.host - 1] = '\0';
		message->log.text[sizeof message->log.text - 1] = '\0';
		log_line(message->log.level, message->log.host, "%s", message->log.text);
		return;
	case CHANNEL_LISTEN:
		if (!control)
			break;
		message->listen.id[sizeof message->listen.id - 1] = '\0';
		keeper_listen(keeper, message->listen.id);
		return;
	case CHANNEL_UNLISTEN:
		if (control)
			listener_table_close(&keeper->listeners, message->listen.index);
		return;
	case CHANNEL_STOP_TIMEOUT:
		if (control)
			keeper->stop_timeout_ms = message->stop.timeout_ms;
		return;
	case CHANNEL_SYNC_BEGIN:
		if (!control)
			break;
		listener_table_mark(&keeper->listeners);
		keeper_services_mark(&keeper->services);
		keeper_gateways_mark(&keeper->gateways);
		return;
	case CHANNEL_SYNC_END:
		if (!control)
			break;
		listener_table_sweep(&keeper->listeners);
		keeper_services_sweep(&keeper->services);
		keeper_gateways_sweep(&keeper->gateways);
		channel_send(child->channel, &(struct channel_message){ .type = CHANNEL_SYNC_END },
			     -1);
		return;
	default:
		if (control && (on_control_message(keeper, message) ||
				keeper_services_on_message(&keeper->services, message) ||
				keeper_gateways_on_message(&keeper->gateways, message,
							   child->channel, child_clock_ms())))
			return;
		break;
	}
	log_error(NULL, "unexpected message from %s: %s", child->name,
		  channel_type_text(message->type));
}

void
keeper_read_channel(struct keeper *keeper, struct child *child)
{
	struct channel_message message;
	int fd;
	int got = 1;

	while (child->channel != NULL && channel_queued(child->channel) < CONTROL_BACKLOG) {
		got = channel_receive(child->channel, &message, &fd);
		if (got <= 0)
			break;
		on_message(keeper, child, &message);
		if (fd >= 0)
			close(fd);
	}
	if (got < 0) {
		channel_free(child->channel);
		child->channel = NULL;
	} else if (child->channel != NULL) {
		(void)channel_flush(child->channel); /* a failure shows as the end of the channel */
	}
}

void
keeper_watch(struct pollfd *slot, const struct child *child)
{
	*slot = (struct pollfd){ .fd = -1 };
	if (child->channel == NULL)
		return;
	slot->fd = channel_fd(child->channel);
	if (channel_queued(child->channel) < CONTROL_BACKLOG)
		slot->events |= POLLIN;
	if (channel_queued(child->channel) > 0)
		slot->events |= POLLOUT;
}
