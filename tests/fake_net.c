/*
 * fake_net.c - descriptors, listeners and streams of the fake ring.  A stream is two bounded pipes;
 * either side may close, reset or stop reading.  Owns the bytes on their way; knows nothing of
 * operations.
 */
#include "tests/fake_net.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_FD = 100
};

/* --- pipes ------------------------------------------------------------------------------------ */

static void *
must(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

static size_t
pipe_put(struct fake_pipe *pipe, const void *data, size_t len)
{
	size_t room = pipe->cap - pipe->len;

	if (len > room)
		len = room;
	if (len == 0)
		return 0;
	if (pipe->data == NULL)
		pipe->data = must(malloc(pipe->cap));
	if (pipe->head + pipe->len + len > pipe->cap) {
		memmove(pipe->data, pipe->data + pipe->head, pipe->len);
		pipe->head = 0;
	}
	memcpy(pipe->data + pipe->head + pipe->len, data, len);
	pipe->len += len;
	return len;
}

static size_t
pipe_get(struct fake_pipe *pipe, void *data, size_t cap)
{
	size_t len = pipe->len < cap ? pipe->len : cap;

	if (len == 0)
		return 0;
	memcpy(data, pipe->data + pipe->head, len);
	pipe->len -= len;
	pipe->head = pipe->len == 0 ? 0 : pipe->head + len;
	pipe->total += len;
	return len;
}

/* --- files ------------------------------------------------------------------------------------ */

static int
file_new(struct uring *u, enum fake_kind kind)
{
	struct fake_net *net = &fake_base(u)->net;
	unsigned i = 0;

	/* The lowest free number, as a kernel does: whoever kept a stale one meets a stranger. */
	while (i < net->count && net->files[i].kind != FAKE_FREE)
		i++;
	if (i == net->cap) {
		net->cap = net->cap == 0 ? 64 : net->cap * 2;
		net->files = must(realloc(net->files, net->cap * sizeof *net->files));
	}
	if (i == net->count)
		net->count++;
	net->files[i] = (struct fake_file){ .kind = kind };
	net->open++;
	return FIRST_FD + (int)i;
}

struct fake_file *
fake_file(struct uring *u, int fd, const char *what)
{
	struct fake_net *net = &fake_base(u)->net;

	if (fd < FIRST_FD || (unsigned)(fd - FIRST_FD) >= net->count ||
	    net->files[fd - FIRST_FD].kind == FAKE_FREE)
		fake_fault(u, "%s on descriptor %d, which is not open", what, fd);
	return &net->files[fd - FIRST_FD];
}

unsigned
fake_open_files(const struct uring *u)
{
	return ((const struct fake_base *)(const void *)u)->net.open;
}

/* --- ends ------------------------------------------------------------------------------------- */

static struct fake_end *
end_new(struct uring *u, bool tcp, size_t room)
{
	struct fake_base *base = fake_base(u);
	struct fake_end *end = must(calloc(1, sizeof *end));

	if (room == 0)
		room = (size_t)fake_between(&base->random, base->options.room_min,
					    base->options.room_max);
	end->ring = u;
	end->tcp = tcp;
	end->to_worker.cap = end->to_outside.cap = room;
	return end;
}

static void
end_free_if_gone(struct fake_end *end)
{
	if (!end->inside_closed || !end->outside_closed)
		return;
	free(end->to_worker.data);
	free(end->to_outside.data);
	free(end);
}

static void
notify(struct fake_end *end)
{
	if (!end->outside_closed && end->changed != NULL)
		end->changed(end);
}

static void
close_inside(struct fake_end *end)
{
	end->inside_closed = true;
	end->to_outside.ended = true;
	if (end->to_worker.len > 0)
		end->outside_error = -ECONNRESET;
	notify(end);
	end_free_if_gone(end);
}

static void
close_backlog(struct fake_file *file)
{
	struct fake_end *end;

	while ((end = TAILQ_FIRST(file->backlog)) != NULL) {
		TAILQ_REMOVE(file->backlog, end, entry);
		close_inside(end);
	}
	free(file->backlog);
}

void
fake_file_close(struct uring *u, int fd)
{
	struct fake_file *file = fake_file(u, fd, "close");

	if (file->kind == FAKE_LISTENER)
		close_backlog(file);
	else if (file->kind == FAKE_STREAM)
		close_inside(file->end);
	*file = (struct fake_file){ .kind = FAKE_FREE };
	fake_base(u)->net.open--;
}

void
fake_net_fini(struct uring *u)
{
	struct fake_net *net = &fake_base(u)->net;

	for (unsigned i = 0; i < net->count; i++) {
		if (net->files[i].kind != FAKE_FREE)
			fake_file_close(u, FIRST_FD + (int)i);
	}
	free(net->files);
	*net = (struct fake_net){ 0 };
}

/* --- the worker's side ------------------------------------------------------------------------ */

int
fake_socket(struct uring *u)
{
	return file_new(u, FAKE_SOCKET);
}

struct fake_end *
fake_socket_connected(struct uring *u, int fd, size_t room)
{
	struct fake_file *file = fake_file(u, fd, "connect");

	if (file->kind != FAKE_SOCKET)
		fake_fault(u, "connect on descriptor %d, which is not a new socket", fd);
	file->kind = FAKE_STREAM;
	file->end = end_new(u, true, room);
	file->end->accepted = true;
	return file->end;
}

int
fake_accept(struct uring *u, int listener)
{
	struct fake_file *file = fake_file(u, listener, "accept");

	if (file->kind != FAKE_LISTENER)
		fake_fault(u, "accept on descriptor %d, which does not listen", listener);
	struct fake_end *end = TAILQ_FIRST(file->backlog);
	if (end == NULL)
		return -EAGAIN;
	TAILQ_REMOVE(file->backlog, end, entry);
	int fd = file_new(u, FAKE_STREAM);
	fake_file(u, fd, "accept")->end = end;
	end->accepted = true;
	notify(end);
	return fd;
}

static unsigned
stream_ready(const struct fake_end *end)
{
	unsigned events = 0;

	if (fake_receivable(end))
		events |= POLLIN;
	/* Like a kernel: writable again when a good part is free, not at the first byte. */
	if ((end->to_outside.cap - end->to_outside.len) * 3 >= end->to_outside.cap)
		events |= POLLOUT;
	if (end->inside_error != 0 || end->outside_closed)
		events |= POLLOUT | POLLHUP;
	if (end->inside_error != 0)
		events |= POLLERR;
	return events;
}

unsigned
fake_ready(struct uring *u, int fd)
{
	struct fake_file *file = fake_file(u, fd, "poll");

	switch (file->kind) {
	case FAKE_LISTENER:
		return TAILQ_EMPTY(file->backlog) ? 0 : POLLIN;
	case FAKE_STREAM:
		return stream_ready(file->end);
	case FAKE_POLLED:
		return file->events;
	case FAKE_SOCKET:
	case FAKE_FREE:
		break;
	}
	return POLLHUP;
}

bool
fake_receivable(const struct fake_end *end)
{
	return end->to_worker.len > 0 || end->to_worker.ended || end->inside_error != 0;
}

ssize_t
fake_receive(struct fake_end *end, void *data, size_t cap)
{
	size_t got = pipe_get(&end->to_worker, data, cap);

	if (got > 0) {
		notify(end);
		return (ssize_t)got;
	}
	int error = end->inside_error;
	end->inside_error = 0;
	return error != 0 ? error : end->to_worker.ended ? 0 : -EAGAIN;
}

/* Into a connection whose other end is gone: TCP may take it and hear of the end only afterwards.
 */
static ssize_t
transmit_closed(struct fake_end *end, size_t len)
{
	struct fake_base *base = fake_base(end->ring);

	if (!end->tcp || !fake_chance(&base->random, base->options.void_send))
		return -EPIPE;
	end->inside_error = -ECONNRESET;
	fake_count(end->ring, FAKE_SEND_INTO_VOID);
	return (ssize_t)len;
}

static ssize_t
transmit_open(struct fake_end *end, const void *data, size_t len)
{
	struct fake_base *base = fake_base(end->ring);

	if (fake_chance(&base->random, base->options.send_again))
		return -EAGAIN;
	if (fake_chance(&base->random, base->options.short_send))
		len = (size_t)fake_between(&base->random, 1, len);
	size_t put = pipe_put(&end->to_outside, data, len);
	if (put == 0)
		return -EAGAIN;
	notify(end);
	return (ssize_t)put;
}

ssize_t
fake_transmit(struct fake_end *end, const void *data, size_t len)
{
	ssize_t res = end->inside_error;

	if (res != 0)
		end->inside_error = 0;
	else if (end->outside_closed)
		res = transmit_closed(end, len);
	else
		res = transmit_open(end, data, len);
	if (res == -EAGAIN)
		fake_count(end->ring, FAKE_SEND_AGAIN);
	else if (res < 0)
		fake_count(end->ring, FAKE_SEND_FAILED);
	else if ((size_t)res < len)
		fake_count(end->ring, FAKE_SHORT_SEND);
	return res;
}

bool
uring_hung_up(struct uring *u, int fd)
{
	struct fake_file *file = fake_file(u, fd, "hung_up");

	return file->kind == FAKE_STREAM &&
	       (file->end->outside_closed || file->end->inside_error != 0);
}

void
uring_shutdown(struct uring *u, int fd)
{
	struct fake_file *file = fake_file(u, fd, "shutdown");

	if (file->kind != FAKE_STREAM)
		return;
	file->end->to_outside.ended = true;
	notify(file->end);
}

void
uring_reset(struct uring *u, int fd)
{
	struct fake_file *file = fake_file(u, fd, "reset");

	if (file->kind == FAKE_STREAM) {
		file->end->outside_error = -ECONNRESET;
		file->end->to_outside.len = 0;
	}
	uring_close(u, fd);
}

void
uring_peer(struct uring *u, int fd, uint32_t *uid, uint32_t *pid)
{
	fake_file(u, fd, "peer");
	*uid = UINT32_MAX;
	*pid = 0;
}

/* --- the outside ------------------------------------------------------------------------------ */

int
fake_listener(struct uring *u)
{
	int fd = file_new(u, FAKE_LISTENER);
	struct fake_file *file = fake_file(u, fd, "listen");

	file->backlog = must(malloc(sizeof *file->backlog));
	TAILQ_INIT(file->backlog);
	return fd;
}

struct fake_end *
fake_connect(struct uring *u, int listener)
{
	struct fake_net *net = &fake_base(u)->net;
	unsigned i = (unsigned)(listener - FIRST_FD);

	if (listener < FIRST_FD || i >= net->count || net->files[i].kind != FAKE_LISTENER)
		return NULL;
	struct fake_end *end = end_new(u, false, 0);
	TAILQ_INSERT_TAIL(net->files[i].backlog, end, entry);
	return end;
}

struct fake_end *
fake_stream(struct uring *u, size_t room, int *fd)
{
	struct fake_end *end = end_new(u, false, room);

	*fd = file_new(u, FAKE_STREAM);
	fake_file(u, *fd, "stream")->end = end;
	end->accepted = true;
	return end;
}

void
fake_end_own(struct fake_end *end, fake_changed *changed, void *owner)
{
	end->changed = changed;
	end->owner = owner;
}

void *
fake_end_owner(const struct fake_end *end)
{
	return end->owner;
}

bool
fake_end_accepted(const struct fake_end *end)
{
	return end->accepted;
}

uint64_t
fake_end_taken(const struct fake_end *end)
{
	return end->to_worker.total;
}

uint64_t
fake_end_given(const struct fake_end *end)
{
	return end->to_outside.total + end->to_outside.len;
}

ssize_t
fake_write(struct fake_end *end, const void *data, size_t len)
{
	if (end->inside_closed || end->to_worker.ended)
		return -EPIPE;
	return (ssize_t)pipe_put(&end->to_worker, data, len);
}

ssize_t
fake_read(struct fake_end *end, void *data, size_t cap)
{
	size_t got = pipe_get(&end->to_outside, data, cap);

	if (got > 0)
		return (ssize_t)got;
	int error = end->outside_error;
	end->outside_error = 0;
	return error != 0 ? error : end->to_outside.ended ? 0 : -EAGAIN;
}

void
fake_shutdown(struct fake_end *end)
{
	end->to_worker.ended = true;
}

void
fake_close(struct fake_end *end)
{
	end->outside_closed = true;
	end->to_worker.ended = true;
	if (end->to_outside.len > 0 && !end->inside_closed)
		end->inside_error = -ECONNRESET;
	end->to_outside.len = 0;
	end_free_if_gone(end);
}

void
fake_reset(struct fake_end *end)
{
	struct fake_base *base = fake_base(end->ring);

	end->inside_error = -ECONNRESET;
	/* What had arrived may still be read, or not. */
	if (fake_chance(&base->random, 500))
		end->to_worker.len = 0;
	fake_close(end);
}

int
fake_polled(struct uring *u)
{
	return file_new(u, FAKE_POLLED);
}

void
fake_polled_set(struct uring *u, int fd, unsigned events)
{
	fake_file(u, fd, "poll")->events = events;
}

void
fake_polled_close(struct uring *u, int fd)
{
	fake_file_close(u, fd);
}
