/*
 * children.h - the monitors of a server, in the order in which their callers came.
 *
 * A monitor is reading (its caller has not sent all of his request), waiting (for room), running,
 * or ending.  Only running ones count towards the limit, so that a silent caller keeps nobody out.
 */
#ifndef RELAY_PREFORK_CHILDREN_H
#define RELAY_PREFORK_CHILDREN_H

#include "relay/prefork/log.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* As many may be reading or waiting; more callers stay in the listen queue. */
#define PREFORK_PENDING_MAX 64
/* Once there are that many, those that have been reading for so long make room. */
#define PREFORK_PENDING_FAIR_MS 1000
/* As many may be ending; and so often is looked whether they have ended. */
#define PREFORK_ENDING_MAX 16
#define PREFORK_ENDING_MS  20

enum prefork_child_state {
	PREFORK_READING,
	PREFORK_WAITING,
	PREFORK_RUNNING,
	PREFORK_ENDING, /* not yet waited for: closing what a caller passed can take its time */
};

struct prefork_child {
	pid_t pid;
	int line; /* its end of the socketpair, see monitor.h; -1 when the monitor is ending */
	enum prefork_child_state state;
	bool killed;      /* to make room */
	int64_t since_ms; /* it was started */
};

struct prefork_children {
	struct prefork_child *list;
	size_t count, room;
	int running_max; /* negative = no limit */
	const struct prefork_log *log;
};

/* Frees the table and closes the lines, but leaves the processes: for a process forked off. */
void prefork_children_forget(struct prefork_children *children);

/* Room for one more; false if memory is short. */
__attribute__((warn_unused_result)) bool
prefork_children_reserve(struct prefork_children *children);

/* There is room.  Takes `line`. */
void prefork_children_add(struct prefork_children *children, pid_t pid, int line);

/* What to poll for, `count` entries in the order of the list, and until when at the latest:
 * *when_ms is lowered to that moment. */
void prefork_children_poll(const struct prefork_children *children, struct pollfd *wait,
			   int64_t *when_ms);

/* After poll(2), with the same entries: hears who is ready and who has ended.  Never waits. */
void prefork_children_attend(struct prefork_children *children, const struct pollfd *wait);

/* Starts those who wait, as far as there is room. */
void prefork_children_start(struct prefork_children *children);

/*
 * Whether a caller may be let in, for whom prefork_children_make_room() then has to be called.  If
 * only time will tell, *when_ms is lowered to that moment.
 */
bool prefork_children_may_accept(const struct prefork_children *children, int64_t *when_ms);

/* Ends the monitor that has been reading longest if there are as many as may be. */
void prefork_children_make_room(struct prefork_children *children);

#endif
