/*
 * call_end.h - how calls of a service end.  The texts are names of metrics too.
 */
#ifndef RELAY_CALL_END_H
#define RELAY_CALL_END_H

#define CALL_ENDS(X)                                                                          \
	X(CALL_ANSWERED, "answered")   /* its status was passed on */                         \
	X(CALL_SIGNALLED, "signalled") /* a forwarded signal came before it was given away */ \
	X(CALL_LEFT, "left")           /* by its caller */                                    \
	X(CALL_FORBIDDEN, "forbidden") /* to this user */                                     \
	X(CALL_BAD_REQUEST, "bad_request")                                                    \
	X(CALL_SLOW_REQUEST, "slow_request")                                                  \
	X(CALL_TIMED_OUT, "timed_out")                                                        \
	X(CALL_BROKEN, "broken")     /* the service took it and gave no status */             \
	X(CALL_KILLED, "killed")     /* by an operator */                                     \
	X(CALL_OVERLOAD, "overload") /* no memory or no descriptors */                        \
	X(CALL_STOPPED, "stopped")   /* the service leaves, or the worker stops */

enum call_end {
#define X(name, text) name,
	CALL_ENDS(X)
#undef X
	CALL_END_COUNT
};

const char *call_end_text(enum call_end end);

#endif
