/*
 * uring.h - the io_uring engine: operations, provided buffers, timers.  Knows no protocol, shows no
 * liburing type.
 *
 * One ring belongs to one thread.  A turn (uring_turn) submits what was asked for, waits for at
 * least one event and calls back.  tests/fake_uring.c implements this same header in memory, on
 * virtual time.
 *
 * An operation is a struct uring_op inside its owner.  From the call that starts it until the
 * callback that finds op->in_flight false, the kernel may hold its address: the owner must stay.
 * One op, one operation at a time.
 *
 * Results are >= 0, or a negative errno.
 */
#ifndef URING_URING_H
#define URING_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "uring/timer.h"

struct uring;
struct uring_op;

/* `data` is set for receives with res > 0 only, and is gone when the callback returns. */
typedef void uring_done(struct uring_op *op, int res, const uint8_t *data);

struct uring_op {
	uring_done *done;
	int32_t fd;     /* what the operation works on */
	uint8_t kind;   /* private to the engine */
	uint8_t flags;  /* private to the engine */
	bool in_flight; /* the kernel may still come back to this */
};

/* A send has a result of its own, because success posts no completion. */
struct uring_send {
	struct uring_op op;
	uint32_t len; /* private: asked for */
	int32_t res;  /* private: taken, or -errno */
};

struct uring_options {
	unsigned entries; /* submission queue; halved as long as memory is refused, at least 64 */
	unsigned buffers; /* provided receive buffers, a power of two */
	unsigned buffer_size;   /* bytes of each */
	unsigned dgram_buffers; /* likewise, of datagrams (uring/dgram.h); 0 = receives none */
	unsigned dgram_size;    /* the longest one, in bytes */
};

/* Frugal: about 200 KiB of ring memory and 2 MiB of buffers, of which only what is used becomes
 * resident. */
#define URING_DEFAULTS                                               \
	{                                                            \
		.entries = 1024, .buffers = 512, .buffer_size = 4096 \
	}

struct uring_stats {
	uint64_t turns;       /* uring_turn calls */
	uint64_t enters;      /* io_uring_enter system calls */
	uint64_t sqes;        /* operations submitted */
	uint64_t sends;       /* of them sends */
	uint64_t short_sends; /* sends that took less than asked, -EAGAIN included */
	uint64_t no_buffers;  /* receives that ended on ENOBUFS and were armed again */
	uint64_t overflows;   /* turns in which the completion queue overflowed */
	unsigned entries;     /* what the ring has after halving */
};

/* Makes a ring.  0, or a negative errno; then uring_explain() (uring/explain.h) has words for it.
 */
int uring_new(struct uring **ring, const struct uring_options *options);

/* Closes the ring.  Operations in flight end without a callback: call it only when the process ends
 * or none are left. */
void uring_free(struct uring *ring);

/* Nanoseconds of the monotonic clock, read once per turn. */
uint64_t uring_now(const struct uring *ring);

/* The same clock, looked at anew. */
uint64_t uring_clock(const struct uring *ring);

const struct uring_stats *uring_stats(const struct uring *ring);

/* Whether this kernel counts a waiting ring as waiting for a disk (then idle machines look busy in
 * top). */
bool uring_iowait(const struct uring *ring);

/*
 * One turn: submit, wait until something completes or a timer is due, then call back: first every
 * send submitted since the last turn (so that any other callback finds all sends settled), then the
 * rest, then timers. A send that is taken whole does not end the wait: an owner that goes on only
 * after it arms a timer for uring_now(). 0, or a negative errno that means the ring is unusable.
 */
int uring_turn(struct uring *ring);

/* A TCP socket for uring_connect: close-on-exec, TCP_NODELAY.  Descriptor or negative errno. */
int uring_tcp_socket(struct uring *ring, int family);

/* Whether the other side of a stream socket is gone altogether, not only its writing half. */
bool uring_hung_up(struct uring *ring, int fd);

/* Says that no more is sent on a stream whose sends are settled.  Cheap to say twice. */
void uring_shutdown(struct uring *ring, int fd);

/* As uring_close, but the other side gets a reset, and what was not sent yet is lost. */
void uring_reset(struct uring *ring, int fd);

/* Who is at the other side of a UNIX socket; UINT32_MAX if that cannot be told, 0 if the pid cannot
 * (another PID namespace). */
void uring_peer(struct uring *ring, int fd, uint32_t *uid, uint32_t *pid);

/* Accepts one connection; res is its descriptor (close-on-exec).  Arm again for the next. */
void uring_accept(struct uring *ring, struct uring_op *op, int listener);

/*
 * Receives until the stream ends: res > 0 with `data`, any number of times; then once res == 0 (end
 * of stream), or -errno (-ECANCELED after uring_cancel), with in_flight false.  Running out of
 * provided buffers is mended inside.
 */
void uring_recv(struct uring *ring, struct uring_op *op, int fd);

/*
 * Receives once, into the owner's memory, which must stay until the callback: res > 0 is how many
 * bytes were written there (`data` is NULL), 0 the end of the stream, or -errno; in_flight is
 * false.  len is 1 .. INT32_MAX.  For who expects much: what uring_recv() brings has to be copied.
 */
void uring_recv_into(struct uring *ring, struct uring_op *op, int fd, void *at, size_t len);

/*
 * Sends what the socket takes at once.  Settled at the start of the next turn: res == len, fewer
 * (the socket is full: wait with uring_poll, send the rest), -EAGAIN (nothing taken) or another
 * -errno. `data` must stay unchanged until then; len is 1 .. INT32_MAX.
 */
void uring_send(struct uring *ring, struct uring_send *send, int fd, const void *data, size_t len);

/* Connects; `address` must stay until the callback.  res is 0 or -errno. */
void uring_connect(struct uring *ring, struct uring_op *op, int fd, const struct sockaddr *address,
		   socklen_t address_len);

/* Waits once for POLLIN / POLLOUT / POLLHUP; res is the events that came. */
void uring_poll(struct uring *ring, struct uring_op *op, int fd, unsigned events);

/* Asks for the end of an operation.  Its last callback still comes: -ECANCELED, or how it ended
 * before. */
void uring_cancel(struct uring *ring, struct uring_op *op);

/* Closes a descriptor in the order of submission: after every send asked for before. */
void uring_close(struct uring *ring, int fd);

void uring_timer_set(struct uring *ring, struct uring_timer *timer, uint64_t at);
void uring_timer_clear(struct uring *ring, struct uring_timer *timer);

#define uring_container_of(ptr, type, member) \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
