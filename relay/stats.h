/*
 * stats.h - the statistics of a worker in memory that the keeper makes, the worker writes and
 * control reads without asking.  They outlive a crash of the worker.
 *
 * Counters only ever grow; gauges are what is there now.  A host has a block of its own, by its
 * index; totals are the sum of all blocks and of `past`, so that a request is counted once.  One
 * writer, relaxed 64-bit stores: no lock, no locked instruction, no clock.
 */
#ifndef RELAY_STATS_H
#define RELAY_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/datagram_counts.h"
#include "relay/histogram.h"
#include "relay/limits.h"
#include "relay/link_reason.h"
#include "relay/request.h"
#include "relay/stats_gateway.h"
#include "relay/stats_service.h"
#include "relay/stats_words.h"

/*
 * Up to `id` nothing but 64-bit counters, which are added up word by word, in this order: what
 * ended before what began, so that nothing seems to end that did not begin.
 */
struct stats_host {
	_Atomic uint64_t results[REQUEST_RESULT_COUNT];
	_Atomic uint64_t requests;  /* = sum of results + those that wait or are in flight */
	_Atomic uint64_t bytes_in;  /* from clients */
	_Atomic uint64_t bytes_out; /* to clients */
	_Atomic uint64_t clients_accepted;
	_Atomic uint64_t closes[LINK_REASON_COUNT];
	_Atomic uint64_t tls_resumed;    /* of the handshakes of TLS, */
	_Atomic uint64_t tls_handshakes; /* those that came to their end */
	_Atomic uint64_t connects;       /* = sum of closes + links that are open */
	struct histogram queue_wait;     /* of answered requests: until a link took them, */
	struct histogram upstream;       /* from then to the reply, */
	_Atomic uint64_t duration[HISTOGRAM_BUCKETS]; /* and both together; so is their sum */
	struct histogram handshake;   /* of links: from the connect until they were ready */
	_Atomic uint64_t clients;     /* gauges, from here on */
	_Atomic uint64_t links;       /* those that are still closing included */
	_Atomic uint64_t links_ready; /* may carry clients' requests */
	_Atomic uint64_t queue_length;
	_Atomic uint64_t queue_bytes;
	_Atomic uint64_t queue_since; /* of the oldest, ns of the monotonic clock; queue_length = 0:
					 means nothing */
	_Atomic uint64_t tls_peer_expiry; /* of the certificate that the peer showed last, seconds
					     since 1970; 0: none yet */
	_Atomic uint64_t tls_peer_seen;   /* when it did, microseconds since 1970 */
	char id[HOST_ID_MAX + 1];
};

struct worker_stats {
	_Atomic uint64_t sequence; /* odd while a block changes hands */
	_Atomic uint64_t starts;   /* of workers on it */
	_Atomic uint64_t turns;
	_Atomic uint64_t buffers_exhausted; /* receives that found no provided buffer; sampled */
	_Atomic uint64_t accept_pauses;
	_Atomic uint64_t moved;       /* requests put back: their link ended before a byte left */
	_Atomic uint64_t memory_used; /* gauges, written once a turn */
	_Atomic uint64_t memory_max;
	_Atomic uint64_t datagrams_online;  /* gauges too: clients with a session, */
	_Atomic uint64_t datagrams_running; /* their requests that are not answered, */
	_Atomic uint64_t datagrams_outbox;  /* and what they have not confirmed */
	_Atomic uint64_t datagrams_outbox_bytes;
	_Atomic uint64_t datagrams[DATAGRAM_COUNT_COUNT];
	struct histogram loop_lag; /* of one turn in STATS_SAMPLE_TURNS: how long its work took */
	/* Bit N: block N was taken once.  Others are holes of the memfd and stay so: nobody looks
	 * at them. */
	_Atomic uint64_t used[HOSTS_MAX / 64];
	struct stats_services services;
	struct stats_gateways gateways;
	struct stats_host past; /* of hosts whose block is another's by now */
	struct stats_host hosts[HOSTS_MAX];
};

/* Looking at the clock a second time in a turn is too dear to be done in each. */
#define STATS_SAMPLE_TURNS 16u

/* A memfd of the right size, all zero; its descriptor or a negative errno. */
int stats_create(void);

/* Maps it; NULL if that fails or it is no memfd of ours.  `writable` for the worker. */
struct worker_stats *stats_map(int fd, bool writable);

void stats_unmap(struct worker_stats *stats);

/* Only the block's tls_peer_expiry and tls_peer_seen, if it is this host's; 0: it has none.  Of
 * several workers the one that saw it last knows what the peer shows now. */
uint64_t stats_peer_expiry(const struct worker_stats *stats, uint32_t index, const char *id,
			   uint64_t *seen_us);

/* --- the writer ------------------------------------------------------------------------------- */

/*
 * A new worker takes it over: no gauge shows what a crashed one had; its requests and links that
 * had not ended did so with it, as `stopped`.
 */
void stats_begin(struct worker_stats *stats, uint64_t memory_max);

/*
 * The block of the host, index < HOSTS_MAX.  It goes on if it was the same host's; another one's
 * is first moved to `past`, and who still counts for that one has to do it there.
 */
struct stats_host *stats_take(struct worker_stats *stats, uint32_t index, const char *id);

/* A request that was answered `ns` after it was asked, and did not have to wait for a link. */
static inline void
stats_answered(struct stats_host *host, uint64_t ns)
{
	uint32_t bucket = histogram_bucket(ns);

	stats_count(&host->results[REQUEST_ANSWERED]);
	stats_count(&host->queue_wait.count[0]);
	stats_count(&host->duration[bucket]);
	stats_count(&host->upstream.count[bucket]);
	histogram_bump(&host->upstream.sum_ns, ns);
}

/* The same for one that waited `wait_ns` until a link took it, and then `ns`. */
void stats_answered_late(struct stats_host *host, uint64_t wait_ns, uint64_t ns);

/* The peer has shown a certificate: until when it is good (s), and when that was (us). */
void stats_set_peer_expiry(struct stats_host *host, uint64_t expiry, uint64_t seen_us);

/* --- readers ---------------------------------------------------------------------------------- */

/*
 * Adds the host's block to `sum`, which the caller has zeroed; false: this worker never had the
 * host, nothing was added.  `sum->id` is left alone.
 */
bool stats_add_host(const struct worker_stats *stats, uint32_t index, const char *id,
		    struct stats_host *sum);

/*
 * Adds all that was ever counted, for hosts that are gone too.  false: a block changed hands each
 * time that it was tried; some of it may be missing, or there twice.
 */
bool stats_add_total(const struct worker_stats *stats, struct stats_host *sum);

/* One sum to another. */
void stats_add(struct stats_host *sum, const struct stats_host *more);

/* Of a sum: requests that are on links, and those that ended otherwise than answered. */
uint64_t stats_in_flight(const struct stats_host *sum);
uint64_t stats_failed(const struct stats_host *sum);

#endif
