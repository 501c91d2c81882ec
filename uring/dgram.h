/*
 * dgram.h - datagram sockets: received by the ring with their source address, sent by plain system
 * calls that never wait.
 *
 * Receiving is one multishot operation for each socket, into buffers of their own.  What is sent in
 * a turn is gathered and leaves in one sendmmsg(): one system call for up to DGRAM_BATCH datagrams,
 * whose bytes may be written over at once.  (As operations of the ring they would save that call,
 * but each would cost a submission entry and need its memory until the next turn.)
 */
#ifndef URING_DGRAM_H
#define URING_DGRAM_H

#include <netinet/in.h>

#include "uring/uring.h"

#define DGRAM_BATCH 64u

/* An address of either family; compare with dgram_address_equal(). */
union dgram_address {
	struct sockaddr any;
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;
};

/* A datagram that came. */
struct dgram {
	union dgram_address from;
	uint8_t *bytes; /* may be changed; gone when the callback returns */
	size_t len;
	bool truncated; /* was longer than uring_dgram_size() */
};

/* The longest datagram that the ring's buffers take (uring_options.dgram_size); 0 = it has none. */
unsigned uring_dgram_size(const struct uring *ring);

/*
 * Receives datagrams, on a ring that has buffers for them, until it is cancelled or fails.
 * op->done(op, res, data): res > 0 is for uring_dgram_take(); a negative res with in_flight false
 * ends it.
 */
void uring_dgram_recv(struct uring *ring, struct uring_op *op, int fd);

/* What done() was given, taken apart.  false = nothing that could be one. */
bool uring_dgram_take(struct dgram *dgram, const uint8_t *data, int res);

bool dgram_address_equal(const union dgram_address *a, const union dgram_address *b);

/* 4 or 16 bytes of the address and its port, in the host's order. */
uint32_t dgram_address_bytes(const union dgram_address *address, uint8_t bytes[static 16],
			     uint32_t *port);

/* Datagrams of one socket on their way out. */
struct dgram_batch;

struct dgram_sent {
	unsigned sent;
	unsigned dropped; /* the socket was full, or the network refused */
};

/* NULL without memory. */
struct dgram_batch *dgram_batch_new(unsigned size);
void dgram_batch_free(struct dgram_batch *batch);

/* How many bytes of memory it has. */
size_t dgram_batch_bytes(const struct dgram_batch *batch);

/* Room for the bytes of one more datagram; NULL = it is full, send first. */
uint8_t *dgram_batch_room(struct dgram_batch *batch);

/* What was written into that room is complete. */
void dgram_batch_add(struct dgram_batch *batch, const union dgram_address *to, size_t len);

bool dgram_batch_empty(const struct dgram_batch *batch);

/* Sends everything; what the socket does not take at once is dropped, as the network might. */
struct dgram_sent dgram_batch_send(struct dgram_batch *batch, int fd);

#endif
