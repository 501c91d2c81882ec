/*
 * crowd.c - many clients of the message plane, for the proofs that nothing is lost, mixed up or
 * done twice.
 *
 *   msg-crowd --at ADDRESS:PORT --host NAME... [OPTION VALUE]...
 *
 * Ends by itself when all requests (--requests, or after USR1) have ended, everybody's last one was
 * answered and every accepted notice was shown and its confirm acknowledged: status 0.  TERM ends
 * it as it is: status 1.  Last line: the totals.
 */
#include "tests/e2e/crowd.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct crowd_options options = {
	.members = 100, .window = 4, .resend_ms = 20, .tries = 1000, .seed = 1
};
struct crowd_counts counts;
struct fake_random chance;

static struct crowd_member members[CROWD_MEMBERS];
static volatile sig_atomic_t is_ending, is_over;

static void
on_signal(int number)
{
	if (number == SIGUSR1)
		is_ending = 1;
	else
		is_over = 1;
}

uint64_t
crowd_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* --- options */

static void
set_target(const char *text)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&options.target;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&options.target;
	const char *colon = strrchr(text, ':');
	char host[64];

	if (colon == NULL || (size_t)(colon - text) >= sizeof host)
		errx(2, "%s: not ADDRESS:PORT", text);
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	in_port_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		options.target_len = sizeof *v4;
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		options.target_len = sizeof *v6;
	} else {
		errx(2, "%s: no address", text);
	}
}

static bool
set_number(const char *name, const char *value)
{
	const struct {
		const char *name;
		unsigned *at, max;
	} numbers[] = {
		{ "--clients", &options.members, CROWD_MEMBERS },
		{ "--requests", &options.requests, 1000000 },
		{ "--window", &options.window, 32 },
		{ "--pause", &options.pause_ms, 100000 },
		{ "--notices", &options.notices, 1000 },
		{ "--large", &options.large, 1000 },
		{ "--lose", &options.lose, 1000 },
		{ "--resend", &options.resend_ms, 10000 },
		{ "--tries", &options.tries, 1000 },
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if (strcmp(name, numbers[i].name) != 0)
			continue;
		unsigned long number = strtoul(value, NULL, 10);
		if (number > numbers[i].max)
			errx(2, "%s: at most %u", name, numbers[i].max);
		*numbers[i].at = (unsigned)number;
		return true;
	}
	return false;
}

static void
set_option(const char *name, const char *value)
{
	if (set_number(name, value))
		return;
	if (strcmp(name, "--at") == 0)
		set_target(value);
	else if (strcmp(name, "--host") == 0 && options.host_count < CROWD_HOSTS)
		options.hosts[options.host_count++] = value;
	else if (strcmp(name, "--pager") == 0)
		options.pager = value;
	else if (strcmp(name, "--keys") == 0)
		options.keys = value;
	else if (strcmp(name, "--seed") == 0)
		options.seed = strtoull(value, NULL, 10);
	else
		errx(2, "%s: no such option", name);
}

/* --- the loop */

static bool
is_settled(void)
{
	struct crowd_totals totals = ledger_totals();

	for (unsigned i = 0; i < options.members; i++) {
		const struct crowd_member *member = &members[i];
		if (!member->is_done || member->open > 0 ||
		    session_unconfirmed(member->session) > 0)
			return false;
	}
	return pager_is_idle() && totals.missing == 0;
}

static bool
has_asked_all(void)
{
	for (unsigned i = 0; i < options.members; i++)
		if (members[i].made < options.requests || members[i].open > 0)
			return false;
	return options.requests > 0;
}

static void
turn(struct pollfd *fds)
{
	uint64_t now_ms = crowd_clock_ms(), due_ms = now_ms + 20;

	for (unsigned i = 0; i < options.members; i++) {
		member_work(&members[i], now_ms, is_ending);
		uint64_t at_ms = member_due_ms(&members[i]);
		if (at_ms > now_ms && at_ms < due_ms)
			due_ms = at_ms;
	}
	pager_work(now_ms, is_ending);
	if (has_asked_all())
		is_ending = 1;
	if (poll(fds, options.members + 1, (int)(due_ms - now_ms)) < 0 && errno != EINTR)
		err(1, "poll");
}

static void
say_totals(void)
{
	struct crowd_totals totals = ledger_totals();

	printf("sessions %u answered %u lost %u unsent %u other %u wrong %u\n", counts.sessions,
	       counts.answered, counts.lost, counts.unsent, counts.other, counts.wrong);
	printf("made %u accepted %u shown %u acknowledged %u missing %u twice %u again %u\n",
	       totals.made, totals.accepted, totals.shown, totals.acknowledged, totals.missing,
	       totals.twice, totals.again);
}

int
main(int argc, char **argv)
{
	static struct pollfd fds[CROWD_MEMBERS + 1];
	const struct sigaction action = { .sa_handler = on_signal };

	for (int i = 1; i < argc; i += 2)
		set_option(argv[i], i + 1 < argc ? argv[i + 1] : "");
	if (options.target_len == 0 || options.host_count == 0 || options.members == 0)
		errx(2, "usage: msg-crowd --at ADDRESS:PORT --host NAME [OPTION VALUE]...");
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	chance.state = options.seed;
	for (unsigned i = 0; i < options.members; i++) {
		member_init(&members[i], CROWD_FIRST + i);
		fds[i] = (struct pollfd){ .fd = members[i].fd, .events = POLLIN };
	}
	pager_init();
	fds[options.members] = (struct pollfd){ .fd = pager_fd(), .events = POLLIN };
	while (!is_over && !(is_ending && is_settled()))
		turn(fds);
	for (unsigned i = 0; i < options.members; i++)
		member_fini(&members[i]);
	say_totals();
	return is_over ? 1 : 0;
}
