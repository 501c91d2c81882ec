/*
 * datagram_window.h - which numbers of a session have come: replays, and at most once.
 *
 * Pure structures: they remember numbers, not datagrams or answers.
 */
#ifndef WIRE_DATAGRAM_WINDOW_H
#define WIRE_DATAGRAM_WINDOW_H

#include "wire/datagram.h"

/* Numbers that are remembered, up to the highest that came. */
#define DATAGRAM_WINDOW DATAGRAM_SPAN_MAX

/* Begins as zeros.  The bit of a number is at number % DATAGRAM_WINDOW. */
struct datagram_window {
	uint64_t top;
	uint64_t bits[DATAGRAM_WINDOW / 64];
};

enum datagram_age {
	DATAGRAM_NEWEST,  /* above all that came: only such a one may speak of now */
	DATAGRAM_FRESH,   /* has not come before */
	DATAGRAM_SEEN,    /* a repeat or a replay */
	DATAGRAM_TOO_OLD, /* below the window, or 0: nobody knows */
};

/* Changes nothing. */
enum datagram_age datagram_window_judge(const struct datagram_window *window, uint64_t number);

/* `number` came; its age before.  Too old ones are not remembered. */
enum datagram_age datagram_window_mark(struct datagram_window *window, uint64_t number);

/* What came at and below `number`, which came itself, for a header.  0: the highest that came. */
struct datagram_seen datagram_window_show(const struct datagram_window *window, uint64_t number);

/* --- at most once */

/* Requests and notices of a client that are being done, or whose answer is remembered. */
#define DATAGRAM_OPEN_MAX 64

struct datagram_once {
	struct datagram_window window;
	uint64_t running;  /* a bit for each slot */
	uint64_t answered; /* likewise; a slot is in none of the two, or in one */
	uint64_t numbers[DATAGRAM_OPEN_MAX];
};

enum datagram_turn {
	DATAGRAM_RUN,      /* new: *slot is its, and runs */
	DATAGRAM_RUNNING,  /* is under way in *slot: nothing to do */
	DATAGRAM_ANSWERED, /* the answer is remembered with *slot */
	DATAGRAM_GONE,     /* came before or is too old, its answer is not remembered: not run */
	DATAGRAM_NO_SLOT,  /* new, but `open_max` slots are taken: busy; may come again */
};

/* What to do with the request of this number.  Only RUN remembers it.  open_max <= OPEN_MAX. */
enum datagram_turn datagram_once_begin(struct datagram_once *once, uint64_t number,
				       unsigned open_max, unsigned *slot);

/* The answer of a running slot is there, and remembered by the caller. */
void datagram_once_answer(struct datagram_once *once, unsigned slot);

/* Forgets a slot, running or answered: the answer was confirmed, or given up. */
void datagram_once_forget(struct datagram_once *once, unsigned slot);

#endif
