/*
 * control_server.h - the control socket inside of the control process.
 *
 *   control_socket.c  who comes and goes, what all of them may hold
 *   control_connection.c  one connection: bytes in and out, limits, times
 *   control_verbs.c   requests: who may, what is asked
 *   control_answer.c  answers (control_call.h)
 *   control_events.c  what happens, for those who listen
 *
 * A connection that ends while something of it runs is only marked; it is freed at the end of a
 * round.
 */
#ifndef RELAY_CONTROL_SERVER_H
#define RELAY_CONTROL_SERVER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "relay/control_call.h"
#include "relay/control_roles.h"
#include "relay/settings.h"
#include "wire/control_frame.h"

#define CONTROL_CONNECTIONS_MAX 256 /* of settings.def: control.connections_max */
#define CONTROL_SERVER_SLOTS    (1 + CONTROL_CONNECTIONS_MAX)

/* Bytes of all buffers, requests and answers together. */
#define CONTROL_SERVER_MEMORY_MAX ((size_t)64 * 1024 * 1024)

/* Of it, for admins alone: who may only look cannot keep out who has to mend. */
#define CONTROL_SERVER_MEMORY_KEPT ((size_t)16 * 1024 * 1024)

enum {
	CONTROL_CALLS_MAX = 8, /* of one connection under way; then its next frames wait */
	CONTROL_PROTOCOL_VERSION = 1,
	CONTROL_ANSWER_MS = 60000, /* an answer whose turn it is to be sent is sent by then */
};

struct control_server;
struct control_connection;

/* One request; `call` is what its handler sees. */
struct control_pending {
	struct control_call call;
	struct control_connection *connection;
	TAILQ_ENTRY(control_pending) entry;
	void *request_memory;
	struct control_chunk *answer; /* what control_alloc() gave out */
	size_t answer_size;
	bool answer_full;
	uint64_t lost; /* events that found no room */
};

TAILQ_HEAD(control_pending_list, control_pending);

struct control_connection {
	TAILQ_ENTRY(control_connection) entry;
	struct control_server *server;
	int fd;
	enum control_role role;
	uid_t uid;
	bool deaf;   /* its end came: no more frames */
	bool ending; /* closed as soon as everything is sent */
	bool dead;   /* closed at the end of the round */
	uint8_t *in;
	size_t in_len;
	size_t in_size;
	uint8_t *out; /* [out_at .. out_len) is to be sent */
	size_t out_at;
	size_t out_len;
	size_t out_size;
	uint64_t in_since;        /* ms: the frame began */
	uint64_t out_since;       /* ms: last progress of sending */
	uint64_t out_first_since; /* ms: the oldest answer became that */
	size_t out_first_left;    /* bytes of it that are not sent; 0: there is none */
	uint64_t idle_since;
	struct control_pending_list calls;
	uint32_t calls_count;
	uint32_t turns; /* requests that may still be begun in this round */
};

TAILQ_HEAD(control_connection_list, control_connection);

struct control_server {
	struct control *control;
	int fd; /* -1 = none yet */
	struct control_connection_list connections;
	uint32_t count;
	uint32_t connections_max;
	uint64_t accept_at; /* ms; 0 = now */
	size_t memory;      /* of all buffers and requests */
	struct control_roles roles;
};

/* --- for the loop (control_socket.c) */

void control_server_init(struct control_server *server, struct control *control);

/* Takes the listening socket over. */
void control_server_listen(struct control_server *server, int fd);

/* Limits and rights as configured now, also for those who are connected. */
void control_server_configure(struct control_server *server, const struct relay_settings *settings);

/* Fills up to CONTROL_SERVER_SLOTS; how many. */
nfds_t control_server_fill(const struct control_server *server, struct pollfd *slots);
void control_server_run(struct control_server *server, const struct pollfd *slots, nfds_t count);

/* ms; UINT64_MAX = none. */
uint64_t control_server_deadline(const struct control_server *server);

/* The last words; then everything is closed. */
void control_server_stop(struct control_server *server);

/* --- for requests (control_socket.c) */

/* Counts against what all connections together may hold; false: it is too much. */
bool control_server_take(struct control_connection *connection, size_t size);
void control_server_give(struct control_server *server, size_t size);

/* --- for requests (control_connection.c) */

/* Queues one frame and sends what goes.  False: the connection is dead. */
bool control_connection_send(struct control_connection *connection,
			     const ProtobufCMessage *message);

/* An answer to no request; then the connection ends. */
void control_connection_refuse(struct control_connection *connection, Relay__Control__Code code,
			       const char *text);

static inline size_t
control_connection_backlog(const struct control_connection *connection)
{
	return connection->out_len - connection->out_at;
}

/* --- for the server (control_connection.c) */

/* Whether more is to be read from it. */
bool control_connection_listens(const struct control_connection *connection);

/* Reads and takes frames, as long as this one may in a round. */
void control_connection_read(struct control_connection *connection);

/* Whether a frame is complete and nothing but us is in its way; and to take such frames. */
bool control_connection_has_frame(const struct control_connection *connection);
void control_connection_take_frames(struct control_connection *connection);

/* Sends what goes. */
void control_connection_flush(struct control_connection *connection);

/* ms: when it is closed if nothing happens; and whether it is to be closed now. */
uint64_t control_connection_patience(const struct control_connection *connection);
bool control_connection_is_over(const struct control_connection *connection, uint64_t now);

/* Gives its buffers back and closes it. */
void control_connection_fini(struct control_connection *connection);

/* --- for connections (control_verbs.c) */

/* One message came. */
void control_request(struct control_connection *connection, const uint8_t *bytes, size_t len);

/* The connection ends: so do its calls. */
void control_calls_end(struct control_connection *connection);
void control_calls_due(struct control_connection *connection, uint64_t now_ms);
uint64_t control_calls_deadline(const struct control_connection *connection);
bool control_calls_stream(const struct control_connection *connection);

/* Ends the streams that the connection's role does not allow any more. */
void control_calls_deny(struct control_connection *connection);

/* Answers all that wait for the relay's end. */
void control_calls_stop(struct control_connection *connection);

/* --- for requests (control_answer.c) */

/* Takes it out of its connection and frees it; nothing is answered any more. */
void control_call_end(struct control_pending *pending);

#endif
