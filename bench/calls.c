/*
 * calls.c - relay-bench calls: in the closed loop each of --clients makes its next call when it has
 * its status; in the open loop (--rate) calls are due at a fixed rhythm, and the time counts from
 * the moment a call was due, whether or not a client was free for it.
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
#include "bench/number.h"

#define CLIENTS_MAX 1024
#define STALL_NS    (30 * NS_PER_S)

struct calls {
	struct calls_work work;
	uint64_t clients;
	uint64_t rate; /* 0 = closed loop */
	uint64_t warmup_ns;
	uint64_t seconds;
	int epoll;
	uint64_t first_ns; /* what is due from here on counts */
	uint64_t end_ns;
	uint64_t next_due_ns; /* open loop */
	uint64_t last_ns;     /* when a call ended last */
	size_t running;
	uint64_t wrong;
	struct hist took;
	struct calls_one ones[CLIENTS_MAX];
};

static const char help[] =
    "usage: relay-bench calls --unix PATH [option ...]\n"
    "       relay-bench calls [option ...] -- COMMAND [ARGUMENT ...]\n\n"
    "Calls the service at PATH, or starts COMMAND for each call, and expects exit code 0.\n\n"
    "  --clients N    calls at once, at most (1)\n"
    "  --rate N       open loop: N calls per second\n"
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
	else if (one->due_ns >= calls->first_ns)
		hist_add(&calls->took, now - one->due_ns);
}

static void
begin(struct calls *calls, struct calls_one *one, uint64_t due_ns)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = one };

	one->due_ns = due_ns;
	if (!calls_begin(one, &calls->work))
		err(1, "%s", calls->work.path != NULL ? calls->work.path : calls->work.command[0]);
	if (epoll_ctl(calls->epoll, EPOLL_CTL_ADD, one->fd, &event) != 0)
		err(1, "epoll_ctl");
	calls->running++;
}

/* Gives every free client its next call, if one is due. */
static void
begin_due(struct calls *calls)
{
	for (size_t i = 0; i < calls->clients && calls->running < calls->clients; i++) {
		uint64_t now = clock_now_ns();
		uint64_t due = calls->rate == 0 ? now : calls->next_due_ns;

		if (due > now || due >= calls->end_ns)
			return;
		if (calls->ones[i].fd >= 0)
			continue;
		begin(calls, &calls->ones[i], due);
		if (calls->rate > 0)
			calls->next_due_ns += NS_PER_S / calls->rate;
	}
}

static bool
is_over(const struct calls *calls)
{
	uint64_t next = calls->rate == 0 ? clock_now_ns() : calls->next_due_ns;

	return calls->running == 0 && next >= calls->end_ns;
}

/* False: nothing has ended for too long. */
static bool
hear_all(struct calls *calls)
{
	struct epoll_event events[64];
	struct timespec wait;
	uint64_t now = clock_now_ns();
	uint64_t until = now + NS_PER_S;

	if (calls->rate > 0 && calls->running < calls->clients && calls->next_due_ns < until)
		until = calls->next_due_ns;
	int got = epoll_pwait2(calls->epoll, events, 64, clock_wait(&wait, now, until), NULL);
	if (got < 0 && errno != EINTR)
		err(1, "epoll_pwait2");
	for (int i = 0; i < got; i++) {
		struct calls_one *one = events[i].data.ptr;
		enum calls_heard heard = calls_hear(one);
		if (heard == CALLS_GOES_ON)
			continue;
		calls->running--;
		count(calls, one, heard);
	}
	return calls->running == 0 || clock_now_ns() - calls->last_ns < STALL_NS;
}

static bool
run(struct calls *calls)
{
	uint64_t now = clock_now_ns();

	for (size_t i = 0; i < calls->clients; i++)
		calls->ones[i].fd = -1;
	hist_init(&calls->took);
	calls->last_ns = now;
	calls->next_due_ns = now;
	calls->first_ns = now + calls->warmup_ns;
	calls->end_ns = calls->first_ns + calls->seconds * NS_PER_S;
	while (begin_due(calls), !is_over(calls))
		if (!hear_all(calls)) {
			warnx("no call has ended for %d s", (int)(STALL_NS / NS_PER_S));
			return false;
		}
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

	printf("%llu calls, %.0f per second, %llu wrong;", (unsigned long long)calls->took.count,
	       (double)calls->took.count / (double)calls->seconds,
	       (unsigned long long)calls->wrong);
	for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++)
		printf(" %s %.3f ms", quantiles[i].name,
		       (double)hist_quantile(&calls->took, quantiles[i].parts) / (double)NS_PER_MS);
	printf(" max %.3f ms\n", (double)calls->took.max / (double)NS_PER_MS);
}

static uint64_t
number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	uint64_t value;

	if (!number_parse(wire_span_str(text), max, &value) || value < min)
		errx(2, "--%s: a number from %llu to %llu", name, (unsigned long long)min,
		     (unsigned long long)max);
	return value;
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
			calls->clients = number("clients", optarg, 1, CLIENTS_MAX);
		else if (letter == 'r')
			calls->rate = number("rate", optarg, 1, 1000000);
		else if (letter == 's')
			calls->seconds = number("seconds", optarg, 1, 86400);
		else if (letter == 'w')
			calls->warmup_ns = number("warmup", optarg, 0, 3600) * NS_PER_S;
		else if (letter == 'h') {
			fputs(help, stdout);
			exit(0);
		} else
			exit(2);
	}
	if ((path == NULL) == (optind == argc))
		errx(2, "either --unix PATH or a command");
	if (path != NULL && strlen(path) >= sizeof(struct sockaddr_un){ 0 }.sun_path)
		errx(2, "--unix: longer than an address of a socket may be");
	return path;
}

int
calls_main(int argc, char **argv)
{
	static struct calls calls = { .clients = 1, .seconds = 5, .warmup_ns = NS_PER_S };
	const char *path = parse(&calls, argc, argv);

	if (!calls_work_init(&calls.work, path, path == NULL ? argv + optind : NULL))
		err(1, "a request");
	calls.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (calls.epoll < 0)
		err(1, "epoll_create1");
	bool good = run(&calls);
	report(&calls);
	for (size_t i = 0; i < calls.clients; i++)
		calls_give_up(&calls.ones[i]);
	close(calls.epoll);
	calls_work_fini(&calls.work);
	return good ? 0 : 1;
}
