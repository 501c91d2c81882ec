/*
 * test_config_places.c - which places of a configuration are looked at, each once, and what they
 * are called.  What is refused of a place is in test_permissions.c.
 */
#include "relay/config_places.h"

#include "tests/temp_dir.h"

static struct report report;
static struct config config;
static struct config_service service;

static char *
new_dir(const char *name)
{
	cr_assert_eq(mkdir(temp_path(name), 0755), 0, "%s", strerror(errno));
	return strdup(temp_path(name));
}

static void
begin(void)
{
	temp_dir_make();
	report = (struct report){ .count = 0 };
	service = (struct config_service){ .name = strdup("hello") };
	config = (struct config){
		.daemons_dir = new_dir("daemons"),
		.doc_root = new_dir("doc"),
		.services = &service,
		.service_count = 1,
	};
	config.relay.socket_dir = new_dir("sockets");
	config.relay.run_dir = new_dir("daemons/logs");
	config.relay.state_dir = new_dir("state");
	config.relay.control_socket = strdup(temp_path("daemons/logs/relay.control"));
}

static void
end(void)
{
	report_fini(&report);
	free(service.name);
	free(service.path);
	free(service.settings.ident);
	free(config.daemons_dir);
	free(config.doc_root);
	free(config.relay.socket_dir);
	free(config.relay.run_dir);
	free(config.relay.state_dir);
	free(config.relay.control_socket);
	free(config.relay.exporter_listen);
	temp_dir_remove();
}

TestSuite(config_places, .init = begin, .fini = end);

/* That directory alone is refused, or told of, and once. */
static void
says(enum report_severity severity, const char *dir, const char *text)
{
	cr_assert_eq(chmod(temp_path(dir), 0777), 0);
	cr_assert_eq(config_places_check(&config, NULL, &report), severity != REPORT_FATAL);
	cr_assert_eq(report.count, 1, "%zu entries for %s", report.count, dir);
	cr_assert_eq(report.entries[0].severity, severity);
	cr_assert_str_eq(report.entries[0].file, temp_path(dir));
	cr_assert_not_null(strstr(report.entries[0].text, text), "\"%s\" lacks \"%s\"",
			   report.entries[0].text, text);
}

Test(config_places, nothing_is_said_of_what_is_as_it_should_be)
{
	cr_assert(config_places_check(&config, temp_path("missing.conf"), &report));
	cr_assert_eq(report.count, 0);
}

Test(config_places, a_directory_with_several_tasks_is_told_of_once)
{
	says(REPORT_FATAL, "daemons/logs", "run_dir: anybody may write to it");
}

Test(config_places, what_waits_for_a_peer_is_kept_from_others)
{
	free(new_dir("sockets/delayed"));
	says(REPORT_FATAL, "sockets/delayed", "directory of delayed messages: anybody");
}

Test(config_places, logs_have_a_directory_of_their_own)
{
	config.relay.run_dir[strlen(config.relay.run_dir) - strlen("/logs")] = '\0';
	free(config.relay.control_socket);
	config.relay.control_socket = strdup(temp_path("daemons/relay.control"));
	says(REPORT_FATAL, "daemons/logs", "directory of logs: anybody");
}

Test(config_places, a_status_is_no_reason_to_refuse)
{
	free(new_dir("doc/lon-status"));
	says(REPORT_WARNING, "doc/lon-status", "anybody may write to it (mode 0777)");
}

Test(config_places, files_that_are_there_are_taken_as_they_are)
{
	static const char *const files[] = { "daemons/logs/lonc.pid", "daemons/logs/lonc.log",
					     "daemons/logs/lonnet.perm.log", "state/messages.db" };

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		temp_write(files[i], "text");
		says(REPORT_WARNING, files[i], "anybody may write to it (mode 0777)");
		report_fini(&report);
		cr_assert_eq(unlink(temp_path(files[i])), 0);
	}
}

Test(config_places, an_ident_lies_in_the_run_directory_of_its_user)
{
	free(new_dir("home"));
	service.path = strdup(temp_path("home/shello"));
	service.settings.ident = strdup("hello");
	says(REPORT_FATAL, "home", "service \"hello\": directory of ident: anybody");
}

Test(config_places, an_exporter_may_listen_in_the_file_system)
{
	char where[600];

	free(new_dir("http"));
	snprintf(where, sizeof where, "unix:%s", temp_path("http/metrics"));
	config.relay.exporter_listen = strdup(where);
	says(REPORT_FATAL, "http", "directory of exporter.listen: anybody");
}

Test(config_places, an_exporter_beside_the_control_socket_is_no_other_place)
{
	char where[600];

	snprintf(where, sizeof where, "unix:%s", temp_path("daemons/logs/metrics"));
	config.relay.exporter_listen = strdup(where);
	says(REPORT_FATAL, "daemons/logs", "run_dir: anybody");
}

Test(config_places, a_directory_that_is_missing_is_told_of)
{
	cr_assert_eq(rmdir(config.relay.state_dir), 0);
	cr_assert(config_places_check(&config, NULL, &report));
	cr_assert_eq(report.count, 1);
	cr_assert_str_eq(report.entries[0].text, "state_dir: no such directory");
}
