/*
 * stats_bench.c - stats-bench: what the statistics cost, in nanoseconds per request counted and in
 * microseconds per reading of all hosts.
 *
 *   stats-bench [ROUNDS]
 *
 * Counted is what a worker counts for one request, with the worker's own code on a memfd as the
 * keeper makes it: for one host, and for 1000 hosts by turns, whose blocks push each other out of
 * the cache.  Read is what control reads for one scrape: every host of two workers, and the total.
 * Shown are the median of the rounds and the best one; more than wanted is exit status 1.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/number.h"
#include "relay/stats.h"

#define ROUNDS_DEFAULT 101
#define ROUNDS_MAX     10001
#define HOSTS          1000u
#define WORKERS        2u
#define SAMPLE         20000u /* requests between two looks at the clock */
#define TIMES          1024u
#define WANTED_NS      30.0
#define WANTED_US      5000.0

struct bench {
	struct worker_stats *stats[WORKERS];
	char ids[HOSTS][HOST_ID_MAX + 1];
	uint64_t waits[TIMES];
	uint64_t replies[TIMES];
};

static double samples[ROUNDS_MAX];

static void
bench_init(struct bench *bench)
{
	for (uint32_t i = 0; i < WORKERS; i++) {
		int fd = stats_create();
		bench->stats[i] = fd < 0 ? NULL : stats_map(fd, true);
		if (bench->stats[i] == NULL)
			err(1, "no memory for statistics");
		close(fd);
		stats_begin(bench->stats[i], 1);
	}
	for (uint32_t i = 0; i < HOSTS; i++) {
		snprintf(bench->ids[i], sizeof bench->ids[i], "host%u", i);
		for (uint32_t j = 0; j < WORKERS; j++)
			stats_take(bench->stats[j], i, bench->ids[i]);
	}
	/* Every fourth request waits; replies take 50 us to 100 ms. */
	uint64_t random = 88172645463325252u;
	for (uint32_t i = 0; i < TIMES; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		bench->waits[i] = random % 4 == 0 ? random >> 40 : 0;
		bench->replies[i] = UINT64_C(50000) << random % 12;
	}
}

/* What client.c and host.c do for one request and its reply. */
static void
count_request(const struct bench *bench, struct stats_host *host, uint32_t number)
{
	uint64_t wait = bench->waits[number % TIMES];

	histogram_bump(&host->bytes_in, 33);
	stats_count(&host->requests);
	if (wait == 0)
		stats_answered(host, bench->replies[number % TIMES]);
	else
		stats_answered_late(host, wait, bench->replies[number % TIMES]);
	histogram_bump(&host->bytes_out, 65);
}

static double
count_sample(const struct bench *bench, uint32_t hosts)
{
	uint64_t start = clock_now_ns();

	for (uint32_t i = 0; i < SAMPLE; i++)
		count_request(bench, &bench->stats[0]->hosts[i % hosts], i);
	return (double)(clock_now_ns() - start) / SAMPLE;
}

/* What a turn costs, whatever it did. */
static double
turn_sample(const struct bench *bench)
{
	struct worker_stats *stats = bench->stats[0];
	uint64_t start = clock_now_ns();

	for (uint32_t i = 0; i < SAMPLE; i++) {
		stats_count(&stats->turns);
		stats_set(&stats->memory_used, i);
		if (stats_get(&stats->turns) % STATS_SAMPLE_TURNS == 0)
			histogram_add(&stats->loop_lag, clock_now_ns() - start);
	}
	return (double)(clock_now_ns() - start) / SAMPLE;
}

static double
read_sample(const struct bench *bench)
{
	struct stats_host total = { .id = "" };
	uint64_t start = clock_now_ns();
	uint64_t seen = 0;

	for (uint32_t i = 0; i < HOSTS; i++) {
		struct stats_host sum = { .id = "" };
		for (uint32_t j = 0; j < WORKERS; j++)
			stats_add_host(bench->stats[j], i, bench->ids[i], &sum);
		seen += stats_get(&sum.requests);
	}
	for (uint32_t j = 0; j < WORKERS; j++)
		(void)stats_add_total(bench->stats[j], &total);
	double us = (double)(clock_now_ns() - start) / 1000;
	if (seen != stats_get(&total.requests))
		errx(1, "the hosts are not the total");
	return us;
}

static int
compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Whether the median is what is wanted; 0 = anything is. */
static bool
print_result(const char *what, const char *unit, size_t rounds, double wanted)
{
	qsort(samples, rounds, sizeof samples[0], compare);
	double median = samples[rounds / 2];
	bool good = wanted == 0 || median <= wanted;

	printf("%-28s %9.2f %-3s %9.2f best", what, median, unit, samples[0]);
	if (wanted > 0)
		printf("   wanted %g: %s", wanted, good ? "good" : "MISSED");
	putchar('\n');
	return good;
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	uint64_t rounds = ROUNDS_DEFAULT;
	bool good = true;

	if (argc > 2 ||
	    (argc == 2 && (!number_parse(wire_span_str(argv[1]), ROUNDS_MAX, &rounds) || !rounds)))
		errx(2, "usage: stats-bench [ROUNDS of 1 to %d]", ROUNDS_MAX);
	bench_init(&bench);
	for (size_t i = 0; i < rounds; i++)
		samples[i] = count_sample(&bench, 1);
	good &= print_result("a request of one host", "ns", rounds, WANTED_NS);
	for (size_t i = 0; i < rounds; i++)
		samples[i] = count_sample(&bench, HOSTS);
	good &= print_result("a request of 1000 hosts", "ns", rounds, 0);
	for (size_t i = 0; i < rounds; i++)
		samples[i] = turn_sample(&bench);
	good &= print_result("a turn", "ns", rounds, 0);
	for (size_t i = 0; i < rounds; i++)
		samples[i] = read_sample(&bench);
	good &= print_result("reading 1000 hosts, 2 workers", "us", rounds, WANTED_US);
	return good ? 0 : 1;
}
