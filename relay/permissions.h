/*
 * permissions.h - whether others could change what the relay relies on, or read its secrets.
 *
 * A directory that anybody may write to is refused, also with the sticky bit: that keeps others
 * from removing what is there, not from being first with a socket that clients then talk to, or
 * with a table of hosts.  Who may write by being owner or of the group is for the site to say.
 */
#ifndef RELAY_PERMISSIONS_H
#define RELAY_PERMISSIONS_H

#include <stdbool.h>

#include "relay/report.h"

/*
 * False, and a fatal entry that calls the directory `name` and tells the mend: anybody may write
 * to it.  Above it somebody could put another one in its place: a warning, since the only way into
 * a volume of a container may be such.  True for what is missing or no directory.
 */
bool permissions_check_dir(const char *path, const char *name, struct report *report);

/* The same for a regular file; its directory is not looked at. */
bool permissions_check_file(const char *path, const char *name, struct report *report);

/*
 * Of an open file with a secret in it (keys of clients, a private key).  False, and a fatal entry
 * with the mend: it is no regular file, others may do anything with it, or the group more than read
 * it.  The group may read, for that is how root gives the relay's user a secret that this user
 * cannot change; volumes of secrets in containers are made so, too.
 */
bool permissions_check_secret(int fd, const char *path, const char *name, struct report *report);

#endif
