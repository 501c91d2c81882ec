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
#include "relay/channel_datagram.h"
#include "relay/channel_gateway.h"
#include "relay/host_settings.h"
#include "relay/limits.h"
#include "relay/log.h"
#include "relay/resolve.h"
#include "relay/tls_material.h"

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
	X(CHANNEL_CREDENTIALS, "credentials",                                                      \
	  credentials) /* C -> W  credentials, memfd of ca, cert, key; before whoever names it */  \
	X(CHANNEL_CREDENTIALS_DROP, "credentials_drop",                                            \
	  credentials) /* C -> W  credentials: its number, which nobody names any more */          \
	X(CHANNEL_TICKET_KEYS, "ticket_keys",                                                      \
	  ticket_keys) /* C -> W  ticket_keys, memfd of them; behind their gateway */              \
	X(CHANNEL_RENEW, "renew", none)        /* C -> W     -: new links for old       */         \
	X(CHANNEL_RETRY, "retry", none)        /* C -> W     -: end all backoffs        */         \
	X(CHANNEL_DELAYED, "delayed", delayed) /* C -> W     delayed, memfd of the line */         \
	X(CHANNEL_DELAYED_DONE, "delayed_done", delayed) /* W -> C delayed                   */    \
	X(CHANNEL_HOST_STATE, "host_state", name) /* W -> C     name: up or not            */      \
	X(CHANNEL_RESOLVE, "resolve", name)       /* W -> C     name: look its name up     */      \
	X(CHANNEL_RECONNECT, "reconnect", name)   /* C -> W     name: renew and retry one  */      \
	X(CHANNEL_ASK_HOST, "ask_host", ask)      /* C -> W     ask                        */      \
	X(CHANNEL_HOST_IS, "host_is", host_is)    /* W -> C     host_is                    */      \
	X(CHANNEL_QUERY, "query", query)          /* C -> W     query                      */      \
	X(CHANNEL_ROWS, "rows", rows)             /* W -> C     rows                       */      \
	X(CHANNEL_KILL, "kill", kill)             /* C -> W     kill                       */      \
	X(CHANNEL_KILLED, "killed", kill)         /* W -> C     kill                       */      \
	X(CHANNEL_REQUEST, "request", request)    /* C, W -> W  request, memfd of the line */      \
	X(CHANNEL_REPLY, "reply", request)        /* W -> C, W  request                    */      \
	X(CHANNEL_SERVICE_LISTEN, "service_listen", service_name)     /* C -> K  service_name */   \
	X(CHANNEL_SERVICE_UNLISTEN, "service_unlisten", service_name) /* C -> K  likewise */       \
	X(CHANNEL_SERVICE_LISTENER, "service_listener",                                            \
	  service_socket) /* K -> C  service_socket, the */                                        \
	/* socket; again whenever it had to be bound anew */                                       \
	X(CHANNEL_SERVICE_START, "service_start", service_name) /* C -> K  service_name       */   \
	X(CHANNEL_SERVICE_END, "service_end", service_process)  /* C -> K  service_process     */  \
	X(CHANNEL_SERVICE_PROCESS, "service_process", service_process) /* K -> C  likewise      */ \
	X(CHANNEL_SERVICE_ADD, "service_add", service) /* C -> W  service, its public socket    */ \
	X(CHANNEL_SERVICE_REMOVE, "service_remove", service_generation) /* C -> W  its index    */ \
	X(CHANNEL_SERVICE_GENERATION, "service_generation", service_generation) /* C -> W       */ \
	X(CHANNEL_SERVICE_CALLS, "service_calls", service_calls) /* W -> C  service_calls       */ \
	X(CHANNEL_SERVICE_SLOW, "service_slow", service_slow)    /* W -> C  service_slow        */ \
	X(CHANNEL_DATAGRAM_SOCKET, "datagram_socket",                                              \
	  datagram_socket)            /* K -> W  datagram_socket, the UDP socket */                \
	X(CHANNEL_PEER, "peer", peer) /* K -> W  peer, the channel to it         */                \
	X(CHANNEL_WEBPAGER_SOCKET, "webpager_socket", none) /* K -> C  -, the bound socket   */    \
	X(CHANNEL_DATAGRAM, "datagram", datagram)    /* C -> W  datagram: all of the settings   */ \
	X(CHANNEL_ELSEWHERE, "elsewhere", elsewhere) /* C -> W  elsewhere                    */    \
	X(CHANNEL_CLIENT_KEYS, "client_keys", keys)  /* C -> W  keys, memfd of them          */    \
	X(CHANNEL_NOTICE, "notice", notice)          /* C -> W  notice, memfd of it          */    \
	X(CHANNEL_COMMITTED, "committed", answer)    /* C -> W  answer                       */    \
	X(CHANNEL_REFUSED, "refused", answer)        /* C -> W  answer                       */    \
	X(CHANNEL_ACCEPT, "accept", accept)          /* W -> C  accept, memfd of the notice  */    \
	X(CHANNEL_STORE_REPLY, "store_reply", accept) /* W -> C  accept, memfd of the line   */    \
	X(CHANNEL_CONFIRMED, "confirmed", confirmed)  /* W -> C  confirmed                    */   \
	X(CHANNEL_ONLINE, "online", presence)         /* W -> C  presence                     */   \
	X(CHANNEL_OFFLINE, "offline", presence)       /* W -> C  presence                     */   \
	X(CHANNEL_GATEWAY_LISTEN, "gateway_listen", gateway_listen)     /* C -> K              */  \
	X(CHANNEL_GATEWAY_UNLISTEN, "gateway_unlisten", gateway_listen) /* C -> K              */  \
	X(CHANNEL_GATEWAY_LISTENER, "gateway_listener", gateway_listen) /* K -> C  the socket  */  \
	X(CHANNEL_GATEWAY, "gateway", gateway) /* C -> W  gateway, memfd of allow    */            \
	X(CHANNEL_GATEWAY_DOOR, "gateway_door", gateway_door) /* C -> W  its listening socket  */  \
	X(CHANNEL_GATEWAY_REMOVE, "gateway_remove", gateway_index)   /* C -> W                 */  \
	X(CHANNEL_GATEWAY_RESOLVE, "gateway_resolve", gateway_index) /* W -> C                 */  \
	X(CHANNEL_LOG, "log", log) /* W, K -> C  log                        */

enum channel_type {
#define X(name, text, payload) name,
	CHANNEL_TYPES(X)
#undef X
};

struct channel_none {
	uint32_t unused;
};

struct channel_host {
	uint32_t index; /* names the host in all later messages; given by the keeper */
	char id[HOST_ID_MAX + 1];
	char local_id[HOST_ID_MAX + 1];
	struct resolve_list addresses; /* to be tried in this order; none = not known (yet) */
	struct host_settings settings; /* tls_name is never empty if tls is on */
	uint32_t hold;                 /* enum host_hold */
	uint32_t credentials;          /* the number of those for TLS; 0 = none, and tls is off */
};

/*
 * What is in three files (relay/tls_material.h), one behind the other in the memfd, which is
 * sealed.  Hosts and gateways name it by its number, which means the same until it is dropped or
 * another sync begins; the digest says whether two numbers mean the same.
 */
struct channel_credentials {
	uint32_t number;                  /* not 0 */
	uint32_t lengths[TLS_FILE_COUNT]; /* in the order of enum tls_file */
	uint8_t digest[TLS_DIGEST_SIZE];
};

/*
 * The keys of a gateway's session tickets, the newest first: `count` of struct tls_ticket_key in
 * the memfd, which is sealed.  The context is one of this gateway, its credentials and its
 * allow: with another one no session is resumed.  All workers have the same.
 */
#define TICKET_CONTEXT_SIZE 32

struct channel_ticket_keys {
	uint32_t index; /* of the gateway */
	uint32_t count;
	uint8_t context[TICKET_CONTEXT_SIZE];
};

struct channel_name {
	uint32_t index;
	uint32_t up;                  /* HOST_STATE: whether the peer can be expected to answer */
	uint32_t down;                /* HOST_STATE: whether it is known not to */
	uint32_t hold;                /* HOST_STATE: enum host_hold */
	union resolve_address in_use; /* HOST_STATE: where a link was ready last; family 0 = none */
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

/* --- services of fd-passing.  `index` is given by control and used by one service at a time. */

#define SERVICE_NAME_MAX 64
#define SERVICE_PATH_MAX 108 /* a sun_path with its NUL */
#define SERVICE_UIDS_MAX 32

/*
 * A service whose socket or process control wants.  What that is - paths, rights, command, user -
 * the keeper takes from relay.conf itself, if what it finds there has this digest.
 */
struct channel_service_name {
	uint32_t index;
	uint32_t extended;   /* (UN)LISTEN: 1: the socket on which signals are forwarded */
	uint32_t generation; /* START: counts up for each; never used again for this index */
	uint64_t digest;     /* service_definition_digest(); not in UNLISTEN */
	char name[SERVICE_NAME_MAX + 1];
};

/* The public socket that callers connect to. */
struct channel_service_socket {
	uint32_t index;
	int32_t error; /* 0, or the negative errno (then without a socket); -ESTALE: relay.conf
			  says something else than control */
	uint32_t extended;
	char path[SERVICE_PATH_MAX]; /* "" if it is not known */
};

enum service_process {
	SERVICE_PROCESS_WARM,   /* set-up ended with 0: it accepts calls */
	SERVICE_PROCESS_FAILED, /* set-up ended otherwise, or too late: `status` */
	SERVICE_PROCESS_GONE,   /* was warm, and is no more */
};

struct channel_service_process {
	uint32_t index;
	uint32_t generation;
	enum service_process what; /* not in END, which asks for the generation's end */
	int32_t status;            /* of wait(2), or one of these */
};

enum service_process_status {
	SERVICE_STATUS_NONE = -1,  /* it took too long or could not be started */
	SERVICE_STATUS_STALE = -2, /* relay.conf says something else than control */
};

/* What a worker has to know to take calls. */
struct channel_service {
	uint32_t index;
	uint32_t extended; /* 1: the socket that comes with this is the one for forwarded signals */
	uint32_t calls_max; /* under way at a time; 0 = no bound */
	uint32_t uid_count; /* 0: whoever may connect */
	uint32_t uids[SERVICE_UIDS_MAX];
	uint64_t call_timeout_ms; /* 0 = none */
	uint64_t request_timeout_ms;
	uint64_t slow_call_ms; /* 0 = none is slow */
	char name[SERVICE_NAME_MAX + 1];
};

enum service_generation_state {
	SERVICE_GENERATION_USE,   /* new calls go there */
	SERVICE_GENERATION_DRAIN, /* what is under way ends there */
	SERVICE_GENERATION_GONE,  /* nothing can be given to it any more */
};

struct channel_service_generation {
	uint32_t index;
	uint32_t generation;
	enum service_generation_state state;
	char path[SERVICE_PATH_MAX]; /* to connect to */
};

/* Whenever a number that control waits for has changed. */
struct channel_service_calls {
	uint32_t index;
	uint32_t generation;
	uint32_t running; /* calls on this generation */
	uint32_t waiting; /* of the service, for any generation */
	uint32_t refused; /* 1: the generation does not accept, or ended before its greeting */
	uint64_t calls;   /* given to this generation so far */
};

/* A call that took longer than its service's slow_call: for the log. */
struct channel_service_slow {
	uint32_t index;
	uint32_t uid; /* the caller's */
	uint32_t pid;
	uint32_t end;         /* enum call_end */
	uint32_t status;      /* of wait(2), if it was answered */
	uint64_t duration_us; /* from the complete request to its end */
	uint64_t wait_us;     /* of that in the queue */
};

/* All of them; those of another relay.conf follow when it was loaded. */
struct channel_datagram {
	struct datagram_settings settings;
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
		struct channel_credentials credentials;
		struct channel_ticket_keys ticket_keys;
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
		struct channel_service_name service_name;
		struct channel_service_socket service_socket;
		struct channel_service_process service_process;
		struct channel_service service;
		struct channel_service_generation service_generation;
		struct channel_service_calls service_calls;
		struct channel_service_slow service_slow;
		struct channel_datagram_socket datagram_socket;
		struct channel_peer peer;
		struct channel_datagram datagram;
		struct channel_elsewhere elsewhere;
		struct channel_keys keys;
		struct channel_notice notice;
		struct channel_accept accept;
		struct channel_confirmed confirmed;
		struct channel_answer answer;
		struct channel_presence presence;
		struct channel_gateway_listen gateway_listen;
		struct channel_gateway gateway;
		struct channel_gateway_door gateway_door;
		struct channel_gateway_index gateway_index;
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
