/*
 * listener.h - a host's listening UNIX socket as the keeper makes and holds it.
 *
 * The socket is bound under a short temporary name in its directory, made ready, and renamed over
 * the final path: clients see the old socket or the new one, never none.
 */
#ifndef RELAY_LISTENER_H
#define RELAY_LISTENER_H

#include <sys/types.h>

#include "relay/owner.h"

struct listener {
	int fd;       /* -1 = none */
	dev_t device; /* of the socket file, to know later whether the path is still ours */
	ino_t inode;
};

/*
 * Binds `dir`/`name` with `mode` and listens.  0 or a negative errno (nothing is left behind then).
 * Changes the working directory meanwhile and back: for a process with one thread.
 */
int listener_open(struct listener *listener, const char *dir, const char *name, mode_t mode);

/* Likewise, for a socket that is given to `owner` as far as it names one. */
int listener_open_for(struct listener *listener, const char *dir, const char *name, mode_t mode,
		      struct owner owner);

/* Likewise, at a path with a directory in it. */
int listener_open_path(struct listener *listener, const char *path, mode_t mode,
		       struct owner owner);

/* Likewise, for datagrams: non-blocking, and each comes with its sender's credentials. */
int listener_open_datagrams(struct listener *listener, const char *path, mode_t mode,
			    struct owner owner);

void listener_close_path(struct listener *listener, const char *path);

/* Closes our descriptor and, if the path is still this socket, unlinks it. */
void listener_close(struct listener *listener, const char *dir, const char *name);

#endif
