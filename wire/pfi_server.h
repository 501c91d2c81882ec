/*
 * pfi_server.h - reads the request of a prefork-interp client, as a state machine without I/O.
 *
 *   signalling byte | three bytes with a descriptor each | length | message
 *
 * Behind the message of a client that was greeted so (pfi_signal.h): one byte per signal.
 *
 * The caller greets first (pfi_put_greeting), owns every descriptor it receives, whatever is
 * answered, and writes the status word at the end.  After a fault it closes without one.
 */
#ifndef WIRE_PFI_SERVER_H
#define WIRE_PFI_SERVER_H

#include "wire/pfi.h"

#define PFI_SERVER_STATES(X)             \
	X(PFI_SERVER_SIGNAL, "signal")   \
	X(PFI_SERVER_FDS, "descriptors") \
	X(PFI_SERVER_LENGTH, "length")   \
	X(PFI_SERVER_MESSAGE, "message") \
	X(PFI_SERVER_WHOLE, "whole")     \
	X(PFI_SERVER_FAILED, "failed")

enum pfi_server_state {
#define X(name, text) name,
	PFI_SERVER_STATES(X)
#undef X
};

struct pfi_server {
	enum pfi_server_state state;
	enum pfi_fault fault; /* why it failed */
	uint32_t message_max;
	uint32_t message_len;  /* known from PFI_SERVER_MESSAGE on, and after PFI_TOO_LONG */
	uint32_t message_have; /* bytes of it so far */
	uint8_t fds;           /* descriptors that are complete */
	uint8_t length_have;   /* bytes of the length so far */
	bool takes_signals;    /* of a client that got the extended greeting */
	uint8_t signal;        /* the last one: an enum pfi_signal */
	struct pfi_scan scan;  /* counts the strings of the message */
};

/* Bytes of one read, and how many descriptors came with the one at `fd_at`. */
struct pfi_input {
	const uint8_t *data;
	size_t len;
	size_t fd_at;
	unsigned fds;
};

enum pfi_server_event {
	PFI_REQUEST_MORE,   /* all bytes are used up */
	PFI_REQUEST_FD,     /* descriptor server->fds - 1 is complete: the one that came here */
	PFI_REQUEST_LENGTH, /* server->message_len is known, and allowed: time to take memory */
	PFI_REQUEST_BODY,   /* *body is a piece of the message: append it */
	PFI_REQUEST_WHOLE,  /* *body is the last piece, and the message is well-formed */
	PFI_REQUEST_SIGNAL, /* server->signal is a signal that the client forwards */
	PFI_REQUEST_BAD,    /* server->fault */
};

const char *pfi_server_state_text(enum pfi_server_state state);

/* `message_max` is the longest message to be accepted. */
void pfi_server_init(struct pfi_server *server, uint32_t message_max);

/* Before the first byte: the client was greeted by the extended greeting. */
void pfi_server_allow_signals(struct pfi_server *server);

/*
 * Takes the next thing out of *input, which moves behind it; to be called until PFI_REQUEST_MORE or
 * PFI_REQUEST_BAD.  On PFI_REQUEST_BAD *input stands at the byte that broke the protocol, and every
 * further call says the same.  A message is checked as it comes: a piece may be refused although
 * the pieces before it were given out.
 *
 * A byte behind the message (PFI_EXTRA_BYTES) is for the caller to judge: the original swallows it
 * if it came in one read with the message, else takes it for the client's leave.
 */
WIRE_MUST_CHECK enum pfi_server_event
pfi_server_next(struct pfi_server *server, struct pfi_input *input, struct wire_span *body);

/*
 * The client's end: closed, reset or shut down for writing.  PFI_FINE if the message was whole: the
 * client has left a running call.  Else PFI_EARLY_END, or the fault of before.
 */
enum pfi_fault pfi_server_end(struct pfi_server *server);

/*
 * How many bytes to read next so that the read ends where the next thing does.  Then descriptors
 * belong to the byte that came with them, and the message can be read where it will stay.  Never 0
 * but after a fault; 1 behind the message, to notice when the client leaves.
 */
size_t pfi_server_want(const struct pfi_server *server);

/*
 * The fd_at of a read of `len` bytes that was not limited so, or of one that was.  The kernel ends
 * a read behind what came with descriptors, so of those bytes only the signalling byte may lack
 * one: they belong to the first byte that can take them.  A stray one is still a stray one.
 */
size_t pfi_server_fd_at(const struct pfi_server *server, size_t len);

#endif
