/*
 * relay_conf.c - drives libconfuse over relay.conf and lays the `-o` options over the tree.
 *
 * Never decides what a missing value means and never looks at another file.  Owns the tree; its
 * values live in it as the text that was written, all of them checked.
 */
#include "relay/relay_conf.h"

#include <confuse.h>
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "relay/conf_scan.h"
#include "relay/text_file.h"

#define SECTION_RELAY    "relay"
#define SECTION_EXPORTER "exporter"
#define SECTION_DEFAULTS "defaults"
#define SECTION_HOST     "host"
#define SECTION_CONTROL  "control"

enum {
	SECTION_NAME_MAX = 16
};

static_assert(SETTING_COUNT <= 64, "a bit per setting in struct parse");

/* What libconfuse's callbacks need to know, for they get no pointer of ours. */
struct parse {
	struct relay_conf *conf;
	const char *path;
	const struct conf_scan *scan;
	struct report *report;
	uint64_t keys_seen;    /* in the section that is being read, a bit per setting */
	size_t sections_ended; /* the next section began at scan->lines[sections_ended] */
	bool relay_seen;
	bool control_seen;
	bool exporter_seen;
	bool defaults_seen;
};

/* Set while libconfuse parses; it is no more reentrant itself. */
static struct parse *parsing;

static bool
section_of(const char *name, enum setting_section *section)
{
	if (strcmp(name, SECTION_RELAY) == 0)
		*section = SETTING_SECTION_RELAY;
	else if (strcmp(name, SECTION_CONTROL) == 0)
		*section = SETTING_SECTION_CONTROL;
	else if (strcmp(name, SECTION_EXPORTER) == 0)
		*section = SETTING_SECTION_EXPORTER;
	else if (strcmp(name, SECTION_DEFAULTS) == 0 || strcmp(name, SECTION_HOST) == 0)
		*section = SETTING_SECTION_HOST;
	else
		return false;
	return true;
}

/* The keys of a section as a list of words. */
static void
list_keys(enum setting_section section, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < SETTING_COUNT && at < size; i++) {
		if (settings_table[i].section != section)
			continue;
		int n = snprintf(out + at, size - at, "%s%s", at > 0 ? ", " : "",
				 settings_table[i].key);
		at += (size_t)n;
	}
}

static void
on_syntax_error(cfg_t *cfg, const char *format, va_list args)
{
	char text[256];
	char keys[512];
	enum setting_section section;

	vsnprintf(text, sizeof text, format, args);
	/* The one message to which something can be added; translated, it stays as it is. */
	if (strncmp(format, "no such option", strlen("no such option")) != 0)
		report_add(parsing->report, REPORT_FATAL, parsing->path, (unsigned)cfg->line, "%s",
			   text);
	else if (section_of(cfg_name(cfg), &section)) {
		list_keys(section, keys, sizeof keys);
		report_add(parsing->report, REPORT_FATAL, parsing->path, (unsigned)cfg->line,
			   "%s in section %s: allowed are %s", text, cfg_name(cfg), keys);
	} else {
		report_add(parsing->report, REPORT_FATAL, parsing->path, (unsigned)cfg->line,
			   "%s: allowed are the sections " SECTION_RELAY ", " SECTION_CONTROL
			   ", " SECTION_EXPORTER ", " SECTION_DEFAULTS ", " SECTION_HOST " \"ID\"",
			   text);
	}
}

/*
 * Checks one value where it was just set.  Always answers 0 while the file is parsed, so that all
 * bad values are found in one go.
 */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	enum setting_section section;
	struct setting_value value;
	char why[512];
	const char *key = cfg_opt_name(opt);
	unsigned line = (unsigned)cfg->line;

	/* libconfuse would take `relay|workers = 2` outside of the section. */
	if (!section_of(cfg_name(cfg), &section)) {
		report_add(parsing->report, REPORT_FATAL, parsing->path, line,
			   "%s: set outside of its section", key);
		return 0;
	}
	const struct setting *setting = setting_find(section, key);
	uint64_t bit = UINT64_C(1) << (setting - settings_table);
	if ((parsing->keys_seen & bit) != 0)
		report_add(parsing->report, REPORT_FATAL, parsing->path, line,
			   "%s.%s: given twice in this section", cfg_name(cfg), key);
	parsing->keys_seen |= bit;
	if (!setting_parse(setting, cfg_opt_getstr(opt), &value, why, sizeof why))
		report_add(parsing->report, REPORT_FATAL, parsing->path, line, "%s.%s: %s",
			   cfg_name(cfg), key, why);
	return 0;
}

static bool
add_origin(struct relay_conf *conf, struct conf_origin origin)
{
	/* Grows at 0, 1, 2, 4, 8 ... entries. */
	if ((conf->host_count & (conf->host_count - 1)) == 0) {
		size_t room = conf->host_count == 0 ? 1 : conf->host_count * 2;
		struct conf_origin *hosts = realloc(conf->hosts, room * sizeof *hosts);

		if (hosts == NULL)
			return false;
		conf->hosts = hosts;
	}
	conf->hosts[conf->host_count++] = origin;
	return true;
}

static int
on_single_section(cfg_opt_t *opt, bool *seen, unsigned line)
{
	if (*seen)
		report_add(parsing->report, REPORT_FATAL, parsing->path, line,
			   "section %s: given twice", cfg_opt_name(opt));
	*seen = true;
	return 0;
}

/* At the closing brace of a section. */
static int
on_section_end(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_name(opt);
	(void)cfg;

	parsing->keys_seen = 0;
	/* Sections do not nest, so that libconfuse finds as many as the scan did. */
	assert(parsing->sections_ended < parsing->scan->count);
	unsigned line = parsing->scan->lines[parsing->sections_ended++];
	if (strcmp(name, SECTION_RELAY) == 0)
		return on_single_section(opt, &parsing->relay_seen, line);
	if (strcmp(name, SECTION_CONTROL) == 0)
		return on_single_section(opt, &parsing->control_seen, line);
	if (strcmp(name, SECTION_EXPORTER) == 0)
		return on_single_section(opt, &parsing->exporter_seen, line);
	if (strcmp(name, SECTION_DEFAULTS) == 0) {
		if (!parsing->defaults_seen)
			parsing->conf->defaults.line = line;
		return on_single_section(opt, &parsing->defaults_seen, line);
	}
	if (!add_origin(parsing->conf, (struct conf_origin){ .line = line })) {
		report_add(parsing->report, REPORT_FATAL, parsing->path, line, "out of memory");
		return -1;
	}
	return 0;
}

/* The keys of a section; `opts` has room for all settings and the end. */
static void
describe_section(cfg_opt_t *opts, enum setting_section section)
{
	size_t n = 0;

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (settings_table[i].section != section)
			continue;
		/* All are strings to libconfuse, whose numbers know no units and no bounds. */
		cfg_opt_t opt = CFG_STR(settings_table[i].key, NULL, CFGF_NODEFAULT);
		opt.validcb = on_value;
		opts[n++] = opt;
	}
	cfg_opt_t end = CFG_END();
	opts[n] = end;
}

static cfg_t *
new_tree(const char *path)
{
	cfg_opt_t relay[SETTING_COUNT + 1];
	cfg_opt_t control[SETTING_COUNT + 1];
	cfg_opt_t exporter[SETTING_COUNT + 1];
	cfg_opt_t host[SETTING_COUNT + 1];

	describe_section(relay, SETTING_SECTION_RELAY);
	describe_section(control, SETTING_SECTION_CONTROL);
	describe_section(exporter, SETTING_SECTION_EXPORTER);
	describe_section(host, SETTING_SECTION_HOST);
	cfg_opt_t root[] = {
		CFG_SEC(SECTION_RELAY, relay, CFGF_NONE),
		CFG_SEC(SECTION_CONTROL, control, CFGF_NONE),
		CFG_SEC(SECTION_EXPORTER, exporter, CFGF_NONE),
		CFG_SEC(SECTION_DEFAULTS, host, CFGF_NONE),
		CFG_SEC(SECTION_HOST, host, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};
	for (size_t i = 0; root[i].name != NULL; i++)
		root[i].validcb = on_section_end;

	cfg_t *tree = cfg_init(root, CFGF_NONE);
	if (tree == NULL)
		return NULL;
	cfg_set_error_function(tree, on_syntax_error);
	tree->filename = strdup(path);
	if (tree->filename == NULL) {
		cfg_free(tree);
		return NULL;
	}
	return tree;
}

static void
parse_text(struct parse *parse, struct text_file *file)
{
	size_t before = parse->report->totals[REPORT_FATAL];

	/* fmemopen need not take an empty buffer. */
	if (file->len == 0)
		return;
	FILE *stream = fmemopen(file->data, file->len, "r");
	if (stream == NULL) {
		report_add(parse->report, REPORT_FATAL, parse->path, 0, "%s", strerror(errno));
		return;
	}
	parsing = parse;
	int result = cfg_parse_fp(parse->conf->tree, stream);
	parsing = NULL;
	fclose(stream);
	/* Some mistakes, such as an empty name, libconfuse refuses without a word. */
	if (result != CFG_SUCCESS && parse->report->totals[REPORT_FATAL] == before)
		report_add(parse->report, REPORT_FATAL, parse->path,
			   (unsigned)parse->conf->tree->line, "syntax error");
}

static void
parse_file(struct relay_conf *conf, const char *path, struct report *report)
{
	struct text_file file;
	struct conf_scan scan;
	int error = text_file_read(&file, path, report);

	if (error == -ENOENT)
		report_add(report, REPORT_FATAL, path, 0, "%s", strerror(ENOENT));
	if (error != 0)
		return;

	struct parse parse = { .conf = conf, .path = path, .scan = &scan, .report = report };
	if (conf_scan(&scan, &file, path, report))
		parse_text(&parse, &file);
	conf_scan_fini(&scan);
	text_file_free(&file);
}

/* `-o` taken apart; the strings are copies in `text`. */
struct option {
	const char *whole;
	char *text;
	const char *name;  /* of the section */
	const char *title; /* of a host section, else NULL */
	const char *key;
	const char *value;
	enum setting_section section;
};

/* NULL, or what is wrong with its shape. */
static const char *
split_option(struct option *option)
{
	static const char shape[] =
	    "write SECTION.KEY=VALUE, with relay, control, exporter, defaults or host ID as the "
	    "section";
	char *equal = strchr(option->text, '=');

	if (equal == NULL)
		return shape;
	*equal = '\0';
	option->value = equal + 1;
	char *dot = strrchr(option->text, '.');
	if (dot == NULL)
		return shape;
	*dot = '\0';
	option->key = dot + 1;
	option->name = option->text;
	if (strncmp(option->text, SECTION_HOST " ", strlen(SECTION_HOST " ")) == 0) {
		char *title = option->text + strlen(SECTION_HOST);

		*title++ = '\0';
		option->title = title + strspn(title, " ");
	}
	bool is_host = strcmp(option->name, SECTION_HOST) == 0;
	if (!section_of(option->name, &option->section) ||
	    is_host != (option->title != NULL && option->title[0] != '\0'))
		return shape;
	return NULL;
}

static bool
check_option(const struct option *option, char *why, size_t why_size)
{
	struct setting_value value;
	char keys[512];
	const struct setting *setting = setting_find(option->section, option->key);

	if (setting == NULL) {
		list_keys(option->section, keys, sizeof keys);
		snprintf(why, why_size, "no such option '%.80s': allowed are %s", option->key,
			 keys);
		return false;
	}
	return setting_parse(setting, option->value, &value, why, why_size);
}

/* The section of the tree that the option means; a host's is made if need be. */
static cfg_t *
option_section(struct relay_conf *conf, const struct option *option)
{
	if (option->title == NULL) {
		if (option->section == SETTING_SECTION_HOST && conf->defaults.line == 0)
			conf->defaults.option = option->whole;
		return cfg_getsec(conf->tree, option->name);
	}
	cfg_t *section = cfg_gettsec(conf->tree, option->name, option->title);
	if (section != NULL)
		return section;
	if (!add_origin(conf, (struct conf_origin){ .option = option->whole }))
		return NULL;
	section = cfg_addtsec(conf->tree, option->name, option->title);
	if (section == NULL)
		conf->host_count--;
	return section;
}

static void
apply_option(struct relay_conf *conf, const char *whole, struct report *report)
{
	struct option option = { .whole = whole, .text = strdup(whole) };
	char file[256];
	char why[768];

	snprintf(file, sizeof file, "-o %s", whole);
	const char *wrong = option.text == NULL ? "out of memory" : split_option(&option);
	if (wrong == NULL && !check_option(&option, why, sizeof why))
		wrong = why;
	if (wrong == NULL) {
		cfg_t *section = option_section(conf, &option);

		if (section == NULL ||
		    cfg_setopt(section, cfg_getopt(section, option.key), option.value) == NULL)
			wrong = "out of memory";
	}
	if (wrong != NULL)
		report_add(report, REPORT_FATAL, file, 0, "%s", wrong);
	free(option.text);
}

bool
relay_conf_load(struct relay_conf *conf, const char *path, const char *const *options,
		size_t option_count, struct report *report)
{
	size_t before = report->totals[REPORT_FATAL];

	*conf = (struct relay_conf){ .tree = new_tree(path != NULL ? path : "") };
	if (conf->tree == NULL) {
		report_add(report, REPORT_FATAL, path, 0, "out of memory");
		return false;
	}
	if (path != NULL)
		parse_file(conf, path, report);
	for (size_t i = 0; i < option_count; i++)
		apply_option(conf, options[i], report);
	return report->totals[REPORT_FATAL] == before;
}

void
relay_conf_fini(struct relay_conf *conf)
{
	if (conf->tree != NULL)
		cfg_free(conf->tree);
	free(conf->hosts);
	*conf = (struct relay_conf){ .tree = NULL };
}

static bool
apply_section(cfg_t *section, enum setting_section kind, void *structure)
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];
		struct setting_value value;
		char why[512];

		if (setting->section != kind)
			continue;
		const char *text = cfg_getstr(section, setting->key);
		if (text == NULL)
			continue;
		bool good = setting_parse(setting, text, &value, why, sizeof why);
		/* It was checked when it came into the tree. */
		assert(good);
		(void)good;
		if (!setting_store(setting, structure, value))
			return false;
	}
	return true;
}

bool
relay_conf_apply_relay(const struct relay_conf *conf, struct relay_settings *relay)
{
	return apply_section(cfg_getsec(conf->tree, SECTION_RELAY), SETTING_SECTION_RELAY, relay) &&
	       apply_section(cfg_getsec(conf->tree, SECTION_CONTROL), SETTING_SECTION_CONTROL,
			     relay) &&
	       apply_section(cfg_getsec(conf->tree, SECTION_EXPORTER), SETTING_SECTION_EXPORTER,
			     relay);
}

bool
relay_conf_apply_defaults(const struct relay_conf *conf, struct host_settings *host)
{
	return apply_section(cfg_getsec(conf->tree, SECTION_DEFAULTS), SETTING_SECTION_HOST, host);
}

bool
relay_conf_apply_host(const struct relay_conf *conf, size_t index, struct host_settings *host)
{
	return apply_section(cfg_getnsec(conf->tree, SECTION_HOST, (unsigned)index),
			     SETTING_SECTION_HOST, host);
}

const char *
relay_conf_host_id(const struct relay_conf *conf, size_t index)
{
	return cfg_title(cfg_getnsec(conf->tree, SECTION_HOST, (unsigned)index));
}
