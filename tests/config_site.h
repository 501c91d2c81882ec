/*
 * config_site.h - a directory with a complete legacy configuration, for the tests that load one.
 * Each test program has one site, made before each test and removed after it.
 */
#ifndef TESTS_CONFIG_SITE_H
#define TESTS_CONFIG_SITE_H

#include "relay/config.h"
#include "relay/text_file.h"
#include "tests/temp_dir.h"

static char conf_path[256];
static struct config config;
static struct report report;
static struct config_source source;

static inline const char *
in_dir(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", temp_dir, name);
	return out;
}

/* The usual four variables; `more` follows them. */
static inline void
write_loncapa(const char *more)
{
	char text[1024];

	snprintf(text, sizeof text,
		 "PerlSetVar lonSockDir %s/sockets\n"
		 "PerlSetVar lonTabDir %s\n"
		 "PerlSetVar lonDaemons %s\n"
		 "PerlSetVar lonHostID locgw7\n"
		 "PerlSetVar londPort 5663\n%s",
		 temp_dir, temp_dir, temp_dir, more);
	temp_write("loncapa.conf", text);
}

static inline void
set_up(void)
{
	umask(022); /* files that the group may write to are told of */
	temp_dir_make();
	unsetenv("RUNTIME_DIRECTORY");
	unsetenv("STATE_DIRECTORY");
	temp_make_dir("sockets");
	temp_make_dir("logs");
	write_loncapa("");
	temp_write("hosts.tab", "msul1:msu:library:msu.example:127.0.0.1\n"
				"nsdl2:nsdl:access:nsdl.example:[::1]:more\n");
	source = (struct config_source){
		.loncapa_dir = temp_dir,
	};
}

static inline void
tear_down(void)
{
	config_free(&config);
	report_fini(&report);
	temp_dir_remove();
}

/* Loads afresh; relay.conf counts if it is there. */
static inline bool
load_with(const char *const *options, size_t count)
{
	in_dir(conf_path, sizeof conf_path, "relay.conf");
	if (access(conf_path, F_OK) == 0)
		source.conf_file = conf_path;
	source.options = options;
	source.option_count = count;
	config_free(&config);
	report_fini(&report);
	bool good = config_load(&config, &source, &report);
	cr_assert_eq(good, report.totals[REPORT_FATAL] == 0,
		     "refused with a reason, or not at all");
	if (!good) {
		cr_assert_eq(config.host_count, 0);
		cr_assert_null(config.relay.socket_dir);
	}
	return good;
}

static inline bool
load(void)
{
	return load_with(NULL, 0);
}

/* One entry has these properties.  `file` is a name in the directory, unless it starts with one of
 * -, $, /. */
static inline void
says(enum report_severity severity, const char *file, unsigned line, const char *part)
{
	char path[256];

	if (strchr("-$/", file[0]) == NULL)
		file = in_dir(path, sizeof path, file);
	for (size_t i = 0; i < report.count; i++) {
		const struct report_entry *entry = &report.entries[i];

		if (entry->severity == severity && entry->line == line && entry->file != NULL &&
		    strcmp(entry->file, file) == 0 && strstr(entry->text, part) != NULL)
			return;
	}
	report_print(stderr, &report);
	cr_assert_fail("no entry %s:%u: %s: %s", file, line, report_severity_text(severity), part);
}

static inline void
says_nothing(void)
{
	if (report.count > 0)
		report_print(stderr, &report);
	cr_assert_eq(report.count, 0);
}

static inline const struct config_host *
host(const char *id)
{
	for (size_t i = 0; i < config.host_count; i++)
		if (strcmp(config.hosts[i].id, id) == 0)
			return &config.hosts[i];
	cr_assert_fail("no host %s", id);
	return NULL;
}

#endif
