/*
 * path_program.h - whether a program could be started, as execvp(3) would look for it.
 */
#ifndef RELAY_PATH_PROGRAM_H
#define RELAY_PATH_PROGRAM_H

/*
 * `program` is a path, or a name without a slash that is looked up in $PATH.  0, or why not:
 * -ENOENT, -EACCES (it is there, but nothing that may be executed), another negative errno.
 */
int path_program_check(const char *program);

#endif
