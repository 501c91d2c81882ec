/*
 * tables.c - prints the tables of settings and of verbs, for the manual pages: one row per line,
 * its fields separated by tabs.
 *
 *   setting  SECTION KEY TYPE UNIT DEFAULT MIN MAX MIN_BYTES MAX_BYTES APPLY HELP
 *            (a text has only the bytes, a list has there how many texts it takes)
 *   verb     NAME ROLE ARGUMENTS OPTIONS HELP
 *
 * Asks the code that reads relay.conf how it writes a bound, so that the pages cannot disagree with
 * it.  Never reads anything.  Owns nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/control_call.h"
#include "relay/settings.h"

struct setting_names {
	const char *section;
	const char *type;
	const char *apply;
};

struct verb_row {
	const char *name;
	const char *role;
	const char *arguments;
	unsigned options;
	const char *help;
};

/* What only the source knows by name. */
#define SETTING(section, key, type, unit, field, fallback, min, max, apply, help) \
	[SETTING_##section##_##key] = { #section, #type, #apply },
static const struct setting_names setting_names[SETTING_COUNT] = {
#include "relay/settings.def"
};
#undef SETTING

#define MUTATES CONTROL_OPTION_MUTATES
#define PAGED   CONTROL_OPTION_PAGED
#define STREAM  CONTROL_OPTION_STREAM
#define SELECTS CONTROL_OPTION_SELECTS
#define VERB(name, role, handler, arguments, options, help) \
	{ name, #role, arguments, options, help },
static const struct verb_row verbs[] = {
#include "relay/control_verbs.def"
};
#undef VERB

static void
print_setting(const struct setting *setting, const struct setting_names *names)
{
	char min[64], max[64];

	setting_format(setting, (struct setting_value){ .number = setting->min }, min, sizeof min);
	setting_format(setting, (struct setting_value){ .number = setting->max }, max, sizeof max);
	printf("setting\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\n",
	       names->section, setting->key, names->type, setting->unit, setting->fallback, min,
	       max, setting->min, setting->max, names->apply, setting->help);
}

static void
print_verb(const struct verb_row *verb)
{
	printf("verb\t%s\t%s\t%s\t%s%s%s\t%s\n", verb->name, verb->role, verb->arguments,
	       verb->options & CONTROL_OPTION_MUTATES ? " mutates" : "",
	       verb->options & CONTROL_OPTION_PAGED ? " paged" : "",
	       verb->options & CONTROL_OPTION_STREAM ? " stream" : "", verb->help);
}

int
main(void)
{
	for (size_t i = 0; i < SETTING_COUNT; i++)
		print_setting(&settings_table[i], &setting_names[i]);
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		print_verb(&verbs[i]);
	return fclose(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
