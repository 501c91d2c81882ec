/*
 * peer.c - relay-peer: a small lond for demonstrations, benchmarks and tests, and the yardstick of
 * both.
 *
 * One thread, one epoll loop.  What a request is answered depends on the request alone
 * (peer_reply.c), so that whoever asked can tell whether the answer is theirs.  Never reads a file,
 * never resolves a name.
 */
#include "bench/address.h"
#include "bench/clock.h"
#include "bench/peer_conn.h"
#include "bench/process.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX  256
#define ACCEPTS_MAX 64

static int
open_listener(const struct peer_options *o)
{
	int fd = socket(o->listen.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&o->listen, o->listen_len) != 0)
		err(1, "bind");
	if (listen(fd, 65535) != 0)
		err(1, "listen");
	return fd;
}

static void
announce(int listener)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof addr;
	char text[ADDRESS_TEXT_MAX];

	if (getsockname(listener, (struct sockaddr *)&addr, &len) != 0)
		err(1, "getsockname");
	address_format(&addr, text);
	printf("listening %s\n", text);
	if (fflush(stdout) != 0)
		err(1, "stdout");
}

static void
watch_listener(const struct peer *peer, int listener, bool on)
{
	struct epoll_event e = { .events = on ? EPOLLIN : 0, .data.ptr = NULL };

	if (epoll_ctl(peer->epoll_fd, EPOLL_CTL_MOD, listener, &e) != 0)
		err(1, "epoll_ctl");
}

/* False if there is no descriptor left: the listener must rest until a connection is gone. */
static bool
accept_some(struct peer *peer, int listener)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			conn_new(peer, fd);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE) {
			warn("accept");
			return false;
		}
		if (errno != ECONNABORTED && errno != EINTR)
			return true;
	}
	return true;
}

static void
run_wakes(struct peer *peer)
{
	struct wake *wake;

	while ((wake = wakes_take_due(&peer->wakes, peer->now_ns)) != NULL)
		conn_on_wake((struct conn *)((char *)wake - offsetof(struct conn, wake)));
}

static void
run(struct peer *peer, int listener, const sigset_t *while_waiting)
{
	struct epoll_event events[EVENTS_MAX];
	struct timespec wait;
	bool accepting = true;

	while (!process_stopping()) {
		uint64_t next_ns = wakes_next_ns(&peer->wakes);
		const struct timespec *until = NULL;
		if (next_ns != UINT64_MAX)
			until = clock_wait(&wait, clock_now_ns(), next_ns);
		int n = epoll_pwait2(peer->epoll_fd, events, EVENTS_MAX, until, while_waiting);
		if (n < 0 && errno != EINTR)
			err(1, "epoll_pwait2");
		peer->now_ns = clock_now_ns();
		bool more = accepting;
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == NULL)
				more = accept_some(peer, listener);
			else
				conn_on_events(events[i].data.ptr, events[i].events);
		}
		run_wakes(peer);
		if (conn_bury(peer) > 0)
			more = true;
		if (more != accepting)
			watch_listener(peer, listener, more);
		accepting = more;
		transcript_flush(&peer->transcript);
	}
}

static void
print_stats(const struct peer *peer, uint64_t cpu_ns)
{
	double per_request =
	    peer->requests == 0 ? 0.0 : (double)cpu_ns / 1e3 / (double)peer->requests;

	fprintf(stderr, "relay-peer: requests %lu connections %lu cpu_us_per_request %.3f\n",
		peer->requests, peer->connections, per_request);
}

static void
fini(struct peer *peer)
{
	while (!LIST_EMPTY(&peer->conns))
		conn_kill(LIST_FIRST(&peer->conns), "end of program");
	conn_bury(peer);
	transcript_close(&peer->transcript);
	wakes_fini(&peer->wakes);
	reply_scratch_free(&peer->scratch);
	bytes_free(&peer->reply);
	bytes_free(&peer->receive);
	close(peer->epoll_fd);
}

int
main(int argc, char **argv)
{
	struct peer_options options;
	struct peer peer = { .options = &options };
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL };
	sigset_t while_waiting;

	peer_options_parse(&options, argc, argv);
	process_catch_stop(&while_waiting);
	process_raise_files();
	if (options.transcript != NULL)
		transcript_open(&peer.transcript, options.transcript);
	int listener = open_listener(&options);
	peer.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (peer.epoll_fd < 0 || epoll_ctl(peer.epoll_fd, EPOLL_CTL_ADD, listener, &e) != 0)
		err(1, "epoll");
	peer.now_ns = clock_now_ns();
	announce(listener);
	uint64_t cpu_ns = clock_cpu_ns();
	run(&peer, listener, &while_waiting);
	cpu_ns = clock_cpu_ns() - cpu_ns;
	close(listener);
	fini(&peer);
	if (options.stats)
		print_stats(&peer, cpu_ns);
	return 0;
}
