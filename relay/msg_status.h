/*
 * msg_status.h - how relay-msg ends, and what it says then.
 */
#ifndef RELAY_MSG_STATUS_H
#define RELAY_MSG_STATUS_H

#include "relay/msg.h"

#define MSG_NAME "relay-msg"

/* As those of relayctl. */
enum {
	MSG_STATUS_FINE = 0,
	MSG_STATUS_FAILED = 1,
	MSG_STATUS_USAGE = 2,
	MSG_STATUS_UNREACHABLE = 3,
	MSG_STATUS_UNKNOWN = 5,
	MSG_STATUS_DENIED = 6,
	MSG_STATUS_TIMEOUT = 7,
};

/* The exit status that says this. */
int msg_status_of(enum relay_msg_outcome outcome);

/* Says to standard error that `what` failed; `error` is a negative errno.  The exit status. */
int msg_complain(int error, const char *what);

#endif
