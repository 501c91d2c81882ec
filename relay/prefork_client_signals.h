/*
 * prefork_client_signals.h - the signals of relay-prefork, read from a descriptor; nothing runs in
 * a handler.
 */
#ifndef RELAY_PREFORK_CLIENT_SIGNALS_H
#define RELAY_PREFORK_CLIENT_SIGNALS_H

#include <signal.h>

struct prefork_signals {
	int fd; /* readable when there is one */
	sigset_t caught;
};

/*
 * Takes over the signals that can be forwarded, but for those that were ignored or blocked when the
 * program was started: nohup and the like mean it.  0, or a negative errno.
 */
int prefork_signals_init(struct prefork_signals *signals);
void prefork_signals_fini(struct prefork_signals *signals);

/* The number of the next signal; 0 = there is none now. */
int prefork_signals_next(struct prefork_signals *signals);

/* Stops this process as TSTP does, and returns when it goes on; that CONT is used up. */
void prefork_signals_stop(void);

/* Dies of the signal, whatever was done about it before.  Returns if that is not possible. */
void prefork_signals_die(int number);

#endif
