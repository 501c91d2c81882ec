/*
 * relay_conf_internal.h - what the files of relay_conf know of each other: the names of the
 * sections, and the tree.
 *
 *   relay_conf.c         the file, driven through libconfuse
 *   relay_conf_option.c  what -o says
 *   relay_conf_apply.c   the tree's values into structures
 */
#ifndef RELAY_RELAY_CONF_INTERNAL_H
#define RELAY_RELAY_CONF_INTERNAL_H

#include <confuse.h>

#include "relay/relay_conf.h"

#define SECTION_RELAY    "relay"
#define SECTION_EXPORTER "exporter"
#define SECTION_DEFAULTS "defaults"
#define SECTION_HOST     "host"
#define SECTION_CONTROL  "control"
#define SECTION_SERVICE  "service"
#define SECTION_GATEWAY  "gateway"
#define SECTION_DATAGRAM "datagram"
#define SECTION_WEBPAGER "webpager"

/* Which settings a section of that name has.  False: there is no such section. */
bool relay_conf_section(const char *name, enum setting_section *section);

/* The keys of a section as a list of words. */
void relay_conf_keys(enum setting_section section, char *out, size_t size);

/* Notes where the next section with a title of that name is from.  False: no memory. */
bool relay_conf_add_origin(struct relay_conf *conf, const char *name, struct conf_origin origin);

/* Where the section of that name is from; NULL: it is not kept. */
struct conf_origin *relay_conf_origin(struct relay_conf *conf, const char *name);

/* The texts of a list in the tree.  False: it was never set. */
bool relay_conf_list(cfg_t *section, const struct setting *setting,
		     char *items[SETTINGS_LIST_MAX + 1]);

/* Lays one option `-o` over the tree. */
void relay_conf_option(struct relay_conf *conf, const char *whole, struct report *report);

#endif
