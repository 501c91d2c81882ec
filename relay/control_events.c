/*
 * control_events.c - what happens, told at once to all who listen to `events`.
 *
 * Nothing is kept for later: who does not read misses events, and is told how many.
 */
#include "relay/control_server.h"

#include "relay/control.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum {
	EVENTS_BACKLOG_MAX = 256 * 1024, /* bytes that a listener may be behind */
};

void
control_do_events(struct control_call *call)
{
	(void)call; /* lives until the client leaves */
}

uint64_t
control_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
tell(struct control_pending *pending, const char *kind, const char *host, const char *text)
{
	Relay__Control__Reply reply;
	Relay__Control__Event event;

	relay__control__reply__init(&reply);
	relay__control__event__init(&event);
	if (control_connection_backlog(pending->connection) > EVENTS_BACKLOG_MAX) {
		pending->lost++;
		return;
	}
	event.at = control_now_us();
	event.kind = control_clean(&pending->call, kind);
	event.host = control_clean(&pending->call, host);
	event.text = control_clean(&pending->call, text);
	event.lost = pending->lost;
	pending->lost = 0;
	reply.more = true;
	reply.body_case = RELAY__CONTROL__REPLY__BODY_EVENT;
	reply.event = &event;
	control_answer(&pending->call, &reply);
}

void
control_event(struct control *control, const char *kind, const char *host, const char *format, ...)
{
	struct control_connection *connection;
	struct control_pending *pending;
	struct control_pending *next;
	char text[CONTROL_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	TAILQ_FOREACH(connection, &control->server->connections, entry) {
		for (pending = TAILQ_FIRST(&connection->calls); pending != NULL; pending = next) {
			next = TAILQ_NEXT(pending, entry);
			if (pending->call.verb != NULL &&
			    pending->call.verb->handler == control_do_events)
				tell(pending, kind, host, text);
		}
	}
}
