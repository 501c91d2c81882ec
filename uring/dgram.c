/*
 * dgram.c - datagrams taken apart and sent; the receive itself is the engine's (uring_ops.c). Never
 * waits.  A batch owns the bytes of what it gathers.
 */
#include "uring/dgram.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

/* Of a batch of long datagrams: fewer of them. */
#define BATCH_BYTES_MAX (512u * 1024)

/* What is said to the kernel beside a datagram. */
union control {
	struct cmsghdr head;
	uint8_t bytes[DGRAM_CONTROL];
};

static_assert(sizeof(struct in_pktinfo) <= sizeof(struct in6_pktinfo), "room for either");

struct dgram_batch {
	unsigned size;
	unsigned max;
	unsigned count;
	union dgram_address to[DGRAM_BATCH];
	struct iovec iov[DGRAM_BATCH];
	struct mmsghdr msgs[DGRAM_BATCH];
	union control *controls; /* DGRAM_BATCH of them; NULL: the socket has one address */
	uint8_t bytes[];
};

static socklen_t
address_len(const union dgram_address *address)
{
	return address->any.sa_family == AF_INET ? sizeof address->ip4 : sizeof address->ip6;
}

int
dgram_tell_local(int fd, sa_family_t family)
{
	const int on = 1;
	int error = family == AF_INET
			? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)
			: setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);

	return error == 0 ? 0 : -errno;
}

static void
take_ip4(struct dgram_local *to, const struct cmsghdr *cmsg)
{
	struct in_pktinfo info;

	if (cmsg->cmsg_len < CMSG_LEN(sizeof info))
		return;
	memcpy(&info, CMSG_DATA(cmsg), sizeof info);
	to->family = AF_INET;
	to->address.ip4 = info.ipi_spec_dst; /* one of ours, also if it came by broadcast */
}

static void
take_ip6(struct dgram_local *to, const struct cmsghdr *cmsg)
{
	struct in6_pktinfo info;

	if (cmsg->cmsg_len < CMSG_LEN(sizeof info))
		return;
	memcpy(&info, CMSG_DATA(cmsg), sizeof info);
	if (IN6_IS_ADDR_MULTICAST(&info.ipi6_addr))
		return;
	to->family = AF_INET6;
	to->address.ip6 = info.ipi6_addr;
	if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
		to->interface = info.ipi6_ifindex;
}

/* Nothing that can be understood: then the kernel chooses. */
static void
take_local(struct dgram_local *to, struct io_uring_recvmsg_out *out, struct msghdr *shape)
{
	struct cmsghdr *cmsg = io_uring_recvmsg_cmsg_firsthdr(out, shape);

	for (; cmsg != NULL; cmsg = io_uring_recvmsg_cmsg_nexthdr(out, shape, cmsg)) {
		if (cmsg->cmsg_level == IPPROTO_IP && cmsg->cmsg_type == IP_PKTINFO)
			take_ip4(to, cmsg);
		else if (cmsg->cmsg_level == IPPROTO_IPV6 && cmsg->cmsg_type == IPV6_PKTINFO)
			take_ip6(to, cmsg);
	}
}

bool
uring_dgram_take(struct dgram *dgram, const uint8_t *data, int res, bool local)
{
	struct msghdr shape = { .msg_namelen = DGRAM_NAME,
				.msg_controllen = local ? DGRAM_CONTROL : 0 };
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
	dgram->to = (struct dgram_local){ .family = AF_UNSPEC };
	if (local)
		take_local(&dgram->to, out, &shape);
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
dgram_batch_new(unsigned size, bool local)
{
	struct dgram_batch *batch = calloc(1, sizeof *batch + (size_t)size * batch_max(size));

	if (batch == NULL)
		return NULL;
	if (local)
		batch->controls = calloc(DGRAM_BATCH, sizeof *batch->controls);
	if (local && batch->controls == NULL) {
		free(batch);
		return NULL;
	}
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
	if (batch != NULL)
		free(batch->controls);
	free(batch);
}

size_t
dgram_batch_bytes(const struct dgram_batch *batch)
{
	return sizeof *batch + (size_t)batch->size * batch->max +
	       (batch->controls == NULL ? 0 : DGRAM_BATCH * sizeof *batch->controls);
}

uint8_t *
dgram_batch_room(struct dgram_batch *batch)
{
	return batch->count == batch->max ? NULL
					  : batch->bytes + (size_t)batch->count * batch->size;
}

/* The interface is left to the route, but for an address that has no meaning without one. */
static void
say_local(struct msghdr *msg, union control *control, const struct dgram_local *from)
{
	const struct in_pktinfo ip4 = { .ipi_spec_dst = from->address.ip4 };
	const struct in6_pktinfo ip6 = { .ipi6_addr = from->address.ip6,
					 .ipi6_ifindex = from->interface };
	bool is_ip4 = from->family == AF_INET;
	size_t len = is_ip4 ? sizeof ip4 : sizeof ip6;

	control->head.cmsg_level = is_ip4 ? IPPROTO_IP : IPPROTO_IPV6;
	control->head.cmsg_type = is_ip4 ? IP_PKTINFO : IPV6_PKTINFO;
	control->head.cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(&control->head), is_ip4 ? (const void *)&ip4 : (const void *)&ip6, len);
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(len);
}

void
dgram_batch_add(struct dgram_batch *batch, const union dgram_address *to,
		const struct dgram_local *from, size_t len)
{
	unsigned at = batch->count++;
	struct msghdr *msg = &batch->msgs[at].msg_hdr;

	batch->to[at] = *to;
	batch->iov[at].iov_len = len;
	msg->msg_namelen = address_len(to);
	if (batch->controls == NULL)
		return;
	msg->msg_control = NULL;
	msg->msg_controllen = 0;
	if (from->family != AF_UNSPEC)
		say_local(msg, &batch->controls[at], from);
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
