/*
 * ctl_complete.h - what may stand where the cursor is: candidates for a shell.
 *
 * A shell gives the words before the cursor, without the program's name; the last one, which may be
 * "", is to be completed.  One candidate per line; never a word of complaint.
 */
#ifndef RELAY_CTL_COMPLETE_H
#define RELAY_CTL_COMPLETE_H

#include <stddef.h>
#include <stdio.h>

/* Who knows the candidates. */
enum ctl_complete {
	CTL_COMPLETE_DONE, /* they are printed */
	CTL_COMPLETE_FILE, /* the shell: a file is wanted */
	CTL_COMPLETE_HOST, /* the daemon, as of those below */
	CTL_COMPLETE_LINK,
	CTL_COMPLETE_CLIENT,
	CTL_COMPLETE_MESSAGE,
	CTL_COMPLETE_STORED,
	CTL_COMPLETE_SERVICE,
	CTL_COMPLETE_CALL,
};

/* Prints what the command line alone tells; *prefix is what the others must begin with. */
enum ctl_complete ctl_complete_words(FILE *out, char **words, size_t len, const char **prefix);

/* Asks the daemon at `socket` for HOST and those below, a second at most, and prints them. */
void ctl_complete_ask(FILE *out, const char *socket, enum ctl_complete what, const char *prefix);

#endif
