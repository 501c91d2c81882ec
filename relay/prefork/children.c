/*
 * children.c - see children.h.
 *
 * Owns the server's ends of the lines.  Waits for a process only when its line has ended, which is
 * when it has: so waitpid() never waits long, and never takes a child that is not ours.
 */
#include "relay/prefork/children.h"

#include "relay/prefork/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

void
prefork_children_forget(struct prefork_children *children)
{
	for (size_t i = 0; i < children->count; i++)
		close(children->list[i].line);
	free(children->list);
	children->list = NULL;
	children->count = children->room = 0;
}

bool
prefork_children_reserve(struct prefork_children *children)
{
	if (children->count < children->room)
		return true;
	size_t room = children->room == 0 ? 16 : children->room * 2;
	struct prefork_child *list = reallocarray(children->list, room, sizeof *list);
	if (list == NULL)
		return false;
	children->list = list;
	children->room = room;
	return true;
}

void
prefork_children_add(struct prefork_children *children, pid_t pid, int line)
{
	children->list[children->count++] = (struct prefork_child){
		.pid = pid, .line = line, .state = PREFORK_READING, .since_ms = prefork_clock_ms()
	};
}

void
prefork_children_poll(const struct prefork_children *children, struct pollfd *wait)
{
	for (size_t i = 0; i < children->count; i++)
		wait[i] = (struct pollfd){ .fd = children->list[i].line, .events = POLLIN };
}

static size_t
count_in(const struct prefork_children *children, enum prefork_child_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < children->count; i++)
		count += children->list[i].state == state;
	return count;
}

/* The wait status, or -1. */
static int
reap(const struct prefork_child *child)
{
	int status = 0;
	pid_t got;

	close(child->line);
	do
		got = waitpid(child->pid, &status, 0);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -1 : status;
}

/* What goes wrong within a call its monitor tells by itself. */
static void
end(const struct prefork_children *children, const struct prefork_child *child)
{
	int status = reap(child);

	if (status >= 0 && WIFSIGNALED(status))
		prefork_log(children->log, LOG_WARNING, "monitor %d ended by signal %d",
			    (int)child->pid, WTERMSIG(status));
}

/* False if it has ended. */
static bool
hear(struct prefork_child *child)
{
	char byte;
	ssize_t got = recv(child->line, &byte, 1, MSG_DONTWAIT);

	if (got == 1)
		child->state = PREFORK_WAITING;
	return got == 1 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

void
prefork_children_attend(struct prefork_children *children, const struct pollfd *wait)
{
	size_t kept = 0;

	for (size_t i = 0; i < children->count; i++) {
		struct prefork_child *child = &children->list[i];

		if (wait[i].revents != 0 && !hear(child))
			end(children, child);
		else
			children->list[kept++] = *child;
	}
	children->count = kept;
}

static bool
has_room(const struct prefork_children *children, size_t running)
{
	return children->running_max < 0 || running < (size_t)children->running_max;
}

void
prefork_children_start(struct prefork_children *children)
{
	size_t running = count_in(children, PREFORK_RUNNING);
	char byte = 0;

	for (size_t i = 0; i < children->count && has_room(children, running); i++) {
		struct prefork_child *child = &children->list[i];

		if (child->state != PREFORK_WAITING)
			continue;
		/* One that cannot hear it has ended, which is noticed by itself. */
		(void)send(child->line, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		child->state = PREFORK_RUNNING;
		running++;
	}
}

/* Where in the list, or `count` if nobody reads. */
static size_t
oldest_reader(const struct prefork_children *children)
{
	size_t i = 0;

	while (i < children->count && children->list[i].state != PREFORK_READING)
		i++;
	return i;
}

static bool
is_crowded(const struct prefork_children *children)
{
	return count_in(children, PREFORK_READING) + count_in(children, PREFORK_WAITING) >=
	       PREFORK_PENDING_MAX;
}

bool
prefork_children_may_accept(const struct prefork_children *children, int64_t *when_ms)
{
	if (!has_room(children, count_in(children, PREFORK_RUNNING)))
		return false;
	if (!is_crowded(children))
		return true;
	size_t oldest = oldest_reader(children);
	if (oldest == children->count)
		return false;
	int64_t fair = children->list[oldest].since_ms + PREFORK_PENDING_FAIR_MS;
	if (fair <= prefork_clock_ms())
		return true;
	if (fair < *when_ms)
		*when_ms = fair;
	return false;
}

void
prefork_children_make_room(struct prefork_children *children)
{
	size_t oldest = oldest_reader(children);

	if (!is_crowded(children) || oldest == children->count)
		return;
	struct prefork_child *gone = &children->list[oldest];
	bool lives = hear(gone);
	/* It may just have come to the end of the request: then it is no reader any more. */
	if (lives && gone->state != PREFORK_READING)
		return;
	/* There is no executor yet: that takes a byte from here. */
	if (lives)
		kill(gone->pid, SIGKILL);
	(void)reap(gone);
	prefork_log(children->log, LOG_WARNING, "too many callers that send no request");
	children->count--;
	memmove(gone, gone + 1, (children->count - oldest) * sizeof *gone);
}
