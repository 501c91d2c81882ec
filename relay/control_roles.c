/*
 * control_roles.c - see control_roles.h.
 */
#include "relay/control_roles.h"

#include "relay/owner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the lists of names ---- */

static bool
add(struct control_roles *roles, struct control_right right)
{
	struct control_right *rights =
	    realloc(roles->rights, (roles->count + 1) * sizeof *roles->rights);

	if (rights == NULL)
		return false;
	roles->rights = rights;
	roles->rights[roles->count++] = right;
	return true;
}

static bool
add_list(struct control_roles *roles, enum setting_id id, enum control_role role, bool group,
	 const struct relay_settings *settings, struct report *report)
{
	const char *list = setting_load(&settings_table[id], settings).text;
	struct control_right right = { .role = role, .group = group };
	char *rest = NULL;

	if (list == NULL)
		return true;
	char *copy = strdup(list);
	bool good = copy != NULL;
	for (char *name = good ? strtok_r(copy, ", \t", &rest) : NULL; name != NULL && good;
	     name = strtok_r(NULL, ", \t", &rest)) {
		if (group ? owner_find_group(name, &right.id) : owner_find_user(name, &right.id))
			good = add(roles, right);
		else if (report != NULL)
			report_add(report, REPORT_WARNING, NULL, 0,
				   "control.%s: there is no %s %s: nobody gets its rights",
				   settings_table[id].key, group ? "group" : "user", name);
	}
	free(copy);
	return good;
}

bool
control_roles_init(struct control_roles *roles, const struct relay_settings *settings,
		   struct report *report)
{
	static const struct {
		enum setting_id setting;
		enum control_role role;
		bool group;
	} LISTS[] = {
		{ SETTING_control_view_users, CONTROL_ROLE_VIEW, false },
		{ SETTING_control_view_groups, CONTROL_ROLE_VIEW, true },
		{ SETTING_control_operate_users, CONTROL_ROLE_OPERATE, false },
		{ SETTING_control_operate_groups, CONTROL_ROLE_OPERATE, true },
		{ SETTING_control_admin_users, CONTROL_ROLE_ADMIN, false },
		{ SETTING_control_admin_groups, CONTROL_ROLE_ADMIN, true },
	};

	*roles = (struct control_roles){ .count = 0 };
	for (size_t i = 0; i < sizeof LISTS / sizeof LISTS[0]; i++) {
		if (!add_list(roles, LISTS[i].setting, LISTS[i].role, LISTS[i].group, settings,
			      report)) {
			control_roles_fini(roles);
			return false;
		}
	}
	return true;
}

void
control_roles_fini(struct control_roles *roles)
{
	free(roles->rights);
	*roles = (struct control_roles){ .count = 0 };
}

/* ---- who is there ---- */

static bool
is_meant(const struct control_right *right, const struct control_peer *peer)
{
	if (!right->group)
		return right->id == peer->uid;
	for (size_t i = 0; i < peer->group_count; i++) {
		if (right->id == peer->groups[i])
			return true;
	}
	return false;
}

enum control_role
control_roles_of(const struct control_roles *roles, const struct control_peer *peer)
{
	enum control_role role = CONTROL_ROLE_NONE;

	if (peer->uid == 0 || peer->uid == geteuid())
		return CONTROL_ROLE_ADMIN;
	for (size_t i = 0; i < roles->count; i++) {
		if (roles->rights[i].role > role && is_meant(&roles->rights[i], peer))
			role = roles->rights[i].role;
	}
	return role;
}

int
control_peer_init(struct control_peer *peer, int fd)
{
	struct ucred credentials;
	socklen_t len = sizeof credentials;

	*peer = (struct control_peer){ .uid = (uid_t)-1 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) != 0)
		return -errno;
	/* Too little room makes it say how much is needed. */
	len = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) != 0 && errno != ERANGE)
		return -errno;
	gid_t *groups = malloc(sizeof *groups + len);
	if (groups == NULL)
		return -ENOMEM;
	groups[0] = credentials.gid;
	if (len > 0 && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &len) != 0) {
		int error = -errno;
		free(groups);
		return error;
	}
	*peer = (struct control_peer){
		.pid = credentials.pid,
		.uid = credentials.uid,
		.groups = groups,
		.group_count = 1 + len / sizeof *groups,
	};
	return 0;
}

void
control_peer_fini(struct control_peer *peer)
{
	free(peer->groups);
	peer->groups = NULL;
	peer->group_count = 0;
}
