/*
 * control.h - the inside of the control process: configuration, names, files, the operator's side.
 * One poll loop that never blocks, a storage thread and a resolver thread.
 *
 *   control_process.c  the loop, start and stop
 *   control_channels.c messages of keeper and workers
 *   control_load.c     the configuration: load, reload, what is in force
 *   control_watch.c    the configuration's files are watched
 *   control_apply.c    a table of hosts sent by the operator
 *   control_hosts.c    the table of hosts: configuration, sockets, addresses
 *   control_hosts_tell.c  telling keeper and workers
 *   control_delayed.c  delayed messages between disk and workers
 *   control_ask.c      questions to workers; asked by the verbs in control_hosts_verbs.c,
 *                      control_query.c and control_request.c
 *   control_messages.h the message plane
 *   control_services.h services of fd-passing
 *   control_credentials.h certificates and keys of secure links
 *   control_tickets.h  keys of gateways' session tickets
 *   control_log.c      lonc.log, loncstatus.txt, standard error
 *   control_server.h   the control socket: connections, requests, the verbs
 */
#ifndef RELAY_CONTROL_H
#define RELAY_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "relay/channel.h"
#include "relay/config.h"
#include "relay/control_credentials.h"
#include "relay/control_disk.h"
#include "relay/control_gateways.h"
#include "relay/control_process.h"
#include "relay/control_messages.h"
#include "relay/control_services.h"
#include "relay/control_tickets.h"
#include "relay/text_file.h"

#define CONTROL_INDEX_NONE  UINT32_MAX
#define CONTROL_WORKERS_MAX 64 /* of settings.def: relay.workers */
#define CONTROL_TEXT_MAX    200

struct config_diff;
struct control_apply;
struct control_apply_wait;
struct control_delayed_call;
struct control_server;
struct resolver;
struct storage;
struct watch;
struct worker_stats;

struct control_ask;
LIST_HEAD(control_asks, control_ask);

struct control_text {
	time_t at;
	char text[CONTROL_TEXT_MAX];
};

enum control_delayed_state {
	CONTROL_DELAYED_NONE,
	CONTROL_DELAYED_ASKED,   /* the storage looks for the next one */
	CONTROL_DELAYED_SENDING, /* a worker has it */
	CONTROL_DELAYED_ENDING,  /* answered; the storage removes it */
};

struct control_delayed {
	enum control_delayed_state state;
	uint32_t worker; /* SENDING */
	uint64_t token;  /* likewise, the storage's */
	uint32_t files;  /* messages on the disk, as the last look found them */
};

struct control_host {
	char id[HOST_ID_MAX + 1];
	uint32_t index; /* CONTROL_INDEX_NONE: the keeper has not answered */
	int listener;   /* ours; -1 = none */
	bool listed;    /* `listen` was sent */
	bool resolving;
	bool nowhere;      /* its name could not be resolved, and it has no address from before */
	uint32_t question; /* number of the last one asked of the resolver */
	char *address;     /* text */
	uint16_t port;
	struct host_settings settings;
	uint32_t credentials; /* their number for workers (control_credentials.h); 0 = none */
	struct resolve_list resolved; /* none = not known */
	union resolve_address in_use; /* where a link was ready last, at whatever worker */
	bool moving;                  /* that is still what was resolved of the address before */
	uint64_t moved_in;   /* generation that brought this address; 0 = it came with the host */
	uint64_t homes;      /* bit N: worker N was told of it */
	uint64_t elsewhere;  /* bit N: worker N was told that its home is another one */
	uint64_t up;         /* bit N: worker N has a usable link */
	enum host_hold hold; /* HOST_HOLD_KEEP: as the workers have it */
	uint64_t down;       /* bit N: worker N knows that the peer does not answer */
	uint64_t expiry_said_at; /* ms: that its peer's certificate expires; 0 = never */
	struct control_text status;
	struct control_text last_log;
	struct control_delayed delayed;
};

struct control_worker {
	struct channel *channel; /* NULL = none at the moment */
	struct worker_stats *stats;
	int32_t pid;
	uint32_t sync_next; /* next index to be told; CONTROL_INDEX_NONE = all were */
	bool behind;        /* something found no room in its channel */
};

struct control {
	const struct control_options *options;
	struct channel *keeper;
	struct control_worker workers[CONTROL_WORKERS_MAX];
	struct config config;                 /* the one in force */
	bool loaded;                          /* there is one */
	struct hosts_accepted accepted_saved; /* what the note in state_dir says, or soon will */
	struct control_apply *apply;          /* the `hosts apply` under way; NULL = none */
	struct text_file apply_back;          /* being written again after one that failed */
	bool listed; /* the keeper has answered for all its hosts: workers may be told */
	bool ready_said;
	bool ready_once;
	bool ending;                 /* the keeper stops the workers; this process goes last */
	bool stopping;               /* now it is this one's turn */
	struct control_host **hosts; /* by index; NULL = none */
	uint32_t hosts_cap;
	void *by_id;      /* tsearch(3) of control_host */
	size_t list_next; /* hosts of config that were asked of the keeper */
	bool sync_sent;   /* sync_begin went to the keeper, and its end too */
	bool behind;      /* something found no room in the keeper's channel */
	struct resolver *resolver;
	struct storage *storage;
	struct watch *watch;                         /* NULL unless hosts_watch */
	uint64_t watched;                            /* generation that it follows */
	LIST_HEAD(, control_apply_wait) apply_waits; /* for keeper and workers to be told */
	struct control_disk delayed_disk;            /* calls about delayed messages */
	uint32_t delayed_asked;     /* of the storage, not yet answered, for them or for nobody */
	bool delayed_hosts_changed; /* the storage does not know the table as it is */
	bool scanning;              /* for delayed messages */
	uint64_t scan_at;           /* ms; the next time */
	struct control_text status;
	struct control_text last_log;
	struct control_asks asks; /* under way; control_ask.h */
	uint64_t asks_token;      /* of the last one; 0 = none yet */
	uint32_t asks_count;
	uint32_t listings;                      /* of links or clients, under way */
	uint32_t requests;                      /* of operators to peers, likewise */
	struct control_credentials credentials; /* of TLS */
	struct control_tickets tickets;         /* of gateways */

	struct {
		uint64_t look_at;     /* ms */
		uint64_t own_said_at; /* likewise; 0 = never */
	} expiry;                     /* control_expiry.h */

	struct control_gateways gateways;
	struct control_services services;
	struct control_messages messages;
	struct control_server *server;
	uint64_t generation; /* of config: another one for each that is taken over */
	uint64_t loaded_us;  /* since 1970, as are the others */
	uint64_t last_load_us;
	bool last_load_ok;
	uint64_t loads;
	uint64_t loads_refused;
	char *daemons_dir; /* for the legacy files; NULL = there are none */
};

/* --- control_channels.c */

/* What came, and sends what waits.  false: the keeper is gone. */
bool control_read_keeper(struct control *control);

/* Likewise; the channel of one that died is given up. */
void control_read_worker(struct control *control, uint32_t number);

/* What the workers logged at their end. */
void control_read_rest(struct control *control);

/* Tells the keeper once, as soon as all workers serve. */
void control_say_ready(struct control *control);

/* --- control_load.c */

/* Reads everything and applies what differs.  false: refused, all stays as it was; the log says
 * why. */
bool control_load(struct control *control);

/* --- control_watch.c */

/* control_load(), the files that it reads being watched if that is configured. */
void control_load_watched(struct control *control);

/* Reads again what has changed, and watches what the configuration has come to name. */
void control_watch_run(struct control *control);

/* --- control_hosts.c */

/* Makes hosts, keeper and workers follow control->config, which differs so from before. */
void control_hosts_apply(struct control *control, const struct config_diff *diff);

/* Whether the keeper has answered for each of them, and none waits to be told. */
bool control_hosts_settled(struct control *control);

void control_on_listener(struct control *control, const struct channel_listen *message, int fd);
void control_on_resolved(struct control *control);
void control_resolve(struct control *control, struct control_host *host);

/* Of those that its name has the one in use, as far as a worker told; NULL = none is known. */
const union resolve_address *control_host_address(const struct control_host *host);
struct control_host *control_host_at(struct control *control, uint32_t index);
struct control_host *control_host_by_id(struct control *control, const char *id);

/* An operator keeps everything from its peer. */
static inline bool
control_host_held(const struct control_host *host)
{
	return host->hold == HOST_HOLD_PAUSED || host->hold == HOST_HOLD_DRAINING;
}

/* No worker reaches its peer, and one at least has tried or cannot. */
static inline bool
control_host_down(const struct control_host *host)
{
	return host->up == 0 && (host->down != 0 || host->nowhere);
}

/* --- control_hosts_tell.c */

/* More of what is to be told to the keeper and the workers, as far as their channels take it. */
void control_pump(struct control *control);

void control_on_listed(struct control *control);
void control_on_worker(struct control *control, const struct channel_worker *message, int fd);

/* The workers are told what the host is now. */
void control_host_tell(struct control *control, struct control_host *host);

/* Workers and keeper are told that there is no such host. */
void control_host_untell(struct control *control, struct control_host *host);

/* The keeper is: nobody listens at this index. */
void control_unlisten(struct control *control, uint32_t index);

/* Whether this worker is to serve it; and whether it was told of it. */
bool control_host_at_home(const struct control *control, const struct control_host *host,
			  uint32_t number);
bool control_host_told(const struct control *control, const struct control_host *host,
		       uint32_t number);

/* Whether it has all hosts that it is to have. */
bool control_worker_ready(const struct control_worker *worker);

/* To every worker. */
void control_tell_all(struct control *control, enum channel_type type);

/* --- control_hosts_verbs.c */

/* A worker knows it from before this process was started. */
void control_host_learn_hold(struct control *control, struct control_host *host,
			     enum host_hold hold);

/* --- control_delayed.c */
bool control_delayed_init(struct control *control);

/* Scans and sends what is due; control_delayed_deadline() says when to come again. */
void control_delayed_run(struct control *control, uint64_t now_ms);
uint64_t control_delayed_deadline(const struct control *control);

void control_delayed_host_up(struct control *control, struct control_host *host);
void control_delayed_hosts_changed(struct control *control);
void control_on_delayed_done(struct control *control, const struct channel_delayed *message);
void control_on_storage(struct control *control);
void control_delayed_give_up(struct control *control, struct control_host *host);
void control_delayed_worker_gone(struct control *control, uint32_t worker);

/* --- control_events.c */

/* To all who listen: kinds are those of control.proto.  `host` may be NULL. */
void control_event(struct control *control, const char *kind, const char *host, const char *format,
		   ...) __attribute__((format(printf, 4, 5)));

/* Microseconds since 1970. */
uint64_t control_now_us(void);

/* --- control_log.c */

/* One line to lonc.log and, under the process' name `who`, to standard error (NULL: it is there
 * already). */
void control_log(struct control *control, const char *who, pid_t pid, enum log_level level,
		 const char *host, const char *text);
void control_write_status(struct control *control);
void control_set_text(struct control_text *to, const char *text);

#endif
