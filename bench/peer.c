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
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX  256
#define ACCEPTS_MAX 64

static int
open_listener(const struct peer_listen *l)
{
	int fd = socket(l->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* What is accepted inherits it. */
	if (l->address.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (bind(fd, (const struct sockaddr *)&l->address, l->len) != 0) {
		char text[ADDRESS_TEXT_MAX];
		address_format(&l->address, text);
		err(1, "bind: %s", text);
	}
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
}

/* The listeners are told from connections by their address, which lies inside this array. */
struct listeners {
	int fd[PEER_LISTEN_MAX];
	size_t count;
};

static void
open_listeners(struct listeners *l, const struct peer *peer)
{
	const struct peer_options *o = peer->options;

	for (l->count = 0; l->count < o->listen_count; l->count++) {
		int *fd = &l->fd[l->count];
		*fd = open_listener(&o->listen[l->count]);
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = fd };
		if (epoll_ctl(peer->epoll_fd, EPOLL_CTL_ADD, *fd, &e) != 0)
			err(1, "epoll_ctl");
		announce(*fd);
	}
	if (fflush(stdout) != 0)
		err(1, "stdout");
}

/* The listener that an event is about, -1 if it is about a connection. */
static int
listener_of(const struct listeners *l, const void *about)
{
	uintptr_t at = (uintptr_t)about, first = (uintptr_t)&l->fd[0];

	return at >= first && at < first + sizeof l->fd ? *(const int *)about : -1;
}

static void
watch_listeners(const struct peer *peer, struct listeners *l, bool on)
{
	for (size_t i = 0; i < l->count; i++) {
		struct epoll_event e = { .events = on ? EPOLLIN : 0, .data.ptr = &l->fd[i] };
		if (epoll_ctl(peer->epoll_fd, EPOLL_CTL_MOD, l->fd[i], &e) != 0)
			err(1, "epoll_ctl");
	}
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
run(struct peer *peer, struct listeners *listeners, const sigset_t *while_waiting)
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
			int listener = listener_of(listeners, events[i].data.ptr);
			if (listener >= 0)
				more = accept_some(peer, listener) && more;
			else
				conn_on_events(events[i].data.ptr, events[i].events);
		}
		run_wakes(peer);
		if (conn_bury(peer) > 0)
			more = true;
		if (more != accepting)
			watch_listeners(peer, listeners, more);
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
close_listeners(const struct listeners *l, const struct peer_options *o)
{
	for (size_t i = 0; i < l->count; i++) {
		char path[ADDRESS_TEXT_MAX];

		close(l->fd[i]);
		if (o->listen[i].address.ss_family != AF_UNIX)
			continue;
		address_format(&o->listen[i].address, path);
		unlink(path);
	}
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
	bytes_free(&peer->line);
	bytes_free(&peer->reply);
	bytes_free(&peer->receive);
	close(peer->epoll_fd);
}

int
main(int argc, char **argv)
{
	static struct peer_options options;
	static struct listeners listeners;
	struct peer peer = { .options = &options };
	sigset_t while_waiting;

	peer_options_parse(&options, argc, argv);
	process_catch_stop(&while_waiting);
	process_raise_files();
	if (options.transcript != NULL)
		transcript_open(&peer.transcript, options.transcript);
	peer.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (peer.epoll_fd < 0)
		err(1, "epoll");
	peer.now_ns = clock_now_ns();
	open_listeners(&listeners, &peer);
	uint64_t cpu_ns = clock_cpu_ns();
	run(&peer, &listeners, &while_waiting);
	cpu_ns = clock_cpu_ns() - cpu_ns;
	close_listeners(&listeners, &options);
	fini(&peer);
	if (options.stats)
		print_stats(&peer, cpu_ns);
	return 0;
}
