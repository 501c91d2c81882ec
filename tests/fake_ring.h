/*
 * fake_ring.h - the fake ring from inside: what fake_submit.c (what the worker asks for) and
 * fake_uring.c (what comes of it, and the turn) share.
 */
#ifndef TESTS_FAKE_RING_H
#define TESTS_FAKE_RING_H

#include "tests/fake_net.h"

enum fake_op_kind {
	OP_NONE,
	OP_ACCEPT,
	OP_RECV,
	OP_RECV_INTO,
	OP_SEND,
	OP_CONNECT,
	OP_POLL
};

enum fake_entry_kind {
	ENTRY_START,
	ENTRY_SEND,
	ENTRY_CANCEL,
	ENTRY_CLOSE
};

#define FAKE_NEVER UINT64_MAX

/* An operation that the ring holds. */
struct fake_flight {
	TAILQ_ENTRY(fake_flight) entry;
	struct uring_op *op;
	uring_done *done;
	int fd;
	enum fake_op_kind kind;
	unsigned events; /* of a poll */
	uint8_t *into;   /* of a receive into the owner's memory */
	size_t room;
	struct fake_answer answer; /* of a connect */
	const struct sockaddr *address;
	struct sockaddr_storage address_copy;
	socklen_t address_len;
	bool executed;
	bool cancelled;     /* asked for by the worker */
	uint64_t cancel_at; /* when the cancel takes effect */
	uint64_t ready_at;  /* when what is there may complete; FAKE_NEVER = nothing is there */
	bool rearm; /* ended without the worker knowing; started again at the end of the turn */
	bool final; /* its last completion is in the batch */
};

TAILQ_HEAD(fake_flight_list, fake_flight);

struct fake_sending {
	struct uring_send *send;
	uring_done *done;
	const void *data;
	uint64_t sum;
	int fd;
};

struct fake_sending_list {
	struct fake_sending *at;
	size_t count;
	size_t cap;
};

struct fake_entry {
	enum fake_entry_kind kind;
	struct fake_flight *flight;
	size_t send; /* index into sends */
	int fd;
};

struct fake_completion {
	struct fake_flight *flight;
	int res;
	uint8_t *data; /* exactly res bytes, so that a sanitizer sees one too many */
	bool final;    /* the ring lets go of the operation */
	bool rearm;
};

struct uring {
	struct fake_base base; /* first */
	bool kept;             /* lives until fake_free() */
	uint64_t now;
	bool posted; /* a send has something to say */
	struct timer_heap timers;
	struct timer_heap outside;
	struct uring_stats stats;
	unsigned buffers;
	unsigned buffers_left;
	unsigned buffer_size;

	struct fake_flight_list flights;
	unsigned flights_count;
	struct fake_entry *queue; /* submitted by the worker, not yet executed */
	size_t queue_count;
	size_t queue_cap;
	struct fake_sending_list sends;
	struct fake_sending_list settling;
	struct fake_completion *batch;
	size_t batch_count;
	size_t batch_cap;
};

bool fake_happens(struct uring *u, unsigned permille);

/* Now, or by that chance somewhat later. */
uint64_t fake_late(struct uring *u, unsigned permille);

/* The list with room for one more. */
void *fake_grown(void *list, size_t count, size_t *cap, size_t size);

/* The rules: an operation's memory, and a send's bytes, are what they were when it was started. */
void fake_check_flight(struct uring *u, const struct fake_flight *flight);
void fake_check_flights(struct uring *u);
void fake_check_sending(struct uring *u, const struct fake_sending *sending);

struct fake_entry *fake_queue_add(struct uring *u, enum fake_entry_kind kind);

/* What a kernel does inside the submit. */
void fake_execute_all(struct uring *u);

#endif
