/*
 * fake_net.h - what the two halves of the fake ring know of each other: fake_uring.c (operations
 * and turns) and fake_net.c (descriptors and streams).
 */
#ifndef TESTS_FAKE_NET_H
#define TESTS_FAKE_NET_H

#include <sys/queue.h>

#include "tests/fake_uring.h"

/*
 *   data + head ... data + head + len     bytes on their way
 */
struct fake_pipe {
	uint8_t *data;
	size_t head;
	size_t len;
	size_t cap;
	uint64_t total; /* ever taken out */
	bool ended;     /* its writer will write no more */
};

struct fake_end {
	TAILQ_ENTRY(fake_end) entry; /* of its listener's backlog, until it is accepted */
	struct uring *ring;
	struct fake_pipe to_worker;
	struct fake_pipe to_outside;
	bool tcp;
	bool accepted;
	bool inside_closed;
	bool outside_closed;
	int inside_error; /* the worker's next receive or send gets it */
	int outside_error;
	fake_changed *changed;
	void *owner;
};

enum fake_kind {
	FAKE_FREE,
	FAKE_LISTENER,
	FAKE_SOCKET,
	FAKE_STREAM,
	FAKE_POLLED
};

TAILQ_HEAD(fake_backlog, fake_end);

struct fake_file {
	enum fake_kind kind;
	struct fake_end *end;
	struct fake_backlog *backlog;
	unsigned events;
};

struct fake_net {
	struct fake_file *files;
	unsigned count;
	unsigned cap;
	unsigned open;
};

/* The parts of a ring that fake_net.c needs; the first member of struct uring. */
struct fake_base {
	struct fake_options options;
	struct fake_random random;
	struct fake_net net;
	uint64_t events[FAKE_EVENT_COUNT];
};

struct fake_base *fake_base(struct uring *u);
void fake_count(struct uring *u, enum fake_event event);
void fake_trace(struct uring *u, const char *format, ...) __attribute__((format(printf, 2, 3)));
_Noreturn void fake_fault(struct uring *u, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct fake_file *fake_file(struct uring *u, int fd, const char *what);
void fake_file_close(struct uring *u, int fd);
int fake_socket(struct uring *u);

/* Makes the socket a connected stream; the far end.  room 0 = as the options say. */
struct fake_end *fake_socket_connected(struct uring *u, int fd, size_t room);

/* The next connection of a backlog as a new descriptor; -EAGAIN = none. */
int fake_accept(struct uring *u, int listener);

/* POLLIN and so on that are true of the descriptor now. */
unsigned fake_ready(struct uring *u, int fd);

/* Whether a receive of the worker would give anything: data, the end or an error. */
bool fake_receivable(const struct fake_end *end);
ssize_t fake_receive(struct fake_end *end, void *data, size_t cap);
ssize_t fake_transmit(struct fake_end *end, const void *data, size_t len);

void fake_net_fini(struct uring *u);

#endif
