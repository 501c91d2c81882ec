/*
 * test_config.c - the configuration as a whole: which source wins, what is inherited, what is
 * missing, and that it prints as a relay.conf of the same meaning.
 */
#include "tests/config_site.h"

TestSuite(config, .init = set_up, .fini = tear_down);

Test(config, legacy_files_alone)
{
	char path[256];

	write_loncapa("PerlSetVar lonDocRoot /var/www\nPerlSetVar lonAdmEMail a@b.example\n");
	cr_assert(load());
	says_nothing();
	cr_assert_str_eq(config.relay.socket_dir, in_dir(path, sizeof path, "sockets"));
	cr_assert_str_eq(config.relay.hosts_file, in_dir(path, sizeof path, "hosts.tab"));
	cr_assert_str_eq(config.relay.run_dir, in_dir(path, sizeof path, "logs"));
	cr_assert_str_eq(config.relay.state_dir, in_dir(path, sizeof path, "logs"));
	cr_assert_str_eq(config.relay.host_id, "locgw7");
	cr_assert_eq(config.relay.port, 5663);
	cr_assert_null(config.relay.user);
	cr_assert_str_eq(config.daemons_dir, temp_dir);
	cr_assert_str_eq(config.doc_root, "/var/www");

	cr_assert_eq(config.host_count, 2);
	cr_assert_str_eq(config.hosts[0].id, "msul1");
	cr_assert_str_eq(config.hosts[0].domain, "msu");
	cr_assert_str_eq(config.hosts[0].role, "library");
	cr_assert_str_eq(config.hosts[0].name, "msu.example");
	cr_assert_str_eq(config.hosts[0].address, "127.0.0.1");
	cr_assert_eq(config.hosts[0].port, 5663);
	cr_assert_eq(config.hosts[0].line, 1);
	cr_assert_eq(config.hosts[0].settings.links_max, 5);
	cr_assert_str_eq(config.hosts[1].id, "nsdl2");
	cr_assert_str_eq(config.hosts[1].address, "::1");
	cr_assert_eq(config.hosts[1].line, 2);
}

Test(config, later_legacy_file_wins)
{
	temp_write("loncapa_apache.conf", "<VirtualHost *>\n# comment\n"
					  "  PerlSetVar  lonHostID   apache1  \n"
					  "PerlSetVar londPort 1111\n"
					  "PerlSetVar lonDocRoot /doc\n");
	write_loncapa("PerlSetVar londPort 2222\r\n");
	cr_assert(load());
	says_nothing();
	cr_assert_str_eq(config.relay.host_id, "locgw7");
	cr_assert_eq(config.relay.port, 2222);
	cr_assert_str_eq(config.doc_root, "/doc");
}

Test(config, one_legacy_file_is_enough)
{
	char from[256], to[256];

	cr_assert_eq(rename(in_dir(from, sizeof from, "loncapa.conf"),
			    in_dir(to, sizeof to, "loncapa_apache.conf")),
		     0);
	cr_assert(load());
	says_nothing();
	cr_assert_eq(unlink(to), 0);
	cr_assert_not(load());
	says(REPORT_FATAL, temp_dir, 0, "neither loncapa.conf nor loncapa_apache.conf is there");
}

Test(config, legacy_mistakes)
{
	write_loncapa("PerlSetVar lonAdmEMail\nPerlSetVar londPort 70000\n");
	cr_assert_not(load());
	says(REPORT_WARNING, "loncapa.conf", 6, "PerlSetVar without a value");
	says(REPORT_FATAL, "loncapa.conf", 7,
	     "londPort: \"70000\" is out of range: allowed 1 to 65535");

	write_loncapa("PerlSetVar lonSockDir sockets\n\nPerlSetVar lonTabDir relative\n");
	cr_assert_not(load());
	says(REPORT_FATAL, "loncapa.conf", 6, "lonSockDir: \"sockets\" is not an absolute path");
	says(REPORT_FATAL, "loncapa.conf", 8, "lonTabDir: \"relative/hosts.tab\" is not");

	/* What relay.conf sets is not asked for in the legacy files. */
	write_loncapa("PerlSetVar londPort none\n");
	temp_write("relay.conf", "relay { port = 4711 }");
	cr_assert(load());
	says_nothing();
	cr_assert_eq(config.relay.port, 4711);
}

Test(config, each_missing_variable_is_named)
{
	temp_write("loncapa.conf", "# nothing\n");
	cr_assert_not(load());
	says(REPORT_FATAL, "loncapa.conf", 0, "lonSockDir is not set, nor socket_dir in section");
	says(REPORT_FATAL, "loncapa.conf", 0, "lonTabDir is not set, nor hosts_file");
	says(REPORT_FATAL, "loncapa.conf", 0, "lonHostID is not set, nor host_id");
	says(REPORT_FATAL, "loncapa.conf", 0, "londPort is not set, nor port");
	says(REPORT_FATAL, "loncapa.conf", 0,
	     "lonDaemons or $RUNTIME_DIRECTORY is not set, nor run_dir");
	cr_assert_eq(report.totals[REPORT_FATAL], 5);
}

Test(config, relay_conf_alone)
{
	char text[1024], path[256];

	source.loncapa_dir = NULL;
	snprintf(
	    text, sizeof text,
	    "relay {\n\tsocket_dir = %s/sockets\n\thosts_file = %s/hosts.tab\n"
	    "\thost_id = me\n\tport = 5663\n\tuser = www\n\tworkers = 3\n\tsocket_mode = 0700\n"
	    "\tmemory_max = 64MiB\n\tstop_timeout = 250ms\n\tstate_dir = '%s'\n\trun_dir = \"%s\" "
	    "}",
	    temp_dir, temp_dir, temp_dir, temp_dir);
	temp_write("relay.conf", text);
	cr_assert(load());
	says_nothing();
	cr_assert_str_eq(config.relay.socket_dir, in_dir(path, sizeof path, "sockets"));
	cr_assert_str_eq(config.relay.host_id, "me");
	cr_assert_str_eq(config.relay.user, "www");
	cr_assert_str_eq(config.relay.run_dir, temp_dir);
	cr_assert_str_eq(config.relay.state_dir, temp_dir);
	cr_assert_eq(config.relay.workers, 3);
	cr_assert_eq(config.relay.socket_mode, 0700);
	cr_assert_eq(config.relay.memory_max, 64 * 1024 * 1024);
	cr_assert_eq(config.relay.stop_timeout_ms, 250);
	cr_assert_null(config.daemons_dir);
	cr_assert_null(config.doc_root);
	cr_assert_eq(config.host_count, 2);

	temp_write("relay.conf", "");
	cr_assert_not(load());
	says(REPORT_FATAL, "relay.conf", 0,
	     "relay.port is not set, and there is no loncapa.conf with londPort");
}

Test(config, run_and_state_directories)
{
	char list[300], path[256], option[300];
	const char *options[] = { option };

	temp_make_dir("run");
	temp_make_dir("own");
	snprintf(list, sizeof list, "%s:/second", in_dir(path, sizeof path, "run"));
	setenv("RUNTIME_DIRECTORY", list, 1);
	cr_assert(load());
	says_nothing();
	cr_assert_str_eq(config.relay.run_dir, path);
	cr_assert_neq(strcmp(config.relay.state_dir, path), 0);
	setenv("STATE_DIRECTORY", path, 1);
	cr_assert(load());
	cr_assert_str_eq(config.relay.state_dir, path);

	snprintf(option, sizeof option, "relay.run_dir=%s/own/", temp_dir);
	cr_assert(load_with(options, 1));
	cr_assert_str_eq(config.relay.run_dir, in_dir(path, sizeof path, "own"));

	setenv("RUNTIME_DIRECTORY", "relative", 1);
	cr_assert_not(load());
	says(REPORT_FATAL, "$RUNTIME_DIRECTORY", 0, "\"relative\" is not an absolute path");
	setenv("RUNTIME_DIRECTORY", "", 1);
	cr_assert(load());
	cr_assert_str_eq(config.relay.run_dir, in_dir(path, sizeof path, "logs"));
}

Test(config, missing_directories_are_warnings)
{
	char path[256];

	cr_assert_eq(rmdir(in_dir(path, sizeof path, "sockets")), 0);
	cr_assert(load());
	says(REPORT_WARNING, "sockets", 0, "socket_dir: no such directory");
	cr_assert_eq(report.count, 1);
	temp_write("sockets", "a file");
	cr_assert(load());
	says(REPORT_WARNING, "sockets", 0, "socket_dir: no such directory");
}

Test(config, host_settings_inherit)
{
	temp_write("relay.conf",
		   "# first a comment\r\n"
		   "defaults { pipeline = 4 /* why\n not */ idle_timeout = 5m // ever\n"
		   "}\n"
		   "host msul1 { pipeline = 32 line_max = 1MiB }\n"
		   "host \"nsdl2\"\n{\n}\n");
	cr_assert(load());
	says_nothing();
	cr_assert_eq(config.defaults.pipeline, 4);
	cr_assert_eq(host("msul1")->settings.pipeline, 32);
	cr_assert_eq(host("msul1")->settings.line_max, 1024 * 1024);
	cr_assert_eq(host("msul1")->settings.idle_timeout_ms, 300000);
	cr_assert_eq(host("msul1")->settings.links_max, 5);
	cr_assert_eq(memcmp(&host("nsdl2")->settings, &config.defaults, sizeof config.defaults), 0);
}

Test(config, every_host_key_is_taken)
{
	temp_write("relay.conf",
		   "host msul1 { links_max = 2 pipeline = 3 spread = 4 connect_timeout = 5s\n"
		   "queue_timeout = 6s reply_timeout = 7s idle_timeout = 8s down_grace = 9s\n"
		   "line_max = 10k queue_max = 11 queue_bytes_max = 12k clients_max = 13 }");
	cr_assert(load());
	says_nothing();
	const struct host_settings *s = &host("msul1")->settings;
	cr_assert_eq(s->links_max, 2);
	cr_assert_eq(s->pipeline, 3);
	cr_assert_eq(s->spread, 4);
	cr_assert_eq(s->connect_timeout_ms, 5000);
	cr_assert_eq(s->queue_timeout_ms, 6000);
	cr_assert_eq(s->reply_timeout_ms, 7000);
	cr_assert_eq(s->idle_timeout_ms, 8000);
	cr_assert_eq(s->down_grace_ms, 9000);
	cr_assert_eq(s->line_max, 10240);
	cr_assert_eq(s->queue_max, 11);
	cr_assert_eq(s->queue_bytes_max, 12288);
	cr_assert_eq(s->clients_max, 13);
	cr_assert_eq(host("nsdl2")->settings.links_max, 5);
}

Test(config, files_that_cannot_be_read)
{
	char path[256];

	source.conf_file = in_dir(path, sizeof path, "absent.conf");
	cr_assert_not(load());
	says(REPORT_FATAL, "absent.conf", 0, "No such file or directory");
	source.conf_file = temp_dir;
	cr_assert_not(load());
	says(REPORT_FATAL, temp_dir, 0, "not a regular file");
	source.conf_file = NULL;

	cr_assert_eq(unlink(in_dir(path, sizeof path, "hosts.tab")), 0);
	cr_assert_not(load());
	says(REPORT_FATAL, "hosts.tab", 0, "No such file or directory");
	/* Nobody writes into it: a reader that waits would hang here. */
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_not(load());
	says(REPORT_FATAL, "hosts.tab", 0, "not a regular file");
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(symlink("/dev/zero", path), 0);
	cr_assert_not(load());
	says(REPORT_FATAL, "hosts.tab", 0, "not a regular file");
	cr_assert_eq(unlink(path), 0);
	temp_write("hosts.tab", "");
	cr_assert_eq(truncate(path, (off_t)TEXT_FILE_MAX + 1), 0);
	cr_assert_not(load());
	says(REPORT_FATAL, "hosts.tab", 0, "larger than 64 MiB");

	cr_assert_eq(unlink(in_dir(path, sizeof path, "loncapa.conf")), 0);
	temp_make_dir("loncapa.conf");
	cr_assert_not(load());
	says(REPORT_FATAL, "loncapa.conf", 0, "not a regular file");
}

Test(config, sections_without_a_host)
{
	const char *const options[] = { "host absent.pipeline=2", "host msul1.pipeline=3" };

	temp_write("relay.conf", "relay { } # one\nhost msul1 { }\n\n"
				 "host\n\"ghost\" {\n\tpipeline = 2\n}\n");
	cr_assert(load_with(options, COUNT_OF(options)));
	says(REPORT_WARNING, "relay.conf", 5, "host \"ghost\": no such host in");
	says(REPORT_WARNING, "-o host absent.pipeline=2", 0, "host \"absent\": no such host in");
	cr_assert_eq(report.count, 2);
	cr_assert_eq(host("msul1")->settings.pipeline, 3);
}

Test(config, settings_that_contradict)
{
	const char *const options[] = { "defaults.queue_bytes_max=1M" };

	temp_write("relay.conf", "\nhost msul1 {\n queue_bytes_max = 1MiB }\n");
	cr_assert(load());
	says(REPORT_WARNING, "relay.conf", 2, "queue_bytes_max 1MiB is less than line_max 16MiB");
	temp_write("relay.conf", "\n\ndefaults { queue_bytes_max = 1MiB }\n");
	cr_assert(load());
	says(REPORT_WARNING, "relay.conf", 3, "queue_bytes_max 1MiB is less than line_max 16MiB");
	temp_write("relay.conf", "");
	cr_assert(load_with(options, 1));
	says(REPORT_WARNING, "-o defaults.queue_bytes_max=1M", 0, "queue_bytes_max 1MiB is less");
}

/* What is printed is a relay.conf of the same meaning. */
Test(config, print)
{
	char *text = NULL;
	size_t len = 0;
	struct config first;
	const char *const options[] = { "relay.user=q\"${x}\\", "host we\"ird.pipeline=9",
					"host msul1.idle_timeout=90s", "defaults.line_max=1000" };

	temp_write("hosts.tab", "msul1:d:r:n\x1b:10.0.0.1\nwe\"ird:d:r:n:[::1]\n");
	cr_assert(load_with(options, COUNT_OF(options)));
	FILE *out = open_memstream(&text, &len);
	config_print(out, &config);
	fclose(out);
	cr_assert_not_null(strstr(text, "\tpipeline = 1\n"));
	cr_assert_not_null(strstr(text, "\tline_max = 1000B\n"));
	cr_assert_not_null(strstr(text, "# 2 hosts\n"));
	cr_assert_not_null(strstr(text,
				  "# line 1: 10.0.0.1 port 5663, n?, r of d\nhost \"msul1\" {\n"
				  "\tidle_timeout = 90s\n}\n"));
	cr_assert_not_null(strstr(text, "# line 2: [::1] port 5663"));

	first = config;
	config = (struct config){ .hosts = NULL };
	temp_write("relay.conf", text);
	free(text);
	source.loncapa_dir = NULL;
	cr_assert(load());
	says_nothing();
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *s = &settings_table[i];
		if (s->section == SETTING_SECTION_SERVICE || s->section == SETTING_SECTION_GATEWAY)
			continue;
		bool relay = setting_section_is_single(s->section);
		struct setting_value a =
		    setting_load(s, relay ? (void *)&first.relay : (void *)&first.defaults_section);
		struct setting_value b = setting_load(s, relay ? (void *)&config.relay
							       : (void *)&config.defaults_section);

		cr_assert_eq(a.number, b.number, "%s", s->key);
		cr_assert_eq(a.text == NULL, b.text == NULL, "%s", s->key);
		if (a.text != NULL)
			cr_assert_str_eq(a.text, b.text);
	}
	for (size_t i = 0; i < 2; i++)
		cr_assert_eq(memcmp(&first.hosts[i].settings, &config.hosts[i].settings,
				    sizeof(struct host_settings)),
			     0);
	config_free(&first);
}

/* Likewise services: whatever is in their texts. */
Test(config, print_services)
{
	char *text = NULL;
	size_t len = 0;
	struct config first;
	const char *const options[] = {
		"service hello.ident=a \"b\\${c}",
		"service hello.command=sh,-c,echo \"$x\\\\,${y},",
		"service hello.idle_timeout=90s",
		"service b.c.socket=/run/b",
		"service b.c.connect=/c",
		"service b.c.allow_uids=root,7",
	};

	cr_assert(load_with(options, COUNT_OF(options)));
	FILE *out = open_memstream(&text, &len);
	config_print(out, &config);
	fclose(out);
	cr_assert_not_null(strstr(text, "# called at /run/b\nservice \"b.c\" {\n"
					"\t# ident is not set\n\tsocket = \"/run/b\"\n"));
	cr_assert_not_null(strstr(text, "\tallow_uids = {\"root\", \"7\"}\n"));
	cr_assert_not_null(strstr(text, "\tcommand = {\"sh\", \"-c\", \"echo \\\""));
	cr_assert_not_null(strstr(text, "\tidle_timeout = 90s\n"));

	first = config;
	config = (struct config){ .hosts = NULL };
	temp_write("relay.conf", text);
	free(text);
	source.loncapa_dir = NULL;
	cr_assert(load());
	cr_assert_eq(config.service_count, 2);
	cr_assert_str_eq(config.services[0].name, "b.c");
	cr_assert_str_eq(config.services[1].name, "hello");
	cr_assert_str_eq(config.services[1].settings.ident, "a \"b\\${c}");
	cr_assert_str_eq(config.services[1].settings.command[2], "echo \"$x\\");
	cr_assert_str_eq(config.services[1].settings.command[3], "${y}");
	cr_assert_str_eq(config.services[1].settings.command[4], "");
	for (size_t i = 0; i < 2 * SETTING_COUNT; i++) {
		const struct setting *s = &settings_table[i / 2];
		if (s->section == SETTING_SECTION_SERVICE)
			cr_assert(setting_equal(s, setting_load(s, &first.services[i % 2].settings),
						setting_load(s, &config.services[i % 2].settings)),
				  "%s", s->key);
	}
	config_free(&first);
}
