/*
 * daemonize.h - into the background, as the original goes; but the starting process waits until the
 * daemon is ready, so that its exit status tells whether the start succeeded.
 */
#ifndef RELAY_DAEMONIZE_H
#define RELAY_DAEMONIZE_H

#include <stdbool.h>

struct daemonize {
	int starter; /* end of a socket pair to the starting process; -1 = none waits */
};

/*
 * Forks.  Returns 0 in the daemon, which leads a new session without a terminal; its working
 * directory, umask, signals and other descriptors are those of before, and 0, 1 and 2 are open.
 * Returns a negative errno if nothing was forked.
 *
 * In the starting process it does not return.  That waits until the daemon
 *   says ready: exit status 0;
 *   ends before: its exit status (a signal: EX_OSERR, with a line on standard error).
 * TERM, INT, QUIT and HUP, unless ignored, are passed on to the daemon as TERM meanwhile.
 *
 * To be called by a process with one thread, before rings, locks and children.
 */
__attribute__((warn_unused_result)) int daemonize_begin(struct daemonize *daemonize);

/*
 * The daemon is ready: standard input and output become /dev/null, standard error too unless
 * `keep_stderr`, and the starting process is let go.  0 or a negative errno: /dev/null cannot be
 * opened; then all is as before and the starting process waits on.
 */
__attribute__((warn_unused_result)) int daemonize_ready(struct daemonize *daemonize,
							bool keep_stderr);

/* Closes our end without a word: for children of the daemon. */
void daemonize_close(struct daemonize *daemonize);

#endif
