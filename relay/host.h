/*
 * host.h - a host of the table inside a worker: its listening socket, its clients, its queue, its
 * pool of links, and the decision when to open another link.
 *
 *   CONNECTING -> UP -> (DOWN <-> UP) ...   UP -> ASLEEP when the idle clock closed the last link
 */
#ifndef RELAY_HOST_H
#define RELAY_HOST_H

#include "relay/channel.h"
#include "relay/farewell.h"
#include "relay/host_tls.h"
#include "relay/request.h"
#include "relay/worker.h"
#include "wire/wire.h"

#define HOST_STATES(X)                                                                        \
	X(HOST_CONNECTING, "connecting") /* no link yet, nothing known against the peer */    \
	X(HOST_UP, "up")                 /* at least one link can be used */                  \
	X(HOST_DOWN, "down")     /* no link, the last attempt failed; tried again for ever */ \
	X(HOST_ASLEEP, "asleep") /* no link, none needed until a request comes */

enum host_state {
#define X(name, text) name,
	HOST_STATES(X)
#undef X
};

/* One armed accept. */
struct host_accept {
	struct uring_op op;
	struct host *host;
};

LIST_HEAD(client_list, client);

/* Attempts one behind the other, each at another address, within the time of one. */
struct host_round {
	uint32_t place; /* in the list, modulo its length: of the next link */
	uint32_t tried; /* addresses that failed, less than all */
	uint64_t since; /* when the first attempt began */
};

struct host {
	struct worker *worker;
	struct stats_host *stats;
	uint32_t index;
	enum host_state state;
	enum host_hold hold; /* never HOST_HOLD_KEEP */
	bool leaving;        /* removed: takes nothing new, goes when all is finished */
	bool synced;         /* named since the last sync_begin */
	bool overloaded;     /* as host_overloaded() found it last */
	TAILQ_ENTRY(host) leaving_entry;
	char id[HOST_ID_MAX + 1];
	char local_id[HOST_ID_MAX + 1];
	struct host_settings settings;
	struct resolve_list addresses; /* of its name; none = not known (yet) */
	struct host_round round;
	union resolve_address in_use; /* where a link was ready last; family 0 = nowhere yet */

	int listener;
	struct host_accept accepts[HOST_ACCEPTS_MAX];
	struct client_list clients;
	uint32_t clients_count;
	uint32_t errands; /* under way: a host that leaves waits for them as for clients */

	struct link_list ready;  /* links with room, the one to use first at the head */
	struct link_list others; /* all other links */
	uint32_t links_count;    /* every link, closing ones too */
	uint32_t current;        /* links of this generation that are opening or usable */
	uint32_t opening;        /* of them not usable yet */
	uint32_t usable;         /* links, of any generation, that may carry requests */
	uint32_t generation;     /* grows when addresses change or links are to be renewed */

	struct request_list queue; /* oldest first */
	uint32_t queue_count;
	uint64_t queue_bytes;

	uint32_t failures;     /* in a row */
	uint64_t next_connect; /* not before */
	uint64_t down_since;   /* no link, and since then an address or more failed; 0 = not so */
	char down_why[LINK_WHY_SIZE]; /* without the address */
	struct uring_timer timer;

	struct host_security tls;
	struct courier *courier; /* NULL = no delayed messages under way */
	struct farewell farewell;
};

/* How a link ended, as far as the pool is concerned. */
enum link_end {
	LINK_END_WORKED,   /* it had served, or at least lived a while */
	LINK_END_UNREADY,  /* it was never ready: another address may do better */
	LINK_END_FAILED,   /* it was, but never came to use */
	LINK_END_IDLE,     /* our idle clock */
	LINK_END_UNWANTED, /* renewed or removed */
};

enum host_answer {
	HOST_TAKEN,
	HOST_REFUSED
};

/* A new host from its message; takes over `listener`.  NULL without memory (then the caller closes
 * it). */
struct host *host_new(struct worker *worker, const struct channel_host *message, int listener);

/* Settings at once; changed addresses make new links before the old ones go. */
void host_change(struct host *host, const struct channel_host *message);

/* Makes new links for the old ones, which serve until the first new one is ready. */
void host_renew(struct host *host);

/* Tries at once if it waits for the end of a backoff, which begins anew. */
void host_retry(struct host *host);

/* Both of these at once: new links for old, and no waiting for them. */
void host_reconnect(struct host *host);

/*
 * Pauses, drains, or resumes (host_hold.c).  While it is held its requests wait in the queue, whose
 * clock runs on, and no link is opened for them; a drain also ends the links, each when it has its
 * last reply.
 */
void host_set_hold(struct host *host, enum host_hold hold);

/* Takes nothing new from now on; finishes what is under way; then says farewell to the peer, if
 * asked to. */
void host_leave(struct host *host, bool farewell);

/*
 * For leaving hosts, between turns: ends what has no purpose any more.  true = nothing is left,
 * host_free may be called.
 */
bool host_reap(struct host *host);
void host_free(struct host *host);

/* Arms accepts as far as bounds allow. */
void host_arm_accepts(struct host *host);

/* For every link; each() may move or end the one that it is called for, no other. */
void host_each_link(struct host *host, void (*each)(struct link *link));

/* Takes in who connected without that this worker was woken (worker.c says how that can be). */
void host_look_again(struct host *host);

/*
 * Hands a request line (no LF) to the host.  HOST_TAKEN: request->done will be called, later.
 * HOST_REFUSED: it will not; *why says what to count.  `whole`: the buffer that holds this line and
 * nothing else, which may be taken over (then it is empty afterwards); or NULL.
 */
enum host_answer host_submit(struct host *host, struct request *request, struct wire_span line,
			     struct buffer *whole, enum request_result *why);

/* A line that was refused before there was a request: counted as one that ended so. */
void host_count_refused(struct host *host, enum request_result result);

/* Ends a request: counts it and calls done(). */
void host_end(struct host *host, struct request *request, enum request_result result);

/*
 * The same for whoever is no client, by way of the queue: host_submit() has one caller, so that the
 * compiler makes it a part of him.  request->done may come before this returns.
 */
enum host_answer host_wait(struct host *host, struct request *request, struct wire_span line,
			   enum request_result *why);

/* Takes a queued request out again: its owner is gone. */
void host_withdraw(struct host *host, struct request *request);

/*
 * Whether what waits has waited for so long that more should not come, as the worker's busy_ns and
 * clear_ns say.  Only a peer that is there can be too slow: what waits for an operator, or for a
 * link to be made, has clocks of its own.
 */
bool host_overloaded(struct host *host);

/* Puts a request of a lost link back at the head of the queue; none of its bytes ever left. */
void host_requeue(struct host *host, struct request *request);

/* Gives queued requests to links with room. */
void host_pump(struct host *host);

/* From links: where they went. */
void host_on_link_ready(struct host *host, const union resolve_address *address);
void host_on_link_closed(struct host *host, enum link_end end, const union resolve_address *address,
			 const char *why);

/*
 * For links and couriers (host_address.c).  host_round_address: where the next link goes; NULL = no
 * address is known.  host_round_begin: a link goes there now; among how many addresses it shares
 * the time that is left of its round.  host_round_next: it failed; false = so did all, and the next
 * one begins a round.
 */
const union resolve_address *host_round_address(const struct host *host,
						const struct host_round *round);
uint32_t host_round_begin(const struct host *host, struct host_round *round);
bool host_round_next(const struct host *host, struct host_round *round);

/* From clients. */
void host_on_client_closed(struct host *host);

/* Whether the peer may be expected to answer; asleep it only has no link at the moment. */
static inline bool
host_reachable(const struct host *host)
{
	return (host->state == HOST_UP || host->state == HOST_ASLEEP) &&
	       host->hold != HOST_HOLD_DRAINING;
}

const char *host_state_text(enum host_state state);

#endif
