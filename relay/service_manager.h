/*
 * service_manager.h - manners towards systemd and its like, without its library: notifications,
 * watchdog, sockets that were opened for us.
 *
 * Source: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3), whose protocol is promised to be
 * stable.  Without a service manager all of this has no effect.
 */
#ifndef RELAY_SERVICE_MANAGER_H
#define RELAY_SERVICE_MANAGER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "relay/report.h"

/* Descriptors that we take over, at most. */
#define SERVICE_MANAGER_SOCKETS_MAX 65536
/* Bytes of a status text; a longer one is cut. */
#define SERVICE_MANAGER_STATUS_MAX 512

/* A listening UNIX stream socket. */
struct service_socket {
	char *name; /* FileDescriptorName= of the unit, "unknown" if none was given */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1]; /* bound to; "" if abstract */
	int fd;                                                     /* -1 = taken */
};

struct service_manager {
	struct sockaddr_un address; /* of $NOTIFY_SOCKET */
	socklen_t address_len;      /* 0 = nobody wants to be notified */
	uint64_t watchdog_ms;       /* send service_manager_watchdog so often; 0 = never */
	struct service_socket *sockets;
	size_t socket_count;
};

/*
 * Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and _PID, $LISTEN_FDS, _PID and _FDNAMES, and removes them,
 * so that no child believes that they are meant for it.  All descriptors that were passed get
 * close-on-exec; listening UNIX stream sockets go into the table, without O_NONBLOCK as those of
 * listener.h.  Other descriptors are closed, and all that cannot be used is reported as a warning.
 * To be called once, before anything else opens a descriptor or forks, by the process that the
 * manager started.
 */
void service_manager_init(struct service_manager *manager, struct report *report);

/* Closes the sockets that nobody took, with a warning for each.  `report` may be NULL. */
void service_manager_close_rest(struct service_manager *manager, struct report *report);

/* As close_rest, and forgets the rest. */
void service_manager_fini(struct service_manager *manager);

/*
 * The socket of that name, or else the first one that is bound to that path: units with many
 * ListenStream= lines have one name for all.  Belongs to the caller from then on; -1 = none.
 */
int service_manager_take_socket(struct service_manager *manager, const char *name,
				const char *path);

/*
 * Notifications.  They never wait: 0 if sent or nobody asked, else a negative errno; -EAGAIN: the
 * manager is behind, say it again later.  A status is one line; control characters become '?'.
 *
 * _ready      started, or a reload is over.  `status` may be NULL.
 * _reloading  a reload begins; _ready must follow, whatever comes of it.
 * _stopping   a stop begins.
 */
int service_manager_ready(const struct service_manager *manager, const char *status);
int service_manager_reloading(const struct service_manager *manager);
int service_manager_stopping(const struct service_manager *manager);
int service_manager_status(const struct service_manager *manager, const char *status);
int service_manager_watchdog(const struct service_manager *manager);

#endif
