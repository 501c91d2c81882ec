/*
 * config_site.h - a directory with a complete legacy configuration, for the tests that load one.
 * Each test program has one site, made before each test and removed after it.
 */
#ifndef TESTS_CONFIG_SITE_H
#define TESTS_CONFIG_SITE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/config.h"
#include "relay/text_file.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static char dir[64];
static char conf_path[256];
static struct config config;
static struct report report;
static struct config_source source;

static inline const char *
in_dir(char *out, size_t size, const char *name)
{
	snprintf(out, size, "%s/%s", dir, name);
	return out;
}

static inline void
write_bytes(const char *name, const void *bytes, size_t len)
{
	char path[256];
	FILE *file = fopen(in_dir(path, sizeof path, name), "w");

	cr_assert_not_null(file, "%s: %s", path, strerror(errno));
	cr_assert_eq(fwrite(bytes, 1, len, file), len);
	cr_assert_eq(fclose(file), 0);
}

static inline void
write_text(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

static inline void
make_dir(const char *name)
{
	char path[256];

	cr_assert_eq(mkdir(in_dir(path, sizeof path, name), 0755), 0, "%s", strerror(errno));
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
		 dir, dir, dir, more);
	write_text("loncapa.conf", text);
}

static inline void
set_up(void)
{
	umask(022); /* files that the group may write to are told of */
	snprintf(dir, sizeof dir, "/tmp/relay-config-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	unsetenv("RUNTIME_DIRECTORY");
	unsetenv("STATE_DIRECTORY");
	make_dir("sockets");
	make_dir("logs");
	write_loncapa("");
	write_text("hosts.tab", "msul1:msu:library:msu.example:127.0.0.1\n"
				"nsdl2:nsdl:access:nsdl.example:[::1]:more\n");
	source = (struct config_source){
		.loncapa_dir = dir,
	};
}

static inline int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static inline void
tear_down(void)
{
	config_free(&config);
	report_fini(&report);
	nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
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
