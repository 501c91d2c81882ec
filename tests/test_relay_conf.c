/*
 * test_relay_conf.c - what is refused in relay.conf and in `-o` options, and how quotes and
 * comments are read.  Every complaint is asked for its file and line, or its option.
 */
#include "tests/config_site.h"

TestSuite(relay_conf, .init = set_up, .fini = tear_down);

/* relay.conf is refused, with one entry only. */
static void
conf_refused(const char *text, unsigned line, const char *part)
{
	temp_write("relay.conf", text);
	cr_assert_not(load(), "%s", text);
	says(REPORT_FATAL, "relay.conf", line, part);
	cr_assert_eq(report.totals[REPORT_FATAL], 1, "%s", text);
}

static void
option_refused(const char *option, const char *part)
{
	char file[256];

	snprintf(file, sizeof file, "-o %s", option);
	cr_assert_not(load_with(&option, 1), "%s", option);
	says(REPORT_FATAL, file, 0, part);
	cr_assert_eq(report.totals[REPORT_FATAL], 1, "%s", option);
}

Test(relay_conf, values_are_checked)
{
	conf_refused("relay {\n\n workers = many }", 3,
		     "relay.workers: \"many\" is not a whole number: allowed 0 to 64");
	conf_refused("# c\n# c\n/* c\nc */ defaults {\n # c\n pipeline = 0 # c\n}", 6,
		     "defaults.pipeline: \"0\" is out of range: allowed 1 to 1024");
	conf_refused("host \"msul1\" {\n idle_timeout = '5 weeks'\n}", 2,
		     "host.idle_timeout: \"5 weeks\" is not a duration");
	conf_refused("relay { user = \"\" }", 1, "relay.user: \"\" is out of range");
	conf_refused("relay { run_dir = logs }", 1, "relay.run_dir: \"logs\" is not an absolute");
	conf_refused("host nobody { spread = 65 }", 1, "host.spread: \"65\" is out of range");

	/* All of them at once. */
	temp_write("relay.conf", "relay {\n workers = x\n port = 0\n}\ndefaults { spread = 0 }\n");
	cr_assert_not(load());
	says(REPORT_FATAL, "relay.conf", 2, "relay.workers");
	says(REPORT_FATAL, "relay.conf", 3, "relay.port");
	says(REPORT_FATAL, "relay.conf", 5, "defaults.spread");
}

Test(relay_conf, unknown_names)
{
	conf_refused("defaults {\n pipline = 3\n}", 2,
		     "'pipline' in section defaults: allowed are links_max, pipeline,");
	conf_refused("relay { pipeline = 3 }", 1,
		     "'pipeline' in section relay: allowed are workers");
	conf_refused("host x {\n workers = 3 }", 2, "'workers' in section host: allowed are");
	conf_refused(
	    "\n\nrelays { }", 3,
	    "'relays': allowed are the sections relay, control, exporter, datagram, webpager, "
	    "defaults, host \"ID\", service");
	conf_refused("pipeline = 3", 1, "'pipeline': allowed are the sections");
	conf_refused("\nrelay|workers = 3", 2, "workers: set outside of its section");
	conf_refused("\"\" = 3", 1, "syntax error");
	conf_refused("relay { PORT = 3 }", 1, "'PORT' in section relay");
}

Test(relay_conf, given_twice)
{
	conf_refused("relay {\n port = 1\n workers = 1\n port = 1\n}", 4,
		     "relay.port: given twice in this section");
	conf_refused("host a { spread = 1 }\nhost b { spread = 1\n spread = 2 }", 3,
		     "host.spread: given twice in this section");
	conf_refused("relay { port = 1 }\nrelay { workers = 2 }", 2, "section relay: given twice");
	conf_refused("defaults { }\n\ndefaults\n{ }", 4, "section defaults: given twice");
	conf_refused("host a { }\nhost b { }\nhost a { }", 3, "found duplicate title 'a'");
}

Test(relay_conf, syntax)
{
	conf_refused("relay {\n port = 1\n", 1, "a section without its closing brace");
	conf_refused("relay { }\n}\n", 2, "a closing brace without a section");
	conf_refused("relay {\n user = \"www\n }\n", 2, "a quoted text without its end");
	conf_refused("\nrelay { user = 'www }", 2, "a quoted text without its end");
	conf_refused("\n/* never ends *\n/ ", 2, "a comment without its end");
	conf_refused("relay {\n port 1 }", 2, "missing equal sign after option 'port'");
	conf_refused("host {\n}", 1, "missing title for section 'host'");
	conf_refused("relay = 3", 1, "missing opening brace for section 'relay'");
	conf_refused("relay { port = { 1 } }", 1, "unexpected token '{'");
	conf_refused("relay { port = 3*4 }", 1, "unexpected '*'");
	conf_refused("relay {\n port = 3+4 }", 2, "unexpected '+'");
	conf_refused("relay { port += 4 }", 1, "attempt to append");
	conf_refused("relay {\n user = ${HOME} }", 2, "variables of the environment");
	conf_refused("relay { user = \"${HOME}\" }", 1, "variables of the environment");
	conf_refused("relay { port = 12 MiB }", 1, "'MiB' in section relay");
	temp_write_bytes("relay.conf", "relay {\n\0}", 10);
	cr_assert_not(load());
	says(REPORT_FATAL, "relay.conf", 2, "a NUL byte");
}

/* What looks like a comment, a brace or a variable but stands in a text. */
Test(relay_conf, quoted_texts)
{
	temp_write("relay.conf", "relay { user = '${a}' host_id = \"#/*{\\\"\\${\\\\\" }");
	cr_assert(load());
	says_nothing();
	cr_assert_str_eq(config.relay.user, "${a}");
	cr_assert_str_eq(config.relay.host_id, "#/*{\"${\\");
	temp_write("relay.conf", "relay { user = a//b#c\n host_id = /d/*e*/ }");
	cr_assert_not(load());
	says(REPORT_FATAL, "relay.conf", 2, "unexpected '*'");
	temp_write("relay.conf", "relay { user = a//b#c\n host_id = '/' /*e*/ port = /**/ 7 } //");
	cr_assert(load());
	says_nothing();
	cr_assert_str_eq(config.relay.user, "a//b");
	cr_assert_str_eq(config.relay.host_id, "/");
	cr_assert_eq(config.relay.port, 7);
}

/* Where a list may stand, and what may stand in it. */
Test(relay_conf, lists)
{
	static const char begin[] = "service a { ident = i connect = /c\n";

	static const struct {
		const char *text;
		unsigned line;
		const char *part;
	} wrong[] = {
		{ "autoreload = { }\n}", 1, "service.autoreload: a list of 0 texts: allowed 1" },
		{ "autoreload = { /a }\n autoreload = { /b } }", 3,
		  "service.autoreload: given twice in this section" },
		{ "autoreload = { /a\n /b } }", 3, "unexpected token" },
		{ "autoreload = { /a, x } }", 2, "\"x\" is not an absolute path" },
		{ "autoreload = { { /a } } }", 2, "unexpected token '{'" },
		{ "allow_uids = { \"a\tb\" } }", 2, "not a text without control characters" },
		{ "calls_max = { 3 } }", 2, "unexpected token '{'" },
		{ "autoreload = { /a }", 1, "a section without its closing brace" },
	};

	char text[4096];

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		snprintf(text, sizeof text, "%s%s", begin, wrong[i].text);
		conf_refused(text, wrong[i].line, wrong[i].part);
	}
	conf_refused("relay|autoreload = { /a }", 1, "'autoreload'");

	/* One text needs no braces; `+=` adds to a list. */
	snprintf(text, sizeof text, "%sautoreload = /a autoreload += { '/b c', /d } }", begin);
	temp_write("relay.conf", text);
	cr_assert(load());
	char **list = config.services[0].settings.autoreload;
	cr_assert_str_eq(list[0], "/a");
	cr_assert_str_eq(list[1], "/b c");
	cr_assert_str_eq(list[2], "/d");
	cr_assert_null(list[3]);

	/* Too long a list is given up where it becomes so. */
	size_t at = (size_t)snprintf(text, sizeof text, "%sautoreload = { /x", begin);
	for (int i = 0; i < SETTINGS_LIST_MAX; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, ",\n/x");
	snprintf(text + at, sizeof text - at, "} }");
	conf_refused(text, 2 + SETTINGS_LIST_MAX,
		     "service.autoreload: a list of more than 64 texts");
}

Test(relay_conf, options)
{
	const char *const options[] = {
		"defaults.pipeline=7",     "defaults.pipeline=8", "host h.st.pipeline=32",
		"host  msul1.line_max=1M", "relay.workers=2",     "relay.user=a=b.c",
		"relay.port=99",
	};

	temp_write("hosts.tab", "msul1:d:r:n:10.0.0.1\nh.st:d:r:n:10.0.0.1\nc:d:r:n:10.0.0.1\n");
	temp_write("relay.conf", "defaults { pipeline = 2 links_max = 9 }\n"
				 "relay { workers = 1 user = x port = 1 }\n"
				 "host h.st { pipeline = 3 spread = 2 }\n");
	cr_assert(load_with(options, COUNT_OF(options)));
	says_nothing();
	cr_assert_eq(config.defaults.pipeline, 8);
	cr_assert_eq(config.relay.workers, 2);
	cr_assert_eq(config.relay.port, 99);
	cr_assert_str_eq(config.relay.user, "a=b.c");
	cr_assert_eq(host("msul1")->settings.line_max, 1024 * 1024);
	cr_assert_eq(host("msul1")->settings.pipeline, 8);
	cr_assert_eq(host("h.st")->settings.pipeline, 32);
	cr_assert_eq(host("h.st")->settings.spread, 2);
	cr_assert_eq(host("h.st")->settings.links_max, 9);
	cr_assert_eq(host("c")->settings.pipeline, 8);
}

Test(relay_conf, options_without_a_file)
{
	const char *const options[] = { "host nsdl2.pipeline=32", "host nsdl2.spread=3" };

	cr_assert(load_with(options, COUNT_OF(options)));
	says_nothing();
	cr_assert_eq(host("nsdl2")->settings.pipeline, 32);
	cr_assert_eq(host("nsdl2")->settings.spread, 3);
	cr_assert_eq(host("msul1")->settings.pipeline, 1);
}

Test(relay_conf, options_refused)
{
	option_refused("defaults.pipeline=0", "\"0\" is out of range: allowed 1 to 1024");
	option_refused("defaults.pipeline=", "\"\" is not a whole number");
	option_refused("defaults.pipeline", "write SECTION.KEY=VALUE");
	option_refused("pipeline=3", "write SECTION.KEY=VALUE");
	option_refused("", "write SECTION.KEY=VALUE");
	option_refused("host.pipeline=3", "write SECTION.KEY=VALUE");
	option_refused("host .pipeline=3", "write SECTION.KEY=VALUE");
	option_refused("service x.pipeline=3", "no such option 'pipeline': allowed are ident,");
	option_refused("service.calls_max=3", "write SECTION.KEY=VALUE");
	option_refused("services x.calls_max=3", "write SECTION.KEY=VALUE");
	option_refused("service x.autoreload=/a,b", "\"b\" is not an absolute path");
	option_refused("service x.autoreload=", "\"\" is not an absolute path");
	option_refused(".pipeline=3", "write SECTION.KEY=VALUE");
	option_refused("relay.pipeline=3", "no such option 'pipeline': allowed are workers,");
	option_refused("host msul1.nothing=3", "no such option 'nothing': allowed are links_max");
	option_refused("relay.=3", "no such option ''");
	option_refused("relay.run_dir=x", "\"x\" is not an absolute path");
}

/* A refused file leaves libconfuse fit for the next one. */
Test(relay_conf, load_after_load)
{
	for (int i = 0; i < 3; i++) {
		conf_refused("relay { user = \"x", 1, "a quoted text without its end");
		conf_refused("relay { port = = }", 1, "unexpected token");
		temp_write("relay.conf", "relay { user = \"x\" }");
		cr_assert(load());
		cr_assert_str_eq(config.relay.user, "x");
	}
}
