/*
 * server.c - see server.h.
 *
 * Owns the four descriptors it was started with.  A caller who connected but was not let in when
 * the server ends is cut off by the end of the listening socket, before his greeting: so he knows
 * that nothing was done for him, and starts the next server.
 */
#include "relay/prefork/server.h"

#include "relay/prefork/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

enum {
	PATIENCE_MS = 30 * 1000,
	PAUSE_MS = 100
};

/* What is polled for besides the children. */
enum {
	LISTEN,
	ORDERS,
	OWN
};

__attribute__((noreturn)) static void
fail(const struct prefork_server *server, const char *what)
{
	prefork_log(&server->log, LOG_ERR, "%s: %s, quitting", what, strerror(errno));
	_exit(127);
}

__attribute__((noreturn)) static void
quit(const struct prefork_server *server, const char *why)
{
	prefork_log(&server->log, LOG_INFO, "%s, quitting", why);
	_exit(0);
}

/* What a monitor has from the server and must not keep: others would miss its end. */
static void
leave_server(struct prefork_server *server)
{
	prefork_children_forget(&server->children);
	close(server->handover.listen);
	close(server->handover.sentinel);
	close(server->handover.orders);
}

/* Takes `call`.  0 in the server, 1 in an executor, or a negative errno. */
static int
start_call(struct prefork_server *server, int call, struct prefork_invocation *invocation)
{
	int line[2], error = 0;

	if (!prefork_children_reserve(&server->children))
		error = ENOMEM;
	else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) != 0)
		error = errno;
	if (error != 0) {
		close(call);
		return -error;
	}
	pid_t pid = fork();
	if (pid == 0) {
		struct prefork_monitor monitor = { .call = call,
						   .line = line[1],
						   .extended = server->handover.extended,
						   .patience_ms = PATIENCE_MS,
						   .log = &server->log,
						   .name = server->name };

		close(line[0]);
		leave_server(server);
		prefork_monitor_run(&monitor, invocation);
		return 1;
	}
	error = pid < 0 ? errno : 0;
	close(call);
	close(line[1]);
	if (pid > 0)
		prefork_children_add(&server->children, pid, line[0]);
	else
		close(line[0]);
	return -error;
}

/* Failures mostly pass: they are waited out, unless there are too many. */
static void
endure(struct prefork_server *server, int error)
{
	prefork_log(&server->log, LOG_WARNING, "accepting a call: %s", strerror(error));
	if (server->errors_max >= 0 && ++server->errors > server->errors_max) {
		prefork_log(&server->log, LOG_ERR, "too many failures to accept, quitting");
		_exit(127);
	}
	server->pause_ms = prefork_clock_ms() + PAUSE_MS;
}

/* 1 in an executor, 0 in the server. */
static int
let_in(struct prefork_server *server, struct prefork_invocation *invocation)
{
	int call = accept4(server->handover.listen, NULL, NULL, SOCK_CLOEXEC);
	int result = call >= 0 ? 0 : -errno;

	if (result == -EAGAIN || result == -EINTR || result == -ECONNABORTED)
		return 0;
	server->busy_ms = prefork_clock_ms();
	if (call >= 0) {
		prefork_children_make_room(&server->children);
		result = start_call(server, call, invocation);
	}
	if (result < 0)
		endure(server, -result);
	else
		server->errors = 0;
	return result > 0;
}

/* The watcher says that the socket is gone by its end, that it is in trouble by a message. */
static void
follow_orders(const struct prefork_server *server)
{
	char message[256];
	ssize_t got = read(server->handover.orders, message, sizeof message - 1);

	if (got == 0)
		quit(server, "lost the socket");
	if (got < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return;
		fail(server, "reading from the watcher");
	}
	message[got] = '\0';
	message[strcspn(message, "\n")] = '\0';
	prefork_log(&server->log, LOG_ERR, "watcher: %s, quitting", message);
	_exit(127);
}

static void
check_sources(const struct prefork_server *server)
{
	int error;
	const char *file = prefork_sources_changed(&server->sources, &error);

	if (file == NULL)
		return;
	if (error != 0) {
		errno = error;
		fail(server, file);
	}
	prefork_log(&server->log, LOG_INFO, "%s has changed, quitting", file);
	_exit(0);
}

/* While there are calls the server is not idle, however long they take. */
static int
time_left(const struct prefork_server *server, int64_t when_ms)
{
	if (server->children.count == 0 && server->idle_ms >= 0 &&
	    server->busy_ms + server->idle_ms < when_ms)
		when_ms = server->busy_ms + server->idle_ms;
	return when_ms == INT64_MAX ? -1 : prefork_clock_left(when_ms);
}

static bool
is_idle(const struct prefork_server *server)
{
	return server->children.count == 0 && server->idle_ms >= 0 &&
	       prefork_clock_ms() - server->busy_ms >= server->idle_ms;
}

/* Where nobody is let in now, but may be later, *when_ms is that moment. */
static bool
is_open(const struct prefork_server *server, int64_t *when_ms)
{
	if (server->pause_ms > prefork_clock_ms()) {
		*when_ms = server->pause_ms;
		return false;
	}
	return prefork_children_may_accept(&server->children, when_ms);
}

/* Starts who may be started; then waits: how many of `wait` have something to say, 0 if none has.
 */
static int
await(struct prefork_server *server, struct pollfd *wait)
{
	struct prefork_children *children = &server->children;
	int64_t when_ms = INT64_MAX;

	prefork_children_start(children);
	wait[LISTEN] = (struct pollfd){ .fd = server->handover.listen, .events = POLLIN };
	if (!is_open(server, &when_ms))
		wait[LISTEN].fd = -1;
	wait[ORDERS] = (struct pollfd){ .fd = server->handover.orders, .events = POLLIN };
	prefork_children_poll(children, wait + OWN, &when_ms);
	int found = poll(wait, children->count + OWN, time_left(server, when_ms));
	if (found < 0 && errno != EINTR)
		fail(server, "waiting for calls");
	if (found == 0 && is_idle(server))
		quit(server, "nobody calls");
	return found > 0 ? found : 0;
}

static void
attend_children(struct prefork_server *server, const struct pollfd *wait)
{
	size_t before = server->children.count;

	prefork_children_attend(&server->children, wait);
	if (server->children.count < before)
		server->busy_ms = prefork_clock_ms();
}

/* One wake-up.  1 in an executor, 0 in the server. */
static int
turn(struct prefork_server *server, struct prefork_invocation *invocation)
{
	struct pollfd *wait = calloc(server->children.count + OWN, sizeof *wait);
	bool called = false, ordered = false;

	if (wait == NULL)
		fail(server, "waiting for calls");
	if (await(server, wait) > 0) {
		called = wait[LISTEN].revents != 0;
		ordered = wait[ORDERS].revents != 0;
	}
	attend_children(server, wait + OWN);
	free(wait);
	if (ordered)
		follow_orders(server);
	if (!called)
		return 0;
	check_sources(server);
	return let_in(server, invocation);
}

void
prefork_server_run(struct prefork_server *server, struct prefork_invocation *invocation)
{
	prefork_title_get(server->name);
	prefork_title_set(server->name, "server");
	int result = start_call(server, server->handover.call, invocation);

	if (result < 0) {
		errno = -result;
		fail(server, "starting the first call");
	}
	server->busy_ms = prefork_clock_ms();
	while (result == 0)
		result = turn(server, invocation);
}
