/*
 * service_paths.c - see service_paths.h.
 *
 * Never makes a directory or a socket.  Owns nothing.
 */
#include "relay/service_paths.h"

#include <assert.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <sys/utsname.h>

static_assert(sizeof((struct sockaddr_un *)0)->sun_path == SERVICE_PATH_SIZE, "the kernel's size");
static_assert(sizeof(uid_t) == sizeof(uint32_t), "pfi_run_facts holds any uid");

/* Ends a path; false if it found no room. */
static bool
finish(const struct wire_out *out)
{
	if (out->overflow)
		return false;
	out->data[out->len] = '\0';
	return true;
}

/* What the rule has to know of the runtime directory. */
static struct pfi_run_facts
runtime_facts(const struct service_run_facts *facts)
{
	const struct stat *runtime = facts->runtime;
	struct pfi_run_facts rule = { .uid = facts->uid };

	if (runtime != NULL) {
		rule.is_directory = S_ISDIR(runtime->st_mode);
		rule.owner = runtime->st_uid;
		rule.mode = runtime->st_mode & 07777u;
	}
	return rule;
}

bool
service_run_dir(const struct service_run_facts *facts, char path[static SERVICE_RUN_DIR_SIZE])
{
	struct pfi_run_facts rule = runtime_facts(facts);
	struct wire_out out = wire_out(path, SERVICE_RUN_DIR_SIZE - 1);

	rule.nodename = wire_span_str(facts->node);
	/* A home that is no absolute path would be one below wherever the relay happens to be. */
	if (facts->home != NULL && facts->home[0] == '/')
		rule.home = wire_span_str(facts->home);
	else if (!pfi_runtime_dir_usable(&rule))
		return false;
	pfi_put_run_dir(&out, &rule);
	return finish(&out);
}

static const struct stat *
look_at_runtime_dir(uid_t uid, struct stat *runtime)
{
	char place[64];
	struct wire_out out = wire_out(place, sizeof place - 1);

	pfi_put_runtime_dir(&out, uid);
	return finish(&out) && lstat(place, runtime) == 0 ? runtime : NULL;
}

bool
service_ident_stands(const struct service_run_facts *facts, const char *path)
{
	struct pfi_run_facts rule = runtime_facts(facts);
	char place[64];
	struct wire_out out = wire_out(place, sizeof place - 1);

	pfi_put_runtime_dir(&out, facts->uid);
	if (!finish(&out))
		return true;
	bool there = strncmp(path, place, out.len) == 0 && path[out.len] == '/';
	return there == pfi_runtime_dir_usable(&rule);
}

bool
service_ident_stands_now(uid_t uid, const char *path)
{
	struct stat runtime;
	struct service_run_facts facts = { .uid = uid };

	facts.runtime = look_at_runtime_dir(uid, &runtime);
	return service_ident_stands(&facts, path);
}

bool
service_run_dir_of(uid_t uid, char path[static SERVICE_RUN_DIR_SIZE])
{
	struct utsname node;
	struct stat runtime;
	const struct passwd *user = getpwuid(uid);
	struct service_run_facts facts = { .uid = uid };

	facts.runtime = look_at_runtime_dir(uid, &runtime);
	if (user != NULL)
		facts.home = user->pw_dir;
	if (uname(&node) != 0)
		return false;
	facts.node = node.nodename;
	return service_run_dir(&facts, path);
}

size_t
service_ident_max(const char *run_dir)
{
	return pfi_ident_max(strlen(run_dir));
}

bool
service_ident_path(const char *run_dir, enum pfi_path_kind kind, const char *ident,
		   char path[static SERVICE_PATH_SIZE])
{
	struct wire_out out = wire_out(path, SERVICE_PATH_SIZE - 1);

	return ident[0] != '\0' &&
	       pfi_put_path(&out, wire_span_str(run_dir), kind, wire_span_str(ident)) == WIRE_OK &&
	       finish(&out);
}

bool
service_private_path(const char *run_dir, const char *name, uint32_t generation,
		     char path[static SERVICE_PATH_SIZE])
{
	int n = snprintf(path, SERVICE_PATH_SIZE, "%s/" SERVICE_PRIVATE_DIR "/%s.%" PRIu32, run_dir,
			 name, generation);

	return n > 0 && n < SERVICE_PATH_SIZE;
}
