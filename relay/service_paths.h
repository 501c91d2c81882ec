/*
 * service_paths.h - the sockets of services: where callers look for one that is known by an ident,
 * and where the relay reaches a generation that it started itself.
 *
 * The first is the rule of the prefork-interp client (wire/pfi_path.h), which consults neither
 * $XDG_RUNTIME_DIR nor $HOME.
 */
#ifndef RELAY_SERVICE_PATHS_H
#define RELAY_SERVICE_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "wire/pfi_path.h"

/* sockaddr_un.sun_path, with its NUL. */
#define SERVICE_PATH_SIZE 108

/* An ident, wherever its run directory is; a run directory, with its NUL, that leaves room for an
 * ident of one byte: the client keeps 12 bytes of the path to itself. */
#define SERVICE_IDENT_MAX    (SERVICE_PATH_SIZE - 12 - 2)
#define SERVICE_RUN_DIR_SIZE (SERVICE_PATH_SIZE - 12)

/* Below the relay's own run_dir. */
#define SERVICE_PRIVATE_DIR "svc"

/* What the client's rule looks at. */
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
bool service_run_dir(const struct service_run_facts *facts, char out[static SERVICE_RUN_DIR_SIZE]);

/* The same, with the facts of this machine: asks the user database, looks at the directory. */
bool service_run_dir_of(uid_t uid, char out[static SERVICE_RUN_DIR_SIZE]);

/*
 * Whether callers of this user still look for a socket where `path`, made by the rule, is: his
 * runtime directory comes and goes with his sessions.  Asks no user database.
 */
bool service_ident_stands(const struct service_run_facts *facts, const char *path);
bool service_ident_stands_now(uid_t uid, const char *path);

/* The longest ident in that directory; never 0 for one that service_run_dir gave. */
size_t service_ident_max(const char *run_dir);

/* The socket of an ident, <run_dir>/s<ident> or /x<ident>.  False: the ident is empty, too long, or
 * holds a slash. */
bool service_ident_path(const char *run_dir, enum pfi_path_kind kind, const char *ident,
			char out[static SERVICE_PATH_SIZE]);

/* The private socket of a generation, <run_dir of the relay>/svc/<name>.<generation>.  False: it is
 * too long for a socket. */
bool service_private_path(const char *run_dir, const char *name, uint32_t generation,
			  char out[static SERVICE_PATH_SIZE]);

#endif
