/*
 * test_config_services.c - services: what their sections mean, and each reason to refuse one, by
 * name and line.
 */
#include "tests/config_site.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/service_paths.h"

TestSuite(config_services, .init = set_up, .fini = tear_down);

/* Of them each has this warning, as long as nothing is done with them. */

static const struct config_service *
service(const char *name)
{
	for (size_t i = 0; i < config.service_count; i++)
		if (strcmp(config.services[i].name, name) == 0)
			return &config.services[i];
	cr_assert_fail("no service %s", name);
	return NULL;
}

/* relay.conf is refused with this entry; there may be others. */
static void
refused(const char *text, unsigned line, const char *part)
{
	temp_write("relay.conf", text);
	cr_assert_not(load(), "%s", text);
	says(REPORT_FATAL, "relay.conf", line, part);
	cr_assert_eq(config.service_count, 0);
	cr_assert_null(config.services);
}

/* Taken, and nothing is said of it. */
static void
taken(const char *text)
{
	temp_write("relay.conf", text);
	if (!load())
		report_print(stderr, &report);
	cr_assert_gt(config.service_count, 0, "%s", text);
	cr_assert_eq(report.count, 0);
}

static void
is_list(char *const *list, size_t count, const char *const *expect)
{
	cr_assert_not_null(list);
	for (size_t i = 0; i < count; i++)
		cr_assert_str_eq(list[i], expect[i]);
	cr_assert_null(list[count]);
}

Test(config_services, none)
{
	cr_assert(load());
	cr_assert_eq(config.service_count, 0);
	cr_assert_null(config.services);
}

Test(config_services, every_key_is_taken)
{
	char text[1024];
	const struct passwd *me = getpwuid(geteuid());

	cr_assert_not_null(me);
	snprintf(text, sizeof text,
		 "service hello {\n socket = /run/hello.sock\n command = { \"sh\", # why\n"
		 "  '/srv/a b.pl' , \"\" }\n user = \"%s\" calls_max = 3 call_timeout = 1m\n"
		 " request_timeout = 2s idle_timeout = 3h recycle_calls = 5 start_timeout = 6s\n"
		 " autoreload = { /srv/a, \"/srv/b\" } allow_uids = { \"4711\", root, \"33\" } }\n",
		 me->pw_name);
	taken(text);
	cr_assert_eq(config.service_count, 1);
	const struct config_service *s = service("hello");
	cr_assert_str_eq(s->settings.socket, "/run/hello.sock");
	cr_assert_str_eq(s->path, "/run/hello.sock");
	cr_assert_null(s->extended_path);
	cr_assert_null(s->settings.ident);
	cr_assert_null(s->settings.connect);
	cr_assert_str_eq(s->settings.user, me->pw_name);
	cr_assert_eq(s->run_as.uid, OWNER_NOBODY_UID, "who it is already");
	cr_assert_eq(s->settings.calls_max, 3);
	cr_assert_eq(s->settings.call_timeout_ms, 60000);
	cr_assert_eq(s->settings.request_timeout_ms, 2000);
	cr_assert_eq(s->settings.idle_timeout_ms, 3 * 3600000);
	cr_assert_eq(s->settings.recycle_calls, 5);
	cr_assert_eq(s->settings.start_timeout_ms, 6000);
	is_list(s->settings.command, 3, (const char *[]){ "sh", "/srv/a b.pl", "" });
	is_list(s->settings.autoreload, 2, (const char *[]){ "/srv/a", "/srv/b" });
	is_list(s->settings.allow_uids, 3, (const char *[]){ "4711", "root", "33" });
	cr_assert_eq(s->caller_count, 3);
	cr_assert_eq(s->callers[0], 0);
	cr_assert_eq(s->callers[1], 33);
	cr_assert_eq(s->callers[2], 4711);
}

/* In whose run directory an ident is, whatever the environment says. */
Test(config_services, idents)
{
	char run[SERVICE_RUN_DIR_SIZE], path[SERVICE_PATH_SIZE];

	cr_assert(service_run_dir_of(geteuid(), run));
	setenv("HOME", "/elsewhere", 1);
	taken("service b { ident = x.y command = sh }\nservice a { ident = z connect = /c }\n");
	cr_assert_eq(config.service_count, 2);
	cr_assert_str_eq(config.services[0].name, "a", "by name, not as in the file");
	cr_assert(service_ident_path(run, PFI_PATH_SOCKET, "x.y", path));
	cr_assert_str_eq(service("b")->path, path);
	cr_assert(service_ident_path(run, PFI_PATH_EXTENDED, "x.y", path));
	cr_assert_str_eq(service("b")->extended_path, path);
	cr_assert_eq(service("b")->run_as.uid, OWNER_NOBODY_UID);
	cr_assert_null(service("b")->callers);
	is_list(service("b")->settings.command, 1, (const char *[]){ "sh" });
	cr_assert_str_eq(service("a")->settings.connect, "/c");
	cr_assert_null(service("a")->settings.command);
}

#define REST " socket = /run/s connect = /c }\n"

Test(config_services, names)
{
	char text[256], name[CONFIG_SERVICE_NAME_MAX + 2];

	taken("service a-B_9.x {" REST);
	taken("service 7 {" REST);
	refused("\nservice \"-x\" {" REST, 2, "service \"-x\": not a name: letters, digits");
	refused("service \".x\" {" REST, 1, "not a name");
	refused("service \"a b\" {" REST, 1, "service \"a b\": not a name");
	refused("service \"a/b\" {" REST, 1, "not a name");
	refused("service \"\xc3\xa4\" {" REST, 1, "not a name");
	refused("service \"\" {" REST, 1, "not a name");
	memset(name, 'n', sizeof name);
	name[CONFIG_SERVICE_NAME_MAX + 1] = '\0';
	snprintf(text, sizeof text, "service %s {" REST, name);
	refused(text, 1, "up to 64 of them");
	snprintf(text, sizeof text, "service %s {" REST, name + 1);
	taken(text);
	refused("service a {" REST "service b { }\nservice a {" REST, 3,
		"found duplicate title 'a'");
}

Test(config_services, one_of_two)
{
	refused("service a { connect = /c }", 1,
		"service \"a\": ident and socket are both missing: give one of them");
	refused("\n\nservice a { ident = i socket = /run/s connect = /c }", 3,
		"service \"a\": ident and socket exclude each other");
	refused("service a { ident = i }", 1, "command and connect are both missing");
	refused("service a { ident = i command = sh connect = /c }", 1,
		"command and connect exclude each other");
	/* All that is wrong with all of them at once. */
	refused("service a { }\nservice b { }\n", 1, "command and connect are both missing");
	says(REPORT_FATAL, "relay.conf", 2, "service \"b\": ident and socket are both missing");
	cr_assert_eq(report.totals[REPORT_FATAL], 4);
}

Test(config_services, values)
{
	refused("service a {\n socket = s connect = /c }", 2,
		"service.socket: \"s\" is not an absolute path");
	refused("service a { socket = /run/s\n connect = c }", 2,
		"service.connect: \"c\" is not an");
	refused("service a {\n\n autoreload = {\"/x\",\n y} }", 3,
		"service.autoreload: \"y\" is not an absolute path");
	refused("service a {\n calls_max = 0 }", 2, "service.calls_max: \"0\" is out of range");
	refused("service a { pipeline = 3 }", 1,
		"'pipeline' in section service: allowed are ident, socket, command, connect,");
	static const char *const roundabout[] = { "/run/",     "/",      "//run/s", "/run/./s",
						  "/run/../s", "/run/.", "/.." };
	for (size_t i = 0; i < COUNT_OF(roundabout); i++) {
		char text[128];

		snprintf(text, sizeof text, "service a { socket = \"%s\" connect = /c }",
			 roundabout[i]);
		refused(text, 1, "\" has a part that is empty, \".\" or \"..\"");
	}
	taken("service a { socket = /run/.../.s connect = /c }");
	refused("service a { command = { ./svc } ident = i }", 1,
		"command: \"./svc\" is neither an absolute path nor the name of a program");
	refused("service a { command = { \"\", x } ident = i }", 1, "command: \"\" is neither");
	refused("service a { ident = \"a/b\" connect = /c }", 1, "ident: a slash in \"a/b\"");
}

Test(config_services, lengths)
{
	char text[512], path[SERVICE_PATH_SIZE + 1], run[SERVICE_RUN_DIR_SIZE];

	memset(path, 'p', sizeof path);
	path[0] = '/';
	path[SERVICE_PATH_SIZE - 1] = '\0';
	snprintf(text, sizeof text, "service a { socket = %s connect = %s }", path, "/c");
	taken(text);
	path[SERVICE_PATH_SIZE - 1] = 'p';
	path[SERVICE_PATH_SIZE] = '\0';
	snprintf(text, sizeof text, "service a { socket = %s connect = /c }", path);
	refused(text, 1, "is out of range: allowed 1 to 107 bytes");
	snprintf(text, sizeof text, "service a { socket = /run/s connect = %s }", path);
	refused(text, 1, "is out of range: allowed 1 to 107 bytes");

	cr_assert(service_run_dir_of(geteuid(), run));
	size_t most = service_ident_max(run);
	snprintf(text, sizeof text, "service a { ident = %.*s connect = /c }", (int)most, path + 1);
	taken(text);
	cr_assert_eq(strlen(service("a")->path), strlen(run) + 2 + most);
	snprintf(text, sizeof text, "service a { ident = %.*s connect = /c }", (int)most + 1,
		 path + 1);
	char part[64];
	snprintf(part, sizeof part, "ident: %zu bytes, only %zu find room in", most + 1, most);
	refused(text, 1, part);
}

static const char *
with_run_dir(const char *run_dir, const char *name, const char *rest)
{
	static char text[512];

	snprintf(text, sizeof text, "relay { run_dir = %s }\nservice %s { ident = i %s }\n",
		 run_dir, name, rest);
	return text;
}

/* The private sockets of what the relay starts have its run_dir and the service's name in them. */
Test(config_services, private_sockets)
{
	char run_dir[128];

	memset(run_dir, 'r', sizeof run_dir);
	run_dir[0] = '/';
	run_dir[SERVICE_PATH_SIZE - sizeof "/svc/hello.4294967295"] = '\0';
	temp_write("relay.conf", with_run_dir(run_dir, "hello", "command = sh"));
	cr_assert(load());
	refused(with_run_dir(run_dir, "hello2", "command = sh"), 2,
		"service \"hello2\": the name is too long for a socket in /rrr");
	temp_write("relay.conf", with_run_dir(run_dir, "hello2", "connect = /c"));
	cr_assert(load());
}

Test(config_services, sockets_are_nobody_elses)
{
	char text[1024], run[SERVICE_RUN_DIR_SIZE];

	refused("service b { socket = /run/s connect = /c }\n"
		"service a { socket = /run/s connect = /c }\n",
		2, "service \"a\": socket /run/s is that of service \"b\" already");
	refused("service a { ident = i connect = /c }\nservice b { ident = i connect = /c }\n", 2,
		"is that of service \"a\" already");
	/* The same place in two ways; an ident has two sockets. */
	cr_assert(service_run_dir_of(geteuid(), run));
	for (const char *kind = "sx"; *kind != '\0'; kind++) {
		snprintf(text, sizeof text,
			 "service a { ident = i connect = /c }\n"
			 "service b { socket = \"%s/%ci\" connect = /c }\n",
			 run, *kind);
		refused(text, 2, "service \"b\": socket /");
	}
	snprintf(text, sizeof text, "service a { socket = %s/sockets/msul1 connect = /c }",
		 temp_dir);
	refused(text, 1, "sockets is for the sockets of hosts");
	snprintf(text, sizeof text, "service a { socket = %s/logs/svc/x connect = /c }", temp_dir);
	refused(text, 1, "logs/svc is for the relay's own sockets");
	snprintf(text, sizeof text, "service a { socket = %s/logs/svc.x connect = /c }", temp_dir);
	taken(text);
	snprintf(text, sizeof text, "service a { socket = %s/logs/relay.control connect = /c }",
		 temp_dir);
	refused(text, 1, "relay.control is the control socket");
	refused("service a { socket = /run/s connect = /run/s }", 1,
		"connect: /run/s is the socket of service \"a\"");
	refused("service a { socket = /run/s connect = /c }\n"
		"service b { socket = /c connect = /d }\n",
		1, "service \"a\": connect: /c is the socket of service \"b\"");
	taken("service a { socket = /run/s connect = /c }\nservice b { ident = i connect = /c }\n");
}

Test(config_services, warnings)
{
	temp_write("relay.conf", "service a { ident = i command = /nonexistent/svc }\n"
				 "service b { ident = j command = nonexistent-program }\n"
				 "service c { ident = k connect = /c autoreload = /x }\n"
				 "service d { ident = l connect = /c recycle_calls = 1 }\n"
				 "service e { ident = m connect = /c idle_timeout = 1s }\n"
				 "service f { ident = n connect = /c\n"
				 " allow_uids = { root, no-such-user } }\n");
	setenv("PATH", "/usr/bin:/bin", 1);
	cr_assert(load());
	says(REPORT_WARNING, "relay.conf", 1,
	     "service \"a\": command: /nonexistent/svc: No such file or directory");
	says(REPORT_WARNING, "relay.conf", 2, "command: nonexistent-program: No such file");
	says(REPORT_WARNING, "relay.conf", 3, "autoreload does nothing with connect");
	says(REPORT_WARNING, "relay.conf", 4, "recycle_calls does nothing with connect");
	says(REPORT_WARNING, "relay.conf", 5, "idle_timeout does nothing with connect");
	says(REPORT_WARNING, "relay.conf", 6, "allow_uids: there is no user no-such-user");
	cr_assert_eq(service("f")->caller_count, 1);
	cr_assert_eq(service("f")->callers[0], 0);
}

/* Nobody left in the list must not come to mean everybody. */
Test(config_services, callers_of_whom_none_is_there)
{
	refused("service a { ident = i connect = /c allow_uids = { no-such-user } }", 1,
		"service \"a\": allow_uids: none of these users is there");
}

Test(config_services, too_many)
{
	static char text[(CONFIG_SERVICES_MAX + 1) * 64];
	size_t at = 0, whole = 0;

	for (int i = 0; i <= CONFIG_SERVICES_MAX; i++) {
		whole = at;
		at +=
		    (size_t)sprintf(text + at, "service s%d { ident = i%d connect = /c }\n", i, i);
	}
	refused(text, 0, "129 services: no more than 128 can be configured");
	text[whole] = '\0';
	temp_write("relay.conf", text);
	cr_assert(load());
	cr_assert_eq(config.service_count, CONFIG_SERVICES_MAX);
}

Test(config_services, options)
{
	const char *const options[] = {
		"service hello.calls_max=9",
		"service hello.command=sh,/srv/a.pl,a\\,b",
		"service new.one.ident=n",
		"service new.one.connect=/c",
	};
	const char *const wrong[] = { "service hello.calls_max=0" };
	const char *const twice[] = { "service new.ident=i", "service new.connect=/c" };

	temp_write("relay.conf", "service hello { ident = i command = { x, y } calls_max = 2 }\n");
	cr_assert(load_with(options, COUNT_OF(options)));
	cr_assert_eq(config.service_count, 2);
	is_list(service("hello")->settings.command, 3,
		(const char *[]){ "sh", "/srv/a.pl", "a,b" });
	cr_assert_eq(service("hello")->settings.calls_max, 9);
	cr_assert_str_eq(service("hello")->settings.ident, "i");
	cr_assert_str_eq(service("new.one")->settings.ident, "n");

	cr_assert_not(load_with(wrong, 1));
	says(REPORT_FATAL, "-o service hello.calls_max=0", 0, "out of range");
	/* What is wrong with the whole is said of the first option that named it. */
	cr_assert_not(load_with(twice, 2));
	says(REPORT_FATAL, "-o service new.ident=i", 0, "is that of service \"hello\" already");
}

/* --- users ------------------------------------------------------------------------------------ */

static const struct passwd *
somebody_else(void)
{
	return getpwnam(geteuid() == 0 ? "nobody" : "root");
}

/* Without root's rights, and able to read what the test wrote. */
static void
become_nobody(void)
{
	const struct passwd *nobody = getpwnam("nobody");

	if (geteuid() != 0)
		return;
	cr_assert_not_null(nobody);
	cr_assert_eq(chmod(temp_dir, 0755), 0);
	cr_assert_eq(setgroups(0, NULL), 0);
	cr_assert_eq(seteuid(nobody->pw_uid), 0);
}

static void
become_root_again(void)
{
	if (getuid() == 0)
		cr_assert_eq(seteuid(0), 0);
}

Test(config_services, unknown_users)
{
	refused("service a { ident = i command = sh user = no-such-user }", 1,
		"service \"a\": user: there is no user no-such-user");
	/* A number without an entry has no group and no home. */
	refused("service a { ident = i command = sh user = \"3999999999\" }", 1,
		"there is no user 3999999999");
}

Test(config_services, another_user_takes_root)
{
	temp_write("relay.conf", "service a { socket = /run/s command = sh user = root }\n");
	become_nobody();
	bool good = load();
	become_root_again();
	cr_assert_not(good);
	says(REPORT_FATAL, "relay.conf", 1,
	     "service \"a\": user: to start it as root the relay has to run as root, "
	     "without relay.user");
}

Test(config_services, root_that_becomes_somebody_cannot_switch)
{
	if (geteuid() != 0)
		cr_skip_test("only root can become somebody");
	refused("relay { user = nobody }\nservice a { ident = i command = sh user = root }\n", 2,
		"user: to start it as root the relay has to run as root, without relay.user");
	refused("relay { user = no-such-user }\nservice a { ident = i command = sh }\n", 2,
		"service \"a\": relay.user: there is no user no-such-user");
	taken("relay { user = nobody }\nservice a { socket = /run/s command = sh user = nobody }");
	cr_assert_eq(service("a")->run_as.uid, OWNER_NOBODY_UID);
}

Test(config_services, root_can_switch)
{
	const struct passwd *other = somebody_else();
	char text[256];

	if (geteuid() != 0)
		cr_skip_test("only root can start it as somebody else");
	cr_assert_not_null(other);
	uid_t uid = other->pw_uid;
	gid_t gid = other->pw_gid;
	taken("service a { socket = /run/s command = sh user = nobody }");
	cr_assert_eq(service("a")->run_as.uid, uid);
	cr_assert_eq(service("a")->run_as.gid, gid);
	snprintf(text, sizeof text, "service a { socket = /run/s command = sh user = \"%lu\" }",
		 (unsigned long)uid);
	taken(text);
	cr_assert_eq(service("a")->run_as.uid, uid);
}

/* Callers give their descriptors to whoever answers in run_dir. */
Test(config_services, another_user_s_service_needs_a_run_dir_of_our_own)
{
	const char *text = "service a { socket = /run/s command = sh user = nobody }";
	const char *part = "service \"a\": user: others can write to relay.run_dir";

	if (geteuid() != 0)
		cr_skip_test("only root can start it as somebody else");
	temp_write("relay.conf", text);
	cr_assert(load());
	char *run_dir = strdup(config.relay.run_dir);
	cr_assert_not_null(run_dir);
	cr_assert_eq(chmod(run_dir, 0770), 0);
	cr_assert(load());
	says(REPORT_WARNING, "relay.conf", 1, part);
	cr_assert_eq(chmod(run_dir, 0755), 0);
	taken(text);
	cr_assert_eq(chown(run_dir, 65534, 65534), 0);
	cr_assert(load());
	says(REPORT_WARNING, "relay.conf", 1, part);
	cr_assert_eq(chown(run_dir, 0, 0), 0);
	free(run_dir);
}

/* The relay that runs is who it is: what relay.user says now counts from the next start. */
Test(config_services, a_relay_that_serves_is_who_it_is)
{
	struct hosts_accepted accepted = { 0 };

	if (geteuid() != 0)
		cr_skip_test("only root can start it as somebody else");
	temp_write("relay.conf", "relay { user = nobody }\n"
				 "service a { socket = /run/s command = sh user = root }\n"
				 "service b { socket = /run/t command = sh user = nobody }\n");
	source.accepted = &accepted;
	source.state_dir = temp_dir;
	cr_assert(load());
	cr_assert_eq(service("a")->run_as.uid, OWNER_NOBODY_UID);
	cr_assert_neq(service("b")->run_as.uid, OWNER_NOBODY_UID);
}
