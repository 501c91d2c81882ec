/*
 * test_stats.c - statistics in memory that two processes share: what one writes the other reads, it
 * outlives the writer, nobody can make it smaller under a reader, and a host's block goes on with
 * the same host only.
 */
#include "relay/stats.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct stats_host
host_sum(const struct worker_stats *stats, uint32_t index, const char *id)
{
	struct stats_host sum = { .id = "" };

	cr_assert(stats_add_host(stats, index, id, &sum));
	return sum;
}

static struct stats_host
total(const struct worker_stats *stats)
{
	struct stats_host sum = { .id = "" };

	(void)stats_add_total(stats, &sum);
	return sum;
}

static struct worker_stats *
fresh(void)
{
	struct worker_stats *stats = calloc(1, sizeof *stats);

	cr_assert_not_null(stats);
	stats_begin(stats, 1000);
	return stats;
}

/* --- the memory ------------------------------------------------------------------------------- */

Test(stats, all_zero_at_first)
{
	int fd = stats_create();
	struct worker_stats *stats = stats_map(fd, false);
	struct stats_host sum = total(stats);

	cr_assert_geq(fd, 0);
	cr_assert_not_null(stats);
	for (size_t i = 0; i < sizeof sum; i++)
		cr_assert_eq(((const unsigned char *)&sum)[i], 0);
	cr_assert_eq(stats->turns, 0);
	cr_assert_not(stats_add_host(stats, 0, "msul1", &sum));
	cr_assert_not(stats_add_host(stats, 0, "", &sum));
	cr_assert_not(stats_add_host(stats, HOSTS_MAX, "msul1", &sum));
	stats_unmap(stats);
	close(fd);
}

Test(stats, outlive_their_writer)
{
	int fd = stats_create();
	struct worker_stats *reader = stats_map(fd, false);
	int status = 0;

	cr_assert_not_null(reader);
	for (unsigned round = 1; round <= 3; round++) {
		pid_t pid = fork();
		cr_assert_geq(pid, 0);
		if (pid == 0) {
			struct worker_stats *writer = stats_map(fd, true);
			if (writer == NULL)
				_exit(1);
			stats_begin(writer, 5);
			struct stats_host *host = stats_take(writer, 40000, "msul1");
			histogram_bump(&host->bytes_in, 7);
			stats_count(&writer->turns);
			_exit(0);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_assert_eq(status, 0);
		cr_assert_eq(reader->starts, round);
		cr_assert_eq(reader->turns, round);
		cr_assert_eq(host_sum(reader, 40000, "msul1").bytes_in, 7 * round);
	}
	stats_unmap(reader);
	close(fd);
}

Test(stats, cost_memory_only_for_hosts_that_are_there)
{
	int fd = stats_create();
	struct worker_stats *stats = stats_map(fd, true);
	struct stat st;

	cr_assert_not_null(stats);
	stats_begin(stats, 1);
	stats_count(&stats_take(stats, 0, "first")->requests);
	stats_count(&stats_take(stats, HOSTS_MAX - 1, "last")->requests);
	cr_assert_eq(total(stats).requests, 2);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_gt(st.st_size, 1 << 20);
	cr_assert_lt(st.st_blocks * 512, 1 << 16, "%ld bytes", (long)st.st_blocks * 512);
	stats_unmap(stats);
	close(fd);
}

Test(stats, cannot_shrink_or_grow)
{
	int fd = stats_create();

	cr_assert_geq(fd, 0);
	cr_assert_lt(ftruncate(fd, 0), 0);
	cr_assert_eq(errno, EPERM);
	cr_assert_lt(ftruncate(fd, 1 << 30), 0);
	cr_assert_eq(errno, EPERM);
	close(fd);
}

Test(stats, nothing_else_is_mapped)
{
	int fd = memfd_create("relay-test", MFD_CLOEXEC);
	int ends[2];

	cr_assert_geq(fd, 0);
	cr_assert_null(stats_map(fd, false), "of another size");
	cr_assert_eq(pipe(ends), 0);
	cr_assert_null(stats_map(ends[0], false), "no file");
	close(ends[0]);
	close(ends[1]);
	close(fd);
	cr_assert_null(stats_map(-1, false), "nothing");
	stats_unmap(NULL);
}

/* --- blocks ----------------------------------------------------------------------------------- */

Test(stats, block_goes_on_with_its_host)
{
	struct worker_stats *stats = fresh();
	struct stats_host *host = stats_take(stats, 3, "msul1");

	stats_count(&host->requests);
	cr_assert_eq(stats_take(stats, 3, "msul1"), host);
	cr_assert_eq(host_sum(stats, 3, "msul1").requests, 1);
	cr_assert_neq(stats_take(stats, 4, "msul1"), host, "at another place it is another's");
	cr_assert_eq(host_sum(stats, 4, "msul1").requests, 0);
	free(stats);
}

/* A worker that has not connected since knows what the peer showed before it renewed. */
Test(stats, certificate_that_was_shown_last)
{
	struct worker_stats *one = fresh();
	struct worker_stats *two = fresh();
	struct stats_host sum = { .id = "" };
	uint64_t seen = 0;

	stats_set_peer_expiry(stats_take(one, 3, "msul1"), 5000, 100);
	stats_set_peer_expiry(stats_take(two, 3, "msul1"), 9000, 200);
	cr_assert(stats_add_host(one, 3, "msul1", &sum));
	cr_assert(stats_add_host(two, 3, "msul1", &sum));
	cr_assert_eq(sum.tls_peer_expiry, 9000);
	sum = (struct stats_host){ .id = "" };
	cr_assert(stats_add_host(two, 3, "msul1", &sum));
	cr_assert(stats_add_host(one, 3, "msul1", &sum));
	cr_assert_eq(sum.tls_peer_expiry, 9000, "in whatever order");
	cr_assert_eq(stats_peer_expiry(one, 3, "msul1", &seen), 5000);
	cr_assert_eq(seen, 100);
	stats_set_peer_expiry(stats_take(one, 3, "msul1"), 4000, 300);
	cr_assert(stats_add_host(one, 3, "msul1", &sum));
	cr_assert_eq(sum.tls_peer_expiry, 4000, "an earlier one that is newer");
	stats_take(one, 4, "other");
	cr_assert(stats_add_host(one, 4, "other", &sum));
	cr_assert_eq(sum.tls_peer_expiry, 4000, "one that has seen none says nothing");
	free(one);
	free(two);
}

Test(stats, another_host_starts_from_zero)
{
	struct worker_stats *stats = fresh();
	struct stats_host *host = stats_take(stats, 3, "a-long-name");
	struct stats_host sum = { .id = "" };

	histogram_bump(&host->requests, 5);
	histogram_bump(&host->results[REQUEST_ANSWERED], 4);
	histogram_add(&host->handshake, 10);
	stats_count(&host->clients);
	stats_set(&host->queue_length, 1);
	stats_set(&host->queue_since, 77);
	cr_assert_eq(stats_take(stats, 3, "new"), host);
	cr_assert_str_eq(host->id, "new");
	cr_assert_not(stats_add_host(stats, 3, "a-long-name", &sum));
	sum = host_sum(stats, 3, "new");
	for (size_t i = 0; i < sizeof sum; i++)
		cr_assert_eq(((const unsigned char *)&sum)[i], 0);
	/* In all nothing is forgotten, nor counted twice. */
	sum = total(stats);
	cr_assert_eq(sum.requests, 5);
	cr_assert_eq(sum.results[REQUEST_ANSWERED], 4);
	cr_assert_eq(histogram_total(&sum.handshake), 1);
	cr_assert_eq(sum.clients, 1);
	cr_assert_eq(sum.queue_since, 77);
	free(stats);
}

Test(stats, names_that_begin_alike_are_others)
{
	struct worker_stats *stats = fresh();
	struct stats_host sum = { .id = "" };
	char longest[HOST_ID_MAX + 1];

	memset(longest, 'x', HOST_ID_MAX);
	longest[HOST_ID_MAX] = '\0';
	stats_count(&stats_take(stats, 0, "msul1")->requests);
	stats_count(&stats_take(stats, 1, longest)->requests);
	cr_assert_not(stats_add_host(stats, 0, "msul", &sum));
	cr_assert_not(stats_add_host(stats, 0, "msul10", &sum));
	cr_assert_eq(host_sum(stats, 1, longest).requests, 1);
	free(stats);
}

Test(stats, sums_over_workers)
{
	struct worker_stats *stats[2] = { fresh(), fresh() };
	struct stats_host sum = { .id = "" };

	for (uint64_t i = 0; i < 2; i++) {
		struct stats_host *host = stats_take(stats[i], 9, "msul1");
		histogram_bump(&host->requests, 10 + i);
		histogram_bump(&host->results[REQUEST_ANSWERED], 3);
		histogram_bump(&host->results[REQUEST_OVERLOAD], 1 + i);
		stats_set(&host->queue_length, i);
		stats_set(&host->queue_since, 500 - i);
		cr_assert(stats_add_host(stats[i], 9, "msul1", &sum));
	}
	cr_assert_eq(sum.requests, 21);
	cr_assert_eq(stats_failed(&sum), 3);
	cr_assert_eq(stats_in_flight(&sum), 21 - 6 - 3 - 1);
	cr_assert_eq(sum.queue_since, 499, "an empty queue has no oldest one");
	free(stats[0]);
	free(stats[1]);
}

Test(stats, times_add_up)
{
	struct worker_stats *stats = fresh();
	struct stats_host *host = stats_take(stats, 0, "msul1");

	stats_answered(host, 900000);
	stats_answered_late(host, 2000000, 5000000);
	cr_assert_eq(host->results[REQUEST_ANSWERED], 2);
	cr_assert_eq(host->queue_wait.sum_ns, 2000000);
	cr_assert_eq(host->upstream.sum_ns, 5900000);
	cr_assert_eq(host->queue_wait.count[0], 1);
	cr_assert_eq(host->queue_wait.count[histogram_bucket(2000000)], 1);
	cr_assert_eq(host->upstream.count[histogram_bucket(900000)], 1);
	cr_assert_eq(host->upstream.count[histogram_bucket(5000000)], 1);
	cr_assert_eq(host->duration[histogram_bucket(900000)], 1);
	cr_assert_eq(host->duration[histogram_bucket(7000000)], 1);
	free(stats);
}

/* --- crashes ---------------------------------------------------------------------------------- */

Test(stats, what_a_crash_cut_off_has_ended)
{
	struct worker_stats *stats = fresh();
	struct stats_host *host = stats_take(stats, 1, "msul1");

	histogram_bump(&host->requests, 9);
	histogram_bump(&host->results[REQUEST_ANSWERED], 5);
	histogram_bump(&host->results[REQUEST_STOPPED], 1);
	histogram_bump(&host->connects, 4);
	histogram_bump(&host->closes[LINK_REASON_IDLE], 2);
	for (_Atomic uint64_t *gauge = &host->clients; gauge <= &host->queue_since; gauge++)
		stats_set(gauge, 2);
	stats_set(&stats->memory_used, 6);
	stats_begin(stats, 2000);
	cr_assert_eq(stats_take(stats, 1, "msul1"), host);
	cr_assert_eq(host->requests, 9);
	cr_assert_eq(host->results[REQUEST_STOPPED], 4);
	cr_assert_eq(host->closes[LINK_REASON_STOPPED], 2);
	for (_Atomic uint64_t *gauge = &host->clients; gauge <= &host->queue_since; gauge++)
		cr_assert_eq(*gauge, 0);
	cr_assert_eq(stats->memory_used, 0);
	cr_assert_eq(stats->memory_max, 2000);
	cr_assert_eq(stats->starts, 2);
	free(stats);
}

/* A worker that died while it moved a block leaves an odd number: readers still come to an end, and
 * the next worker makes it even. */
Test(stats, a_crash_in_a_change_stops_no_reader)
{
	struct worker_stats *stats = fresh();

	stats_count(&stats_take(stats, 1, "msul1")->requests);
	stats_set(&stats->sequence, stats->sequence | 1);
	cr_assert_eq(host_sum(stats, 1, "msul1").requests, 1);
	cr_assert_eq(total(stats).requests, 1);
	stats_begin(stats, 1);
	cr_assert_eq(stats->sequence % 2, 0);
	cr_assert_eq(total(stats).requests, 1);
	free(stats);
}

/* Two hosts take turns at a place while a reader sums up: it never sees one of them twice or not at
 * all. */
Test(stats, readers_see_no_half_change)
{
	enum {
		ROUNDS = 20000
	};

	int fd = stats_create();
	struct worker_stats *reader = stats_map(fd, false);
	int status = 0;
	uint64_t last = 0;

	cr_assert_not_null(reader);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		struct worker_stats *writer = stats_map(fd, true);
		if (writer == NULL)
			_exit(1);
		stats_begin(writer, 1);
		for (int i = 0; i < ROUNDS; i++) {
			struct stats_host *host = stats_take(writer, 0, i % 2 ? "one" : "two");
			histogram_bump(&host->requests, 1000);
			sched_yield();
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct stats_host sum = { .id = "" };
		if (!stats_add_total(reader, &sum))
			continue; /* the writer did not pause for so long */
		uint64_t now = sum.requests;
		cr_assert_geq(now, last);
		cr_assert_leq(now, ROUNDS * UINT64_C(1000));
		last = now;
	}
	cr_assert_eq(status, 0);
	cr_assert_eq(total(reader).requests, ROUNDS * UINT64_C(1000));
	stats_unmap(reader);
	close(fd);
}
