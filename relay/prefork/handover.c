/*
 * handover.c - see handover.h.
 */
#include "relay/prefork/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	HANDED = 4,
	NANOSECOND_DIGITS = 9
};

/* Moves over `text` only if that is what comes. */
static bool
skip(const char **at, const char *text)
{
	size_t length = strlen(text);

	if (strncmp(*at, text, length) != 0)
		return false;
	*at += length;
	return true;
}

/* Decimal digits alone; how many there were is the answer, 0 if it is no number up to `max`. */
static int
number(const char **at, int64_t max, int64_t *value)
{
	int digits = 0;

	*value = 0;
	for (; **at >= '0' && **at <= '9'; ++*at) {
		int digit = **at - '0';

		if (*value > (max - digit) / 10)
			return 0;
		*value = *value * 10 + digit;
		digits++;
	}
	return digits;
}

/* What may follow the last thing we know of. */
static bool
at_boundary(const char *at)
{
	return *at == '\0' || *at == ' ' || *at == ',';
}

/* The items behind the second, each behind its comma, up to the end of the word. */
static bool
parse_extensions(const char **at)
{
	static const char forwarding[] = "rlx1";
	bool extended = false;

	while (skip(at, ",")) {
		size_t length = strcspn(*at, ", ");

		if (length == strlen(forwarding) && memcmp(*at, forwarding, length) == 0)
			extended = true;
		*at += length;
	}
	return extended;
}

static bool
parse_version(const char **at, struct prefork_handover *handover)
{
	int64_t seconds, nanoseconds;

	if (!skip(at, "v1,") || number(at, INT64_MAX, &seconds) == 0 || !skip(at, "."))
		return false;
	if (number(at, INT64_MAX, &nanoseconds) != NANOSECOND_DIGITS || !at_boundary(*at))
		return false;
	handover->fresh.tv_sec = seconds;
	handover->fresh.tv_nsec = nanoseconds;
	handover->extended = parse_extensions(at);
	return true;
}

static bool
parse_descriptor(const char **at, int *fd)
{
	int64_t value;

	/* Written in one way only: no zeros in front. */
	if (**at == '0' || number(at, INT32_MAX, &value) == 0)
		return false;
	*fd = (int)value;
	return *fd > STDERR_FILENO;
}

int
prefork_handover_parse(const char *text, struct prefork_handover *handover)
{
	int *fds[HANDED] = { &handover->listen, &handover->call, &handover->sentinel,
			     &handover->orders };
	const char *at = text;

	if (!parse_version(&at, handover))
		return -EINVAL;
	for (int i = 0; i < HANDED; i++) {
		if (!skip(&at, i == 0 ? " " : ",") || !parse_descriptor(&at, fds[i]))
			return -EINVAL;
		for (int before = 0; before < i; before++)
			if (*fds[before] == *fds[i])
				return -EINVAL;
	}
	return at_boundary(at) ? 0 : -EINVAL;
}

/* A stream socket of the UNIX domain, listening or connected. */
static int
check_socket(int fd, bool listens)
{
	int domain, type, listening;
	socklen_t length = sizeof domain;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) != 0)
		return -errno;
	return domain == AF_UNIX && type == SOCK_STREAM && (listening != 0) == listens ? 0
										       : -EINVAL;
}

int
prefork_handover_check(const struct prefork_handover *handover)
{
	int error = check_socket(handover->listen, true);

	if (error == 0)
		error = check_socket(handover->call, false);
	if (error == 0 &&
	    (fcntl(handover->sentinel, F_GETFD) < 0 || fcntl(handover->orders, F_GETFD) < 0))
		error = -errno;
	return error;
}
