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

/* Bytes of what the kernel says before a datagram: its sender, and, with `local`, a control message
 * that is to be aligned. */
#define DGRAM_NAME    ((sizeof(union dgram_address) + 7) & ~(size_t)7)
#define DGRAM_CONTROL CMSG_SPACE(sizeof(struct in6_pktinfo))

/* An address of either family; compare with dgram_address_equal(). */
union dgram_address {
	struct sockaddr any;
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;
};

/* The address of this machine that a datagram came to, and that its answer leaves from. */
struct dgram_local {
	sa_family_t family; /* AF_UNSPEC: the socket has one, or the kernel is to choose */
	unsigned interface; /* of a link-local address, else 0 */

	union {
		struct in_addr ip4;
		struct in6_addr ip6;
	} address;
};

/* Receives what a socket says of that which has all addresses (IP_PKTINFO, IPV6_RECVPKTINFO). */
int dgram_tell_local(int fd, sa_family_t family); /* 0 or a negative errno */

/* A datagram that came. */
struct dgram {
	union dgram_address from;
	struct dgram_local to; /* with `local`; else AF_UNSPEC */
	uint8_t *bytes;        /* may be changed; gone when the callback returns */
	size_t len;
	bool truncated; /* was longer than uring_dgram_size() */
};

/* The longest datagram that the ring's buffers take (uring_options.dgram_size); 0 = it has none. */
unsigned uring_dgram_size(const struct uring *ring);

/*
 * Receives datagrams, on a ring that has buffers for them, until it is cancelled or fails; `local`:
 * with the address that each came to, of a socket that tells it.
 * op->done(op, res, data): res > 0 is for uring_dgram_take(); a negative res with in_flight false
 * ends it.
 */
void uring_dgram_recv(struct uring *ring, struct uring_op *op, int fd, bool local);

/* What done() was given, taken apart.  false = nothing that could be one. */
bool uring_dgram_take(struct dgram *dgram, const uint8_t *data, int res, bool local);

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

/* `local`: of a socket that has all addresses.  NULL without memory. */
struct dgram_batch *dgram_batch_new(unsigned size, bool local);
void dgram_batch_free(struct dgram_batch *batch);

/* How many bytes of memory it has. */
size_t dgram_batch_bytes(const struct dgram_batch *batch);

/* Room for the bytes of one more datagram; NULL = it is full, send first. */
uint8_t *dgram_batch_room(struct dgram_batch *batch);

/* What was written into that room is complete.  It leaves from `from`, if the batch is local. */
void dgram_batch_add(struct dgram_batch *batch, const union dgram_address *to,
		     const struct dgram_local *from, size_t len);

bool dgram_batch_empty(const struct dgram_batch *batch);

/* Sends everything; what the socket does not take at once is dropped, as the network might. */
struct dgram_sent dgram_batch_send(struct dgram_batch *batch, int fd);

#endif
