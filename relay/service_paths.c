/*
 * service_paths.c - see service_paths.h.
 *
 * Never makes a directory or a socket.  Owns nothing.
 */
#include "relay/service_paths.h"

#include <assert.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <sys/utsname.h>

#define RUNTIME_DIRS "/var/run/user"
#define NAME         "prefork-interp"

static_assert(sizeof((struct sockaddr_un *)0)->sun_path == SERVICE_PATH_SIZE, "as the client has");

/* A directory, his, and nobody else may so much as look into it. */
static bool
is_his_alone(const struct stat *st, uid_t uid)
{
	return st != NULL && S_ISDIR(st->st_mode) && st->st_uid == uid &&
	       (st->st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

bool
service_run_dir(const struct service_run_facts *facts, char out[SERVICE_RUN_DIR_SIZE])
{
	int n;

	if (is_his_alone(facts->runtime, facts->uid)) {
		n = snprintf(out, SERVICE_RUN_DIR_SIZE, RUNTIME_DIRS "/%lu/" NAME,
			     (unsigned long)facts->uid);
	} else {
		if (facts->home == NULL)
			return false;
		n = snprintf(out, SERVICE_RUN_DIR_SIZE, "%s/." NAME "/%.*s", facts->home,
			     (int)strcspn(facts->node, "."), facts->node);
	}
	return n > 0 && n < SERVICE_RUN_DIR_SIZE;
}

bool
service_run_dir_of(uid_t uid, char out[SERVICE_RUN_DIR_SIZE])
{
	char path[64];
	struct utsname node;
	struct stat runtime;
	const struct passwd *user = getpwuid(uid);
	struct service_run_facts facts = { .uid = uid };

	snprintf(path, sizeof path, RUNTIME_DIRS "/%lu", (unsigned long)uid);
	if (lstat(path, &runtime) == 0)
		facts.runtime = &runtime;
	if (user != NULL)
		facts.home = user->pw_dir;
	if (uname(&node) != 0)
		return false;
	facts.node = node.nodename;
	return service_run_dir(&facts, out);
}

size_t
service_ident_max(const char *run_dir)
{
	size_t taken = strlen(run_dir) + SERVICE_IDENT_RESERVE;

	return taken < SERVICE_PATH_SIZE ? SERVICE_PATH_SIZE - taken : 0;
}

bool
service_ident_path(const char *run_dir, const char *ident, char out[SERVICE_PATH_SIZE])
{
	size_t len = strlen(ident);

	if (len == 0 || len > service_ident_max(run_dir) || strchr(ident, '/') != NULL)
		return false;
	/* A slash, the letter and the NUL are less than what was kept back. */
	snprintf(out, SERVICE_PATH_SIZE, "%s/s%s", run_dir, ident);
	return true;
}
