/*
 * relay_conf.c - drives libconfuse over relay.conf; the `-o` options come after it.
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
#include "relay/relay_conf_internal.h"
#include "relay/setting_list.h"
#include "relay/text_file.h"

/* What libconfuse's callbacks need to know, for they get no pointer of ours. */
struct parse {
	struct relay_conf *conf;
	const char *path;
	const struct conf_scan *scan;
	struct report *report;
	bool keys_seen[SETTING_COUNT];      /* in the section that is being read */
	unsigned list_lines[SETTING_COUNT]; /* where a list of this section begins */
	size_t sections_ended; /* the next section began at scan->lines[sections_ended] */
	bool relay_seen;
	bool control_seen;
	bool exporter_seen;
	bool datagram_seen;
	bool webpager_seen;
	bool defaults_seen;
};

/* Set while libconfuse parses; it is no more reentrant itself. */
static struct parse *parsing;

bool
relay_conf_section(const char *name, enum setting_section *section)
{
	if (strcmp(name, SECTION_RELAY) == 0)
		*section = SETTING_SECTION_RELAY;
	else if (strcmp(name, SECTION_CONTROL) == 0)
		*section = SETTING_SECTION_CONTROL;
	else if (strcmp(name, SECTION_EXPORTER) == 0)
		*section = SETTING_SECTION_EXPORTER;
	else if (strcmp(name, SECTION_DATAGRAM) == 0)
		*section = SETTING_SECTION_DATAGRAM;
	else if (strcmp(name, SECTION_WEBPAGER) == 0)
		*section = SETTING_SECTION_WEBPAGER;
	else if (strcmp(name, SECTION_DEFAULTS) == 0 || strcmp(name, SECTION_HOST) == 0)
		*section = SETTING_SECTION_HOST;
	else if (strcmp(name, SECTION_SERVICE) == 0)
		*section = SETTING_SECTION_SERVICE;
	else if (strcmp(name, SECTION_GATEWAY) == 0)
		*section = SETTING_SECTION_GATEWAY;
	else
		return false;
	return true;
}

void
relay_conf_keys(enum setting_section section, char *out, size_t size)
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
	else if (relay_conf_section(cfg_name(cfg), &section)) {
		relay_conf_keys(section, keys, sizeof keys);
		report_add(parsing->report, REPORT_FATAL, parsing->path, (unsigned)cfg->line,
			   "%s in section %s: allowed are %s", text, cfg_name(cfg), keys);
	} else {
		report_add(parsing->report, REPORT_FATAL, parsing->path, (unsigned)cfg->line,
			   "%s: allowed are the sections " SECTION_RELAY ", " SECTION_CONTROL
			   ", " SECTION_EXPORTER ", " SECTION_DATAGRAM ", " SECTION_WEBPAGER
			   ", " SECTION_DEFAULTS ", " SECTION_HOST " \"ID\", " SECTION_SERVICE
			   " \"NAME\", " SECTION_GATEWAY " \"NAME\"",
			   text);
	}
}

/* The setting of a key that was just met, which may not have been in this section before; NULL if
 * that is no place for it. */
static const struct setting *
meet_key(cfg_t *cfg, cfg_opt_t *opt)
{
	enum setting_section section;
	const char *key = cfg_opt_name(opt);
	unsigned line = (unsigned)cfg->line;

	/* libconfuse would take `relay|workers = 2` outside of the section. */
	if (!relay_conf_section(cfg_name(cfg), &section)) {
		report_add(parsing->report, REPORT_FATAL, parsing->path, line,
			   "%s: set outside of its section", key);
		return NULL;
	}
	const struct setting *setting = setting_find(section, key);
	bool *seen = &parsing->keys_seen[setting - settings_table];
	if (*seen)
		report_add(parsing->report, REPORT_FATAL, parsing->path, line,
			   "%s.%s: given twice in this section", cfg_name(cfg), key);
	*seen = true;
	return setting;
}

/*
 * Checks one value where it was just set.  Always answers 0 while the file is parsed, so that all
 * bad values are found in one go.
 */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	struct setting_value value;
	char why[512];
	const struct setting *setting = meet_key(cfg, opt);

	if (setting != NULL &&
	    !setting_parse(setting, cfg_opt_getstr(opt), &value, why, sizeof why))
		report_add(parsing->report, REPORT_FATAL, parsing->path, (unsigned)cfg->line,
			   "%s.%s: %s", cfg_name(cfg), setting->key, why);
	return 0;
}

/* At each text of a list; the list is checked at the end of its section, when it is whole. */
static int
on_list_text(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	*(const char **)result = text;
	/* Set by an option, which checks for itself. */
	if (parsing == NULL)
		return 0;
	if (cfg_opt_size(opt) == 1) {
		const struct setting *setting = meet_key(cfg, opt);

		if (setting != NULL)
			parsing->list_lines[setting - settings_table] = (unsigned)cfg->line;
	}
	if (cfg_opt_size(opt) <= SETTINGS_LIST_MAX)
		return 0;
	/* No more of it has to be kept. */
	report_add(parsing->report, REPORT_FATAL, parsing->path, (unsigned)cfg->line,
		   "%s.%s: a list of more than %d texts", cfg_name(cfg), cfg_opt_name(opt),
		   SETTINGS_LIST_MAX);
	return -1;
}

bool
relay_conf_list(cfg_t *section, const struct setting *setting, char *items[SETTINGS_LIST_MAX + 1])
{
	cfg_opt_t *opt = cfg_getopt(section, setting->key);
	unsigned count = cfg_opt_size(opt);

	assert(count <= SETTINGS_LIST_MAX);
	for (unsigned i = 0; i < count; i++)
		items[i] = cfg_opt_getnstr(opt, i);
	items[count] = NULL;
	/* `key = { }` leaves no more than this flag. */
	return count > 0 || (opt->flags & CFGF_MODIFIED) != 0;
}

/* All lists of a section that begins at `line`. */
static void
check_lists(cfg_t *section, unsigned line)
{
	char *items[SETTINGS_LIST_MAX + 1];
	char why[512];
	enum setting_section kind;

	if (!relay_conf_section(cfg_name(section), &kind))
		return;
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings_table[i];

		if (setting->section != kind || !setting_is_list(setting) ||
		    !relay_conf_list(section, setting, items) ||
		    setting_list_check(setting, items, why, sizeof why))
			continue;
		report_add(parsing->report, REPORT_FATAL, parsing->path,
			   items[0] != NULL ? parsing->list_lines[i] : line, "%s.%s: %s",
			   cfg_name(section), setting->key, why);
	}
}

bool
relay_conf_add_origin(struct relay_conf *conf, const char *name, struct conf_origin origin)
{
	struct conf_origin **list = &conf->services;
	size_t *count = &conf->service_count;

	if (strcmp(name, SECTION_HOST) == 0) {
		list = &conf->hosts;
		count = &conf->host_count;
	} else if (strcmp(name, SECTION_GATEWAY) == 0) {
		list = &conf->gateways;
		count = &conf->gateway_count;
	}

	/* Grows at 0, 1, 2, 4, 8 ... entries. */
	if ((*count & (*count - 1)) == 0) {
		size_t room = *count == 0 ? 1 : *count * 2;
		struct conf_origin *grown = realloc(*list, room * sizeof *grown);

		if (grown == NULL)
			return false;
		*list = grown;
	}
	(*list)[(*count)++] = origin;
	return true;
}

struct conf_origin *
relay_conf_origin(struct relay_conf *conf, const char *name)
{
	if (strcmp(name, SECTION_DEFAULTS) == 0)
		return &conf->defaults;
	if (strcmp(name, SECTION_DATAGRAM) == 0)
		return &conf->datagram;
	if (strcmp(name, SECTION_WEBPAGER) == 0)
		return &conf->webpager;
	return NULL;
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

	memset(parsing->keys_seen, 0, sizeof parsing->keys_seen);
	/* Sections do not nest, so that libconfuse finds as many as the scan did. */
	assert(parsing->sections_ended < parsing->scan->count);
	unsigned line = parsing->scan->lines[parsing->sections_ended++];
	check_lists(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1), line);
	if (strcmp(name, SECTION_RELAY) == 0)
		return on_single_section(opt, &parsing->relay_seen, line);
	if (strcmp(name, SECTION_CONTROL) == 0)
		return on_single_section(opt, &parsing->control_seen, line);
	if (strcmp(name, SECTION_EXPORTER) == 0)
		return on_single_section(opt, &parsing->exporter_seen, line);
	struct relay_conf *conf = parsing->conf;
	assert(conf != NULL);
	struct conf_origin *origin = relay_conf_origin(conf, name);
	if (origin != NULL && origin->line == 0)
		origin->line = line;
	if (strcmp(name, SECTION_DATAGRAM) == 0)
		return on_single_section(opt, &parsing->datagram_seen, line);
	if (strcmp(name, SECTION_WEBPAGER) == 0)
		return on_single_section(opt, &parsing->webpager_seen, line);
	if (strcmp(name, SECTION_DEFAULTS) == 0)
		return on_single_section(opt, &parsing->defaults_seen, line);
	if (!relay_conf_add_origin(conf, name, (struct conf_origin){ .line = line })) {
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
		cfg_opt_t text = CFG_STR(settings_table[i].key, NULL, CFGF_NODEFAULT);
		cfg_opt_t list = CFG_STR_LIST(settings_table[i].key, NULL, CFGF_NODEFAULT);
		text.validcb = on_value;
		list.parsecb = on_list_text;
		opts[n++] = setting_is_list(&settings_table[i]) ? list : text;
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
	cfg_opt_t datagram[SETTING_COUNT + 1];
	cfg_opt_t webpager[SETTING_COUNT + 1];
	cfg_opt_t host[SETTING_COUNT + 1];
	cfg_opt_t service[SETTING_COUNT + 1];
	cfg_opt_t gateway[SETTING_COUNT + 1];

	describe_section(relay, SETTING_SECTION_RELAY);
	describe_section(control, SETTING_SECTION_CONTROL);
	describe_section(exporter, SETTING_SECTION_EXPORTER);
	describe_section(datagram, SETTING_SECTION_DATAGRAM);
	describe_section(webpager, SETTING_SECTION_WEBPAGER);
	describe_section(host, SETTING_SECTION_HOST);
	describe_section(service, SETTING_SECTION_SERVICE);
	describe_section(gateway, SETTING_SECTION_GATEWAY);
	cfg_opt_t root[] = {
		CFG_SEC(SECTION_RELAY, relay, CFGF_NONE),
		CFG_SEC(SECTION_CONTROL, control, CFGF_NONE),
		CFG_SEC(SECTION_EXPORTER, exporter, CFGF_NONE),
		CFG_SEC(SECTION_DATAGRAM, datagram, CFGF_NONE),
		CFG_SEC(SECTION_WEBPAGER, webpager, CFGF_NONE),
		CFG_SEC(SECTION_DEFAULTS, host, CFGF_NONE),
		CFG_SEC(SECTION_HOST, host, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_SEC(SECTION_SERVICE, service, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_SEC(SECTION_GATEWAY, gateway, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
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

bool
relay_conf_load(struct relay_conf *conf, const char *path, const char *const *options,
		size_t option_count, struct report *report)
{
	size_t before = report->totals[REPORT_FATAL];

	*conf = (struct relay_conf){ .path = path, .tree = new_tree(path != NULL ? path : "") };
	if (conf->tree == NULL) {
		report_add(report, REPORT_FATAL, path, 0, "out of memory");
		return false;
	}
	if (path != NULL)
		parse_file(conf, path, report);
	for (size_t i = 0; i < option_count; i++)
		relay_conf_option(conf, options[i], report);
	return report->totals[REPORT_FATAL] == before;
}

void
relay_conf_fini(struct relay_conf *conf)
{
	if (conf->tree != NULL)
		cfg_free(conf->tree);
	free(conf->hosts);
	free(conf->services);
	free(conf->gateways);
	*conf = (struct relay_conf){ .tree = NULL };
}

void
relay_conf_say(const struct relay_conf *conf, struct conf_origin origin,
	       enum report_severity severity, const char *text, struct report *report)
{
	const char *file = origin.line != 0 ? conf->path : NULL;
	char option[256];

	if (origin.option != NULL) {
		snprintf(option, sizeof option, "-o %s", origin.option);
		file = option;
	}
	report_add(report, severity, file, origin.line, "%s", text);
}
