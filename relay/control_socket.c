/*
 * control_socket.c - the control socket: who comes in, with which rights, and how much all
 * connections together may hold.  Each of them is control_connection.c's.
 *
 * Owns the listening socket and the list of connections.
 */
#include "relay/control_server.h"

#include "relay/child.h"
#include "relay/control.h"
#include "relay/log.h"
#include "relay/version.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ACCEPTS_PER_ROUND = 64,
	REQUESTS_PER_ROUND = 8, /* of one connection: reading the configuration takes its time */
	ACCEPT_AGAIN_MS = 1000,
	SMALL = 1024, /* bytes; any refusal is shorter */
};

void
control_server_init(struct control_server *server, struct control *control)
{
	*server = (struct control_server){ .control = control, .fd = -1 };
	TAILQ_INIT(&server->connections);
	/* A control process that finds a broken configuration is asked about it, too. */
	control_server_configure(server, &control->options->started->relay);
}

void
control_server_listen(struct control_server *server, int fd)
{
	if (server->fd >= 0)
		close(server->fd);
	server->fd = fd;
}

/*
 * What somebody may do.  A worker is of the relay's own user, who may do everything, and its
 * sandbox cannot keep it from this socket: one that was taken over must not find the way to files
 * here.
 */
static enum control_role
role_of(const struct control_server *server, const struct control_peer *peer)
{
	const struct control *control = server->control;

	for (uint32_t i = 0; i < control->options->worker_count; i++) {
		if (peer->pid > 0 && control->workers[i].pid == peer->pid)
			return CONTROL_ROLE_NONE;
	}
	return control_roles_of(&server->roles, peer);
}

/* Whoever is connected may from now on what he may by the new rights. */
static void
judge_again(struct control_server *server)
{
	struct control_connection *connection;
	struct control_peer peer;

	TAILQ_FOREACH(connection, &server->connections, entry) {
		if (control_peer_init(&peer, connection->fd) != 0) {
			connection->dead = true;
			continue;
		}
		connection->role = role_of(server, &peer);
		control_peer_fini(&peer);
		control_calls_deny(connection);
	}
}

void
control_server_configure(struct control_server *server, const struct relay_settings *settings)
{
	struct control_roles roles;

	server->connections_max = settings->control_connections_max;
	if (!control_roles_init(&roles, settings, NULL)) {
		log_error(NULL, "control socket: no memory for the rights; the old ones stay");
		return;
	}
	control_roles_fini(&server->roles);
	server->roles = roles;
	judge_again(server);
}

bool
control_server_take(struct control_connection *connection, size_t size)
{
	struct control_server *server = connection->server;
	/* That there is no room can always be said. */
	bool kept = connection->role < CONTROL_ROLE_ADMIN && size > SMALL;
	size_t left = CONTROL_SERVER_MEMORY_MAX - server->memory;

	if (kept)
		left = left > CONTROL_SERVER_MEMORY_KEPT ? left - CONTROL_SERVER_MEMORY_KEPT : 0;
	if (size > left)
		return false;
	server->memory += size;
	return true;
}

void
control_server_give(struct control_server *server, size_t size)
{
	server->memory -= size;
}

/* --- coming and going ------------------------------------------------------------------------- */

static void
say_hello(struct control_connection *connection)
{
	const struct control_options *options = connection->server->control->options;
	Relay__Control__Hello hello;
	char version[] = RELAY_VERSION;
	char boot_id[32];
	char role[16];

	relay__control__hello__init(&hello);
	strncpy(boot_id, options->boot_id, sizeof boot_id - 1);
	boot_id[sizeof boot_id - 1] = '\0';
	strncpy(role, control_role_text(connection->role), sizeof role - 1);
	role[sizeof role - 1] = '\0';
	hello.protocol = CONTROL_PROTOCOL_VERSION;
	hello.version = version;
	hello.boot_id = boot_id;
	hello.pid = (uint32_t)options->keeper_pid;
	hello.role = role;
	control_connection_send(connection, &hello.base);
}

static void
close_connection(struct control_connection *connection)
{
	struct control_server *server = connection->server;

	connection->dead = true;
	control_calls_end(connection);
	control_connection_fini(connection);
	TAILQ_REMOVE(&server->connections, connection, entry);
	server->count--;
	free(connection);
}

/* Strangers cannot keep those out who may do something, nor who may only look those who may all. */
static uint32_t
places_for(const struct control_server *server, enum control_role role)
{
	uint32_t max = server->connections_max;

	if (role == CONTROL_ROLE_NONE)
		return (max + 1) / 2;
	return role == CONTROL_ROLE_ADMIN || max == 1 ? max : max - 1;
}

static void
open_connection(struct control_server *server, int fd)
{
	struct control_connection *connection = calloc(1, sizeof *connection);
	struct control_peer peer = { 0 };

	if (connection == NULL || control_peer_init(&peer, fd) != 0) {
		free(connection);
		close(fd);
		return;
	}
	connection->server = server;
	connection->fd = fd;
	connection->role = role_of(server, &peer);
	connection->uid = peer.uid;
	connection->idle_since = child_clock_ms();
	control_peer_fini(&peer);
	TAILQ_INIT(&connection->calls);
	TAILQ_INSERT_TAIL(&server->connections, connection, entry);
	server->count++;
	if (server->count <= places_for(server, connection->role)) {
		say_hello(connection);
		return;
	}
	control_connection_refuse(connection, RELAY__CONTROL__CODE__LIMIT, "too many connections");
	/* Nor while it waits to be closed. */
	if (connection->dead || control_connection_backlog(connection) == 0)
		close_connection(connection);
}

static void
accept_some(struct control_server *server)
{
	/* One over the limit is told so; the others wait in the kernel. */
	for (int i = 0; i < ACCEPTS_PER_ROUND && server->count <= server->connections_max &&
			server->count < CONTROL_CONNECTIONS_MAX;
	     i++) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			/* No descriptor or memory: the poll would say at once that it still waits.
			 */
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				server->accept_at = child_clock_ms() + ACCEPT_AGAIN_MS;
			return;
		}
		open_connection(server, fd);
	}
}

/* --- a round ---------------------------------------------------------------------------------- */

uint64_t
control_server_deadline(const struct control_server *server)
{
	const struct control_connection *connection;
	uint64_t next = server->accept_at == 0 ? UINT64_MAX : server->accept_at;

	TAILQ_FOREACH(connection, &server->connections, entry) {
		uint64_t at = control_calls_deadline(connection);
		if (control_connection_is_over(connection, 0) ||
		    control_connection_has_frame(connection))
			return 0;
		if (control_connection_patience(connection) < at)
			at = control_connection_patience(connection);
		if (at < next)
			next = at;
	}
	return next;
}

nfds_t
control_server_fill(const struct control_server *server, struct pollfd *slots)
{
	const struct control_connection *connection;
	bool full = server->count > server->connections_max ||
		    server->count >= CONTROL_CONNECTIONS_MAX || server->accept_at > 0;
	nfds_t count = 0;

	slots[count++] = (struct pollfd){ .fd = full ? -1 : server->fd, .events = POLLIN };
	TAILQ_FOREACH(connection, &server->connections, entry) {
		struct pollfd *slot = &slots[count++];
		*slot = (struct pollfd){ .fd = connection->fd };
		if (control_connection_listens(connection))
			slot->events |= POLLIN;
		if (control_connection_backlog(connection) > 0)
			slot->events |= POLLOUT;
	}
	return count;
}

void
control_server_run(struct control_server *server, const struct pollfd *slots, nfds_t count)
{
	struct control_connection *connection;
	struct control_connection *next;
	uint64_t now = child_clock_ms();
	nfds_t i = 1;

	for (connection = TAILQ_FIRST(&server->connections); connection != NULL && i < count;
	     connection = TAILQ_NEXT(connection, entry), i++) {
		connection->turns = REQUESTS_PER_ROUND;
		if (slots[i].revents & (POLLHUP | POLLERR | POLLNVAL))
			connection->dead = true;
		if (slots[i].revents & POLLOUT)
			control_connection_flush(connection);
		if (slots[i].revents & POLLIN)
			control_connection_read(connection);
	}
	for (connection = TAILQ_FIRST(&server->connections); connection != NULL;
	     connection = next) {
		next = TAILQ_NEXT(connection, entry);
		control_calls_due(connection, now);
		if (control_connection_has_frame(connection))
			control_connection_take_frames(connection);
		if (connection->calls_count > 0 || connection->in_len > 0)
			connection->idle_since = now;
		if (control_connection_is_over(connection, now))
			close_connection(connection);
	}
	if (server->accept_at <= now)
		server->accept_at = 0;
	if (count > 0 && slots[0].revents & POLLIN)
		accept_some(server);
}

void
control_server_stop(struct control_server *server)
{
	struct control_connection *connection, *next;

	for (connection = TAILQ_FIRST(&server->connections); connection != NULL;
	     connection = next) {
		next = TAILQ_NEXT(connection, entry);
		control_calls_stop(connection);
		close_connection(connection);
	}
	if (server->fd >= 0)
		close(server->fd);
	server->fd = -1;
	control_roles_fini(&server->roles);
}
