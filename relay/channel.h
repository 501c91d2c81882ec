/*
 * channel.h - the typed messages between keeper, control process and workers.
 *
 * A channel is one end of a SOCK_SEQPACKET pair made by the keeper.  Messages are fixed-size
 * structs of one program (both ends are the same binary), with at most one descriptor each.  Both
 * ends never block: what does not fit is queued within a bound.
 */
#ifndef RELAY_CHANNEL_H
#define RELAY_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "relay/channel_ask.h"
#include "relay/host_settings.h"
#include "relay/limits.h"
#include "relay/log.h"

/*
 * K = keeper, C = control process, W = worker.  After the arrow: the payload (a member of the
 * union; "-" = none), then the descriptor if there is one.
 *
 * A sync (SYNC_BEGIN, everything that shall exist, SYNC_END) makes the other end equal to the
 * sender's table: what it was not told about goes.  So a restarted control process or worker needs
 * no memory of its own.
 */
#define CHANNEL_TYPES(X)                                                                           \
	X(CHANNEL_READY, "ready", none)               /* W, C -> K  -                          */  \
	X(CHANNEL_STOP, "stop", stop)                 /* K -> W, C; C -> K  stop             */    \
	X(CHANNEL_STOP_TIMEOUT, "stop_timeout", stop) /* C -> K   stop: of the next one      */    \
	X(CHANNEL_CONTROL, "control", none)           /* K -> W     -, the channel to control  */  \
	X(CHANNEL_WORKER, "worker", worker)           /* K -> C     worker, the channel to it  */  \
	X(CHANNEL_STATS, "stats", worker)             /* K -> C     worker, its statistics     */  \
	X(CHANNEL_SIGNAL, "signal", signal)           /* K -> C     signal                     */  \
	X(CHANNEL_CONTROL_SOCKET, "control_socket", none) /* K -> C     -, the listening socket */ \
	X(CHANNEL_GENERATION, "generation", generation)   /* C -> K     of the configuration */    \
	X(CHANNEL_LOG_LEVEL, "log_level", level)    /* C -> K, W  level                    */      \
	X(CHANNEL_LISTEN, "listen", listen)         /* C -> K     listen                     */    \
	X(CHANNEL_UNLISTEN, "unlisten", listen)     /* C -> K     listen                     */    \
	X(CHANNEL_LISTENER, "listener", listen)     /* K -> C     listen, the socket         */    \
	X(CHANNEL_SYNC_BEGIN, "sync_begin", none)   /* C -> K, W  -                          */    \
	X(CHANNEL_SYNC_END, "sync_end", none)       /* C -> K, W  -; K -> C: all are answered */   \
	X(CHANNEL_HOST_ADD, "host_add", host)       /* C -> W     host, its listening socket */    \
	X(CHANNEL_HOST_CHANGE, "host_change", host) /* C -> W     host                       */    \
	X(CHANNEL_HOST_REMOVE, "host_remove", name) /* C -> W     name                       */    \
	X(CHANNEL_RENEW, "renew", none)             /* C -> W     -: new links for old       */    \
	X(CHANNEL_RETRY, "retry", none)             /* C -> W     -: end all backoffs        */    \
	X(CHANNEL_DELAYED, "delayed", delayed)      /* C -> W     delayed, memfd of the line */    \
	X(CHANNEL_DELAYED_DONE, "delayed_done", delayed) /* W -> C delayed                   */    \
	X(CHANNEL_HOST_STATE, "host_state", name) /* W -> C     name: up or not            */      \
	X(CHANNEL_RESOLVE, "resolve", name)       /* W -> C     name: look its address up  */      \
	X(CHANNEL_RECONNECT, "reconnect", name)   /* C -> W     name: renew and retry one  */      \
	X(CHANNEL_ASK_HOST, "ask_host", ask)      /* C -> W     ask                        */      \
	X(CHANNEL_HOST_IS, "host_is", host_is)    /* W -> C     host_is                    */      \
	X(CHANNEL_QUERY, "query", query)          /* C -> W     query                      */      \
	X(CHANNEL_ROWS, "rows", rows)             /* W -> C     rows                       */      \
	X(CHANNEL_KILL, "kill", kill)             /* C -> W     kill                       */      \
	X(CHANNEL_KILLED, "killed", kill)         /* W -> C     kill                       */      \
	X(CHANNEL_REQUEST, "request", request)    /* C -> W     request, memfd of the line */      \
	X(CHANNEL_REPLY, "reply", request)        /* W -> C     request                    */      \
	X(CHANNEL_LOG, "log", log)                /* W, K -> C  log                        */

enum channel_type {
#define X(name, text, payload) name,
	CHANNEL_TYPES(X)
#undef X
};

struct channel_none {
	uint32_t unused;
};

struct channel_host {
	uint32_t index;       /* names the host in all later messages; given by the keeper */
	uint32_t address_len; /* 0 = not known (yet) */
	char id[HOST_ID_MAX + 1];
	char local_id[HOST_ID_MAX + 1];
	struct sockaddr_storage address;
	struct host_settings settings;
	uint32_t hold; /* enum host_hold */
};

struct channel_name {
	uint32_t index;
	uint32_t up;   /* HOST_STATE: whether the peer can be expected to answer */
	uint32_t hold; /* HOST_STATE: enum host_hold */
};

struct channel_stop {
	uint64_t timeout_ms; /* what is under way may take so long */
};

struct channel_worker {
	uint32_t number;
	int32_t pid; /* 0: it is gone */
};

struct channel_signal {
	int32_t number;
};

struct channel_generation {
	uint64_t number;
};

struct channel_level {
	enum log_level level;
};

struct channel_listen {
	uint32_t index; /* not in LISTEN */
	int32_t error;  /* LISTENER: 0, or the negative errno (then without a socket) */
	char id[HOST_ID_MAX + 1];
};

struct channel_delayed {
	uint32_t index;
	uint32_t answered; /* DELAYED_DONE: whether a non-empty answer line came in time */
	uint64_t token;    /* the sender's */
	uint64_t length;   /* bytes of the line in the memfd */
};

struct channel_log {
	enum log_level level;
	char host[HOST_ID_MAX + 1];
	char text[LOG_TEXT_MAX];
};

struct channel_message {
	enum channel_type type;

	union {
		struct channel_none none;
		struct channel_host host;
		struct channel_name name;
		struct channel_stop stop;
		struct channel_worker worker;
		struct channel_signal signal;
		struct channel_generation generation;
		struct channel_level level;
		struct channel_listen listen;
		struct channel_delayed delayed;
		struct channel_ask ask;
		struct channel_host_is host_is;
		struct channel_query query;
		struct channel_rows rows;
		struct channel_kill kill;
		struct channel_request request;
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

/* Messages that wait to be sent. */
uint32_t channel_queued(const struct channel *channel);

/*
 * Sends or queues.  `fd` (-1: none) stays the caller's: a queued one is duplicated.
 * 0, -ENOBUFS if the queue is full, another negative errno if the other end is gone.
 */
int channel_send(struct channel *channel, const struct channel_message *message, int fd);

/* Sends what is queued; 0 or a negative errno. */
int channel_flush(struct channel *channel);

/*
 * Takes one message; *fd is a descriptor that is now the caller's, or -1.
 * 1 = a message, 0 = none now, -EPIPE = the other end closed, -EPROTO = not one of ours, or another
 * negative errno.
 */
int channel_receive(struct channel *channel, struct channel_message *message, int *fd);

/* Two connected ends, close-on-exec and non-blocking.  0 or a negative errno. */
int channel_pair(int fds[2]);

const char *channel_type_text(enum channel_type type);

#endif
