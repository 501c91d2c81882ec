/*
 * process.h - what both programs need of their process: an orderly end at TERM or INT, and all
 * descriptors.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Catches TERM and INT, which are blocked from now on except under the mask that is filled in: give
 * it to the wait, so that no signal can slip in between the check and the wait.
 */
void process_catch_stop(sigset_t *while_waiting);

/* Whether one of them has come. */
bool process_stopping(void);

/* For a wait on descriptors instead: one that is readable when TERM or INT, blocked from now on,
 * has come.  Ends the program if there is none to be had. */
int process_stop_fd(void);

/* Raises the soft limit of open files to the hard one and returns what is in force. */
uint64_t process_raise_files(void);

#endif
