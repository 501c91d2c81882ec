/*
 * worker_process.c - from fork to worker_run: descriptors, signals, ring.
 */
#include "relay/worker_process.h"

#include "relay/keeper.h"
#include "uring/explain.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { CHANNEL_FD = 3 };

static void
let_go(int channel_fd)
{
	sigset_t none;

	if (channel_fd != CHANNEL_FD)
		dup2(channel_fd, CHANNEL_FD);
	close_range(CHANNEL_FD + 1, ~0U, 0);
	/* A terminal's signals are the keeper's business; a worker ends when its channel does. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
say_why(struct channel *channel, int error)
{
	struct channel_message message = { .type = CHANNEL_LOG, .log = { .level = LOG_ERROR } };

	uring_explain(error, message.log.text, sizeof message.log.text);
	channel_send(channel, &message, -1);
}

_Noreturn void
worker_process(int channel_fd, const char *name, const struct worker_options *options)
{
	static struct worker worker;
	struct uring_options ring_options = URING_DEFAULTS;
	struct channel_message ready = { .type = CHANNEL_READY };
	struct uring *ring;

	log_set_process(name);
	let_go(channel_fd);
	prctl(PR_SET_NAME, name);
	struct channel *channel = channel_new(CHANNEL_FD);
	if (channel == NULL)
		_exit(EXIT_OS);
	int error = uring_new(&ring, &ring_options);
	if (error != 0) {
		say_why(channel, error);
		_exit(EXIT_UNAVAILABLE);
	}
	worker_init(&worker, ring, channel, options);
	channel_send(channel, &ready, -1);
	error = worker_run(&worker);
	if (error != 0)
		log_error(NULL, "the ring failed: %s", strerror(-error));
	worker_fini(&worker);
	exit(error == 0 ? EXIT_OK : EXIT_OS);
}
