/*
 * control_roles.h - who may do what on the control socket: the users and groups of section
 * `control`.
 *
 * Root and the user that the relay runs as are admin whatever the settings say: both could stop the
 * relay and read its memory anyway.
 */
#ifndef RELAY_CONTROL_ROLES_H
#define RELAY_CONTROL_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "relay/control_call.h"
#include "relay/report.h"
#include "relay/settings.h"

struct control_right {
	enum control_role role;
	bool group; /* of a group's members, else of a user */
	uid_t id;   /* or gid */
};

/* Zeroed = nobody but root and ourselves. */
struct control_roles {
	struct control_right *rights;
	size_t count;
};

/* The other end of a connection. */
struct control_peer {
	pid_t pid;
	uid_t uid;
	gid_t *groups; /* all of them, the primary one first */
	size_t group_count;
};

/*
 * Looks the names up.  Each that is not known is a warning in `report` (NULL: nothing is said) and
 * left out.  False: no memory, *roles is empty.  May wait for the system's user database.
 */
bool control_roles_init(struct control_roles *roles, const struct relay_settings *settings,
			struct report *report);
void control_roles_fini(struct control_roles *roles);

/* The greatest role that the peer has by its user or any of its groups. */
enum control_role control_roles_of(const struct control_roles *roles,
				   const struct control_peer *peer);

/* By SO_PEERCRED and SO_PEERGROUPS: what it was when it connected.  0 or a negative errno. */
int control_peer_init(struct control_peer *peer, int fd);
void control_peer_fini(struct control_peer *peer);

#endif
