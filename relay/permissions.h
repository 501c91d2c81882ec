/*
 * permissions.h - whether others could change what the relay relies on, or read its secrets.
 *
 * A directory that anybody may write to is refused, also with the sticky bit: that keeps others
 * from removing what is there, not from being first with a socket that clients then talk to, or
 * with a table of hosts.  Who may write by being owner or of the group is for the site to say; of a
 * file that others are to keep, like the tables of hosts, it is a warning.
 */
#ifndef RELAY_PERMISSIONS_H
#define RELAY_PERMISSIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "relay/report.h"

/*
 * False, and a fatal entry that calls the directory `name` and tells the mend: anybody may write
 * to it.  Above it somebody could put another one in its place: a warning, since the only way into
 * a volume of a container may be such.  True for what is missing or no directory.
 */
bool permissions_check_dir(const char *path, const char *name, struct report *report);

/* The same of one in a directory that was looked at: nothing is said of what is above. */
bool permissions_check_below(const char *path, const char *name, struct report *report);

/* The same of the directory that a path is in; one without a slash is in the working directory. */
bool permissions_check_dir_of(const char *path, const char *name, struct report *report);

/* The same for a regular file; directories above it are warned of, too, unless they are sticky or
 * mounted read-only. */
bool permissions_check_file(const char *path, const char *name, struct report *report);

/*
 * Of an open file with a secret in it (keys of clients, a private key).  False, and a fatal entry
 * with the mend: it is no regular file, others may do anything with it, or the group more than read
 * it.  The group may read, for that is how root gives the relay's user a secret that this user
 * cannot change; volumes of secrets in containers are made so, too.
 */
bool permissions_check_secret(int fd, const char *path, const char *name, struct report *report);

/*
 * A warning if of `mode`, that of the file `path`, any bit of `refused` is set: S_IWGRP, S_IWOTH or
 * both.  For what the relay has to take as it is.
 */
void permissions_warn_mode(const char *path, mode_t mode, mode_t refused, struct report *report);

/* The same with the mode that it has now; what is missing or a link is left out. */
void permissions_warn(const char *path, mode_t refused, struct report *report);

#endif
