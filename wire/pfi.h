/*
 * pfi.h - the prefork-interp protocol, version 1: what both of its sides share.
 *
 *   S->C "PFI\n" 0:32 | C->S 0 | C->S 0 + fd, three times | C->S length:32 message | S->C status:32
 *
 *   message = { NAME=value NUL } NUL { argument NUL }
 *
 * All numbers are big-endian.  The side that reads a request is pfi_server.h, the side that reads
 * greeting and status pfi_client.h.
 *
 * Source: prefork-interp 7.0.0 and Proc::Prefork::Interp, as documented and as observed.  Stricter
 * here: the length has a bound, one byte carries one descriptor, and an environment string without
 * '=' is refused whatever it holds (that library takes the string "0" for the end of them).
 */
#ifndef WIRE_PFI_H
#define WIRE_PFI_H

#include "wire/wire.h"

#define PFI_GREETING_SIZE 8
#define PFI_LENGTH_SIZE   4
#define PFI_STATUS_SIZE   4
#define PFI_FDS           3
/* The signalling byte, and the byte that carries a descriptor. */
#define PFI_BYTE 0
/* A bound for messages; the kernel gives no program more than 2 MiB of arguments by default. */
#define PFI_MESSAGE_MAX (16u * 1024 * 1024)
/* The exit code of a client whose call has none. */
#define PFI_EXIT_FAILED 127

#define PFI_FAULTS(X)                                             \
	X(PFI_FINE, "no fault")                                   \
	/* of a request */                                        \
	X(PFI_BAD_SIGNAL, "the signalling byte is not 0")         \
	X(PFI_BAD_FD_BYTE, "the byte of a descriptor is not 0")   \
	X(PFI_NO_FD, "a byte came without its descriptor")        \
	X(PFI_MANY_FDS, "more than one descriptor with a byte")   \
	X(PFI_STRAY_FD, "a descriptor where none belongs")        \
	X(PFI_EMPTY, "the message has length 0")                  \
	X(PFI_TOO_LONG, "the message is longer than allowed")     \
	X(PFI_NO_EQUALS, "an environment string without =")       \
	X(PFI_NO_NUL, "the message does not end in NUL")          \
	X(PFI_EARLY_END, "the end came before the whole message") \
	X(PFI_UNKNOWN_SIGNAL, "no signal has this code")          \
	/* of a service */                                        \
	X(PFI_BAD_MAGIC, "the greeting is not of this protocol")  \
	X(PFI_EXTRA_DATA, "the greeting announces more data")     \
	X(PFI_NO_GREETING, "the end came before the greeting")    \
	X(PFI_NO_STATUS, "the end came instead of a status")      \
	/* of either */                                           \
	X(PFI_EXTRA_BYTES, "bytes after the end of what this side may say")

enum pfi_fault {
#define X(name, text) name,
	PFI_FAULTS(X)
#undef X
};

/* The fault as words for a log line.  Never NULL. */
const char *pfi_fault_text(enum pfi_fault fault);

/* --- numbers */

static inline void
pfi_put_word(uint8_t bytes[static 4], uint32_t word)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(word >> (24 - 8 * i));
}

static inline uint32_t
pfi_get_word(const uint8_t bytes[static 4])
{
	uint32_t word = 0;

	for (int i = 0; i < 4; i++)
		word = word << 8 | bytes[i];
	return word;
}

void pfi_put_greeting(uint8_t bytes[static PFI_GREETING_SIZE]);

/* --- messages */

/* Where in a message the reading stands; a message may end only at the start of a string. */
enum pfi_scan_state {
	PFI_AT_SETTING, /* at the start of an environment string, or of the empty one */
	PFI_IN_NAME,
	PFI_IN_VALUE,
	PFI_AT_ARGUMENT,
	PFI_IN_ARGUMENT,
};

/* The check of a message that comes in pieces; begins as zeros. */
struct pfi_scan {
	enum pfi_scan_state state;
	uint32_t settings;  /* environment strings that ended */
	uint32_t arguments; /* arguments that ended */
};

/*
 * The next bytes of the message, which are its last ones if `is_last` (at least one then).  Says
 * how many of them are well-formed: less than len means that *fault is the fault of the byte
 * behind.
 */
size_t pfi_scan(struct pfi_scan *scan, struct wire_span bytes, bool is_last, enum pfi_fault *fault);

/*
 * A message that was checked.  One that ends before the empty string has no arguments, as the
 * original takes it.  The counts are as high as the message is long: who makes a table of them has
 * to look.
 */
struct pfi_message {
	struct wire_span settings_bytes; /* environment strings, each with its NUL */
	struct wire_span argument_bytes;
	uint32_t settings;
	uint32_t arguments;
};

/* PFI_FINE: *message is filled, all in it are views of `bytes`.  Anything else: untouched. */
WIRE_MUST_CHECK enum pfi_fault pfi_message_open(struct pfi_message *message,
						struct wire_span bytes);

/*
 * Takes one string out of settings_bytes or argument_bytes, without its NUL; false at the end.  The
 * NUL stands behind the view: string->data is a C string.
 */
bool pfi_string_next(struct wire_span *string, struct wire_span *rest);

/*
 * Name and value of an environment string; false if it has no '=', which none of a checked message
 * lacks.  The name may be empty.  A name may come twice: the original lets the last one win.
 */
bool pfi_setting_split(struct wire_span setting, struct wire_span *name, struct wire_span *value);

/*
 * The length of the message of this environment and these arguments, both ended by NULL.
 * Environment strings without '=' are left out, as the original client does.
 */
size_t pfi_message_size(char *const *environment, char *const *arguments);

/*
 * Appends length and message, PFI_LENGTH_SIZE + pfi_message_size() bytes.  PFI_TOO_LONG: the
 * message would be longer than `message_max`, nothing was written.
 */
WIRE_MUST_CHECK enum pfi_fault pfi_put_message(struct wire_out *out, char *const *environment,
					       char *const *arguments, uint32_t message_max);

/* --- status words */

#define PFI_OUTCOMES(X)                                                               \
	X(PFI_EXITED, "exited")                                                       \
	X(PFI_KILLED, "killed")   /* by a signal that a client passes on to itself */ \
	X(PFI_CRASHED, "crashed") /* by another signal, or with core */               \
	X(PFI_GARBLED, "garbled") /* no status of a process that ended */

enum pfi_outcome_kind {
#define X(name, text) name,
	PFI_OUTCOMES(X)
#undef X
};

struct pfi_outcome {
	enum pfi_outcome_kind kind;
	int exit_code; /* for the client; if it is to kill itself: in case that it survives */
	int signal;    /* of PFI_KILLED and PFI_CRASHED, else 0 */
	bool core;
};

const char *pfi_outcome_text(enum pfi_outcome_kind kind);

/* What a client makes of the status word, which is that of wait(2). */
struct pfi_outcome pfi_outcome(uint32_t status);

/* The words for a process that exited, and for one that died of a signal (1 to 126). */
uint32_t pfi_status_exited(uint8_t code);
uint32_t pfi_status_killed(unsigned number, bool core);

#endif
