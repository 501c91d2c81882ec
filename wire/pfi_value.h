/*
 * pfi_value.h - the value of PREFORK_INTERP, by which a service finds its descriptors at its start.
 *
 *   v1,SECS.NNNNNNNNN[,rlx1] LISTEN,CALL,WATCHI,WATCHE
 *
 * Items behind a further comma and words behind a further space mean nothing, whatever they hold;
 * but one such item tells the service that it may greet by the extended greeting (pfi_signal.h).
 *
 * Source: prefork-interp 7.0.0.  Its prose names the last two descriptors the other way round; this
 * is the order in which it gives them.
 */
#ifndef WIRE_PFI_VALUE_H
#define WIRE_PFI_VALUE_H

#include "wire/wire.h"

#define PFI_VALUE_NAME     "PREFORK_INTERP"
#define PFI_VALUE_EXTENDED "rlx1"
/* Room for any formatted value. */
#define PFI_VALUE_SIZE_MAX 96

#define PFI_VALUE_FAULTS(X)                                           \
	X(PFI_VALUE_FINE, "no fault")                                 \
	X(PFI_VALUE_NOT_V1, "not protocol v1")                        \
	X(PFI_VALUE_BAD_TIME, "the time is not SECS.NNNNNNNNN")       \
	X(PFI_VALUE_ONE_WORD, "there are no descriptors")             \
	X(PFI_VALUE_FEW_FDS, "there are fewer than four descriptors") \
	X(PFI_VALUE_BAD_FD, "a descriptor is not a number")           \
	X(PFI_VALUE_SAME_FD, "a descriptor is there twice")

enum pfi_value_fault {
#define X(name, text) name,
	PFI_VALUE_FAULTS(X)
#undef X
};

/* What the descriptors are, in order. */
enum pfi_value_fd {
	PFI_LISTEN, /* the listening socket, non-blocking */
	PFI_CALL,   /* the service's end of the first call, blocking */
	PFI_WATCHI, /* held open by the service: who has the other end sees when it is gone */
	PFI_WATCHE, /* non-blocking; its end or a message on it tells the service to end */
	PFI_VALUE_FDS,
};

struct pfi_value {
	/* Since 1970, when the socket was made: files of the service that changed later are newer
	 * than the service.  At most INT64_MAX. */
	uint64_t seconds;
	uint32_t nanoseconds;
	bool extended; /* who starts the service knows the extension */
	int fds[PFI_VALUE_FDS];
};

const char *pfi_value_fault_text(enum pfi_value_fault fault);

/* On anything but PFI_VALUE_FINE *value is untouched: nothing is guessed. */
WIRE_MUST_CHECK enum pfi_value_fault pfi_value_parse(struct pfi_value *value,
						     struct wire_span text);

/* Appends the value, without a NUL.  Takes what pfi_value_parse() gives; descriptors >= 0. */
void pfi_value_put(struct wire_out *out, const struct pfi_value *value);

#endif
