/*
 * calls.c - relay-bench calls: in the closed loop each of --clients makes its next call when it has
 * its status; in the open loop (--rate) calls are due at a fixed rhythm, and the time counts from
 * the moment a call was due, whether or not a client was free for it; what no client was free for
 * until the end counts with its age.
 */
#include "bench/calls.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/clock.h"
#include "bench/hist.h"
#include "bench/option.h"
#include "bench/process.h"
#include "bench/schedule.h"

#define CLIENTS_MAX 1024
#define SECONDS_MAX 86400
#define STALL_NS    (30 * NS_PER_S)

struct calls {
	struct calls_work work;
	uint64_t clients;
	uint64_t rate; /* 0 = closed loop */
	uint64_t warmup_ns;
	uint64_t length_ns; /* of what is measured */
	int epoll;
	sigset_t while_waiting;
	uint64_t first_ns; /* what is due from here on counts */
	uint64_t end_ns;
	struct schedule schedule; /* open loop */
	uint64_t last_ns;         /* when a call ended last */
	uint64_t over_ns;         /* when all was over */
	size_t running;
	uint64_t right; /* of those that count */
	uint64_t wrong;
	uint64_t unbegun; /* open loop: due, but no client was free before the end */
	struct hist took; /* the right and the unbegun ones */
	struct calls_one ones[CLIENTS_MAX];
};

static const char help[] =
    "usage: relay-bench calls --unix PATH [option ...]\n"
    "       relay-bench calls [option ...] -- COMMAND [ARGUMENT ...]\n\n"
    "Calls the service at PATH, or starts COMMAND for each call, and expects exit code 0.\n\n"
    "  --clients N    calls at once, at most (1)\n"
    "  --rate N       open loop: N calls per second; each counts from when it was due\n"
    "  --seconds S    measures for S seconds (5)\n"
    "  --warmup S     calls for S seconds before (1)\n\n"
    "Exit status: 0 = every call ended with exit code 0; 1 = one did not; 2 = usage.\n";

/* --- the loop --------------------------------------------------------------------------------- */

static void
count(struct calls *calls, const struct calls_one *one, enum calls_heard heard)
{
	uint64_t now = clock_now_ns();

	calls->last_ns = now;
	if (heard == CALLS_WRONG)
		calls->wrong++;
	else if (one->due_ns >= calls->first_ns) {
		calls->right++;
		hist_add(&calls->took, now - one->due_ns);
	}
}

/*
 * A pidfd tells once: for a moment another process that is being started may still have a copy of
 * it, so that closing ours does not take it out of the epoll, and it would tell of the call after.
 */
static void
listen_to(const struct calls *calls, struct calls_one *one, int operation)
{
	uint32_t once = calls->work.path == NULL ? EPOLLONESHOT : 0;
	struct epoll_event event = { .events = EPOLLIN | once, .data.ptr = one };

	if (epoll_ctl(calls->epoll, operation, one->fd, &event) != 0)
		err(1, "epoll_ctl");
}

/* False: it cannot be, and why was said. */
static bool
begin(struct calls *calls, struct calls_one *one, uint64_t due_ns)
{
	one->due_ns = due_ns;
	if (!calls_begin(one, &calls->work)) {
		warn("%s", calls->work.path != NULL ? calls->work.path : calls->work.command[0]);
		return false;
	}
	listen_to(calls, one, EPOLL_CTL_ADD);
	calls->running++;
	return true;
}

/* Gives every free client its next call, if one is due. */
static bool
begin_due(struct calls *calls)
{
	for (size_t i = 0; i < calls->clients && calls->running < calls->clients; i++) {
		uint64_t now = clock_now_ns();
		uint64_t due = now;

		if (calls->ones[i].fd >= 0)
			continue;
		if (now >= calls->end_ns)
			return true;
		if (calls->rate > 0 && !schedule_take(&calls->schedule, now, &due))
			return true;
		if (!begin(calls, &calls->ones[i], due))
			return false;
	}
	return true;
}

static bool
is_over(const struct calls *calls)
{
	return calls->running == 0 && clock_now_ns() >= calls->end_ns;
}

/* Until something may be due; what runs is heard of without it. */
static uint64_t
wake_ns(const struct calls *calls, uint64_t now_ns)
{
	uint64_t until = now_ns + NS_PER_S;

	if (now_ns >= calls->end_ns)
		return calls->running == 0 ? now_ns : until;
	if (calls->running == calls->clients)
		return until;
	if (calls->rate > 0 && schedule_next_ns(&calls->schedule) < until)
		until = schedule_next_ns(&calls->schedule);
	return calls->end_ns < until ? calls->end_ns : until;
}

/* False: nothing has ended for too long, and that was said. */
static bool
hear_all(struct calls *calls)
{
	struct epoll_event events[64];
	struct timespec wait;
	uint64_t now = clock_now_ns();
	int got = epoll_pwait2(calls->epoll, events, 64,
			       clock_wait(&wait, now, wake_ns(calls, now)), &calls->while_waiting);

	if (got < 0 && errno != EINTR)
		err(1, "epoll_pwait2");
	for (int i = 0; i < got; i++) {
		struct calls_one *one = events[i].data.ptr;
		enum calls_heard heard = calls_hear(one);
		if (heard == CALLS_GOES_ON) {
			if (calls->work.path == NULL)
				listen_to(calls, one, EPOLL_CTL_MOD);
			continue;
		}
		calls->running--;
		count(calls, one, heard);
	}
	if (calls->running == 0 || clock_now_ns() - calls->last_ns < STALL_NS)
		return true;
	warnx("no call has ended for %d s", (int)(STALL_NS / NS_PER_S));
	return false;
}

/* Somebody waited for them in vain, as long as that was. */
static void
count_unbegun(struct calls *calls)
{
	uint64_t due;

	if (calls->rate == 0)
		return;
	while (schedule_take(&calls->schedule, calls->end_ns - 1, &due))
		if (due >= calls->first_ns) {
			calls->unbegun++;
			hist_add(&calls->took, calls->end_ns - due);
		}
}

static bool
run(struct calls *calls)
{
	uint64_t now = clock_now_ns();

	for (size_t i = 0; i < calls->clients; i++)
		calls->ones[i].fd = -1;
	hist_init(&calls->took);
	calls->last_ns = now;
	calls->first_ns = now + calls->warmup_ns;
	calls->end_ns = calls->first_ns + calls->length_ns;
	if (calls->rate > 0)
		schedule_init(&calls->schedule, now, calls->rate);
	do {
		if (process_stopping()) {
			warnx("interrupted");
			return false;
		}
		if (!begin_due(calls) || !hear_all(calls))
			return false;
	} while (!is_over(calls));
	count_unbegun(calls);
	return calls->wrong == 0;
}

/* --- command line ----------------------------------------------------------------------------- */

static void
report(const struct calls *calls)
{
	static const struct {
		const char *name;
		uint32_t parts;
	} quantiles[] = {
		{ "p50", 50000 }, { "p90", 90000 }, { "p99", 99000 }, { "p99.9", 99900 }
	};

	/* What was begun before the end may have ended later, which is part of the time. */
	uint64_t ns = calls->over_ns > calls->first_ns ? calls->over_ns - calls->first_ns : 1;
	printf("%llu calls, %.1f per second, %llu wrong", (unsigned long long)calls->right,
	       (double)calls->right * (double)NS_PER_S / (double)ns,
	       (unsigned long long)calls->wrong);
	if (calls->unbegun > 0)
		printf(", %llu due but not begun", (unsigned long long)calls->unbegun);
	if (calls->took.count == 0) {
		printf("; no times\n");
		return;
	}
	printf(";");
	for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
		printf(" %s %.3f ms", quantiles[i].name,
		       (double)hist_quantile(&calls->took, quantiles[i].parts) / (double)NS_PER_MS);
	printf(" max %.3f ms\n", (double)calls->took.max / (double)NS_PER_MS);
}

static const char *
parse(struct calls *calls, int argc, char **argv)
{
	static const struct option options[] = {
		{ "unix", required_argument, NULL, 'u' },
		{ "clients", required_argument, NULL, 'c' },
		{ "rate", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "warmup", required_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = NULL;
	int letter;

	while ((letter = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (letter == 'u')
			path = optarg;
		else if (letter == 'c')
			calls->clients = option_number("clients", optarg, 1, CLIENTS_MAX);
		else if (letter == 'r')
			calls->rate = option_number("rate", optarg, 1, 1000000);
		else if (letter == 's')
			calls->length_ns = option_seconds("seconds", optarg, 1, SECONDS_MAX);
		else if (letter == 'w')
			calls->warmup_ns = option_seconds("warmup", optarg, 0, SECONDS_MAX);
		else if (letter == 'h') {
			fputs(help, stdout);
			exit(0);
		} else
			errx(2, "try --help");
	}
	if ((path == NULL) == (optind == argc))
		errx(2, "either --unix PATH or a command; try --help");
	if (path != NULL && strlen(path) >= sizeof(struct sockaddr_un){ 0 }.sun_path)
		errx(2, "--unix: longer than an address of a socket may be");
	return path;
}

int
calls_main(int argc, char **argv)
{
	static struct calls calls = { .clients = 1,
				      .length_ns = 5 * NS_PER_S,
				      .warmup_ns = NS_PER_S };
	const char *path = parse(&calls, argc, argv);

	if (!calls_work_init(&calls.work, path, path == NULL ? argv + optind : NULL))
		err(1, "a request");
	calls.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (calls.epoll < 0)
		err(1, "epoll_create1");
	process_catch_stop(&calls.while_waiting);
	bool good = run(&calls);
	calls.over_ns = clock_now_ns();
	report(&calls);
	for (size_t i = 0; i < calls.clients; i++)
		calls_give_up(&calls.ones[i]);
	close(calls.epoll);
	calls_work_fini(&calls.work);
	return good ? 0 : 1;
}
