/*
 * control_connection.c - one connection of the control socket: frames in, frames out, and what a
 * slow or hostile client is not allowed.
 *
 * Never looks into a message.  Owns the buffers.
 */
#include "relay/control_server.h"

#include "relay/child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READ_SIZE = 16 * 1024,
	READ_PER_ROUND = 256 * 1024, /* so that none starves another */
	STRANGER_FRAME_MAX = 4096,   /* from those who may do nothing anyway */
	BACKLOG_MAX = 1024 * 1024,   /* unsent answers above which no request is begun; */
	STRANGER_BACKLOG_MAX = 4096, /* each is told the same again and again */
	FRAME_MS = 10000,            /* a frame that began is complete by then */
	SEND_MS = 30000,             /* without any progress; a slow one: CONTROL_ANSWER_MS */
	IDLE_MS = 600000,
};

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

void
control_connection_flush(struct control_connection *connection)
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
	control_connection_flush(connection);
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

/* --- in --------------------------------------------------------------------------------------- */

static size_t
frame_max(const struct control_connection *connection)
{
	return connection->role == CONTROL_ROLE_NONE ? STRANGER_FRAME_MAX : CONTROL_FRAME_MAX;
}

bool
control_connection_listens(const struct control_connection *connection)
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

void
control_connection_take_frames(struct control_connection *connection)
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

bool
control_connection_has_frame(const struct control_connection *connection)
{
	size_t total;

	return connection->in_len > 0 && !connection->ending && !connection->dead &&
	       !is_busy(connection) &&
	       control_frame_look(connection->in, connection->in_len, frame_max(connection),
				  &total) != CONTROL_FRAME_PARTIAL;
}

void
control_connection_read(struct control_connection *connection)
{
	size_t before = connection->in_len;

	/* A frame that is complete waits for its turn: no more is read behind it. */
	while (control_connection_listens(connection) &&
	       !control_connection_has_frame(connection) &&
	       connection->in_len - before < READ_PER_ROUND && read_more(connection))
		control_connection_take_frames(connection);
	if (connection->in_len == 0)
		release(connection->server, &connection->in, &connection->in_size);
}

/* --- times ------------------------------------------------------------------------------------ */

uint64_t
control_connection_patience(const struct control_connection *connection)
{
	if (control_connection_backlog(connection) > 0) {
		uint64_t idle = connection->out_since + SEND_MS;
		uint64_t late = connection->out_first_since + CONTROL_ANSWER_MS;
		return idle < late ? idle : late;
	}
	if (connection->in_len > 0 && control_connection_listens(connection))
		return connection->in_since + FRAME_MS;
	if (connection->calls_count > 0)
		return UINT64_MAX;
	return connection->idle_since +
	       (connection->role == CONTROL_ROLE_NONE ? FRAME_MS : IDLE_MS);
}

bool
control_connection_is_over(const struct control_connection *connection, uint64_t now)
{
	bool silent = control_connection_backlog(connection) == 0;

	if (connection->dead || control_connection_patience(connection) <= now)
		return true;
	if (connection->ending)
		return silent;
	return connection->deaf && !control_connection_has_frame(connection) &&
	       (control_calls_stream(connection) || (connection->calls_count == 0 && silent));
}

void
control_connection_fini(struct control_connection *connection)
{
	release(connection->server, &connection->in, &connection->in_size);
	release(connection->server, &connection->out, &connection->out_size);
	close(connection->fd);
}
