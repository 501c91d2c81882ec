/*
 * config_places.c - see config_places.h; what is refused of one place says permissions.h.
 *
 * Looks only.  What others may change, they rule: relay.conf names commands, directories hold the
 * sockets that clients talk to, the table of hosts, and requests that wait.  Owns nothing.
 */
#include "relay/config_places.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "relay/listen_address.h"
#include "relay/permissions.h"
#include "relay/settings.h"

struct places {
	const struct config *config;
	struct report *report;
	bool good;
};

/* Missing is a warning only: a check may well run before the directories are made. */
static void
check_dir(struct places *places, enum setting_id id)
{
	const struct setting *setting = &settings_table[id];
	const char *path = setting_load(setting, &places->config->relay).text;
	struct stat st;

	if (path == NULL)
		return;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		places->good &= permissions_check_dir(path, setting->key, places->report);
	else
		report_add(places->report, REPORT_WARNING, path, 0, "%s: no such directory",
			   setting->key);
}

/* Whether the path is one of the directory itself, not of one below it. */
static bool
lies_in(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) == 0 && path[len] == '/' &&
	       strchr(path + len + 1, '/') == NULL;
}

/* Of a socket that has a path of its own; once, where it lies in a directory that is looked at. */
static void
check_socket(struct places *places, const char *path, const char *name)
{
	const struct relay_settings *relay = &places->config->relay;

	if (path != NULL && !lies_in(relay->run_dir, path) && !lies_in(relay->socket_dir, path))
		places->good &= permissions_check_dir_of(path, name, places->report);
}

static void
check_exporter(struct places *places)
{
	const char *where = places->config->relay.exporter_listen;
	struct listen_address address;

	if (where != NULL && listen_address_parse(where, &address) &&
	    address.any.sa_family == AF_UNIX)
		check_socket(places, address.local.sun_path, "directory of exporter.listen");
}

/* Callers give their descriptors to whoever answers there, and the relay does at `connect`. */
static void
check_service(struct places *places, const struct config_service *service)
{
	char name[CONFIG_SERVICE_NAME_MAX + sizeof "service \"\": directory of connect"];

	snprintf(name, sizeof name, "service \"%s\": directory of %s", service->name,
		 service->settings.socket != NULL ? "socket" : "ident");
	check_socket(places, service->path, name);
	snprintf(name, sizeof name, "service \"%s\": directory of connect", service->name);
	check_socket(places, service->settings.connect, name);
}

/* `<of>/<name>`; false: there is no such place. */
static bool
join(char path[static PATH_MAX], const char *of, const char *name)
{
	return of != NULL && snprintf(path, PATH_MAX, "%s/%s", of, name) < PATH_MAX;
}

/* Whoever may write to delayed/ sends requests past the modes of the sockets. */
static void
check_delayed(struct places *places)
{
	char path[PATH_MAX];

	if (join(path, places->config->relay.socket_dir, "delayed"))
		places->good &=
		    permissions_check_below(path, "directory of delayed messages", places->report);
}

/* The status only tells how it is, and files that are there stay whose they were. */
static void
check_files(struct places *places)
{
	static const char *const files[] = { "lonc.pid", "lonc.log", "lonnet.perm.log" };
	const struct config *config = places->config;
	char logs[PATH_MAX], path[PATH_MAX];

	if (join(path, config->relay.state_dir, "messages.db"))
		permissions_warn(path, S_IWOTH, places->report);
	if (join(path, config->doc_root, "lon-status"))
		permissions_warn(path, S_IWOTH, places->report);
	if (!join(logs, config->daemons_dir, "logs"))
		return;
	if (strcmp(logs, config->relay.run_dir) != 0 &&
	    (config->relay.state_dir == NULL || strcmp(logs, config->relay.state_dir) != 0))
		places->good &= permissions_check_dir(logs, "directory of logs", places->report);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (join(path, logs, files[i]))
			permissions_warn(path, S_IWOTH, places->report);
}

bool
config_places_check(const struct config *config, const char *conf_file, struct report *report)
{
	struct places places = { .config = config, .report = report, .good = true };

	if (conf_file != NULL)
		places.good = permissions_check_file(conf_file, "relay.conf", report);
	check_dir(&places, SETTING_relay_socket_dir);
	check_dir(&places, SETTING_relay_run_dir);
	check_dir(&places, SETTING_relay_state_dir);
	check_socket(&places, config->relay.control_socket, "directory of control.socket");
	check_socket(&places, config->relay.webpager_socket, "directory of webpager.socket");
	check_delayed(&places);
	check_files(&places);
	check_exporter(&places);
	for (size_t i = 0; i < config->service_count; i++)
		check_service(&places, &config->services[i]);
	return places.good;
}
