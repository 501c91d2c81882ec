/*
 * fake_uring.h - the world around a ring that exists only in memory, on virtual time.
 *
 * tests/fake_uring.c and tests/fake_net.c implement uring/uring.h: the worker's code runs on them
 * unchanged.  This header is the other side: listeners, the far ends of streams, clocks of the
 * simulated actors, and what goes wrong on purpose. Everything is decided by one seed, so a run
 * replays exactly.
 *
 * The outside acts only while the ring waits (inside uring_turn): its timers run there, on the same
 * clock.
 */
#ifndef TESTS_FAKE_URING_H
#define TESTS_FAKE_URING_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "tests/fake_random.h"
#include "uring/uring.h"

struct fake_end;

/* What the ring was made to go through, counted. */
#define FAKE_EVENTS(X)                                                                  \
	X(FAKE_SHORT_READ, "short_read")                                                \
	X(FAKE_SHORT_SEND, "short_send")                                                \
	X(FAKE_SEND_AGAIN, "send_again")                                                \
	X(FAKE_SEND_FAILED, "send_failed")                                              \
	X(FAKE_SEND_INTO_VOID, "send_into_void") /* taken, although the peer is gone */ \
	X(FAKE_NO_BUFFERS, "no_buffers")                                                \
	X(FAKE_RECV_STOPPED, "recv_stopped") /* a multishot receive ended after data */ \
	X(FAKE_RECV_INTO, "recv_into")       /* into the worker's own memory */         \
	X(FAKE_RECV_RESET, "recv_reset")                                                \
	X(FAKE_DELAYED, "delayed")                                                      \
	X(FAKE_EARLY_SUBMIT, "early_submit") /* the submission queue was full */        \
	X(FAKE_LATE_DATA, "late_data")       /* data after a cancel */                  \
	X(FAKE_LATE_END, "late_end")         /* end of stream after a cancel */         \
	X(FAKE_LATE_ACCEPT, "late_accept")                                              \
	X(FAKE_LATE_CONNECT, "late_connect")                                            \
	X(FAKE_LATE_POLL, "late_poll")                                                  \
	X(FAKE_CANCELLED, "cancelled")                                                  \
	X(FAKE_ACCEPT_EMFILE, "accept_emfile")                                          \
	X(FAKE_ACCEPT_ABORTED, "accept_aborted")                                        \
	X(FAKE_SOCKET_EMFILE, "socket_emfile")                                          \
	X(FAKE_CONNECT_REFUSED, "connect_refused")                                      \
	X(FAKE_CONNECT_NEVER, "connect_never")

enum fake_event {
#define X(name, text) name,
	FAKE_EVENTS(X)
#undef X
	FAKE_EVENT_COUNT
};

/* How a connect of the worker ends. */
struct fake_answer {
	int result;        /* 0 or a negative errno */
	bool never;        /* no answer at all */
	uint64_t delay_ns; /* until the answer */
	size_t room;       /* capacity of each direction; 0 = as the options say */
	/* With result 0: the far end, at the moment of the answer. */
	void (*connected)(void *context, struct fake_end *end);
	void *context;
};

/* Chances are out of 1000; all zero = a calm machine, which the contract test compares with the
 * real one. */
struct fake_options {
	uint64_t seed;
	size_t room_min; /* capacity of each direction of a stream */
	size_t room_max;
	unsigned short_read;
	unsigned short_send;
	unsigned send_again;
	unsigned no_buffers;
	unsigned recv_stopped;
	unsigned delay; /* a completion that is late by up to delay_ns */
	uint64_t delay_ns;
	unsigned late_cancel; /* a cancel that takes up to delay_ns */
	unsigned accept_emfile;
	unsigned accept_aborted;
	unsigned socket_emfile;
	unsigned early_submit;
	unsigned void_send; /* sends into a TCP connection whose peer is gone that are taken */

	/* How connects end; NULL = refused.  Called when the operation is submitted. */
	void (*connect)(void *context, const struct sockaddr *address, struct fake_answer *answer);
	/* A rule of uring.h was broken, or nothing can ever happen again; must not return. NULL =
	 * abort. */
	void (*fault)(void *context, const char *text);
	/* One line per event, for a trace; NULL = none. */
	void (*trace)(void *context, const char *text);
	void *context;
};

/* A ring whose world outlives uring_free() until fake_free().  uring_new() makes a calm one without
 * that. */
struct uring *fake_new(const struct uring_options *ring, const struct fake_options *options);
void fake_free(struct uring *u);

uint64_t fake_events(const struct uring *u, enum fake_event event);
const char *fake_event_text(enum fake_event event);

/* Descriptors, operations and timers of the ring that are still there; 0 when everything came back.
 */
unsigned fake_open_files(const struct uring *u);
unsigned fake_in_flight(const struct uring *u);
unsigned fake_armed_timers(const struct uring *u);

/* Clocks of the outside: a heap of its own, run while the ring waits. */
void fake_timer_set(struct uring *u, struct uring_timer *timer, uint64_t at);
void fake_timer_clear(struct uring *u, struct uring_timer *timer);

/* --- the outside of sockets ------------------------------------------------------------------- */

/* Something may be read, written, or has ended.  Called from anywhere: set a clock, do nothing
 * else. */
typedef void fake_changed(struct fake_end *end);

/* A listening UNIX socket: a descriptor for the worker. */
int fake_listener(struct uring *u);

/* Connects to it: the far end, not yet accepted; NULL if nobody listens on that descriptor. */
struct fake_end *fake_connect(struct uring *u, int listener);

/* A connected UNIX stream: the far end, and *fd for the worker. */
struct fake_end *fake_stream(struct uring *u, size_t room, int *fd);

void fake_end_own(struct fake_end *end, fake_changed *changed, void *owner);
void *fake_end_owner(const struct fake_end *end);
bool fake_end_accepted(const struct fake_end *end);

/* Bytes that the worker has taken out of this stream, and put into it. */
uint64_t fake_end_taken(const struct fake_end *end);
uint64_t fake_end_given(const struct fake_end *end);

/* Bytes taken, 0 = full, -EPIPE = the worker closed. */
ssize_t fake_write(struct fake_end *end, const void *data, size_t len);

/* Bytes, 0 = end of stream, -EAGAIN = none now, -ECONNRESET = closed by the worker with our bytes
 * unread. */
ssize_t fake_read(struct fake_end *end, void *data, size_t cap);

void fake_shutdown(struct fake_end *end); /* our writing half */
void fake_close(struct fake_end *end);    /* the end is gone after the call */
void fake_reset(struct fake_end *end);    /* the same, rudely */

/* A descriptor that can only be polled, for the channel. */
int fake_polled(struct uring *u);
void fake_polled_set(struct uring *u, int fd, unsigned events);
void fake_polled_close(struct uring *u, int fd);

#endif
