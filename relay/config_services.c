/*
 * config_services.c - makes the services of a configuration and refuses, by name, those that could
 * never work.
 *
 * Looks at the user database and at the programs that are to be started; never starts one, and
 * binds or connects nothing.  Owns nothing: all goes to the caller's struct config.
 */
#include "relay/config_services.h"

#include <errno.h>
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

	int n = snprintf(text, sizeof text, "service \"%.80s\": ",
			 relay_conf_service_name(all->conf, subject->index));
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

/* As relayd.c drops root: a number is no user there. */
static struct runner
find_runner(const struct relay_settings *relay)
{
	const struct passwd *user;

	if (geteuid() != 0)
		return (struct runner){ .uid = geteuid(), .known = true };
	if (relay->user == NULL)
		return (struct runner){ .uid = 0, .known = true, .may_switch = true };
	user = getpwnam(relay->user);
	if (user == NULL)
		return (struct runner){ .known = false };
	return (struct runner){ .uid = user->pw_uid,
				.known = true,
				.may_switch = user->pw_uid == 0 };
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

/* The user whose service it is: he is called by himself, through his own run directory. */
static bool
find_user(const struct subject *subject, uid_t *uid)
{
	const struct runner *runner = &subject->all->runner;
	const char *user = subject->service->settings.user;

	if (!runner->known) {
		say(subject, REPORT_FATAL, "relay.user: there is no user %s",
		    subject->all->config->relay.user);
		return false;
	}
	*uid = runner->uid;
	if (user == NULL)
		return true;
	if (!owner_find_user(user, uid)) {
		say(subject, REPORT_FATAL, "user: there is no user %s", user);
		return false;
	}
	if (*uid != runner->uid && !runner->may_switch) {
		say(subject, REPORT_FATAL,
		    "user: to start it as %s the relay has to run as root, without relay.user",
		    user);
		return false;
	}
	return true;
}

/* The path of an ident, NULL if there is none. */
static char *
ident_path(const struct subject *subject, uid_t uid)
{
	const char *ident = subject->service->settings.ident;
	char dir[SERVICE_RUN_DIR_SIZE], path[SERVICE_PATH_SIZE];

	if (strchr(ident, '/') != NULL) {
		say(subject, REPORT_FATAL, "ident: a slash in \"%s\"", ident);
		return NULL;
	}
	if (!service_run_dir_of(uid, dir)) {
		say(subject, REPORT_FATAL,
		    "ident: user %lu has no home, or one whose path is too long for sockets",
		    (unsigned long)uid);
		return NULL;
	}
	if (!service_ident_path(dir, ident, path)) {
		say(subject, REPORT_FATAL, "ident: %zu bytes, only %zu find room in %s",
		    strlen(ident), service_ident_max(dir), dir);
		return NULL;
	}
	char *copy = strdup(path);
	if (copy == NULL)
		no_memory(subject->all);
	return copy;
}

/* The path of a socket, NULL if it cannot be there. */
static char *
socket_path(const struct subject *subject)
{
	const struct relay_settings *relay = &subject->all->config->relay;
	const char *socket = subject->service->settings.socket;
	size_t dir = (size_t)(strrchr(socket, '/') - socket);

	if (socket[dir + 1] == '\0')
		say(subject, REPORT_FATAL, "socket: \"%s\" ends with a slash", socket);
	else if (strcmp(socket, relay->control_socket) == 0)
		say(subject, REPORT_FATAL, "socket: %s is the control socket", socket);
	else if (strlen(relay->socket_dir) == dir && strncmp(relay->socket_dir, socket, dir) == 0)
		say(subject, REPORT_FATAL, "socket: %s is for the sockets of hosts",
		    relay->socket_dir);
	else {
		char *copy = strdup(socket);

		if (copy == NULL)
			no_memory(subject->all);
		return copy;
	}
	return NULL;
}

static void
check_command(const struct subject *subject)
{
	const char *program = subject->service->settings.command[0];

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
	const char *unused = NULL;

	if (settings->user != NULL)
		unused = "user";
	else if (settings->autoreload != NULL)
		unused = "autoreload";
	else if (settings->recycle_calls != 0)
		unused = "recycle_calls";
	if (unused != NULL)
		say(subject, REPORT_WARNING, "%s does nothing with connect", unused);
}

/* Who is not there may not call; that is no reason not to serve. */
static void
check_callers(const struct subject *subject)
{
	char *const *list = subject->service->settings.allow_uids;
	uid_t uid;

	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		if (!owner_find_user(list[i], &uid))
			say(subject, REPORT_WARNING, "allow_uids: there is no user %s", list[i]);
}

static void
check_service(const struct subject *subject)
{
	struct config_service *service = subject->service;
	const struct service_settings *settings = &service->settings;
	uid_t uid;

	check_name(subject);
	check_one_of(subject, "ident and socket", settings->ident != NULL,
		     settings->socket != NULL);
	check_one_of(subject, "command and connect", settings->command != NULL,
		     settings->connect != NULL);
	bool user = find_user(subject, &uid);
	if (settings->socket != NULL)
		service->path = socket_path(subject);
	else if (settings->ident != NULL && user)
		service->path = ident_path(subject, uid);
	if (settings->command != NULL)
		check_command(subject);
	else
		check_unused(subject);
	check_callers(subject);
	say(subject, REPORT_WARNING, "configured, but this version does not serve services yet");
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

static int
by_path(const void *left, const void *right)
{
	const struct subject *a = left, *b = right;
	int order = strcmp(a->service->path, b->service->path);

	return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static int
path_to_subject(const void *path, const void *entry)
{
	return strcmp(path, ((const struct subject *)entry)->service->path);
}

/* No two at the same socket, and none that calls a service of this relay: that could go round. */
static void
check_paths(struct services *all, struct subject *sorted)
{
	struct config *config = all->config;
	size_t count = 0;

	for (size_t i = 0; i < config->service_count; i++)
		if (config->services[i].path != NULL)
			sorted[count++] = (struct subject){ all, i, &config->services[i] };
	qsort(sorted, count, sizeof *sorted, by_path);
	for (size_t i = 1; i < count; i++)
		if (strcmp(sorted[i - 1].service->path, sorted[i].service->path) == 0)
			say(&sorted[i], REPORT_FATAL, "socket %s is that of service \"%s\" already",
			    sorted[i].service->path, sorted[i - 1].service->name);
	for (size_t i = 0; i < config->service_count; i++) {
		const char *connect = config->services[i].settings.connect;
		struct subject subject = { all, i, &config->services[i] };
		const struct subject *found = NULL;

		if (connect != NULL)
			found = bsearch(connect, sorted, count, sizeof *sorted, path_to_subject);
		if (found != NULL)
			say(&subject, REPORT_FATAL, "connect: %s is the socket of service \"%s\"",
			    connect, found->service->name);
	}
}

static int
by_name(const void *left, const void *right)
{
	return strcmp(((const struct config_service *)left)->name,
		      ((const struct config_service *)right)->name);
}

bool
config_services_load(struct config *config, const struct relay_conf *conf, struct report *report)
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
	struct subject *sorted = malloc(count * sizeof *sorted);
	config->services = calloc(count, sizeof *config->services);
	if (sorted == NULL || config->services == NULL) {
		free(sorted);
		return no_memory(&all);
	}
	all.runner = find_runner(&config->relay);
	size_t i = 0;
	while (i < count && add_service(&all, i))
		i++;
	if (i == count)
		check_paths(&all, sorted);
	free(sorted);
	if (!all.refused)
		qsort(config->services, count, sizeof *config->services, by_name);
	return !all.refused;
}

void
config_services_drop(struct config *config)
{
	for (size_t i = 0; i < config->service_count; i++) {
		struct config_service *service = &config->services[i];

		settings_fini(SETTING_SECTION_SERVICE, &service->settings);
		free(service->name);
		free(service->path);
	}
	free(config->services);
	config->services = NULL;
	config->service_count = 0;
}
