/*
 * service_sockets.h - the keeper's public sockets of services.
 *
 * A socket is held until control wants it no more; one whose path was unlinked or replaced is bound
 * anew within a second, and control gets the new one; later and later if that goes on and on.  It
 * is found by its path, so that another control process gets the same one.  Only a socket is ever
 * replaced, never a file.
 *
 * A socket that belongs to a user (that of an ident, in his run directory) is made with his rights
 * alone, whoever the keeper is: in a directory of his nobody else's rights may follow his links.
 * The directory is made when it is missing.
 */
#ifndef RELAY_SERVICE_SOCKETS_H
#define RELAY_SERVICE_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "relay/channel.h"
#include "relay/child.h"

enum {
	SERVICE_SOCKETS_MAX = 1024,
	SERVICE_SOCKETS_LOOK_MS = 500, /* between two looks at the paths */
};

struct service_socket;

/* Which one, and how it is to be: of the keeper's own definition of the service. */
struct service_socket_wanted {
	uint32_t index; /* control's, for the answers */
	bool extended;  /* the one on which signals are forwarded (wire/pfi_signal.h) */
	uint32_t mode;
	uint32_t uid; /* whose it is; OWNER_NOBODY_UID: the relay's */
	char name[SERVICE_NAME_MAX + 1];
	char path[SERVICE_PATH_MAX];
};

struct service_sockets {
	const struct child *control; /* who is told */
	LIST_HEAD(, service_socket) all;
	uint32_t count;
	uint64_t look_at; /* ms */
};

/* `control` must outlive it. */
void service_sockets_init(struct service_sockets *sockets, const struct child *control);
void service_sockets_fini(struct service_sockets *sockets);

/* Makes it unless it is there; control is answered in any case. */
void service_sockets_listen(struct service_sockets *sockets,
			    const struct service_socket_wanted *wanted);
void service_sockets_unlisten(struct service_sockets *sockets, const char *name, bool extended);

/* Control is told that there is none. */
void service_sockets_refuse(struct service_sockets *sockets, uint32_t index, bool extended,
			    int error);

/* Those that control does not name between the two are closed. */
void service_sockets_mark(struct service_sockets *sockets);
void service_sockets_sweep(struct service_sockets *sockets);

/* Looks at the paths when that is due; returns when it is next, UINT64_MAX = there are none. */
uint64_t service_sockets_clock(struct service_sockets *sockets, uint64_t now);

#endif
