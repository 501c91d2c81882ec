/*
 * keeper_sockets.c - listening sockets of hosts and of the operator's side: those that the service
 * manager has made, else the keeper's own.  The table of hosts' sockets is listener_table.c's.
 */
#include "relay/keeper_internal.h"

#include "relay/log.h"
#include "relay/service_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A socket that the service manager made for a host is as good as one of ours. */
static void
adopt(struct keeper *keeper, const char *id)
{
	char path[sizeof(struct sockaddr_un)];

	snprintf(path, sizeof path, "%s/%s", keeper->settings->socket_dir, id);
	int fd = service_manager_take_socket(keeper->options->manager, id, path);
	if (fd >= 0 && listener_table_adopt(&keeper->listeners, id, fd) != 0)
		close(fd);
}

void
keeper_listen(struct keeper *keeper, const char *id)
{
	struct channel_message answer = { .type = CHANNEL_LISTENER };
	struct listener_entry *entry = NULL;

	adopt(keeper, id);
	snprintf(answer.listen.id, sizeof answer.listen.id, "%s", id);
	answer.listen.error = listener_table_open(&keeper->listeners, id, &entry);
	if (answer.listen.error == 0)
		answer.listen.index = entry->index;
	channel_send(keeper->control.channel, &answer,
		     answer.listen.error == 0 ? entry->listener.fd : -1);
}

void
keeper_open_control_socket(struct keeper *keeper)
{
	const struct relay_settings *settings = keeper->settings;
	struct owner owner = { .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };
	struct stat found;

	/* One that the service manager made has its owner and mode from there. */
	keeper->control_socket.fd = service_manager_take_socket(
	    keeper->options->manager, SETTINGS_CONTROL_SOCKET, settings->control_socket);
	if (keeper->control_socket.fd >= 0) {
		if (fcntl(keeper->control_socket.fd, F_SETFL, O_NONBLOCK) != 0)
			log_error(NULL, "the control socket that was passed: %s", strerror(errno));
		return;
	}
	if (settings->control_group != NULL &&
	    !owner_find_group(settings->control_group, &owner.gid)) {
		log_error(NULL, "control.group: there is no group %s: no control socket",
			  settings->control_group);
		return;
	}
	/* A socket that a dead relay left may be replaced, a file may not. */
	if (lstat(settings->control_socket, &found) == 0 && !S_ISSOCK(found.st_mode)) {
		log_error(NULL, "no control socket at %s: it is there and no socket",
			  settings->control_socket);
		return;
	}
	int error = listener_open_path(&keeper->control_socket, settings->control_socket,
				       (mode_t)settings->control_mode, owner);
	if (error == 0 && fcntl(keeper->control_socket.fd, F_SETFL, O_NONBLOCK) != 0)
		error = -errno;
	if (error != 0)
		log_error(NULL, "no control socket at %s: %s", settings->control_socket,
			  strerror(-error));
}
