/*
 * worker_site.h - a worker on a real ring and the ends of its channels, which the test holds: what
 * the sites of calls, datagrams and gateways have in common.  All of it is one thread, and none
 * waits by the clock: the worker is turned until what must come has come.
 *
 * A site defines turn(), in which everybody that it plays does what there is to do, and includes
 * this once.
 */
#ifndef TESTS_WORKER_SITE_H
#define TESTS_WORKER_SITE_H

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/log.h"
#include "relay/stats.h"
#include "relay/worker.h"

enum {
	MS = 1000000,
	TURNS_MAX = 30000, /* of a millisecond at most: then it does not come any more */
};

/* A worker and what the test holds of it. */
struct worker_site {
	struct worker worker;
	struct worker_stats *stats;
	struct channel *control; /* control's end; NULL: this worker is not there */
	struct channel *keeper;
	bool control_ended; /* the worker has closed its end */
	/* What the worker tells control; owns the descriptor (-1: none). */
	void (*hear)(const struct channel_message *message, int fd);
};

static inline void
site_make(struct worker_site *at, const struct uring_options *ring_options, uint32_t clients_max,
	  void (*hear)(const struct channel_message *message, int fd))
{
	const struct worker_options options = { .memory_max = 64u << 20,
						.clients_max = clients_max,
						.seed = 1 };
	struct uring *ring;
	int keeper[2], control[2];

	signal(SIGPIPE, SIG_IGN);
	*at = (struct worker_site){ .hear = hear };
	cr_assert_eq(uring_new(&ring, ring_options), 0);
	cr_assert_eq(channel_pair(keeper), 0);
	cr_assert_eq(channel_pair(control), 0);
	int memfd = stats_create();
	cr_assert_geq(memfd, 0);
	at->stats = stats_map(memfd, true);
	close(memfd);
	at->keeper = channel_new(keeper[0]);
	at->control = channel_new(control[0]);
	cr_assert_eq(worker_init(&at->worker, ring, channel_new(keeper[1]), channel_new(control[1]),
				 at->stats, &options),
		     0);
}

static inline void
site_free(struct worker_site *at)
{
	worker_fini(&at->worker);
	channel_free(at->control);
	channel_free(at->keeper);
	stats_unmap(at->stats);
	at->control = NULL;
}

/* --- turns ------------------------------------------------------------------------------------ */

static inline void turn(void);

static inline void
site_on_tick(struct uring_timer *timer)
{
	(void)timer;
}

static inline void
site_hear(struct worker_site *at)
{
	struct channel_message message;
	int fd, got;

	while (!at->control_ended && (got = channel_receive(at->control, &message, &fd)) != 0) {
		at->control_ended = got < 0;
		if (got > 0)
			at->hear(&message, fd);
	}
}

/* A turn that ends also when nothing happens; a worker that has stopped has none. */
static inline void
site_turn(struct worker_site *at)
{
	struct uring_timer tick = { .due = site_on_tick };

	if (at->control == NULL)
		return;
	if (at->worker.state != WORKER_STOPPED) {
		uring_timer_set(at->worker.ring, &tick, worker_now(&at->worker) + MS);
		cr_assert_eq(worker_turn(&at->worker), 0);
		if (uring_timer_armed(&tick))
			uring_timer_clear(at->worker.ring, &tick);
	}
	site_hear(at);
}

#define TURN_UNTIL(condition)                                                          \
	do {                                                                           \
		for (int turns_ = 0; !(condition); turns_++) {                         \
			cr_assert_lt(turns_, TURNS_MAX, "never came: %s", #condition); \
			turn();                                                        \
		}                                                                      \
	} while (0)

/* Enough turns for whatever must not come. */
static inline void
turn_for_nothing(void)
{
	for (int i = 0; i < 12; i++)
		turn();
}

/* --- what is given to it ---------------------------------------------------------------------- */

/* Control says it; the descriptor goes with it (-1: none). */
static inline void
site_say_to(struct worker_site *at, const struct channel_message *message, int fd)
{
	cr_assert_eq(channel_send(at->control, message, fd), 0);
	if (fd >= 0)
		close(fd);
}

static inline int
site_memfd(const void *bytes, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
	return fd;
}

/* A socket that waits for nothing, bound to a port of 127.0.0.1 that is free. */
static inline int
site_bound(int type, struct sockaddr_in *address)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof *address;

	cr_assert_geq(fd, 0);
	*address =
	    (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	cr_assert_eq(bind(fd, (struct sockaddr *)address, sizeof *address), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)address, &len), 0);
	return fd;
}

#endif
