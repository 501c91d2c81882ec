/*
 * test_permissions.c - which modes are refused, what is said of them, and what is let pass.
 */
#include "tests/temp_dir.h"

#include "relay/permissions.h"

#include <fcntl.h>
#include <unistd.h>

static struct report report;

static void
begin(void)
{
	temp_dir_make();
	report = (struct report){ .count = 0 };
}

static void
end(void)
{
	report_fini(&report);
	temp_dir_remove();
}

TestSuite(permissions, .init = begin, .fini = end);

/* A directory of exactly this mode, whatever the umask. */
static const char *
make_dir(const char *name, mode_t mode)
{
	const char *path = temp_path(name);

	cr_assert_eq(mkdir(path, 0700), 0, "%s", strerror(errno));
	cr_assert_eq(chmod(path, mode), 0, "%s", strerror(errno));
	return path;
}

static bool
check_dir(const char *path)
{
	return permissions_check_dir(path, "run_dir", &report);
}

static void
says(enum report_severity severity, const char *file, const char *text)
{
	cr_assert_eq(report.count, 1, "%zu entries", report.count);
	cr_assert_eq(report.entries[0].severity, severity);
	cr_assert_str_eq(report.entries[0].file, file);
	cr_assert_not_null(strstr(report.entries[0].text, text), "\"%s\" lacks \"%s\"",
			   report.entries[0].text, text);
}

Test(permissions, directories_of_owner_and_group_pass)
{
	static const mode_t modes[] = { 0700, 0755, 0775, 02770, 01755, 0711 };
	char name[16];

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		snprintf(name, sizeof name, "d%zu", i);
		cr_assert(check_dir(make_dir(name, modes[i])), "%o", modes[i]);
	}
	cr_assert_eq(report.count, 0);
}

Test(permissions, a_directory_of_everybody_is_refused)
{
	const char *path = make_dir("open", 0777);

	cr_assert_not(check_dir(path));
	says(REPORT_FATAL, path, "run_dir: anybody may write to it (mode 0777)");
	says(REPORT_FATAL, path, "chmod o-w /");
}

Test(permissions, the_sticky_bit_is_no_excuse)
{
	const char *path = make_dir("sticky", 01777);

	cr_assert_not(check_dir(path));
	says(REPORT_FATAL, path, "(mode 1777)");
}

Test(permissions, one_that_others_can_only_write_to_is_refused_too)
{
	cr_assert_not(check_dir(make_dir("blind", 0702)));
	cr_assert_eq(report.totals[REPORT_FATAL], 1);
}

Test(permissions, a_link_stands_for_what_it_leads_to)
{
	const char *link = temp_path("link");

	cr_assert_eq(symlink(make_dir("open", 0777), link), 0);
	cr_assert_not(check_dir(link));
	says(REPORT_FATAL, link, "(mode 0777)");
}

Test(permissions, a_parent_of_everybody_is_warned_of)
{
	make_dir("open", 0777);
	const char *path = make_dir("open/inner", 0755);

	cr_assert(check_dir(path));
	says(REPORT_WARNING, path, "/open (mode 0777)");
}

Test(permissions, a_grandparent_too_and_behind_a_link)
{
	const char *link = temp_path("link");

	make_dir("open", 0777);
	make_dir("open/middle", 0755);
	cr_assert_eq(symlink(make_dir("open/middle/inner", 0755), link), 0);
	cr_assert(check_dir(link));
	says(REPORT_WARNING, link, "/open (mode 0777)");
}

Test(permissions, below_one_that_was_looked_at_nothing_is_said_of_it)
{
	make_dir("open", 0777);
	cr_assert(permissions_check_below(make_dir("open/inner", 0755), "place", &report));
	cr_assert(permissions_check_below(temp_path("missing"), "place", &report));
	cr_assert_eq(report.count, 0);
	cr_assert_not(permissions_check_below(temp_path("open"), "place", &report));
	says(REPORT_FATAL, temp_path("open"), "place: anybody may write to it (mode 0777)");
}

Test(permissions, a_sticky_parent_is_fine)
{
	make_dir("sticky", 01777);
	cr_assert(check_dir(make_dir("sticky/inner", 0755)));
	cr_assert_eq(report.count, 0);
}

Test(permissions, what_is_missing_is_for_others_to_say)
{
	temp_write("file", "text");
	cr_assert_eq(chmod(temp_path("file"), 0666), 0);
	cr_assert(check_dir(temp_path("missing")));
	cr_assert(check_dir(temp_path("file")));
	cr_assert(check_dir("/"));
	cr_assert(permissions_check_file(temp_path("missing"), "relay.conf", &report));
	cr_assert_eq(report.count, 0);
}

Test(permissions, a_file_of_everybody_is_refused)
{
	const char *path = temp_path("relay.conf");

	temp_write("relay.conf", "relay {}");
	cr_assert_eq(chmod(path, 0664), 0);
	cr_assert(permissions_check_file(path, "relay.conf", &report));
	cr_assert_eq(report.count, 0);
	cr_assert_eq(chmod(path, 0646), 0);
	cr_assert_not(permissions_check_file(path, "relay.conf", &report));
	says(REPORT_FATAL, path, "relay.conf: anybody may write to it (mode 0646)");
}

Test(permissions, the_directory_of_a_path_is_looked_at)
{
	const char *dir = make_dir("sticky", 01777);
	char path[600];

	snprintf(path, sizeof path, "%s/socket", dir);
	cr_assert_not(permissions_check_dir_of(path, "place", &report));
	says(REPORT_FATAL, dir, "place: anybody may write to it (mode 1777)");
	cr_assert(permissions_check_dir_of(temp_path("socket"), "place", &report));
	cr_assert(permissions_check_dir_of("/socket", "place", &report));
	cr_assert(permissions_check_dir_of(temp_path("missing/socket"), "place", &report));
	cr_assert_eq(report.count, 1);
}

Test(permissions, one_without_a_slash_is_in_the_working_directory)
{
	cr_assert_eq(chdir(make_dir("open", 0777)), 0);
	cr_assert_not(permissions_check_dir_of("socket", "place", &report));
	says(REPORT_FATAL, ".", "place: anybody may write to it (mode 0777)");
}

Test(permissions, a_file_in_a_directory_of_everybody_is_warned_of)
{
	make_dir("open", 0777);
	temp_write("open/relay.conf", "relay {}");
	cr_assert_eq(chmod(temp_path("open/relay.conf"), 0644), 0);
	cr_assert(permissions_check_file(temp_path("open/relay.conf"), "relay.conf", &report));
	says(REPORT_WARNING, temp_path("open/relay.conf"), "/open (mode 0777)");
}

Test(permissions, what_has_to_be_taken_is_warned_of)
{
	const char *path = temp_path("hosts.tab");

	permissions_warn_mode(path, S_IFREG | 0644, S_IWGRP | S_IWOTH, &report);
	permissions_warn_mode(path, S_IFREG | 0664, S_IWOTH, &report);
	permissions_warn_mode(path, 0, S_IWGRP | S_IWOTH, &report);
	cr_assert_eq(report.count, 0);
	permissions_warn_mode(path, S_IFREG | 0664, S_IWGRP | S_IWOTH, &report);
	says(REPORT_WARNING, path,
	     "its group may write to it (mode 0664); mend it by: chmod go-w /");
	report_fini(&report);
	permissions_warn_mode(path, S_IFREG | 0646, S_IWOTH, &report);
	says(REPORT_WARNING, path, "anybody may write to it (mode 0646); mend it by: chmod o-w /");
}

Test(permissions, the_mode_of_now_counts_and_not_that_of_a_link)
{
	const char *path = temp_path("log"), *link = temp_path("link");

	permissions_warn(temp_path("missing"), S_IWOTH, &report);
	temp_write("log", "");
	cr_assert_eq(symlink(path, link), 0);
	cr_assert_eq(chmod(path, 0664), 0);
	permissions_warn(path, S_IWOTH, &report);
	permissions_warn(link, S_IWOTH, &report);
	cr_assert_eq(report.count, 0);
	cr_assert_eq(chmod(path, 0666), 0);
	permissions_warn(path, S_IWOTH, &report);
	says(REPORT_WARNING, path, "(mode 0666)");
}

Test(permissions, a_device_is_no_file)
{
	cr_assert(permissions_check_file("/dev/null", "relay.conf", &report));
	cr_assert_eq(report.count, 0);
}

/* Whether a file of this mode may hold a secret. */
static bool
check_secret(mode_t mode)
{
	const char *path = temp_path("secret");

	temp_write("secret", "key");
	cr_assert_eq(chmod(path, mode), 0);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	bool good = permissions_check_secret(fd, path, "keys", &report);
	close(fd);
	return good;
}

Test(permissions, a_secret_is_for_its_owner_and_for_a_group_that_reads)
{
	static const mode_t modes[] = { 0600, 0400, 0640, 0440, 0700 };

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		cr_assert(check_secret(modes[i]), "%04o", (unsigned)modes[i]);
	cr_assert_eq(report.count, 0);
}

Test(permissions, a_secret_that_is_open_to_anybody_else_is_refused)
{
	static const mode_t modes[] = { 0604, 0602, 0601, 0644, 0660, 0620, 0650, 0666 };

	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		cr_assert_not(check_secret(modes[i]), "%04o", (unsigned)modes[i]);
		cr_assert_eq(report.totals[REPORT_FATAL], i + 1);
	}
}

Test(permissions, what_is_said_of_a_secret_and_how_to_mend_it)
{
	const char *path = temp_path("secret");

	cr_assert_not(check_secret(0644));
	says(REPORT_FATAL, path, "keys: a secret that is open to others (mode 0644); mend it by: ");
	says(REPORT_FATAL, path, "chmod g-wx,o-rwx /");
	report_fini(&report);
	cr_assert_not(check_secret(0660));
	says(REPORT_FATAL, path, "keys: a secret that the group may change (mode 0660)");
}

Test(permissions, a_secret_is_a_regular_file)
{
	int pipes[2];

	cr_assert_eq(pipe(pipes), 0);
	cr_assert_not(permissions_check_secret(pipes[0], "pipe", "keys", &report));
	says(REPORT_FATAL, "pipe", "keys: not a regular file");
	cr_assert_not(permissions_check_secret(-1, "none", "keys", &report));
	close(pipes[0]);
	close(pipes[1]);
}
