/*
 * handover.h - what a program is started with: the value of PREFORK_INTERP,
 *
 *   v1,SECS.NNNNNNNNN[,rlx1] LISTEN,CALL,WATCHI,WATCHE
 *
 * rlx1: whoever connects knows the extended greeting.  Other items behind a comma and further words
 * are for later versions, and passed over.
 */
#ifndef RELAY_PREFORK_HANDOVER_H
#define RELAY_PREFORK_HANDOVER_H

#include <stdbool.h>
#include <time.h>

struct prefork_handover {
	struct timespec fresh; /* files changed later than this are newer than the program */
	int listen;            /* callers connect here */
	int call;              /* the first call */
	int sentinel;          /* WATCHI, held open: its end tells the watcher that we are gone */
	int orders;            /* WATCHE: its end, or a message, tells us to go */
	bool extended;         /* callers may forward signals */
};

/* 0, or -EINVAL for anything but exactly that: nothing is guessed. */
__attribute__((warn_unused_result)) int prefork_handover_parse(const char *text,
							       struct prefork_handover *handover);

/* Whether the four are open and of their kinds: 0, -EBADF, -ENOTSOCK or -EINVAL. */
__attribute__((warn_unused_result)) int
prefork_handover_check(const struct prefork_handover *handover);

#endif
