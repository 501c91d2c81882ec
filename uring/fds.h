/*
 * fds.h - UNIX sockets that carry descriptors: plain system calls that never wait, for whoever was
 * woken by uring_poll().
 *
 * A call of a service passes three descriptors once: nothing is won by having the ring do it.
 */
#ifndef URING_FDS_H
#define URING_FDS_H

#include <stddef.h>
#include <sys/types.h>

#include "uring/uring.h"

/* The most that the kernel lets through with one message (SCM_MAX_FD). */
#define URING_FDS_MAX 253

/*
 * Receives up to `len` bytes and the descriptors that came with the first of them, close-on-exec,
 * now the caller's.  Bytes, 0 at the end of the stream, -EAGAIN, or another negative errno.
 * -EMFILE: there were more descriptors than this process may have; the bytes are lost, *count of
 * them came nevertheless.
 */
ssize_t uring_recv_fds(int fd, void *data, size_t len, int fds[URING_FDS_MAX], unsigned *count);

/*
 * Sends up to `len` bytes, with the descriptor `passed` unless that is -1; it stays the caller's.
 * Bytes taken or a negative errno: -EAGAIN = the socket is full, -ETOOMANYREFS = too many
 * descriptors are on their way; polling does not tell when they have arrived.
 */
ssize_t uring_send_fd(int fd, const void *data, size_t len, int passed);

/*
 * Accepts one who waits already, close-on-exec: -EAGAIN if nobody does.  Only for a listener whose
 * other holders do not accept.
 */
int uring_accept_waiting(int listener);

/*
 * A connection to the UNIX socket at `path`, close-on-exec.  Its descriptor or a negative errno:
 * -EAGAIN = its listen queue is full.
 */
int uring_unix_connect(const char *path);

/* Says that no more bytes will come from this side. */
void uring_end_output(int fd);

/*
 * Closes a descriptor that a stranger passed.  He can have prepared a socket so that whoever closes
 * it last waits for its output: this one does not.
 */
void uring_close_passed(struct uring *ring, int fd);

#endif
