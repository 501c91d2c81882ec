/*
 * children.c - see children.h.
 *
 * Owns the server's ends of the lines.  Looks after a process when its line has ended, which is
 * just before it has, and never waits for it; nor for a child that is not ours.
 */
#include "relay/prefork/children.h"

#include "relay/prefork/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

void
prefork_children_forget(struct prefork_children *children)
{
	for (size_t i = 0; i < children->count; i++)
		if (children->list[i].line >= 0)
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

static size_t
count_in(const struct prefork_children *children, enum prefork_child_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < children->count; i++)
		count += children->list[i].state == state;
	return count;
}

void
prefork_children_poll(const struct prefork_children *children, struct pollfd *wait,
		      int64_t *when_ms)
{
	for (size_t i = 0; i < children->count; i++)
		wait[i] = (struct pollfd){ .fd = children->list[i].line, .events = POLLIN };
	int64_t again_ms = prefork_clock_ms() + PREFORK_ENDING_MS;
	if (count_in(children, PREFORK_ENDING) > 0 && again_ms < *when_ms)
		*when_ms = again_ms;
}

/* It has said its last, or is made to. */
static void
let_end(struct prefork_child *child)
{
	close(child->line);
	child->line = -1;
	child->state = PREFORK_ENDING;
}

/* What goes wrong within a call its monitor tells by itself. */
static bool
has_ended(const struct prefork_children *children, const struct prefork_child *child)
{
	int status = 0;
	pid_t got = waitpid(child->pid, &status, WNOHANG);

	if (got > 0 && WIFSIGNALED(status) && !child->killed)
		prefork_log(children->log, LOG_WARNING, "monitor %d ended by signal %d",
			    (int)child->pid, WTERMSIG(status));
	return got > 0 || (got < 0 && errno != EINTR);
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
			let_end(child);
		if (child->state != PREFORK_ENDING || !has_ended(children, child))
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
	if (!has_room(children, count_in(children, PREFORK_RUNNING)) ||
	    count_in(children, PREFORK_ENDING) >= PREFORK_ENDING_MAX)
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
	gone->killed = lives && kill(gone->pid, SIGKILL) == 0;
	let_end(gone);
	prefork_log(children->log, LOG_WARNING, "too many callers that send no request");
}
