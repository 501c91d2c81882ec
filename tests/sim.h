/*
 * sim.h - the simulation: the worker's own code on the fake ring, among clients and peers that do
 * everything wrong.
 *
 * One seed makes one run: its hosts, settings, clients, faults and moments.  All invariants are
 * checked while it runs; the first one that does not hold ends it (sim_fail).
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include "relay/host.h"
#include "relay/worker.h"
#include "tests/fake_channel.h"
#include "tests/fake_uring.h"
#include "tests/sim_cover.h"
#include "wire/idea.h"

enum {
	SIM_HOSTS_MAX = 6,
	SIM_CLIENTS_MAX = 32,
	SIM_REQUESTS_MAX = 2000,
	SIM_LINE_MAX = 20000,
	SIM_TEXT_MAX = 3 * SIM_LINE_MAX,
};

#define MS(n)      ((uint64_t)(n)*1000000u)
#define SECONDS(n) MS((n)*1000u)

struct sim;

/* A request, known by its number; its text and its reply follow from these few facts (sim_text.c).
 */
struct sim_request {
	uint32_t host;
	uint32_t len;       /* of the plaintext, without the prefix */
	uint32_t reply_len; /* of the plaintext */
	bool encrypted;
	bool reply_encrypted;
	bool reply_lines;    /* its plaintext has LFs, which must not reach the client */
	bool reply_like_enc; /* starts with "enc" and is no frame */
	uint32_t link;       /* that a peer got bytes of it on; 0 = none */
	bool whole;          /* and all of it */
};

struct sim_host {
	struct sim *sim;
	unsigned index;
	uint32_t place; /* its index in the worker: one that left may have had it before */
	char id[16];
	uint16_t port;      /* of two: moving a host adds or takes 1 */
	uint32_t addresses; /* of its name: 127.0.0.1 and so on */
	uint32_t turned;    /* the first of them is so many further on */
	uint32_t good; /* all but this one refuse or are silent; as many as there are: none does */
	bool mute;     /* they are silent */
	bool six;      /* they are of IPv6, for which the fake ring has no sockets */
	int listener;
	bool present;           /* a host of the worker that was not asked to leave */
	enum host_hold hold;    /* as last told */
	uint32_t held_requests; /* in flight since it is held; UINT32_MAX = it is not */
	struct host_settings settings;
	uint64_t queue_most_ms; /* the longest these ever were */
	uint64_t reply_most_ms;
	uint64_t reply_delay_ns; /* the peer's */
	unsigned fault_chance;   /* per link, of 1000 */
	bool refusing;
	bool silent;
	struct uring_timer flap;
};

struct sim_plan {
	bool calm;    /* nothing may be lost */
	bool quiet;   /* calm, and so few clients that nobody is woken by what others do */
	bool faults;  /* peers lie */
	bool flaps;   /* peers go down */
	bool changes; /* settings, addresses, renewals */
	bool removals;
	bool small; /* bounds that are reached */
	bool memory_small;
	bool stop_early; /* while there is traffic */
	bool orphan;     /* the channel ends instead of a stop message */
	bool short_stop; /* what is under way may take longer than the stop */
	bool holds_channel;
	bool operates; /* somebody pauses, drains, lists, kills */
	unsigned clients;
	unsigned requests;
	uint64_t stop_at;
};

/* What was asked of the worker and what it said; one question at a time. */
struct sim_operator {
	uint64_t token;
	enum channel_type asked; /* CHANNEL_READY = nothing */
	struct channel_query query;
	unsigned host;            /* that was asked for */
	uint64_t numbers[2];      /* of links and clients: one that was listed */
	unsigned kills_of_client; /* that nobody has felt yet */
};

struct sim_client;
struct sim_peer;
LIST_HEAD(sim_peer_list, sim_peer);

struct sim {
	uint64_t seed;
	struct fake_random random;
	struct sim_plan plan;
	struct sim_cover *cover;
	bool trace;
	void (*failed)(const char *text);
	struct uring *ring;
	struct channel *channel; /* of control */
	struct channel *keeper;
	struct worker_stats *stats;
	struct stats_host *seen; /* the totals when they were last looked at */
	uint64_t answers_read;   /* by clients, as are the next ones */
	uint64_t lost_read;
	uint64_t bytes_read;
	struct worker worker;
	bool worker_live;

	struct sim_host hosts[SIM_HOSTS_MAX];
	unsigned hosts_count;
	struct sim_client *clients;
	struct sim_peer_list peers;
	unsigned peers_count; /* ever */
	struct sim_request *requests;
	unsigned requests_count;
	struct uring_timer events; /* additions, changes, removals */
	struct uring_timer held;
	bool holding;
	uint64_t released_at;
	struct sim_host *renew; /* between two turns: there is no message for it yet */
	struct sim_operator operator;
	bool stopping;
	uint64_t stop_due; /* a stop must be over by then */
	uint64_t turns;
	uint8_t *scratch[2]; /* of texts: SIM_TEXT_MAX bytes each */
};

/* Ends the run of this seed with words. */
_Noreturn void sim_fail(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *sim_alloc(size_t size);

static inline uint64_t
sim_now(const struct sim *sim)
{
	return uring_now(sim->ring);
}

static inline uint64_t
sim_below(struct sim *sim, uint64_t below)
{
	return fake_below(&sim->random, below);
}

static inline bool
sim_chance(struct sim *sim, unsigned permille)
{
	return fake_chance(&sim->random, permille);
}

static inline void
sim_cover(struct sim *sim, enum sim_event event)
{
	sim->cover->events[event]++;
}

/* --- sim_run.c: one seed ---------------------------------------------------------------------- */

/* Failing, it calls `failed`, which must not return.  false = the stop was not in time, so that
 * memory is left. */
typedef void sim_failed(const char *text);
/* The whole takes too long: looked at while the ring waits, for it may do so for ever. */
void sim_check_time(struct sim *sim);

bool sim_run(uint64_t seed, struct sim_cover *cover, bool trace, sim_failed *failed);

/* --- sim_plan.c: what a seed means ------------------------------------------------------------ */

void sim_plan(struct sim *sim, struct fake_options *ring, struct worker_options *worker);
void sim_host_plan(struct sim *sim, struct sim_host *host);
void sim_host_settings(struct sim *sim, struct sim_host *host);

/* --- sim_host.c: hosts come, change and go ---------------------------------------------------- */

void sim_host_add(struct sim *sim, uint32_t place);
void sim_hosts_start(struct sim *sim);
void sim_host_renew(struct sim *sim, struct sim_host *host);

/* NULL: there is none of that id. */
struct sim_host *sim_host_by_id(struct sim *sim, const char *id);

/* What the worker has of it; NULL: nothing, or another has its place. */
struct host *sim_host_inside(struct sim *sim, const struct sim_host *host);

/* The message that describes the host as it is now. */
struct channel_message sim_host_message(const struct sim_host *host, enum channel_type type);

/* --- sim_operator.c: what an operator does, and is told -----------------------------------------
 */

void sim_operate(struct sim *sim);

/* false: it is no answer. */
bool sim_operator_told(struct sim *sim, const struct channel_message *message);

/* --- sim_text.c: requests and replies --------------------------------------------------------- */

/* A new request for the host; its number. */
uint32_t sim_request_new(struct sim *sim, unsigned host);

/* Its line as a client sends it, LF included, or as the peer must find it, without; lengths are
 * returned. */
size_t sim_request_line(struct sim *sim, uint32_t number, uint8_t *line);
size_t sim_request_plain(struct sim *sim, uint32_t number, uint8_t *plain);

/* Its reply as the peer means it, and as the client must see it; both without LF at the end. */
size_t sim_reply_plain(struct sim *sim, uint32_t number, uint8_t *plain);
size_t sim_reply_seen(struct sim *sim, uint32_t number, uint8_t *seen);

/* The number at the start of a plaintext of at least SIM_NUMBER_LEN bytes; fails the run if there
 * is none. */
#define SIM_NUMBER_LEN 8
uint32_t sim_number(struct sim *sim, const uint8_t *plain, const char *what);

/* --- sim_peer.c: the far ends of links -------------------------------------------------------- */

/* The fake ring's question: how does this connect end? */
void sim_peer_connect(void *context, const struct sockaddr *address, struct fake_answer *answer);
void sim_peers_fini(struct sim *sim);

/* --- sim_client.c ----------------------------------------------------------------------------- */

void sim_clients_start(struct sim *sim);

/* All who have nothing else to do connect now: more than there are accepts armed, with luck. */
void sim_clients_knock(struct sim *sim, struct sim_host *host);

bool sim_clients_done(const struct sim *sim);
void sim_clients_fini(struct sim *sim);

/* --- sim_check.c: what must be true of the worker between any two turns ----------------------- */

void sim_check(struct sim *sim);
void sim_check_end(struct sim *sim);

/* --- sim_stats.c: what must be true of its statistics ----------------------------------------- */

void sim_stats_init(struct sim *sim);
void sim_stats_check(struct sim *sim);
void sim_stats_end(struct sim *sim);
void sim_stats_fini(struct sim *sim);

#endif
