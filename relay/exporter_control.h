/*
 * exporter_control.h - the exporter's connection to the control socket, on libevent.
 *
 * One connection, made when it is needed, kept, and made again when it breaks.  The daemon is asked
 * in rounds: who asks while one is under way shares its answer, if it brings what he wants.  Never
 * blocks.  What the daemon sends is bounded: frames, the memory they unpack to, pages, hosts.
 */
#ifndef RELAY_EXPORTER_CONTROL_H
#define RELAY_EXPORTER_CONTROL_H

#include <event2/event.h>
#include <stdint.h>
#include <sys/queue.h>

#include "relay/exporter_round.h"
#include "relay/metrics.h"

/* How long a query may take in all. */
#define EXPORTER_TIMEOUT_MS 2000

struct exporter_answer {
	struct metrics_daemon daemon; /* good until the callback returns */
	const char *error;            /* NULL, or why there is no answer; printable */
};

struct exporter_query;
typedef void exporter_done(struct exporter_query *query, const struct exporter_answer *answer);

TAILQ_HEAD(exporter_queries, exporter_query);

/* Lives in its owner, from exporter_control_ask() to done(). */
struct exporter_query {
	TAILQ_ENTRY(exporter_query) entry;
	exporter_done *done;
	struct exporter_control *control;
	struct exporter_queries *list; /* that it is in */
	struct event *timer;
	enum exporter_what what;
};

/* NULL: no memory, or a path that is none of a socket (errno). */
struct exporter_control *exporter_control_new(struct event_base *base, const char *path);

/* Queries that are open end with an error. */
void exporter_control_free(struct exporter_control *control);

/* done() comes exactly once, within the time limit, perhaps before this returns. */
void exporter_control_ask(struct exporter_control *control, struct exporter_query *query,
			  enum exporter_what what, exporter_done *done);

/*
 * Whether the relay's keeper lives although its control process does not answer.  That can be told
 * by who is its child: another's number may mean something else here.
 */
bool exporter_control_keeper_lives(const struct exporter_control *control);

/* Connections made so far. */
uint64_t exporter_control_connects(const struct exporter_control *control);

#endif
