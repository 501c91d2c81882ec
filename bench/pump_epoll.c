/*
 * pump_epoll.c - the 1:1 byte pump on epoll: per event one receive, one send.
 *
 *     side (client)  <->  pair  <->  side (peer)
 *
 * What one side brought goes to the other at once; what that does not take is held, and the first
 * is not read until it is gone.  An end on either side ends the pair.
 */
#include "bench/pump.h"

#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <unistd.h>

#define EVENTS_MAX 256

struct pair;

struct side {
	struct pair *pair; /* NULL: this is a listener, and not a side */
	int fd;
	uint32_t events;
	bool connecting;
	uint8_t *held; /* bytes this side did not take yet */
	size_t held_at;
	size_t held_len;
};

struct pair {
	struct side client;
	struct side peer;
	bool over;
	LIST_ENTRY(pair) dead;
};

struct listener {
	struct side side;
	const struct pump_route *route;
};

static int epoll_fd;
static LIST_HEAD(, pair) dead = LIST_HEAD_INITIALIZER(dead);
static uint8_t buffer[PUMP_BYTES];

static struct side *
other(struct side *s)
{
	return s == &s->pair->client ? &s->pair->peer : &s->pair->client;
}

static void
watch(struct side *s)
{
	struct side *o = other(s);
	uint32_t events = s->connecting || s->held != NULL ? EPOLLOUT : 0;

	if (!s->connecting && !o->connecting && o->held == NULL)
		events |= EPOLLIN;
	if (events == s->events)
		return;
	struct epoll_event e = { .events = events, .data.ptr = s };
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &e) != 0)
		err(1, "epoll_ctl");
	s->events = events;
}

/* Freed at the end of the turn: the other side may have an event in it. */
static void
end(struct pair *p)
{
	if (p->over)
		return;
	p->over = true;
	close(p->client.fd);
	close(p->peer.fd);
	LIST_INSERT_HEAD(&dead, p, dead);
}

static void
bury(void)
{
	struct pair *p;

	while ((p = LIST_FIRST(&dead)) != NULL) {
		LIST_REMOVE(p, dead);
		free(p->client.held);
		free(p->peer.held);
		free(p);
	}
}

static void
hold(struct side *s, const uint8_t *data, size_t n)
{
	s->held = malloc(n);
	if (s->held == NULL)
		err(1, "no memory");
	memcpy(s->held, data, n);
	s->held_at = 0;
	s->held_len = n;
}

static void
on_readable(struct side *s)
{
	struct side *to = other(s);
	ssize_t n = recv(s->fd, buffer, sizeof buffer, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		end(s->pair);
		return;
	}
	ssize_t sent = send(to->fd, buffer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		end(s->pair);
		return;
	}
	if (sent == n)
		return;
	size_t taken = sent < 0 ? 0 : (size_t)sent;
	hold(to, buffer + taken, (size_t)n - taken);
	watch(to);
	watch(s);
}

static void
on_writable(struct side *s)
{
	int error = 0;
	socklen_t len = sizeof error;

	if (s->connecting) {
		if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0) {
			end(s->pair);
			return;
		}
		s->connecting = false;
	} else {
		ssize_t n = send(s->fd, s->held + s->held_at, s->held_len - s->held_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN) {
			end(s->pair);
			return;
		}
		s->held_at += n < 0 ? 0 : (size_t)n;
		if (s->held_at < s->held_len)
			return;
		free(s->held);
		s->held = NULL;
	}
	watch(s);
	watch(other(s));
}

static void
on_events(struct side *s, uint32_t events)
{
	if (s->pair->over)
		return;
	if ((s->events & EPOLLOUT) != 0 && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
		on_writable(s);
	else if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
		on_readable(s);
}

static void
add(struct side *s, int fd, struct pair *p, bool connecting)
{
	struct epoll_event e = { .events = 0, .data.ptr = s };

	*s = (struct side){ .pair = p, .fd = fd, .connecting = connecting };
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
		err(1, "epoll_ctl");
}

static void
on_client(const struct pump_route *route, int client)
{
	struct pair *p = calloc(1, sizeof *p);
	int peer = pump_socket(route);

	if (p == NULL || peer < 0)
		err(1, "a connection");
	bool connecting = connect(peer, (const struct sockaddr *)&route->to, route->to_len) != 0;
	add(&p->client, client, p, false);
	add(&p->peer, peer, p, connecting);
	watch(&p->client);
	watch(&p->peer);
	if (connecting && errno != EINPROGRESS)
		end(p);
}

static void
on_listener(const struct listener *l)
{
	int fd;

	while ((fd = accept4(l->side.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		on_client(l->route, fd);
}

int
main(int argc, char **argv)
{
	static struct pump_route routes[PUMP_ROUTES_MAX];
	static struct listener listeners[PUMP_ROUTES_MAX];
	struct epoll_event events[EVENTS_MAX];
	size_t count = pump_open(routes, argc, argv);

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (size_t i = 0; i < count; i++) {
		struct listener *l = &listeners[i];
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = &l->side };
		l->side.fd = routes[i].listener;
		l->route = &routes[i];
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, l->side.fd, &e) != 0)
			err(1, "epoll_ctl");
	}
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
		if (n < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++) {
			struct side *s = events[i].data.ptr;
			if (s->pair == NULL)
				on_listener((const struct listener *)(const void *)s);
			else
				on_events(s, events[i].events);
		}
		bury();
	}
}
