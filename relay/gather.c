/*
 * gather.c - see gather.h.
 */
#include "relay/gather.h"

bool
gather_recv(struct uring *ring, struct uring_op *recv, int fd, struct buffer *line,
	    struct memory *memory)
{
	(void)buffer_room(line, memory, GATHER_ROOM); /* else what is left will do */
	size_t len = line->cap - line->tail;

	if (len == 0)
		return false;
	uring_recv_into(ring, recv, fd, line->data + line->tail,
			len < GATHER_MAX ? len : GATHER_MAX);
	return true;
}
