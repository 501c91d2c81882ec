/*
 * control_sandbox.c - the paths that the control process keeps when it enters its sandbox.
 *
 * Files are replaced by renaming another one over them, so what is kept is the directory where a
 * file lies: by its name, and where a symbolic link leads to.  A reload reads what is in these; a
 * setting that then names a file elsewhere is one that cannot be read, until a restart.
 */
#include "relay/control_sandbox.h"

#include "relay/log.h"
#include "relay/config_tls.h"
#include "relay/sandbox.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	/* Three files, each where it is named and where it lies. */
	PATHS_MAX = 40 + 2 * TLS_FILE_COUNT * CONFIG_CREDENTIALS_MAX,
};

struct paths {
	struct sandbox_path all[PATHS_MAX];
	char *own[PATHS_MAX];
	size_t count;
};

/* Users, groups, names, time zones, and the libraries that know of them.  /etc as a whole: its
 * files are replaced as others are, and what nobody else may read is not for the relay's user
 * either. */
static const char *const SYSTEM[] = {
	"/etc",
	"/usr",
	"/lib",
	"/lib64",
	"/dev/null",
	"/dev/urandom",
	"/run/systemd/resolve",
	"/run/resolvconf",
	"/run/NetworkManager",
	"/var/lib/sss",
	"/var/lib/extrausers",
};

/* `<dir>/<name>`; `dir` may be NULL: none, `name` likewise: `dir` itself. */
static void
add(struct paths *paths, const char *dir, const char *name, bool write)
{
	char path[PATH_MAX];

	if (dir == NULL || paths->count == PATHS_MAX)
		return;
	int len = snprintf(path, sizeof path, "%s%s%s", dir, name == NULL ? "" : "/",
			   name == NULL ? "" : name);
	/* Hosts mostly share a directory of certificates. */
	for (size_t i = 0; i < paths->count; i++)
		if (paths->all[i].write == write && strcmp(paths->own[i], path) == 0)
			return;
	char *copy = len < 0 || len >= (int)sizeof path ? NULL : strdup(path);
	if (copy == NULL)
		return;
	paths->own[paths->count] = copy;
	paths->all[paths->count++] = (struct sandbox_path){ .path = copy, .write = write };
}

static void
add_parent(struct paths *paths, char *path)
{
	char *slash = strrchr(path, '/');

	if (slash == NULL) {
		add(paths, ".", NULL, false);
		return;
	}
	slash[slash == path ? 1 : 0] = '\0';
	add(paths, path, NULL, false);
}

/* The directory of a file, and of what the file is a link to. */
static void
add_file(struct paths *paths, const char *dir, const char *name)
{
	char path[PATH_MAX];
	char real[PATH_MAX];

	if (dir == NULL)
		return;
	int len = snprintf(path, sizeof path, "%s%s%s", dir, name == NULL ? "" : "/",
			   name == NULL ? "" : name);
	if (len < 0 || len >= (int)sizeof path)
		return;
	if (realpath(path, real) != NULL)
		add_parent(paths, real);
	add_parent(paths, path);
}

void
control_make_state(const struct config *started)
{
	const char *dir = started->relay.datagram_listen == NULL ? NULL : started->relay.state_dir;

	if (dir == NULL || mkdir(dir, 0700) == 0 || errno == EEXIST)
		return;
	log_warning(NULL, "relay.state_dir: %s cannot be made: %s", dir, strerror(errno));
}

void
control_sandbox(const struct config *started, const struct config_source *source)
{
	const struct relay_settings *relay = &started->relay;
	struct paths paths = { .count = 0 };

	for (size_t i = 0; i < sizeof SYSTEM / sizeof SYSTEM[0]; i++)
		add(&paths, SYSTEM[i], NULL, false);
	add_file(&paths, source->conf_file, NULL);
	add_file(&paths, source->loncapa_dir, "loncapa.conf");
	add_file(&paths, source->loncapa_dir, "loncapa_apache.conf");
	add_file(&paths, relay->hosts_file, NULL);
	add_file(&paths, relay->datagram_keys, NULL);
	for (size_t i = 0; i < started->credential_count; i++)
		for (size_t j = 0; j < TLS_FILE_COUNT; j++)
			add_file(&paths, started->credentials[i].paths[j], NULL);
	/* Itself, for delayed/ may be made later; that it may be a link. */
	add(&paths, relay->socket_dir, NULL, true);
	add(&paths, relay->socket_dir, "delayed", true);
	add(&paths, relay->run_dir, NULL, true);
	add(&paths, relay->state_dir, NULL, true);
	add(&paths, started->daemons_dir, "logs", true);
	add(&paths, started->doc_root, "lon-status", true);
	sandbox_enter(SANDBOX_CONTROL, paths.all, paths.count);
	for (size_t i = 0; i < paths.count; i++)
		free(paths.own[i]);
}
