/*
 * peer_tricks.h - the ways in which relay-peer can misbehave, as data: one table feeds the options,
 * the request prefixes and the help.
 */
#ifndef BENCH_PEER_TRICKS_H
#define BENCH_PEER_TRICKS_H

#include "wire/wire.h"

/* The longest request line, and the largest reply that may be asked for. */
#define PEER_LINE_MAX ((size_t)64 << 20)
/* Times in ms and requests per second above these are refused. */
#define PEER_MS_MAX   3600000u
#define PEER_RATE_MAX 100000000u

/* X(name, text, unit, largest value, help); a unit of NULL: no value, it is on or off. */
#define PEER_TRICKS(X)                                                                             \
	X(TRICK_DELAY, "delay", "MS", PEER_MS_MAX,                                                 \
	  "the reply leaves MS later, never out of order")                                         \
	X(TRICK_WORK, "work", "MS", PEER_MS_MAX, "like delay, but one request after the other")    \
	X(TRICK_DRIBBLE, "dribble", "MS", PEER_MS_MAX, "the reply leaves one byte per MS")         \
	X(TRICK_CLOSE, "close", NULL, 1, "closes instead of the reply")                            \
	X(TRICK_HALF, "half", NULL, 1, "half of the reply, without LF, then closes")               \
	X(TRICK_RESET, "reset", NULL, 1, "resets (RST) instead of the reply")                      \
	X(TRICK_SILENCE, "silence", NULL, 1, "no answer from here on, to nothing")                 \
	X(TRICK_GARBAGE, "garbage", "BYTES", PEER_LINE_MAX, "noise without LF, then silence")      \
	X(TRICK_DISORDER, "disorder", NULL, 1, "the reply, and behind it a line nobody asked for") \
	X(TRICK_HUGE, "huge", "BYTES", PEER_LINE_MAX, "a reply of BYTES whatever was asked")       \
	X(TRICK_PLAIN, "plain-reply", NULL, 1, "answers encrypted requests in plain")              \
	X(TRICK_ENC, "enc-reply", NULL, 1, "answers plain requests encrypted")

enum trick {
#define X(name, text, unit, max, help) name,
	PEER_TRICKS(X)
#undef X
	TRICK_COUNT
};

/* What is on, and how much of it: value[TRICK_x], 0 = off. */
struct tricks {
	uint64_t value[TRICK_COUNT];
	bool any; /* a short cut for the ordinary case: some value is not 0 */
};

struct trick_form {
	const char *text;
	const char *unit;
	uint64_t max;
	const char *help;
};

extern const struct trick_form trick_forms[TRICK_COUNT];

void tricks_set(struct tricks *tricks, enum trick trick, uint64_t value);

/*
 * Cuts `name:` and `name:NUMBER:` off the front of a request, again and again, and sets what they
 * name.  A prefix that is not quite one (no number, too large) is left as part of the request.
 */
void tricks_take_prefixes(struct tricks *tricks, struct wire_span *request);

#endif
