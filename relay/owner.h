/*
 * owner.h - a user, or user:group, as settings name them: by name or by number.
 */
#ifndef RELAY_OWNER_H
#define RELAY_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

/* What chown(2) leaves as it is. */
#define OWNER_NOBODY_UID ((uid_t)-1)
#define OWNER_NOBODY_GID ((gid_t)-1)

struct owner {
	uid_t uid;
	gid_t gid; /* OWNER_NOBODY_GID unless a group was named */
};

/* false: there is no such user or group, or the text is empty.  NULL gives nobody. */
bool owner_parse(const char *text, struct owner *owner);

/* One name or number. */
bool owner_find_user(const char *name, uid_t *uid);
bool owner_find_group(const char *name, gid_t *gid);

#endif
