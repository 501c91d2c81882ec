/*
 * service_paths.h - where callers look for a service that is known by an ident: the rule of the
 * prefork-interp client, which consults neither $XDG_RUNTIME_DIR nor $HOME.
 *
 * Source: chiark-utils' prefork-interp.
 */
#ifndef RELAY_SERVICE_PATHS_H
#define RELAY_SERVICE_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* The client wants 12 bytes of sun_path for names that it makes up beside the directory; in any
 * case a slash and one more byte are taken. */
#define SERVICE_IDENT_RESERVE 12
#define SERVICE_IDENT_MAX     (108 - SERVICE_IDENT_RESERVE - 2)

/* A directory with its NUL that still leaves room for an ident of one byte. */
#define SERVICE_RUN_DIR_SIZE (108 - SERVICE_IDENT_RESERVE)

/* sockaddr_un.sun_path, with its NUL. */
#define SERVICE_PATH_SIZE 108

/* What the rule looks at. */
struct service_run_facts {
	uid_t uid;
	const struct stat *runtime; /* lstat() of /var/run/user/<uid>; NULL = it failed */
	const char *home;           /* of the password database; NULL = there is none */
	const char *node;           /* uname's name of this machine */
};

/*
 * The run directory: /var/run/user/<uid>/prefork-interp if that user's runtime directory is his
 * alone, else <home>/.prefork-interp/<node up to its first dot>.  False: there is no home, or the
 * directory is too long for any socket in it.
 */
bool service_run_dir(const struct service_run_facts *facts, char out[SERVICE_RUN_DIR_SIZE]);

/* The same, with the facts of this machine: asks the user database, looks at the directory. */
bool service_run_dir_of(uid_t uid, char out[SERVICE_RUN_DIR_SIZE]);

/* The longest ident in that directory; never 0 for one that service_run_dir gave. */
size_t service_ident_max(const char *run_dir);

/*
 * The socket of an ident, `<run_dir>/s<ident>`.  False: the ident is empty, too long, or holds a
 * slash.
 */
bool service_ident_path(const char *run_dir, const char *ident, char out[SERVICE_PATH_SIZE]);

#endif
