/*
 * relay_conf_option.c - options `-o SECTION.KEY=VALUE`: taken apart, checked, and set in the tree
 * of relay.conf.
 *
 * Never looks at a file.  Owns nothing: the tree has copies of the values.
 */
#include "relay/relay_conf_internal.h"

#include <confuse.h>
#include <stdlib.h>
#include <string.h>

#include "relay/setting_list.h"

/* `-o` taken apart; the strings are in a copy of it. */
struct option {
	const char *whole;
	const char *name;  /* of the section */
	const char *title; /* of a host or service, else NULL */
	const char *key;
	char *value; /* is taken apart if it is a list */
	enum setting_section section;
	bool is_list;
	char *items[SETTINGS_LIST_MAX + 1];
};

/* Whether sections of that name have titles: one of them is meant by name and title. */
static bool
has_title(const char *name)
{
	return strcmp(name, SECTION_HOST) == 0 || strcmp(name, SECTION_SERVICE) == 0 ||
	       strcmp(name, SECTION_GATEWAY) == 0;
}

/* NULL, or what is wrong with its shape. */
static const char *
split_option(struct option *option, char *text)
{
	static const char shape[] =
	    "write SECTION.KEY=VALUE, with relay, control, exporter, datagram, webpager, defaults, "
	    "host ID, service NAME or gateway NAME as the section";
	char *equal = strchr(text, '=');

	if (equal == NULL)
		return shape;
	*equal = '\0';
	option->value = equal + 1;
	char *dot = strrchr(text, '.');
	if (dot == NULL)
		return shape;
	*dot = '\0';
	option->key = dot + 1;
	option->name = text;
	char *space = strchr(text, ' ');
	if (space != NULL) {
		*space = '\0';
		option->title = space + 1 + strspn(space + 1, " ");
	}
	if (!relay_conf_section(option->name, &option->section) ||
	    has_title(option->name) != (option->title != NULL && option->title[0] != '\0'))
		return shape;
	return NULL;
}

static bool
check_option(struct option *option, char *why, size_t why_size)
{
	struct setting_value value;
	char keys[512];
	const struct setting *setting = setting_find(option->section, option->key);

	if (setting == NULL) {
		relay_conf_keys(option->section, keys, sizeof keys);
		snprintf(why, why_size, "no such option '%.80s': allowed are %s", option->key,
			 keys);
		return false;
	}
	option->is_list = setting_is_list(setting);
	if (!option->is_list)
		return setting_parse(setting, option->value, &value, why, why_size);
	if (setting_list_split(option->value, option->items))
		return setting_list_check(setting, option->items, why, why_size);
	snprintf(why, why_size, "a list of more than %d texts", SETTINGS_LIST_MAX);
	return false;
}

/* How many sections with a title there are of that kind. */
static size_t *
section_count(struct relay_conf *conf, enum setting_section section)
{
	if (section == SETTING_SECTION_HOST)
		return &conf->host_count;
	return section == SETTING_SECTION_GATEWAY ? &conf->gateway_count : &conf->service_count;
}

/* The section of the tree that the option means; one with a title is made if need be. */
static cfg_t *
option_section(struct relay_conf *conf, const struct option *option)
{
	if (option->title == NULL) {
		struct conf_origin *origin = relay_conf_origin(conf, option->name);

		if (origin != NULL && origin->line == 0)
			origin->option = option->whole;
		return cfg_getsec(conf->tree, option->name);
	}
	cfg_t *section = cfg_gettsec(conf->tree, option->name, option->title);
	if (section != NULL)
		return section;
	if (!relay_conf_add_origin(conf, option->name,
				   (struct conf_origin){ .option = option->whole }))
		return NULL;
	section = cfg_addtsec(conf->tree, option->name, option->title);
	if (section == NULL)
		--*section_count(conf, option->section);
	return section;
}

/* False: no memory. */
static bool
set_option(struct relay_conf *conf, struct option *option)
{
	cfg_t *section = option_section(conf, option);
	unsigned count = 0;

	if (section == NULL)
		return false;
	cfg_opt_t *opt = cfg_getopt(section, option->key);
	if (!option->is_list)
		return cfg_setopt(section, opt, option->value) != NULL;
	while (option->items[count] != NULL)
		count++;
	return cfg_opt_setmulti(section, opt, count, option->items) == CFG_SUCCESS;
}

void
relay_conf_option(struct relay_conf *conf, const char *whole, struct report *report)
{
	struct option option = { .whole = whole };
	char *text = strdup(whole);
	char file[256];
	char why[768];

	snprintf(file, sizeof file, "-o %s", whole);
	const char *wrong = text == NULL ? "out of memory" : split_option(&option, text);
	if (wrong == NULL && !check_option(&option, why, sizeof why))
		wrong = why;
	if (wrong == NULL && !set_option(conf, &option))
		wrong = "out of memory";
	if (wrong != NULL)
		report_add(report, REPORT_FATAL, file, 0, "%s", wrong);
	free(text);
}
