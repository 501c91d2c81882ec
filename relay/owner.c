/*
 * owner.c - see owner.h.  Asks the user database once, at the start.
 */
#include "relay/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A number that chown(2) takes as one. */
static bool
number(const char *text, uint32_t *value)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long long read = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || read >= UINT32_MAX)
		return false;
	*value = (uint32_t)read;
	return true;
}

bool
owner_find_user(const char *name, uid_t *uid)
{
	const struct passwd *entry = getpwnam(name);

	if (entry == NULL)
		return number(name, uid);
	*uid = entry->pw_uid;
	return true;
}

bool
owner_find_group(const char *name, gid_t *gid)
{
	const struct group *entry = getgrnam(name);

	if (entry == NULL)
		return number(name, gid);
	*gid = entry->gr_gid;
	return true;
}

bool
owner_parse(const char *text, struct owner *owner)
{
	char user[128];

	*owner = (struct owner){ .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };
	if (text == NULL)
		return true;
	size_t len = strcspn(text, ":");
	if (len == 0 || len >= sizeof user)
		return false;
	memcpy(user, text, len);
	user[len] = '\0';
	return owner_find_user(user, &owner->uid) &&
	       (text[len] == '\0' || owner_find_group(text + len + 1, &owner->gid));
}
