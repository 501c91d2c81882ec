/*
 * test_hosts_file.c - which lines of hosts.tab become hosts, which are left out and when the whole
 * file is refused.
 */
#include "tests/config_site.h"

TestSuite(hosts_file, .init = set_up, .fini = tear_down);

Test(hosts_file, hosts_left_out)
{
	temp_write("hosts.tab", "good:d:r:n:10.0.0.1\r\n"
				":d:r:n:10.0.0.2\n"
				"..:d:r:n:10.0.0.2\n"
				"a/b:d:r:n:10.0.0.2\n"
				"delayed:d:r:n:10.0.0.2\n"
				"blank:d:r:n:10.0. 0.2\n"
				"empty:d:r:n:[]\n"
				"open:d:r:n:[::1\n"
				"six:d:r:n:[1.2.3.4:5]\n"
				"slash:d:r:n:10.0.0.1/8\n"
				"zone:d:r:n:[fe80::1%eth0]\n"
				"name:d:r:n:peer.example");
	cr_assert(load());
	says(REPORT_ERROR, "hosts.tab", 2, "\"\" cannot be the name of a socket");
	says(REPORT_ERROR, "hosts.tab", 3, "\"..\" cannot be");
	says(REPORT_ERROR, "hosts.tab", 4, "\"a/b\" cannot be");
	says(REPORT_ERROR, "hosts.tab", 5, "\"delayed\" cannot be");
	says(REPORT_ERROR, "hosts.tab", 6, "host blank left out: a blank");
	says(REPORT_ERROR, "hosts.tab", 7, "empty brackets");
	says(REPORT_ERROR, "hosts.tab", 8, "malformed brackets");
	says(REPORT_ERROR, "hosts.tab", 9, "host six left out: what is in brackets is not an IPv6");
	says(REPORT_ERROR, "hosts.tab", 10, "host slash left out: a bracket, slash or quote");
	cr_assert_eq(report.totals[REPORT_ERROR], 9);
	cr_assert_eq(report.totals[REPORT_WARNING], 0);
	cr_assert_eq(config.host_count, 3);
	cr_assert_str_eq(host("good")->address, "10.0.0.1");
	cr_assert_str_eq(host("zone")->address, "fe80::1%eth0");
	cr_assert_str_eq(host("name")->address, "peer.example");
	cr_assert_eq(host("name")->line, 12);
}

Test(hosts_file, socket_path_bound)
{
	char id[128], text[512];
	size_t room = 107 - strlen(temp_dir) - strlen("/sockets/");

	memset(id, 'x', sizeof id);
	id[room] = '\0';
	snprintf(text, sizeof text, "%s:d:r:n:10.0.0.1\n%sy:d:r:n:10.0.0.1\n", id, id);
	temp_write("hosts.tab", text);
	cr_assert(load());
	says(REPORT_ERROR, "hosts.tab", 2, "would have a path of 108 bytes, 107 are possible");
	cr_assert_eq(config.host_count, 1);
	cr_assert_eq(strlen(config.hosts[0].id), room);

	/* A slash at the end of the directory costs nothing. */
	write_loncapa("");
	snprintf(text, sizeof text, "PerlSetVar lonSockDir %s/sockets///\n", temp_dir);
	write_loncapa(text);
	cr_assert(load());
	cr_assert_eq(config.host_count, 1);
}

Test(hosts_file, ignored_lines_and_duplicates)
{
	temp_write("hosts.tab", "twice:d:r:first:10.0.0.1\n"
				"\n"
				" \t\r\n"
				"# a comment\n"
				"zero:d:r:n:0\n"
				"none:d:r:n:\n"
				"other:d:r:n:10.0.0.3\n"
				"twice:d:r:second:10.0.0.2\n"
				"#old:d:r:n:10.0.0.4\n"
				"twice:d:r:third:10.0.0.5\n");
	cr_assert(load());
	says(REPORT_WARNING, "hosts.tab", 4, "ignored: not id:domain:role:name:address");
	says(REPORT_WARNING, "hosts.tab", 5, "ignored");
	says(REPORT_WARNING, "hosts.tab", 6, "ignored");
	says(REPORT_WARNING, "hosts.tab", 8, "host twice: replaces that of line 1");
	says(REPORT_WARNING, "hosts.tab", 9, "this is a host called #old");
	says(REPORT_WARNING, "hosts.tab", 10, "host twice: replaces that of line 8");
	cr_assert_eq(report.count, 6);
	cr_assert_eq(config.host_count, 3);
	cr_assert_str_eq(config.hosts[0].id, "other");
	cr_assert_str_eq(config.hosts[1].id, "#old");
	cr_assert_str_eq(config.hosts[2].name, "third");
	cr_assert_str_eq(config.hosts[2].address, "10.0.0.5");
}

Test(hosts_file, hosts_tab_refused_as_a_whole)
{
	static char text[HOSTS_TAB_LINE_MAX + 64];
	size_t head = strlen("good:d:r:n:10.0.0.1\n");

	temp_write_bytes("hosts.tab", "good:d:r:n:10.0.0.1\nnul:d:r:n\0:10.0.0.1\n", 41);
	cr_assert_not(load());
	says(REPORT_FATAL, "hosts.tab", 2, "a NUL byte");

	memset(text, 'x', sizeof text);
	memcpy(text, "good:d:r:n:10.0.0.1\n", head);
	temp_write_bytes("hosts.tab", text, head + HOSTS_TAB_LINE_MAX);
	cr_assert(load());
	says(REPORT_WARNING, "hosts.tab", 2, "ignored");
	temp_write_bytes("hosts.tab", text, head + HOSTS_TAB_LINE_MAX + 1);
	cr_assert_not(load());
	says(REPORT_FATAL, "hosts.tab", 2, "a line over 65536 bytes");
}

Test(hosts_file, no_host_is_a_warning)
{
	temp_write("hosts.tab", "");
	temp_write("relay.conf", "host ghost { }");
	cr_assert(load());
	cr_assert_eq(config.host_count, 0);
	says(REPORT_WARNING, "hosts.tab", 0, "no usable host");
	says(REPORT_WARNING, "relay.conf", 1, "host \"ghost\": no such host in");
}

Test(hosts_file, number_is_bounded)
{
	char path[256];
	FILE *file = fopen(in_dir(path, sizeof path, "hosts.tab"), "w");

	cr_assert_not_null(file);
	for (int i = 0; i < CONFIG_HOSTS_MAX; i++)
		fprintf(file, "h%d:d:r:n:10.0.0.1\n", i);
	cr_assert_eq(fflush(file), 0);
	cr_assert(load());
	cr_assert_eq(config.host_count, CONFIG_HOSTS_MAX);
	fprintf(file, "more:d:r:n:10.0.0.1\n");
	cr_assert_eq(fclose(file), 0);
	cr_assert_not(load());
	says(REPORT_FATAL, "hosts.tab", CONFIG_HOSTS_MAX + 1, "more than 65536 hosts");
}
