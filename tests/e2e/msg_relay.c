/*
 * msg_relay.c - the small relay of msg_relay_stage.h on a socket: what relay-msg and librelay-msg
 * are tried against where no more of relayd is wanted.
 *
 *   msg_relay CLIENT [TEXT...]      unsealed; each TEXT is a notice that waits for the client
 *
 * Prints `listening 127.0.0.1:PORT`, and `gone N` when N notices are confirmed.  Ends by a signal.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/msg_relay_stage.h"

static struct msg_relay relay;
static struct sockaddr_in peer; /* who spoke last */
static int fd;

static uint64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
send_out(void *context, const uint8_t *bytes, size_t len)
{
	(void)context;
	(void)sendto(fd, bytes, len, MSG_DONTWAIT, (const struct sockaddr *)&peer, sizeof peer);
}

static void
open_socket(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof own;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&own, sizeof own) != 0 ||
	    getsockname(fd, (struct sockaddr *)&own, &len) != 0)
		err(1, "socket");
	printf("listening 127.0.0.1:%d\n", ntohs(own.sin_port));
	fflush(stdout);
}

static void
receive(void)
{
	uint8_t bytes[DATAGRAM_SIZE_DEFAULT];
	socklen_t len = sizeof peer;
	ssize_t n;

	while ((n = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&peer, &len)) >= 0) {
		stage_take(&relay, bytes, (size_t)n, clock_ms());
		len = sizeof peer;
	}
}

static void
tell_gone(void)
{
	static size_t told;
	size_t gone = 0;

	for (size_t i = 0; i < relay.notice_count; i++)
		gone += relay.notices[i].is_gone;
	if (gone != told) {
		printf("gone %zu\n", gone);
		fflush(stdout);
	}
	told = gone;
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		errx(2, "usage: msg_relay CLIENT [TEXT...]");
	relay.client = strtoul(argv[1], NULL, 16);
	relay.random.state = 1;
	relay.resend_ms = 50;
	relay.send = send_out;
	for (int i = 2; i < argc; i++)
		stage_store(&relay, wire_span_str(argv[i]));
	open_socket();
	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		uint64_t now_ms = clock_ms(), due_ms = stage_due_ms(&relay);
		int wait = due_ms == UINT64_MAX ? -1 : due_ms > now_ms ? (int)(due_ms - now_ms) : 0;
		if (poll(&poll_fd, 1, wait) < 0 && errno != EINTR)
			err(1, "poll");
		receive();
		stage_tick(&relay, clock_ms());
		tell_gone();
	}
}
