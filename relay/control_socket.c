/*
 * control_socket.c - the connections of the control socket: frames in, frames out, and what a slow
 * or hostile client is not allowed.
 *
 * Never looks into a message.  Owns the connections, their buffers and the listening socket.
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
	READ_SIZE = 16 * 1024,
	READ_PER_ROUND = 256 * 1024, /* of one connection, so that none starves another; */
	REQUESTS_PER_ROUND = 8,      /* likewise: reading the configuration takes its time */
	STRANGER_FRAME_MAX = 4096,   /* from those who may do nothing anyway */
	BACKLOG_MAX = 1024 * 1024,   /* unsent answers above which no request is begun; */
	STRANGER_BACKLOG_MAX = 4096, /* each is told the same again and again */
	FRAME_MS = 10000,            /* a frame that began is complete by then */
	SEND_MS = 30000,             /* without any progress; a slow one: CONTROL_ANSWER_MS */
	IDLE_MS = 600000,
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

/* --- buffers ---------------------------------------------------------------------------------- */

static bool
resize(struct control_connection *connection, uint8_t **buffer, size_t *size, size_t wanted)
{
	struct control_server *server = connection->server;

	if (wanted > *size && !control_server_take(connection, wanted - *size))
		return false;
	uint8_t *moved = realloc(*buffer, wanted);
	if (moved == NULL) {
		if (wanted > *size)
			control_server_give(server, wanted - *size);
		return false;
	}
	if (wanted < *size)
		control_server_give(server, *size - wanted);
	*buffer = moved;
	*size = wanted;
	return true;
}

static void
release(struct control_server *server, uint8_t **buffer, size_t *size)
{
	free(*buffer);
	control_server_give(server, *size);
	*buffer = NULL;
	*size = 0;
}

/* --- out -------------------------------------------------------------------------------------- */

/* Whether what it asked so far is enough for now. */
static bool
is_busy(const struct control_connection *connection)
{
	size_t max = connection->role == CONTROL_ROLE_NONE ? STRANGER_BACKLOG_MAX : BACKLOG_MAX;

	return connection->calls_count >= CONTROL_CALLS_MAX ||
	       control_connection_backlog(connection) > max;
}

/* So many bytes went; the answer that is the oldest now has its own time. */
static void
on_sent(struct control_connection *connection, size_t sent)
{
	size_t total;

	connection->out_since = child_clock_ms();
	connection->out_at += sent;
	while (sent >= connection->out_first_left) {
		size_t next = connection->out_at - (sent - connection->out_first_left);
		sent -= connection->out_first_left;
		connection->out_first_left = 0;
		if (next == connection->out_len)
			return;
		(void)control_frame_look(connection->out + next, connection->out_len - next,
					 CONTROL_FRAME_MAX, &total);
		connection->out_first_left = total;
		connection->out_first_since = connection->out_since;
	}
	connection->out_first_left -= sent;
}

static void
flush(struct control_connection *connection)
{
	while (connection->out_at < connection->out_len && !connection->dead) {
		ssize_t sent =
		    send(connection->fd, connection->out + connection->out_at,
			 control_connection_backlog(connection), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			connection->dead = errno != EAGAIN;
			return;
		}
		bool busy = is_busy(connection);
		on_sent(connection, (size_t)sent);
		if (busy)
			connection->in_since = connection->out_since; /* we did not read */
	}
	connection->out_at = connection->out_len = 0;
	release(connection->server, &connection->out, &connection->out_size);
}

static bool
make_room(struct control_connection *connection, size_t len)
{
	size_t backlog = control_connection_backlog(connection);

	if (connection->out_at > 0) {
		memmove(connection->out, connection->out + connection->out_at, backlog);
		connection->out_at = 0;
		connection->out_len = backlog;
	}
	return backlog + len <= connection->out_size ||
	       resize(connection, &connection->out, &connection->out_size, backlog + len);
}

bool
control_connection_send(struct control_connection *connection, const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message);

	if (connection->dead)
		return false;
	if (len == 0 || len > CONTROL_FRAME_MAX ||
	    !make_room(connection, CONTROL_FRAME_HEADER + len)) {
		connection->dead = true;
		return false;
	}
	if (control_connection_backlog(connection) == 0) {
		connection->out_since = connection->out_first_since = child_clock_ms();
		connection->out_first_left = CONTROL_FRAME_HEADER + len;
	}
	uint8_t *to = connection->out + connection->out_len;
	control_frame_put_length(to, len);
	protobuf_c_message_pack(message, to + CONTROL_FRAME_HEADER);
	connection->out_len += CONTROL_FRAME_HEADER + len;
	flush(connection);
	return !connection->dead;
}

void
control_connection_refuse(struct control_connection *connection, Relay__Control__Code code,
			  const char *text)
{
	Relay__Control__Reply reply;
	char copy[200];

	relay__control__reply__init(&reply);
	strncpy(copy, text, sizeof copy - 1);
	copy[sizeof copy - 1] = '\0';
	reply.code = code;
	reply.error = copy;
	control_connection_send(connection, &reply.base);
	connection->ending = true;
}

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

/* --- coming and going ------------------------------------------------------------------------- */

static void
close_connection(struct control_connection *connection)
{
	struct control_server *server = connection->server;

	connection->dead = true;
	control_calls_end(connection);
	release(server, &connection->in, &connection->in_size);
	release(server, &connection->out, &connection->out_size);
	close(connection->fd);
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

/* --- in --------------------------------------------------------------------------------------- */

static size_t
frame_max(const struct control_connection *connection)
{
	return connection->role == CONTROL_ROLE_NONE ? STRANGER_FRAME_MAX : CONTROL_FRAME_MAX;
}

static bool
listens(const struct control_connection *connection)
{
	return !connection->deaf && !connection->ending && !connection->dead &&
	       !is_busy(connection);
}

/* The bytes grow the buffer, never a length that somebody claims. */
static bool
read_more(struct control_connection *connection)
{
	if (connection->in_size - connection->in_len < READ_SIZE / 4) {
		size_t wanted =
		    connection->in_len < READ_SIZE / 2 ? READ_SIZE : connection->in_len * 2;
		if (!resize(connection, &connection->in, &connection->in_size, wanted)) {
			control_connection_refuse(connection, RELAY__CONTROL__CODE__LIMIT,
						  "no room for the request");
			return false;
		}
	}
	ssize_t got = recv(connection->fd, connection->in + connection->in_len,
			   connection->in_size - connection->in_len, MSG_DONTWAIT);
	if (got > 0) {
		if (connection->in_len == 0)
			connection->in_since = child_clock_ms();
		connection->in_len += (size_t)got;
		return true;
	}
	if (got == 0)
		connection->deaf = true;
	else if (errno != EAGAIN && errno != EINTR)
		connection->dead = true;
	return false;
}

/* The next frame's message, if it is complete; what can be no frame ends the connection. */
static bool
next_frame(struct control_connection *connection, size_t at, size_t *total)
{
	switch (control_frame_look(connection->in + at, connection->in_len - at,
				   frame_max(connection), total)) {
	case CONTROL_FRAME_OK:
		return true;
	case CONTROL_FRAME_PARTIAL:
		return false;
	case CONTROL_FRAME_TOO_LONG:
		control_connection_refuse(connection, RELAY__CONTROL__CODE__MALFORMED,
					  "the frame is longer than allowed");
		return false;
	case CONTROL_FRAME_EMPTY:
		control_connection_refuse(connection, RELAY__CONTROL__CODE__MALFORMED,
					  "the frame is empty");
		return false;
	}
	return false;
}

static void
take_frames(struct control_connection *connection)
{
	size_t at = 0;
	size_t total;

	while (!connection->ending && !connection->dead && !is_busy(connection) &&
	       connection->turns > 0 && next_frame(connection, at, &total)) {
		connection->turns--;
		control_request(connection, connection->in + at + CONTROL_FRAME_HEADER,
				total - CONTROL_FRAME_HEADER);
		at += total;
	}
	if (at == 0 && connection->in_len > 0)
		return;
	connection->in_len -= at;
	connection->in_since = child_clock_ms();
	if (connection->in_len == 0)
		release(connection->server, &connection->in, &connection->in_size);
	else
		memmove(connection->in, connection->in + at, connection->in_len);
}

/* Complete, and nothing but us is in its way. */
static bool
frame_waits(const struct control_connection *connection)
{
	size_t total;

	return connection->in_len > 0 && !connection->ending && !connection->dead &&
	       !is_busy(connection) &&
	       control_frame_look(connection->in, connection->in_len, frame_max(connection),
				  &total) != CONTROL_FRAME_PARTIAL;
}

static void
read_some(struct control_connection *connection)
{
	size_t before = connection->in_len;

	/* A frame that is complete waits for its turn: no more is read behind it. */
	while (listens(connection) && !frame_waits(connection) &&
	       connection->in_len - before < READ_PER_ROUND && read_more(connection))
		take_frames(connection);
	if (connection->in_len == 0)
		release(connection->server, &connection->in, &connection->in_size);
}

/* --- times ------------------------------------------------------------------------------------ */

/* When it is closed if nothing happens. */
static uint64_t
patience(const struct control_connection *connection)
{
	if (control_connection_backlog(connection) > 0) {
		uint64_t idle = connection->out_since + SEND_MS;
		uint64_t late = connection->out_first_since + CONTROL_ANSWER_MS;
		return idle < late ? idle : late;
	}
	if (connection->in_len > 0 && listens(connection))
		return connection->in_since + FRAME_MS;
	if (connection->calls_count > 0)
		return UINT64_MAX;
	return connection->idle_since +
	       (connection->role == CONTROL_ROLE_NONE ? FRAME_MS : IDLE_MS);
}

static bool
is_over(const struct control_connection *connection, uint64_t now)
{
	bool silent = control_connection_backlog(connection) == 0;

	if (connection->dead || patience(connection) <= now)
		return true;
	if (connection->ending)
		return silent;
	return connection->deaf && !frame_waits(connection) &&
	       (control_calls_stream(connection) || (connection->calls_count == 0 && silent));
}

uint64_t
control_server_deadline(const struct control_server *server)
{
	const struct control_connection *connection;
	uint64_t next = server->accept_at == 0 ? UINT64_MAX : server->accept_at;

	TAILQ_FOREACH(connection, &server->connections, entry) {
		uint64_t at = control_calls_deadline(connection);
		if (is_over(connection, 0) || frame_waits(connection))
			return 0;
		if (patience(connection) < at)
			at = patience(connection);
		if (at < next)
			next = at;
	}
	return next;
}

/* --- a round ---------------------------------------------------------------------------------- */

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
		if (listens(connection))
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
			flush(connection);
		if (slots[i].revents & POLLIN)
			read_some(connection);
	}
	for (connection = TAILQ_FIRST(&server->connections); connection != NULL;
	     connection = next) {
		next = TAILQ_NEXT(connection, entry);
		control_calls_due(connection, now);
		if (frame_waits(connection))
			take_frames(connection);
		if (connection->calls_count > 0 || connection->in_len > 0)
			connection->idle_since = now;
		if (is_over(connection, now))
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
