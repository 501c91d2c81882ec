/*
 * service_child.h - the process of one generation of a service: how it is started by the
 * convention of PREFORK_INTERP, how its end is noticed, and how it is ended.
 *
 * The set-up process gets four descriptors: the listening socket, one end of a call's socket, the
 * write end of the sentinel and the read end of the leash.  It prepares itself, leaves a server
 * behind and ends with 0: the service is warm.  The first call is none: the other end of its
 * socket is closed before anything starts, so the service drops it at once.
 *
 *   sentinel  only the server holds its write end: end of file = there is no server any more
 *   leash     our write end closed = the server shall end; calls that it has begun are not its own
 *
 * Nothing here waits, but for a fork.
 */
#ifndef RELAY_SERVICE_CHILD_H
#define RELAY_SERVICE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "relay/listener.h"

struct service_child {
	pid_t setup;  /* not yet reaped; 0 = none.  Leads the session of all that is not warm */
	int sentinel; /* -1 = end of file was read */
	int leash;    /* -1 = it was told to end */
	struct listener socket; /* the file; its descriptor is the server's alone */
};

struct service_start {
	const char *path;     /* of its private socket, with a directory in it */
	char *const *command; /* its words, NULL behind the last */
	uid_t uid;            /* OWNER_NOBODY_UID: nobody else */
	gid_t gid;            /* OWNER_NOBODY_GID: the user's own */
	rlim_t nofile;        /* soft limit of open files: programs that use select(2) rely on it */
	bool silent;          /* nobody reads what it writes to standard error */
};

/* 0, or a negative errno: then nothing was started and *process is empty. */
int service_child_start(struct service_child *process, const struct service_start *start);

/* What the sentinel says now; true = there is a server, or a set-up process. */
bool service_child_lives(struct service_child *process);

/* Lets go of the leash, and unlinks the socket: no new call comes. */
void service_child_end(struct service_child *process, const char *path);

/* SIGKILL to all that is left of it: the set-up's session, and who holds the sentinel. */
void service_child_kill(const struct service_child *process);

/* Closes what is open. */
void service_child_fini(struct service_child *process);

/* Makes the directory for private sockets, or removes the sockets that are left in it. */
int service_child_make_dir(const char *dir);
void service_child_sweep_dir(const char *dir);

#endif
