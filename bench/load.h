/*
 * load.h - the load scenario of relay-bench: what it is asked to do, what it counts, and its parts.
 *
 *     load_options.c   the command line
 *     load_request.c   each request and the one reply that is right for it
 *     load_client.c    a connection: opens, asks, compares
 *     load_stream.c    its socket, on the ring
 *     load.c           the phases of a run and the loop; load_next alone decides who may ask when
 *     load_parts.c     a window in parts, each begun from outside
 *     load_meters.c    clocks and counters of all processes, read when the window begins and ends
 *     load_udp.h       clients of UDP sockets, in place of connections
 *     load_report.c    the result as a table and as JSON, and the progress line
 *
 * Closed loop: a client asks again as soon as it is answered.  Open loop (--rate): requests are due
 * at a fixed rhythm; a client that has room waits in `resting` and the first one takes the next due
 * request, whose latency counts from the moment it was due.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "bench/bytes.h"
#include "bench/hist.h"
#include "bench/protocol.h"
#include "bench/schedule.h"
#include "bench/usage.h"
#include "bench/wakes.h"
#include "uring/timer.h"
#include "uring/uring.h"
#include "wire/idea.h"
#include "wire/lond.h"

#include <stdio.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define LOAD_PIDS_MAX    256
#define LOAD_TARGETS_MAX 1024
#define LOAD_LINE_MAX    ((size_t)64 << 20) /* bytes of a request or a reply, in plaintext */
#define LOAD_TOKEN_LEN   16                 /* hexadecimal digits that make a request unique */

struct load_target {
	const char *name; /* as given */
	struct sockaddr_storage address;
	socklen_t address_len;
};

/* Whose processes are metered. */
#define LOAD_GROUPS(X)         \
	X(LOAD_RELAY, "relay") \
	X(LOAD_PEER, "peer")

enum load_group {
#define X(name, text) name,
	LOAD_GROUPS(X)
#undef X
	LOAD_GROUP_COUNT
};

struct load_process {
	pid_t pid;
	enum load_group group;
};

struct load_options {
	struct load_target targets[LOAD_TARGETS_MAX]; /* clients are dealt out to them in turn */
	size_t target_count;
	bool udp; /* to the relay's UDP socket; targets are hosts */
	struct sockaddr_storage udp_address;
	socklen_t udp_address_len;
	const char *keys;        /* the file; NULL: not sealed */
	uint64_t sockets;        /* that UDP clients share; 0: one each */
	uint64_t datagram_bytes; /* the longest that is taken */
	bool tcp; /* straight to the peer: a lond's handshake and encryption are ours */
	enum protocol protocol;
	const char *id;    /* of the lond, for encryption over TCP */
	const char *local; /* ours */
	uint64_t clients;
	uint64_t depth;    /* requests in flight per client */
	uint64_t rate;     /* requests per second of an open loop; 0: closed loop */
	uint64_t requests; /* 0: run for duration_ns */
	uint64_t duration_ns;
	uint64_t parts;      /* of the window, each begun from outside; 0: it begins by itself */
	uint64_t warmup_ns;  /* before each part */
	uint64_t settle_ns;  /* between connecting and asking */
	uint64_t timeout_ns; /* so long without any progress = stalled */
	uint64_t request_bytes;
	uint64_t reply_bytes;
	uint64_t encrypt; /* percent of the requests */
	uint64_t idle;
	uint64_t connect_per; /* requests per connection, 0 = all on one */
	uint64_t seed;
	bool strict; /* losses and refusals fail the run too */
	bool progress;
	const char *json;
	const char *hook; /* a command to run when the window begins and ends */
	struct load_process processes[LOAD_PIDS_MAX];
	size_t process_count;
};

#define LOAD_PHASES(X)                                                                        \
	X(LOAD_CONNECTING, "connecting")                                                      \
	X(LOAD_SETTLING, "settling")                                                          \
	X(LOAD_PAUSED, "paused") /* until the next part of the window is asked for */         \
	X(LOAD_WARMUP, "warm-up")                                                             \
	X(LOAD_COOLING, "cooling") /* before counted requests: nothing else is in flight */   \
	X(LOAD_MEASURING, "measuring")                                                        \
	X(LOAD_DRAINING, "draining") /* nobody asks any more, what is in flight is awaited */ \
	X(LOAD_DONE, "done")

enum load_phase {
#define X(name, text) name,
	LOAD_PHASES(X)
#undef X
};

struct load_counts {
	uint64_t sent;
	uint64_t replies;   /* right ones */
	uint64_t con_lost;  /* answered `con_lost` */
	uint64_t cut_off;   /* never answered: the connection ended */
	uint64_t wrong;     /* replies that differ, and replies to nothing */
	uint64_t connected; /* connections made */
	uint64_t waits;     /* attempts put off by a full listen queue */
	uint64_t refused;   /* attempts that failed otherwise */
	uint64_t ended;     /* connections the other side ended */
	uint64_t idle_ended;
	uint64_t busy;    /* UDP: told to come again later */
	uint64_t resent;  /* UDP: requests sent again, for want of an answer */
	uint64_t unbegun; /* due in the window of an open loop, but no client had room */
};

/* All meters at one moment. */
struct load_mark {
	uint64_t at_ns;
	uint64_t own_cpu_ns;
	struct load_counts counts;
	struct usage usage[LOAD_PIDS_MAX];
	bool alive[LOAD_PIDS_MAX];
};

#define CLIENT_STATES(X)                                           \
	X(CLIENT_CLOSED, "closed")   /* for good */                \
	X(CLIENT_WAITING, "waiting") /* connects again later */    \
	X(CLIENT_CONNECTING, "connecting")                         \
	X(CLIENT_SHAKING, "shaking") /* the handshake of a lond */ \
	X(CLIENT_READY, "ready")

enum client_state {
#define X(name, text) name,
	CLIENT_STATES(X)
#undef X
};

/* A request in flight. */
struct ask {
	uint64_t serial;
	uint64_t since_ns;
	bool counted; /* begun inside the measured window */
};

struct udp;
struct udp_client;

struct stream;

/* What every request touches stands first. */
struct client {
	struct load *load;
	struct stream *stream; /* NULL: none, or UDP */
	enum client_state state;
	bool idle;           /* only keeps a connection open */
	bool resting;        /* in load->resting */
	bool unsent;         /* has begun a request that waits for the new connection */
	bool sending;        /* in load->sending */
	uint64_t fresh_ns;   /* when opening the connection began, until the first requests were
				asked; else 0 */
	uint64_t asked_here; /* requests on this connection */
	struct ask *asks;    /* a ring of `depth` */
	size_t first;
	size_t in_flight;
	struct bytes out;
	struct bytes in; /* the beginning of a line; usually empty */
	size_t scanned;
	struct udp_client *udp; /* its session; NULL: a stream */
	TAILQ_ENTRY(client) rest;
	const struct load_target *target;
	struct wake wake;
	struct lond lond;
	struct idea_key key;
};

TAILQ_HEAD(client_list, client);
SLIST_HEAD(stream_list, stream);

struct load {
	const struct load_options *options;
	enum load_phase phase;
	struct uring *ring;
	struct uring_timer look; /* ends the wait of a turn */
	struct uring_op stop;    /* a signal to end, on `stop_fd` */
	int stop_fd;
	bool stopping;
	struct uring_op go; /* what begins the next part, on stdin */
	bool going;
	uint64_t parts_done;
	uint64_t now_ns;
	uint64_t phase_ends_ns;   /* UINT64_MAX: not by time */
	uint64_t progress_ns;     /* when something last went on */
	uint64_t look_ns;         /* when the progress is to be told next */
	uint64_t told_replies;    /* by then */
	struct schedule schedule; /* open loop; rate 0 until it begins */
	struct client_list resting;
	uint64_t serial;
	uint64_t seed;  /* scrambled */
	uint64_t left;  /* requests still to be begun, if they are counted */
	uint64_t ready; /* clients that have connected, idle ones included */
	uint64_t in_flight;
	int last_errno;         /* of the last attempt to connect that failed */
	const char *fault;      /* why the run as a whole failed, or NULL */
	struct client *clients; /* the asking ones, then the idle ones */
	size_t client_count;
	struct ask *asks;
	struct udp *udp; /* NULL: streams */
	struct wakes wakes;
	struct stream_list streams;       /* all there are */
	struct stream_list spare_streams; /* of them those of no client */
	struct client **sending;          /* clients with bytes for the next turn */
	size_t sending_count;
	struct bytes expected;
	struct bytes plain;
	struct bytes framed; /* a request on its way into a command */
	char command[32];    /* `fill:<reply bytes>:` */
	size_t command_len;
	struct load_counts counts;
	struct load_mark base, connected, begin, end;
	struct load_mark resumed; /* when the newest part began */
	struct hist hist;         /* ns */
};

/* load_options.c: fills *options or ends the program with status 2 (0 after --help). */
void load_options_parse(struct load_options *options, int argc, char **argv);

/* load.c: a whole run; the exit status. */
int load_main(int argc, char **argv);
/* The next request a client may begin now, and since when its latency counts; false if none. */
bool load_next(struct load *load, struct ask *ask);
/* Whether there will be one, now or later. */
bool load_asking(const struct load *load);
/* Something that is an error of the other side's, said once in words for the first few. */
void load_complain(struct load *load, const char *what, uint64_t serial, struct wire_span got,
		   struct wire_span expected);

/* Open loop: this client has room for a request. */
void load_rest(struct load *load, struct client *client);
void load_rise(struct load *load, struct client *client);

static inline bool
load_is_open(const struct load *load)
{
	return load->options->rate != 0;
}

/* load_parts.c: says on stdout how many parts are done, and awaits what begins the next. */
void load_parts_tell(struct load *load);

/* load_meters.c */
void load_meters_read(struct load *load, struct load_mark *mark);
/* Begins the window, or its next part: then what was metered since its end is left out of it. */
void load_meters_begin(struct load *load);
/* Runs --hook with `begin` or `end` and waits for it; a failure ends the program. */
void load_hook(const struct load *load, const char *moment);

/* load_request.c */
/* Fixes the command; ends the program if request and reply are too short to be told apart. */
void load_request_init(struct load *load);
/* Appends the request, LF included, as this client must send it. */
void load_request_add(struct load *load, const struct client *client, uint64_t serial,
		      struct bytes *out);
/* The reply that is right, without LF: a view valid until the next call. */
struct wire_span load_reply_expected(struct load *load, const struct client *client,
				     uint64_t serial);

/* load_client.c */
void client_open(struct client *client);
/* Begins as many requests as it may and sends them; in an open loop it only gets in line. */
void client_ask(struct client *client);
/* Open loop: begins one request that is due. */
void client_begin(struct client *client);
/* Its stream (load_stream.h) is connected, or could not be: a negative errno. */
void client_on_connected(struct client *client, int error);
/* Its stream brought these; they are gone afterwards. */
void client_on_bytes(struct client *client, const uint8_t *data, size_t n);
/* The other side ended its stream, or broke it. */
void client_on_end(struct client *client);
void client_on_wake(struct client *client);
/* Closes it at the end of a run; bytes that nobody asked for count as wrong. */
void client_finish(struct client *client);

/* load_report.c */
/* What makes a run fail although it came to its end; NULL: nothing. */
const char *load_verdict(const struct load *load);
void load_report_table(FILE *file, const struct load *load, bool passed);
void load_report_json(FILE *file, const struct load *load, bool passed);
/* One line on stderr about the run so far; `seconds` since the line before. */
void load_report_progress(struct load *load, double seconds);

#endif
