/*
 * pfi_client.h - reads what a prefork-interp service says to its client, without I/O.
 *
 *   greeting | status word | end
 *
 * The greeting may be the extended one (pfi_signal.h) where the caller can make use of it.
 *
 * What the client says is made by pfi_put_message(); before it go the signalling byte and three
 * bytes with a descriptor each, every one of them PFI_BYTE in a sendmsg of its own.  All of it may
 * be sent before the greeting came.
 */
#ifndef WIRE_PFI_CLIENT_H
#define WIRE_PFI_CLIENT_H

#include "wire/pfi.h"

#define PFI_CLIENT_STATES(X)               \
	X(PFI_CLIENT_GREETING, "greeting") \
	X(PFI_CLIENT_STATUS, "status")     \
	X(PFI_CLIENT_DONE, "done")         \
	X(PFI_CLIENT_FAILED, "failed")

enum pfi_client_state {
#define X(name, text) name,
	PFI_CLIENT_STATES(X)
#undef X
};

struct pfi_client {
	enum pfi_client_state state;
	enum pfi_fault fault; /* why it failed */
	uint8_t have;         /* bytes of greeting or status so far */
	bool may_extend;      /* the extended greeting is welcome, too */
	bool extended;        /* it was that one; known when greeted */
	uint32_t status;      /* from PFI_CLIENT_DONE on; see pfi_outcome() */
};

enum pfi_client_event {
	PFI_ANSWER_MORE,    /* all bytes are used up */
	PFI_ANSWER_GREETED, /* the greeting is complete: the service has a process for this call */
	PFI_ANSWER_STATUS,  /* client->status is known: the call is over */
	PFI_ANSWER_BAD,     /* client->fault */
};

const char *pfi_client_state_text(enum pfi_client_state state);

void pfi_client_init(struct pfi_client *client);

/* Before the first byte: the extended greeting is taken as well as the plain one. */
void pfi_client_allow_extended(struct pfi_client *client);

/*
 * Takes the next thing out of *bytes, which moves behind it; to be called until PFI_ANSWER_MORE or
 * PFI_ANSWER_BAD.  On PFI_ANSWER_BAD *bytes stands at the byte that broke the protocol, and every
 * further call says the same.
 *
 * A greeting that announces other extra data, or any where none is allowed, is refused: the
 * original reads that length in the byte order of its machine, so nobody can say how much it would
 * be.  Any status word is taken, also one that is none.
 */
WIRE_MUST_CHECK enum pfi_client_event pfi_client_next(struct pfi_client *client,
						      struct wire_span *bytes);

/*
 * The service's end: closed or reset.  PFI_FINE behind the status.  PFI_NO_GREETING: no process had
 * taken the call, it may be given to another.  PFI_NO_STATUS: one had.  Else the fault of before.
 */
enum pfi_fault pfi_client_end(struct pfi_client *client);

#endif
