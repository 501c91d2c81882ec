/*
 * dgram.c - datagrams taken apart and sent; the receive itself is the engine's (uring_ops.c). Never
 * waits.  A batch owns the bytes of what it gathers.
 */
#include "uring/dgram.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

/* Of a batch of long datagrams: fewer of them. */
#define BATCH_BYTES_MAX (512u * 1024)

struct dgram_batch {
	unsigned size;
	unsigned max;
	unsigned count;
	union dgram_address to[DGRAM_BATCH];
	struct iovec iov[DGRAM_BATCH];
	struct mmsghdr msgs[DGRAM_BATCH];
	uint8_t bytes[];
};

static socklen_t
address_len(const union dgram_address *address)
{
	return address->any.sa_family == AF_INET ? sizeof address->ip4 : sizeof address->ip6;
}

bool
uring_dgram_take(struct dgram *dgram, const uint8_t *data, int res)
{
	struct msghdr shape = { .msg_namelen = sizeof(union dgram_address) };
	/* The buffer is the kernel's and writable; only the ring's callback has it const. */
	void *buffer = (void *)(uintptr_t)data;
	struct io_uring_recvmsg_out *out = io_uring_recvmsg_validate(buffer, res, &shape);

	if (out == NULL || out->namelen > sizeof dgram->from)
		return false;
	memset(&dgram->from, 0, sizeof dgram->from);
	memcpy(&dgram->from, io_uring_recvmsg_name(out), out->namelen);
	if (out->namelen < sizeof dgram->from.any.sa_family ||
	    out->namelen != address_len(&dgram->from))
		return false;
	dgram->bytes = io_uring_recvmsg_payload(out, &shape);
	dgram->len = io_uring_recvmsg_payload_length(out, res, &shape);
	dgram->truncated = (out->flags & MSG_TRUNC) != 0;
	return true;
}

bool
dgram_address_equal(const union dgram_address *a, const union dgram_address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->ip4.sin_port == b->ip4.sin_port &&
		       a->ip4.sin_addr.s_addr == b->ip4.sin_addr.s_addr;
	return a->ip6.sin6_port == b->ip6.sin6_port &&
	       a->ip6.sin6_scope_id == b->ip6.sin6_scope_id &&
	       memcmp(&a->ip6.sin6_addr, &b->ip6.sin6_addr, sizeof a->ip6.sin6_addr) == 0;
}

uint32_t
dgram_address_bytes(const union dgram_address *address, uint8_t bytes[static 16], uint32_t *port)
{
	memset(bytes, 0, 16);
	if (address->any.sa_family == AF_INET) {
		*port = ntohs(address->ip4.sin_port);
		memcpy(bytes, &address->ip4.sin_addr, 4);
		return 4;
	}
	*port = ntohs(address->ip6.sin6_port);
	memcpy(bytes, &address->ip6.sin6_addr, 16);
	return 16;
}

/* --- sending ---------------------------------------------------------------------------------- */

static unsigned
batch_max(unsigned size)
{
	unsigned max = BATCH_BYTES_MAX / size;

	return max > DGRAM_BATCH ? DGRAM_BATCH : max;
}

struct dgram_batch *
dgram_batch_new(unsigned size)
{
	struct dgram_batch *batch = calloc(1, sizeof *batch + (size_t)size * batch_max(size));

	if (batch == NULL)
		return NULL;
	batch->size = size;
	batch->max = batch_max(size);
	for (unsigned i = 0; i < batch->max; i++) {
		batch->iov[i].iov_base = batch->bytes + (size_t)i * size;
		batch->msgs[i].msg_hdr.msg_iov = &batch->iov[i];
		batch->msgs[i].msg_hdr.msg_iovlen = 1;
		batch->msgs[i].msg_hdr.msg_name = &batch->to[i];
	}
	return batch;
}

void
dgram_batch_free(struct dgram_batch *batch)
{
	free(batch);
}

size_t
dgram_batch_bytes(const struct dgram_batch *batch)
{
	return sizeof *batch + (size_t)batch->size * batch->max;
}

uint8_t *
dgram_batch_room(struct dgram_batch *batch)
{
	return batch->count == batch->max ? NULL
					  : batch->bytes + (size_t)batch->count * batch->size;
}

void
dgram_batch_add(struct dgram_batch *batch, const union dgram_address *to, size_t len)
{
	unsigned at = batch->count++;

	batch->to[at] = *to;
	batch->iov[at].iov_len = len;
	batch->msgs[at].msg_hdr.msg_namelen = address_len(to);
}

bool
dgram_batch_empty(const struct dgram_batch *batch)
{
	return batch->count == 0;
}

struct dgram_sent
dgram_batch_send(struct dgram_batch *batch, int fd)
{
	struct dgram_sent sent = { 0 };
	unsigned at = 0;

	while (at < batch->count) {
		int took =
		    sendmmsg(fd, batch->msgs + at, batch->count - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (took > 0) {
			sent.sent += (unsigned)took;
			at += (unsigned)took;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS)
			break;
		sent.dropped++; /* this one cannot be sent: those behind it can */
		at++;
	}
	sent.dropped += batch->count - at;
	batch->count = 0;
	return sent;
}
