/*
 * sandbox.h - what a process gives up once it has all that it needs: new privileges, files, system
 * calls, core dumps, resources that it does not use.  What goes through a ring is bound by the
 * ring's own restrictions.
 */
#ifndef RELAY_SANDBOX_H
#define RELAY_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum sandbox_role {
	SANDBOX_WORKER = 1,
	SANDBOX_CONTROL = 2,
	SANDBOX_EXPORTER = 4,
};

/* A file, or a directory with all below it.  One that does not exist is left out. */
struct sandbox_path {
	const char *path;
	bool write;  /* also to make, rename and remove files and directories in it */
	bool remove; /* files may be removed in it, and nothing else */
};

/*
 * Puts this process into the sandbox of its role, for ever; of the file system, `paths` stay.  To
 * be called while there is one thread: later ones are under it, others would not be.  What this
 * kernel lacks is left out without a word (sandbox_lacks() tells it); what fails though it is
 * there is logged.
 */
void sandbox_enter(enum sandbox_role role, const struct sandbox_path *paths, size_t count);

/* Nobody of the same user looks into this process, by ptrace(2), /proc or a core dump.  A program
 * that it becomes is not hidden. */
void sandbox_hide(void);

/* What a sandbox here would lack, in words; NULL = nothing. */
const char *sandbox_lacks(void);

/* For --probe. */
void sandbox_report(FILE *to);

/* The seccomp filter alone: 0 or a negative errno.  Needs no_new_privs. */
int sandbox_filter(enum sandbox_role role);

/* What the filter refuses is heard of from now on; 0 or a negative errno. */
int sandbox_hear_refusals(void);

/* The number of a system call that was refused; each once, -1 = none since. */
long sandbox_refused(void);

/* The same into the log.  Cheap where there is nothing to say. */
void sandbox_say_refused(void);

/* Whether the kernel offers what the filter is made of, on a machine that it knows. */
bool sandbox_filter_there(void);

#endif
