/*
 * stats.c - see stats.h.  Sealed against shrinking: a reader must never meet a page that is gone.
 */
#include "relay/stats.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A block as the words that it is made of. */
#define BLOCK_WORDS (offsetof(struct stats_host, id) / sizeof(uint64_t))
#define FIRST_GAUGE (offsetof(struct stats_host, clients) / sizeof(uint64_t))
#define QUEUE_SINCE (offsetof(struct stats_host, queue_since) / sizeof(uint64_t))

static_assert(offsetof(struct stats_host, id) % sizeof(uint64_t) == 0, "words up to the id");
static_assert(QUEUE_SINCE == BLOCK_WORDS - 3, "those that cannot be added are the last");
static_assert(HOSTS_MAX % 64 == 0, "whole words of bits");

int
stats_create(void)
{
	int fd = memfd_create("relay-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)sizeof(struct worker_stats)) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

struct worker_stats *
stats_map(int fd, bool writable)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || st.st_size != (off_t)sizeof(struct worker_stats))
		return NULL;
	void *at = mmap(NULL, sizeof(struct worker_stats), PROT_READ | (writable ? PROT_WRITE : 0),
			MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

void
stats_unmap(struct worker_stats *stats)
{
	if (stats != NULL)
		munmap(stats, sizeof *stats);
}

static _Atomic uint64_t *
words(struct stats_host *block)
{
	return &block->results[0];
}

static const _Atomic uint64_t *
words_of(const struct stats_host *block)
{
	return &block->results[0];
}

static void
add_block(struct stats_host *sum, const struct stats_host *block)
{
	stats_words_add(words(sum), words_of(block), QUEUE_SINCE);
	uint64_t since = stats_get(&block->queue_since);
	uint64_t oldest = stats_get(&sum->queue_since);
	if (stats_get(&block->queue_length) > 0 && (oldest == 0 || since < oldest))
		stats_set(&sum->queue_since, since);
	uint64_t expiry = stats_get(&block->tls_peer_expiry);
	uint64_t seen = stats_get(&block->tls_peer_seen);
	if (expiry != 0 && seen >= stats_get(&sum->tls_peer_seen))
		stats_set_peer_expiry(sum, expiry, seen);
}

static bool
is_used(const struct worker_stats *stats, uint32_t index)
{
	uint64_t bits = atomic_load_explicit(&stats->used[index / 64], memory_order_acquire);

	return (bits >> index % 64 & 1) != 0;
}

/* --- the writer ------------------------------------------------------------------------------- */

/* What was under way in the block's worker ended with it. */
static void
bury(struct stats_host *block)
{
	stats_words_bury(block->results, REQUEST_RESULT_COUNT, REQUEST_STOPPED,
			 stats_get(&block->requests));
	stats_words_bury(block->closes, LINK_REASON_COUNT, LINK_REASON_STOPPED,
			 stats_get(&block->connects));
	stats_words_clear(words(block) + FIRST_GAUGE, BLOCK_WORDS - FIRST_GAUGE);
}

void
stats_begin(struct worker_stats *stats, uint64_t memory_max)
{
	stats_change_begin(&stats->sequence);
	for (uint32_t i = 0; i < HOSTS_MAX; i++) {
		if (stats_get(&stats->used[i / 64]) == 0)
			i += 63; /* they come in 64s */
		else if (is_used(stats, i))
			bury(&stats->hosts[i]);
	}
	bury(&stats->past);
	stats_services_begin(&stats->services);
	stats_gateways_begin(&stats->gateways);
	stats_set(&stats->memory_used, 0);
	stats_set(&stats->datagrams_online, 0);
	stats_set(&stats->datagrams_running, 0);
	stats_set(&stats->datagrams_outbox, 0);
	stats_set(&stats->datagrams_outbox_bytes, 0);
	stats_set(&stats->memory_max, memory_max);
	stats_count(&stats->starts);
	stats_change_end(&stats->sequence);
}

struct stats_host *
stats_take(struct worker_stats *stats, uint32_t index, const char *id)
{
	assert(index < HOSTS_MAX && strlen(id) <= HOST_ID_MAX);
	struct stats_host *block = &stats->hosts[index];
	if (is_used(stats, index) && strcmp(block->id, id) == 0)
		return block;
	stats_change_begin(&stats->sequence);
	add_block(&stats->past, block);
	stats_words_clear(words(block), BLOCK_WORDS);
	memset(block->id, 0, sizeof block->id);
	memcpy(block->id, id, strlen(id));
	atomic_store_explicit(&stats->used[index / 64],
			      stats_get(&stats->used[index / 64]) | UINT64_C(1) << index % 64,
			      memory_order_release);
	stats_change_end(&stats->sequence);
	return block;
}

void
stats_answered_late(struct stats_host *host, uint64_t wait_ns, uint64_t ns)
{
	stats_count(&host->results[REQUEST_ANSWERED]);
	histogram_add(&host->queue_wait, wait_ns);
	histogram_add(&host->upstream, ns);
	stats_count(&host->duration[histogram_bucket(wait_ns + ns)]);
}

/* The time goes last: who reads it in between has the old pair, or the new expiry a moment early.
 */
void
stats_set_peer_expiry(struct stats_host *host, uint64_t expiry, uint64_t seen_us)
{
	stats_set(&host->tls_peer_expiry, expiry);
	stats_set(&host->tls_peer_seen, seen_us);
}

/* --- readers ---------------------------------------------------------------------------------- */

bool
stats_add_host(const struct worker_stats *stats, uint32_t index, const char *id,
	       struct stats_host *sum)
{
	struct stats_reading reading = { .sequence = &stats->sequence };
	struct stats_host copy;
	bool found = false;

	if (index >= HOSTS_MAX)
		return false; /* one that has none yet, too */
	const struct stats_host *block = &stats->hosts[index];
	while (stats_read(&reading)) {
		found = is_used(stats, index) && strncmp(block->id, id, sizeof block->id) == 0;
		if (found) {
			copy = (struct stats_host){ .id = "" };
			add_block(&copy, block);
		}
	}
	if (found)
		add_block(sum, &copy);
	return found;
}

uint64_t
stats_peer_expiry(const struct worker_stats *stats, uint32_t index, const char *id,
		  uint64_t *seen_us)
{
	struct stats_reading reading = { .sequence = &stats->sequence };
	uint64_t expiry = 0;

	if (index >= HOSTS_MAX)
		return 0;
	const struct stats_host *block = &stats->hosts[index];
	while (stats_read(&reading)) {
		bool found = is_used(stats, index) && strncmp(block->id, id, sizeof block->id) == 0;
		expiry = found ? stats_get(&block->tls_peer_expiry) : 0;
		*seen_us = stats_get(&block->tls_peer_seen);
	}
	return reading.whole ? expiry : 0;
}

static void
add_all(const struct worker_stats *stats, struct stats_host *sum)
{
	for (uint32_t i = 0; i < HOSTS_MAX / 64; i++) {
		uint64_t bits = atomic_load_explicit(&stats->used[i], memory_order_acquire);
		for (; bits != 0; bits &= bits - 1)
			add_block(sum, &stats->hosts[i * 64 + (uint32_t)__builtin_ctzll(bits)]);
	}
	add_block(sum, &stats->past);
}

bool
stats_add_total(const struct worker_stats *stats, struct stats_host *sum)
{
	struct stats_reading reading = { .sequence = &stats->sequence };
	struct stats_host copy;

	while (stats_read(&reading)) {
		copy = (struct stats_host){ .id = "" };
		add_all(stats, &copy);
	}
	add_block(sum, &copy);
	return reading.whole;
}

void
stats_add(struct stats_host *sum, const struct stats_host *more)
{
	add_block(sum, more);
}

/* Not counted: it follows from what is, and costs a request nothing. */
uint64_t
stats_in_flight(const struct stats_host *sum)
{
	uint64_t open =
	    stats_get(&sum->requests) - stats_words_sum(sum->results, REQUEST_RESULT_COUNT);
	uint64_t queued = stats_get(&sum->queue_length);

	/* The numbers are not all of one moment. */
	return (int64_t)(open - queued) > 0 ? open - queued : 0;
}

uint64_t
stats_failed(const struct stats_host *sum)
{
	return stats_words_sum(sum->results, REQUEST_RESULT_COUNT) -
	       stats_get(&sum->results[REQUEST_ANSWERED]);
}
