/*
 * worker_process.c - from fork to worker_run: descriptors, signals, statistics, ring.
 */
#include "relay/worker_process.h"

#include "relay/child.h"
#include "relay/datagrams.h"
#include "relay/keeper.h"
#include "relay/sandbox.h"
#include "relay/stats.h"
#include "relay/tls.h"
#include "uring/explain.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Where child_let_go() puts them. */
enum {
	KEEPER_FD = 3,
	STATS_FD = 4
};

static void
say_why(struct channel *channel, int error)
{
	struct channel_message message = { .type = CHANNEL_LOG, .log = { .level = LOG_ERROR } };

	uring_explain(error, message.log.text, sizeof message.log.text);
	channel_send(channel, &message, -1);
}

_Noreturn void
worker_process(int keeper_fd, int stats_fd, const char *name, const struct worker_options *options,
	       bool sandbox)
{
	static struct worker worker;
	struct uring_options ring_options = URING_DEFAULTS;
	const struct channel_message ready = { .type = CHANNEL_READY };
	struct uring *ring;

	log_set_process(name);
	log_set_sink(NULL, NULL);
	child_let_go((const int[]){ keeper_fd, stats_fd }, 2);
	prctl(PR_SET_NAME, name);
	struct channel *keeper = channel_new(KEEPER_FD);
	struct worker_stats *stats = stats_map(STATS_FD, true);
	close(STATS_FD);
	if (keeper == NULL || stats == NULL)
		_exit(EXIT_OS);
	datagrams_ring(&ring_options, options->datagram_size);
	int error = uring_new(&ring, &ring_options);
	if (error != 0) {
		say_why(keeper, error);
		_exit(EXIT_UNAVAILABLE);
	}
	if (!tls_prepare()) {
		log_error(NULL, "there is no source of random numbers for TLS");
		_exit(EXIT_UNAVAILABLE);
	}
	/* Blocks that struct memory gives back leave the process at once. */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	if (sandbox)
		sandbox_enter(SANDBOX_WORKER, NULL, 0);
	channel_send(keeper, &ready, -1);
	error = worker_init(&worker, ring, keeper, NULL, stats, options);
	if (error == 0)
		error = worker_run(&worker);
	if (error != 0)
		log_error(NULL, "the ring failed: %s", strerror(-error));
	worker_fini(&worker);
	exit(error == 0 ? EXIT_OK : EXIT_OS);
}
