/*
 * prefork_client_place.h - where relay-prefork looks for a service: the sockets of an ident in the
 * run directory, or the one that was named.
 */
#ifndef RELAY_PREFORK_CLIENT_PLACE_H
#define RELAY_PREFORK_CLIENT_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#define PREFORK_PATH_SIZE sizeof((struct sockaddr_un *)NULL)->sun_path

struct prefork_place {
	char extended[PREFORK_PATH_SIZE]; /* a relay's own, for clients that forward signals */
	char socket[PREFORK_PATH_SIZE];   /* of the original; "" = there is only the one above */
	char lock[PREFORK_PATH_SIZE];     /* of who changes these; "" = there is none */
	char error[256];                  /* why a call below failed */
};

/* The paths of an ident of this user. */
bool prefork_place_of_ident(struct prefork_place *place, const char *ident);

/* The same in the run directory `run`.  False, too, if anybody may write to that: who answers there
 * gets the caller's descriptors. */
bool prefork_place_in_dir(struct prefork_place *place, const char *run, const char *ident);

/* A socket of whatever service; it may offer to have signals forwarded. */
bool prefork_place_of_path(struct prefork_place *place, const char *path);

/*
 * A non-blocking connection to `path`: its descriptor, or a negative errno.  -EAGAIN: who listens
 * there has no room for more now.
 */
int prefork_place_connect(const char *path);

/*
 * What --kill of the original does: removes its socket and lock.  A server that it started ends; a
 * relay makes the socket again and starts the service anew.  True if nothing is there now.
 */
bool prefork_place_kill(struct prefork_place *place);

#endif
