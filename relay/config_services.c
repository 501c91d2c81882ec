/*
 * config_services.c - makes the services of a configuration and refuses, by name, those that could
 * never work.
 *
 * Looks at the user database and at the programs that are to be started; never starts one, and
 * binds or connects nothing.  Owns nothing: all goes to the caller's struct config.
 */
#include "relay/config_services.h"

#include <assert.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay/owner.h"
#include "relay/path_program.h"
#include "relay/service_paths.h"

/* Whom the relay runs as once it serves. */
struct runner {
	uid_t uid;
	bool known;      /* false: there is no such user */
	bool may_switch; /* to another user, for a service */
};

struct services {
	struct config *config;
	const struct relay_conf *conf;
	struct report *report;
	struct runner runner;
	bool refused;
};

/* The section with the number `index` of relay.conf is being looked at. */
struct subject {
	struct services *all;
	size_t index;
	struct config_service *service;
};

__attribute__((format(printf, 3, 4))) static void
say(const struct subject *subject, enum report_severity severity, const char *format, ...)
{
	struct services *all = subject->all;
	char text[REPORT_TEXT_MAX];
	va_list args;

	int n = snprintf(text, sizeof text,
			 "service \"%.80s\": ", relay_conf_service_name(all->conf, subject->index));
	va_start(args, format);
	vsnprintf(text + n, sizeof text - (size_t)n, format, args);
	va_end(args);
	relay_conf_say(all->conf, all->conf->services[subject->index], severity, text, all->report);
	all->refused |= severity == REPORT_FATAL;
}

static bool
no_memory(struct services *all)
{
	report_add(all->report, REPORT_FATAL, NULL, 0, "out of memory");
	all->refused = true;
	return false;
}

/* As relayd.c drops root: a number is no user there.  One that serves already is who it is. */
static struct runner
find_runner(const struct relay_settings *relay, bool serving)
{
	struct runner runner = { .uid = geteuid(), .known = true };

	if (!serving && runner.uid == 0 && relay->user != NULL) {
		const struct passwd *user = getpwnam(relay->user);

		runner.known = user != NULL;
		if (user != NULL)
			runner.uid = user->pw_uid;
	}
	runner.may_switch = runner.known && runner.uid == 0;
	return runner;
}

static bool
is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static void
check_name(const struct subject *subject)
{
	const char *name = subject->service->name;
	size_t len = strlen(name);
	bool good = is_letter_or_digit(name[0]) && len <= CONFIG_SERVICE_NAME_MAX;

	for (size_t i = 0; i < len && good; i++)
		good = is_letter_or_digit(name[i]) || strchr("-_.", name[i]) != NULL;
	if (!good)
		say(subject, REPORT_FATAL,
		    "not a name: letters, digits, '-', '_' and '.' behind a letter or digit, up to "
		    "%d of them",
		    CONFIG_SERVICE_NAME_MAX);
}

/* Of two settings exactly one has to be there. */
static void
check_one_of(const struct subject *subject, const char *names, bool first, bool second)
{
	if (first && second)
		say(subject, REPORT_FATAL, "%s exclude each other: give one of them", names);
	else if (!first && !second)
		say(subject, REPORT_FATAL, "%s are both missing: give one of them", names);
}

/* By name, else by number; NULL = there is none. */
static const struct passwd *
find_passwd(const char *user)
{
	uid_t uid;

	/* A number alone would have no group and no home. */
	return owner_find_user(user, &uid) ? getpwuid(uid) : NULL;
}

/* The user whose service it is: he is called by himself, through his own run directory. */
static bool
find_user(const struct subject *subject, uid_t *uid)
{
	const struct runner *runner = &subject->all->runner;
	const char *user = subject->service->settings.user;

	subject->service->run_as =
	    (struct owner){ .uid = OWNER_NOBODY_UID, .gid = OWNER_NOBODY_GID };
	if (!runner->known) {
		say(subject, REPORT_FATAL, "relay.user: there is no user %s",
		    subject->all->config->relay.user);
		return false;
	}
	*uid = runner->uid;
	if (user == NULL)
		return true;
	const struct passwd *entry = find_passwd(user);
	if (entry == NULL) {
		say(subject, REPORT_FATAL, "user: there is no user %s", user);
		return false;
	}
	*uid = entry->pw_uid;
	if (*uid == runner->uid)
		return true;
	subject->service->run_as = (struct owner){ .uid = entry->pw_uid, .gid = entry->pw_gid };
	if (!runner->may_switch)
		say(subject, REPORT_FATAL,
		    "user: to start it as %s the relay has to run as root, without relay.user",
		    user);
	return runner->may_switch;
}

static char *
copy_text(const struct subject *subject, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		no_memory(subject->all);
	return copy;
}

static void
set_ident_paths(const struct subject *subject, uid_t uid)
{
	struct config_service *service = subject->service;
	const char *ident = service->settings.ident;
	char dir[SERVICE_RUN_DIR_SIZE];
	char path[SERVICE_PATH_SIZE], extended[SERVICE_PATH_SIZE];

	if (strchr(ident, '/') != NULL) {
		say(subject, REPORT_FATAL, "ident: a slash in \"%s\"", ident);
	} else if (!service_run_dir_of(uid, dir)) {
		say(subject, REPORT_FATAL,
		    "ident: user %lu has no home, or one whose path is too long for sockets",
		    (unsigned long)uid);
	} else if (!service_ident_path(dir, PFI_PATH_SOCKET, ident, path) ||
		   !service_ident_path(dir, PFI_PATH_EXTENDED, ident, extended)) {
		say(subject, REPORT_FATAL, "ident: %zu bytes, only %zu find room in %s",
		    strlen(ident), service_ident_max(dir), dir);
	} else {
		service->path = copy_text(subject, path);
		service->extended_path = copy_text(subject, extended);
	}
}

/* Two paths that differ only in such parts would be one socket. */
static bool
is_plain(const char *path)
{
	for (; path != NULL; path = strchr(path + 1, '/')) {
		size_t len = strcspn(path + 1, "/");

		if (len == 0 || (len == 1 && path[1] == '.') ||
		    (len == 2 && memcmp(path + 1, "..", 2) == 0))
			return false;
	}
	return true;
}

/* Whether the directory holds the path itself, not one below it. */
static bool
holds(const char *dir, const char *path)
{
	size_t len = (size_t)(strrchr(path, '/') - path);

	return strlen(dir) == len && memcmp(dir, path, len) == 0;
}

static void
set_socket_path(const struct subject *subject)
{
	const struct relay_settings *relay = &subject->all->config->relay;
	const char *socket = subject->service->settings.socket;
	char private[SETTINGS_RUN_DIR_MAX + sizeof "/" SERVICE_PRIVATE_DIR];

	snprintf(private, sizeof private, "%s/" SERVICE_PRIVATE_DIR, relay->run_dir);
	if (!is_plain(socket))
		say(subject, REPORT_FATAL,
		    "socket: \"%s\" has a part that is empty, \".\" or \"..\"", socket);
	else if (strcmp(socket, relay->control_socket) == 0)
		say(subject, REPORT_FATAL, "socket: %s is the control socket", socket);
	else if (holds(relay->socket_dir, socket))
		say(subject, REPORT_FATAL, "socket: %s is for the sockets of hosts",
		    relay->socket_dir);
	else if (holds(private, socket))
		say(subject, REPORT_FATAL, "socket: %s is for the relay's own sockets", private);
	else
		subject->service->path = copy_text(subject, socket);
}

static void
check_command(const struct subject *subject)
{
	const char *run_dir = subject->all->config->relay.run_dir;
	const char *program = subject->service->settings.command[0];
	char path[SERVICE_PATH_SIZE];

	if (!service_private_path(run_dir, subject->service->name, UINT32_MAX, path))
		say(subject, REPORT_FATAL,
		    "the name is too long for a socket in %s/" SERVICE_PRIVATE_DIR, run_dir);
	if (program[0] == '\0' || (program[0] != '/' && strchr(program, '/') != NULL)) {
		say(subject, REPORT_FATAL,
		    "command: \"%s\" is neither an absolute path nor the name of a program",
		    program);
		return;
	}
	int error = path_program_check(program);
	if (error != 0)
		say(subject, REPORT_WARNING, "command: %s: %s", program, strerror(-error));
}

/* What is only for a command that the relay starts. */
static void
check_unused(const struct subject *subject)
{
	const struct service_settings *settings = &subject->service->settings;

	/* Where an ident is found depends on the user all the same. */
	if (settings->user != NULL && settings->ident == NULL)
		say(subject, REPORT_WARNING, "user does nothing with socket and connect");
	if (settings->autoreload != NULL)
		say(subject, REPORT_WARNING, "autoreload does nothing with connect");
	if (settings->recycle_calls != 0)
		say(subject, REPORT_WARNING, "recycle_calls does nothing with connect");
	if (settings->idle_timeout_ms != 0)
		say(subject, REPORT_WARNING, "idle_timeout does nothing with connect");
}

static int
by_uid(const void *left, const void *right)
{
	uid_t a = *(const uid_t *)left, b = *(const uid_t *)right;

	return (a > b) - (a < b);
}

/* Who is not there may not call; that is no reason not to serve the others. */
static void
find_callers(const struct subject *subject)
{
	struct config_service *service = subject->service;
	char *const *list = service->settings.allow_uids;
	uint32_t count = 0;

	if (list == NULL)
		return;
	service->callers = calloc(CONFIG_SERVICE_CALLERS_MAX, sizeof *service->callers);
	if (service->callers == NULL) {
		no_memory(subject->all);
		return;
	}
	static_assert(CONFIG_SERVICE_CALLERS_MAX <= SETTINGS_LIST_MAX, "the table's bound counts");
	for (size_t i = 0; list[i] != NULL; i++) {
		if (owner_find_user(list[i], &service->callers[count]))
			count++;
		else
			say(subject, REPORT_WARNING, "allow_uids: there is no user %s", list[i]);
	}
	qsort(service->callers, count, sizeof *service->callers, by_uid);
	service->caller_count = count;
	/* No callers in the list would mean that everybody is one. */
	if (count == 0)
		say(subject, REPORT_FATAL, "allow_uids: none of these users is there");
}

static void
check_service(const struct subject *subject)
{
	const struct service_settings *settings = &subject->service->settings;
	uid_t uid;

	check_name(subject);
	check_one_of(subject, "ident and socket", settings->ident != NULL,
		     settings->socket != NULL);
	check_one_of(subject, "command and connect", settings->command != NULL,
		     settings->connect != NULL);
	bool user = find_user(subject, &uid);
	if (settings->socket != NULL)
		set_socket_path(subject);
	else if (settings->ident != NULL && user)
		set_ident_paths(subject, uid);
	if (settings->command != NULL)
		check_command(subject);
	else if (settings->connect != NULL)
		check_unused(subject);
	find_callers(subject);
}

static bool
add_service(struct services *all, size_t index)
{
	struct config *config = all->config;
	struct config_service *service = &config->services[config->service_count++];
	struct subject subject = { all, index, service };

	settings_init(SETTING_SECTION_SERVICE, &service->settings);
	service->name = strdup(relay_conf_service_name(all->conf, index));
	if (service->name == NULL ||
	    !relay_conf_apply_service(all->conf, index, &service->settings))
		return no_memory(all);
	check_service(&subject);
	return true;
}

/* A socket that a service would have. */
struct place {
	const char *path;
	size_t index;
};

static int
by_path(const void *left, const void *right)
{
	const struct place *a = left, *b = right;
	int order = strcmp(a->path, b->path);

	return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static int
path_to_place(const void *path, const void *place)
{
	return strcmp(path, ((const struct place *)place)->path);
}

static size_t
sort_places(const struct config *config, struct place *places)
{
	size_t count = 0;

	for (size_t i = 0; i < config->service_count; i++) {
		const struct config_service *service = &config->services[i];

		if (service->path != NULL)
			places[count++] = (struct place){ service->path, i };
		if (service->extended_path != NULL)
			places[count++] = (struct place){ service->extended_path, i };
	}
	qsort(places, count, sizeof *places, by_path);
	return count;
}

/* No two at the same socket, and none that calls a service of this relay: that could go round. */
static void
check_paths(struct services *all)
{
	struct config_service *services = all->config->services;
	struct place places[2 * CONFIG_SERVICES_MAX];
	size_t count = sort_places(all->config, places);

	for (size_t i = 1; i < count; i++) {
		size_t index = places[i].index;
		struct subject subject = { all, index, &services[index] };

		if (strcmp(places[i - 1].path, places[i].path) == 0)
			say(&subject, REPORT_FATAL, "socket %s is that of service \"%s\" already",
			    places[i].path, services[places[i - 1].index].name);
	}
	for (size_t i = 0; i < all->config->service_count; i++) {
		const char *connect = services[i].settings.connect;
		struct subject subject = { all, i, &services[i] };
		const struct place *found = NULL;

		if (connect != NULL)
			found = bsearch(connect, places, count, sizeof *places, path_to_place);
		if (found != NULL)
			say(&subject, REPORT_FATAL, "connect: %s is the socket of service \"%s\"",
			    connect, services[found->index].name);
	}
}

static int
by_name(const void *left, const void *right)
{
	return strcmp(((const struct config_service *)left)->name,
		      ((const struct config_service *)right)->name);
}

bool
config_services_load(struct config *config, const struct relay_conf *conf, bool serving,
		     struct report *report)
{
	struct services all = { .config = config, .conf = conf, .report = report };
	size_t count = conf->service_count;

	if (count == 0)
		return true;
	if (count > CONFIG_SERVICES_MAX) {
		report_add(report, REPORT_FATAL, conf->path, 0,
			   "%zu services: no more than %d can be configured", count,
			   CONFIG_SERVICES_MAX);
		return false;
	}
	config->services = calloc(count, sizeof *config->services);
	if (config->services == NULL)
		return no_memory(&all);
	all.runner = find_runner(&config->relay, serving);
	for (size_t i = 0; i < count; i++)
		if (!add_service(&all, i))
			return false;
	check_paths(&all);
	if (!all.refused)
		qsort(config->services, count, sizeof *config->services, by_name);
	return !all.refused;
}

bool
config_services_read(struct config *config, const struct config_source *source,
		     struct report *report)
{
	struct relay_conf conf;
	bool good = relay_conf_load(&conf, source->conf_file, source->options, source->option_count,
				    report) &&
		    config_services_load(config, &conf, true, report);

	relay_conf_fini(&conf);
	return good;
}

void
config_service_fini(struct config_service *service)
{
	settings_fini(SETTING_SECTION_SERVICE, &service->settings);
	free(service->name);
	free(service->path);
	free(service->extended_path);
	free(service->callers);
	*service = (struct config_service){ .name = NULL };
}

void
config_services_drop(struct config *config)
{
	for (size_t i = 0; i < config->service_count; i++)
		config_service_fini(&config->services[i]);
	free(config->services);
	config->services = NULL;
	config->service_count = 0;
}
