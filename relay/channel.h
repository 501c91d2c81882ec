/*
 * channel.h - the typed messages between keeper, control process and workers.
 *
 * A channel is one end of a SOCK_SEQPACKET pair made by the keeper.  Messages are fixed-size structs of one
 * program (both ends are the same binary), with at most one descriptor each.  Both ends never block: what does not fit is
 * queued within a bound.
 */
#ifndef RELAY_CHANNEL_H
#define RELAY_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "relay/host_settings.h"
#include "relay/limits.h"
#include "relay/log.h"

/* type, direction, payload, descriptor */
#define CHANNEL_TYPES(X)                                                                           \
	X(CHANNEL_HOST_ADD, "host_add")       /* -> worker, channel_host, the listening socket */  \
	X(CHANNEL_HOST_CHANGE, "host_change") /* -> worker, channel_host */                        \
	X(CHANNEL_HOST_REMOVE, "host_remove") /* -> worker, channel_host: index only */            \
	X(CHANNEL_STOP, "stop")               /* -> worker, channel_stop */                        \
	X(CHANNEL_READY, "ready")             /* worker ->, nothing: its ring works */             \
	X(CHANNEL_LOG, "log")                 /* worker ->, channel_log */

enum channel_type {
#define X(name, text) name,
	CHANNEL_TYPES(X)
#undef X
};

struct channel_host {
	uint32_t index; /* names the host in all later messages */
	uint32_t address_len;
	char id[HOST_ID_MAX + 1];
	char local_id[HOST_ID_MAX + 1];
	struct sockaddr_storage address;
	struct host_settings settings;
};

struct channel_stop {
	uint64_t timeout_ms; /* what is under way may take so long */
};

struct channel_log {
	enum log_level level;
	char host[HOST_ID_MAX + 1];
	char text[LOG_TEXT_MAX];
};

struct channel_message {
	enum channel_type type;
	union {
		struct channel_host host;
		struct channel_stop stop;
		struct channel_log log;
	};
};

struct channel;

/* Takes over the descriptor, which must be non-blocking.  NULL if there is no memory. */
struct channel *channel_new(int fd);

/* Closes it; what is queued is lost. */
void channel_free(struct channel *channel);

/* For poll: readable = channel_receive, writable (wanted while channel_pending) = channel_flush. */
int channel_fd(const struct channel *channel);
bool channel_pending(const struct channel *channel);

/*
 * Sends or queues.  `fd` (-1: none) stays the caller's: a queued one is duplicated.
 * 0, -ENOBUFS if the queue is full, another negative errno if the other end is gone.
 */
int channel_send(struct channel *channel, const struct channel_message *message, int fd);

/* Sends what is queued; 0 or a negative errno. */
int channel_flush(struct channel *channel);

/*
 * Takes one message; *fd is a descriptor that is now the caller's, or -1.
 * 1 = a message, 0 = none now, -EPIPE = the other end closed, -EPROTO = not one of ours, or another negative errno.
 */
int channel_receive(struct channel *channel, struct channel_message *message, int *fd);

/* Two connected ends, close-on-exec and non-blocking.  0 or a negative errno. */
int channel_pair(int fds[2]);

const char *channel_type_text(enum channel_type type);

#endif
