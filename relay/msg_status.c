/*
 * msg_status.c - outcomes and errors as exit statuses of relay-msg.
 */
#include "relay/msg_status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int
msg_status_of(enum relay_msg_outcome outcome)
{
	switch (outcome) {
	case RELAY_MSG_ANSWERED:
	case RELAY_MSG_ACCEPTED:
		return MSG_STATUS_FINE;
	case RELAY_MSG_UNREACHABLE:
	case RELAY_MSG_GIVEN_UP:
		return MSG_STATUS_UNREACHABLE;
	case RELAY_MSG_UNKNOWN_HOST:
	case RELAY_MSG_UNKNOWN_CLIENT:
		return MSG_STATUS_UNKNOWN;
	case RELAY_MSG_NOT_ALLOWED:
		return MSG_STATUS_DENIED;
	case RELAY_MSG_BUSY:
	case RELAY_MSG_MALFORMED:
	case RELAY_MSG_STORE_FULL:
	case RELAY_MSG_STORE_FAILED:
	case RELAY_MSG_TOO_LONG:
	case RELAY_MSG_CON_LOST:
	case RELAY_MSG_FORGOTTEN:
		return MSG_STATUS_FAILED;
	}
	return MSG_STATUS_FAILED;
}

int
msg_complain(int error, const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", MSG_NAME, what, strerror(-error));
	return error == -EMSGSIZE || error == -EINVAL ? MSG_STATUS_USAGE : MSG_STATUS_FAILED;
}
