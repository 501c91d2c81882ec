/*
 * caller.h - what is said on a call's socket besides the request: the greeting, what the caller has
 * to say while his call runs, and its status at the end.
 *
 *   v1         "PFI\n" 00 00 00 00           any byte, or the end, from the caller interrupts
 *   extended   "PFI\n" 00 00 00 04 "RLX1"    each byte from the caller is a signal, by its code;
 *                                            any other byte, or the end, interrupts
 */
#ifndef RELAY_PREFORK_CALLER_H
#define RELAY_PREFORK_CALLER_H

#include <stdbool.h>

enum prefork_heard {
	PREFORK_NOTHING, /* yet */
	PREFORK_SIGNAL,  /* that signal is forwarded */
	PREFORK_END,     /* the call is to be interrupted; there is no more to hear */
};

/* False if the caller is gone. */
__attribute__((warn_unused_result)) bool prefork_caller_greet(int call, bool extended);

/* Never waits. */
__attribute__((warn_unused_result)) enum prefork_heard prefork_caller_hear(int call, bool extended,
									   int *signal);

/*
 * `status` as waitpid(2) gives it; the last thing said.  What the caller said meanwhile is thrown
 * away, for a socket closed with unread bytes is reset.  A caller who is gone is no error.
 */
void prefork_caller_tell_status(int call, int status);

#endif
