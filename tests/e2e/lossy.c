/*
 * lossy.c - a bad network: forwards datagrams between clients and one target, and loses, repeats
 * and delays them by a seed, so that they also overtake each other.
 *
 *   lossy SEED LOSS TWICE DELAY_MS ADDRESS PORT      LOSS and TWICE in thousandths
 *
 * Prints `listening 127.0.0.1:PORT`.  Every client has a socket of its own towards the target, as
 * behind an address translator.  Ends by a signal.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/fake_random.h"

#define CLIENTS 256
#define ON_WAY  8192
#define LEN_MAX 2048

struct on_way {
	uint64_t due_ms; /* 0: free */
	unsigned client;
	int to_target;
	size_t len;
	uint8_t bytes[LEN_MAX];
};

static struct pollfd fds[1 + CLIENTS]; /* the first one is the listener */
static struct sockaddr_in clients[CLIENTS];
static unsigned client_count;
static struct on_way *on_way;
static struct on_way *on_way_end; /* none is under way from here on */
static struct sockaddr_in target;
static struct fake_random chance;
static unsigned loss, twice, delay_ms;

static uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int
open_socket(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&own, sizeof own) != 0)
		err(1, "socket");
	return fd;
}

static unsigned
client_of(const struct sockaddr_in *from)
{
	unsigned i;

	for (i = 0; i < client_count; i++)
		if (clients[i].sin_port == from->sin_port)
			return i;
	if (i == CLIENTS)
		errx(1, "more than %d clients", CLIENTS);
	clients[i] = *from;
	fds[1 + i] = (struct pollfd){ .fd = open_socket(), .events = POLLIN };
	if (connect(fds[1 + i].fd, (const struct sockaddr *)&target, sizeof target) != 0)
		err(1, "connect");
	return client_count++;
}

static void
take(unsigned client, int to_target, const uint8_t *bytes, size_t len)
{
	unsigned copies = fake_chance(&chance, loss) ? 0 : fake_chance(&chance, twice) ? 2 : 1;
	struct on_way *at = on_way;

	for (; copies > 0; copies--) {
		while (at->due_ms != 0)
			if (++at == on_way + ON_WAY)
				return; /* a full network loses, too */
		if (at >= on_way_end)
			on_way_end = at + 1;
		at->due_ms = clock_ms() + fake_below(&chance, delay_ms + 1) + 1;
		at->client = client;
		at->to_target = to_target;
		at->len = len;
		memcpy(at->bytes, bytes, len);
	}
}

static void
receive(unsigned place)
{
	uint8_t bytes[LEN_MAX];
	struct sockaddr_in from = { 0 };
	socklen_t from_len = sizeof from;
	ssize_t n;

	while ((n = recvfrom(fds[place].fd, bytes, sizeof bytes, MSG_TRUNC,
			     (struct sockaddr *)&from, &from_len)) >= 0) {
		if ((size_t)n > sizeof bytes)
			errx(1, "a datagram of %zd bytes", n);
		if (place == 0)
			take(client_of(&from), 1, bytes, (size_t)n);
		else
			take(place - 1, 0, bytes, (size_t)n);
		from_len = sizeof from;
	}
}

/* Sends what is due; when the next one is, or -1. */
static int
deliver(void)
{
	uint64_t now_ms = clock_ms(), next_ms = UINT64_MAX;

	for (struct on_way *at = on_way; at < on_way_end; at++) {
		if (at->due_ms == 0)
			continue;
		if (at->due_ms > now_ms) {
			next_ms = at->due_ms < next_ms ? at->due_ms : next_ms;
			continue;
		}
		at->due_ms = 0;
		if (at->to_target)
			(void)send(fds[1 + at->client].fd, at->bytes, at->len, 0);
		else
			(void)sendto(fds[0].fd, at->bytes, at->len, 0,
				     (const struct sockaddr *)&clients[at->client],
				     sizeof clients[0]);
	}
	while (on_way_end > on_way && on_way_end[-1].due_ms == 0)
		on_way_end--;
	return next_ms == UINT64_MAX ? -1 : (int)(next_ms - now_ms);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in own = { 0 };
	socklen_t own_len = sizeof own;

	if (argc != 7)
		errx(2, "usage: lossy SEED LOSS TWICE DELAY_MS ADDRESS PORT");
	chance.state = strtoul(argv[1], NULL, 10);
	loss = (unsigned)strtoul(argv[2], NULL, 10);
	twice = (unsigned)strtoul(argv[3], NULL, 10);
	delay_ms = (unsigned)strtoul(argv[4], NULL, 10);
	target.sin_family = AF_INET;
	target.sin_port = htons((uint16_t)strtoul(argv[6], NULL, 10));
	if (inet_pton(AF_INET, argv[5], &target.sin_addr) != 1)
		errx(2, "%s: no address", argv[5]);
	on_way = calloc(ON_WAY, sizeof *on_way);
	if (on_way == NULL)
		err(1, "memory");
	on_way_end = on_way;
	fds[0] = (struct pollfd){ .fd = open_socket(), .events = POLLIN };
	if (getsockname(fds[0].fd, (struct sockaddr *)&own, &own_len) != 0)
		err(1, "getsockname");
	printf("listening 127.0.0.1:%d\n", ntohs(own.sin_port));
	fflush(stdout);
	for (;;) {
		if (poll(fds, 1 + client_count, deliver()) < 0 && errno != EINTR)
			err(1, "poll");
		for (unsigned i = 0; i < 1 + client_count; i++)
			if (fds[i].revents != 0)
				receive(i);
	}
}
