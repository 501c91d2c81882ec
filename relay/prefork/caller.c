/*
 * caller.c - see caller.h.
 */
#include "relay/prefork/caller.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/socket.h>

static const char greeting_v1[] = { 'P', 'F', 'I', '\n', 0, 0, 0, 0 };
static const char greeting_extended[] = { 'P', 'F', 'I', '\n', 0, 0, 0, 4, 'R', 'L', 'X', '1' };
/* By code; there is no code 0. */
static const int signals[] = { 0, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH };

/* The buffer of a socket on which nothing else was sent has room for so little. */
static bool
say(int call, const void *bytes, size_t size)
{
	return send(call, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
}

bool
prefork_caller_greet(int call, bool extended)
{
	if (extended)
		return say(call, greeting_extended, sizeof greeting_extended);
	return say(call, greeting_v1, sizeof greeting_v1);
}

enum prefork_heard
prefork_caller_hear(int call, bool extended, int *signal)
{
	unsigned char code;
	ssize_t got = recv(call, &code, 1, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return PREFORK_NOTHING;
	if (got != 1 || !extended || code == 0 || code >= sizeof signals / sizeof signals[0])
		return PREFORK_END;
	*signal = signals[code];
	return PREFORK_SIGNAL;
}

void
prefork_caller_tell_status(int call, int status)
{
	uint32_t word = htonl((uint32_t)status);
	char unheard[1024];

	(void)say(call, &word, sizeof word);
	/* After this no more can come: the loop ends. */
	if (shutdown(call, SHUT_RD) == 0)
		while (recv(call, unheard, sizeof unheard, MSG_DONTWAIT) > 0)
			;
}
