/*
 * pfi_signal.h - this project's extension of the prefork-interp protocol: forwarded signals.
 *
 *   S->C "PFI\n" 4:32 "RLX1" | the request as in version 1 | C->S one byte per signal, any number
 *
 * The original client reads an announcement of more data in a way that is not safe for it, so this
 * greeting is only for who is known to understand it: a client of the socket that is there for it
 * (PFI_PATH_EXTENDED), and who was told so at its start (struct pfi_value, extended).
 */
#ifndef WIRE_PFI_SIGNAL_H
#define WIRE_PFI_SIGNAL_H

#include "wire/pfi.h"

#define PFI_EXTENSION              "RLX1"
#define PFI_EXTENSION_SIZE         4
#define PFI_EXTENDED_GREETING_SIZE (PFI_GREETING_SIZE + PFI_EXTENSION_SIZE)

/* The signals that can be forwarded, and the byte that stands for each of them. */
#define PFI_SIGNALS(X)                 \
	X(PFI_SIGNAL_HUP, 1, SIGHUP)   \
	X(PFI_SIGNAL_INT, 2, SIGINT)   \
	X(PFI_SIGNAL_QUIT, 3, SIGQUIT) \
	X(PFI_SIGNAL_TERM, 4, SIGTERM) \
	X(PFI_SIGNAL_TSTP, 5, SIGTSTP) \
	X(PFI_SIGNAL_CONT, 6, SIGCONT) \
	X(PFI_SIGNAL_WINCH, 7, SIGWINCH)

enum pfi_signal {
	PFI_SIGNAL_NONE, /* stands for none, and is never sent */
#define X(name, code, number) name = (code),
	PFI_SIGNALS(X)
#undef X
};

void pfi_put_extended_greeting(uint8_t bytes[static PFI_EXTENDED_GREETING_SIZE]);

/* The number that signal(7) gives to the signal, 0 if the byte stands for none. */
int pfi_signal_number(uint8_t code);

/* The byte for a signal number, PFI_SIGNAL_NONE if it cannot be forwarded. */
uint8_t pfi_signal_code(int number);

/* "SIGHUP" and so on, for a log line.  Never NULL. */
const char *pfi_signal_text(uint8_t code);

/*
 * Whether the signal usually ends who gets it.  A service that knows version 1 alone can be told
 * of these by a half close, which makes it interrupt the call; of the others not at all.
 */
bool pfi_signal_is_final(uint8_t code);

#endif
