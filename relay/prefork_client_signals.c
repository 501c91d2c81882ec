/*
 * prefork_client_signals.c - signals blocked, and read from a signalfd.
 *
 * Never changes what a signal does but to die of it.  Owns the descriptor, and the signal mask
 * while it lives.
 */
#include "relay/prefork_client_signals.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "wire/pfi_signal.h"

static bool
is_wanted(int number, const sigset_t *blocked)
{
	struct sigaction action;

	return number != 0 && sigismember(blocked, number) == 0 &&
	       sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN;
}

int
prefork_signals_init(struct prefork_signals *signals)
{
	sigset_t blocked;
	int number;

	signals->fd = -1;
	if (sigprocmask(SIG_SETMASK, NULL, &blocked) != 0)
		return -errno;
	sigemptyset(&signals->caught);
	for (uint8_t code = PFI_SIGNAL_NONE + 1; (number = pfi_signal_number(code)) != 0; code++)
		if (is_wanted(number, &blocked))
			sigaddset(&signals->caught, number);
	if (sigprocmask(SIG_BLOCK, &signals->caught, NULL) != 0)
		return -errno;
	signals->fd = signalfd(-1, &signals->caught, SFD_CLOEXEC | SFD_NONBLOCK);
	return signals->fd >= 0 ? 0 : -errno;
}

void
prefork_signals_fini(struct prefork_signals *signals)
{
	if (signals->fd >= 0)
		close(signals->fd);
	signals->fd = -1;
	sigprocmask(SIG_UNBLOCK, &signals->caught, NULL);
}

int
prefork_signals_next(struct prefork_signals *signals)
{
	struct signalfd_siginfo info;

	return read(signals->fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo
									     : 0;
}

void
prefork_signals_stop(void)
{
	const struct timespec at_once = { 0, 0 };
	sigset_t stop, go_on;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigemptyset(&go_on);
	sigaddset(&go_on, SIGCONT);
	/* TSTP and not STOP: the shell sees which it was, and without one to wake us nothing stops.
	 */
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, NULL);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	sigtimedwait(&go_on, NULL, &at_once);
}

void
prefork_signals_die(int number)
{
	const struct sigaction action = { .sa_handler = SIG_DFL };
	const struct rlimit none = { 0, 0 };
	sigset_t set;

	/* The core of a client tells nothing. */
	setrlimit(RLIMIT_CORE, &none);
	sigaction(number, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}
