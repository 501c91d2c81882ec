/*
 * transcript.h - a readable record of the bytes of many connections that loses none of them.
 *
 *     1 * open
 *     1 > init\x0a
 *     1 < 0123456789abcdef\x0a
 *     1 * closed by peer
 *
 * One record per line of a connection and direction, written when its LF has passed; what never got
 * a LF is written when the connection ends.  Bytes outside 0x20..0x7e and the backslash appear as
 * \xHH.
 */
#ifndef BENCH_TRANSCRIPT_H
#define BENCH_TRANSCRIPT_H

#include "bench/bytes.h"

#include <stdio.h>

struct transcript {
	FILE *file;
	bool dirty; /* something is not flushed yet */
};

/* The part of a connection: bytes of an unfinished line in each direction. */
struct transcript_sides {
	struct bytes received;
	struct bytes sent;
};

/* Appends to the file; ends the program if it cannot be opened. */
void transcript_open(struct transcript *t, const char *path);

void transcript_received(struct transcript *t, uint64_t conn, struct transcript_sides *sides,
			 struct wire_span bytes);
void transcript_sent(struct transcript *t, uint64_t conn, struct transcript_sides *sides,
		     struct wire_span bytes);
void transcript_event(struct transcript *t, uint64_t conn, const char *event);

/* Writes what was cut off, then the event that ended the connection; frees the sides. */
void transcript_end(struct transcript *t, uint64_t conn, struct transcript_sides *sides,
		    const char *event);

/* Makes the records visible to readers of the file; a write error ends the program. */
void transcript_flush(struct transcript *t);

void transcript_close(struct transcript *t);

#endif
