/*
 * explain.h - why io_uring is refused here, in one message with the mend; and a report of what this
 * kernel offers.
 */
#ifndef URING_EXPLAIN_H
#define URING_EXPLAIN_H

#include <stddef.h>
#include <stdio.h>

/*
 * Words for what uring_new returned: the blocker (seccomp, kernel.io_uring_disabled, memlock,
 * kernel too old) and what to do. `error` is the negative errno.  Always terminates `text`.
 */
void uring_explain(int error, char *text, size_t size);

/*
 * Prints kernel, switches, limits, operations and features, and whether a ring as the relay needs
 * it can be made.  0 if it can, else the negative errno of the failure.
 */
int uring_report(FILE *to);

#endif
