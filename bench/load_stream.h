/*
 * load_stream.h - the stream socket of a client, on the ring.
 *
 * A stream belongs to its client until it is dropped; then it stays until the ring has let go of
 * it.  Its client finds bytes, ends and connections told by client_on_... (load.h).
 */
#ifndef BENCH_LOAD_STREAM_H
#define BENCH_LOAD_STREAM_H

#include "bench/load.h"
#include "uring/uring.h"

struct stream {
	struct uring_op receive;
	int fd;
	struct client *client; /* NULL: dropped */
	struct uring_send send;
	struct load *load;
	struct uring_op wait; /* for the connection to be made, or for room to send */
	SLIST_ENTRY(stream) spare;
	SLIST_ENTRY(stream) every;
};

/* Makes the ring, sized for these clients and replies; ends the program if that cannot be. */
void streams_init(struct load *load);
/* Closes the ring; all streams are gone with it. */
void streams_fini(struct load *load);

/*
 * Begins a connection to the client's target: 0 if it is there, -EINPROGRESS if
 * client_on_connected will tell, or a negative errno; the stream is the client's in any case.
 */
int stream_open(struct client *c);
/* Gives up what the client has, if anything; its socket is closed as soon as the ring allows. */
void stream_drop(struct client *c);

/* What is in `out` leaves with the next turn. */
void stream_send_soon(struct client *c);
/* Gives all of that to the ring; nothing may be added before the turn. */
void streams_flush(struct load *load);

#endif
