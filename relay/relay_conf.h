/*
 * relay_conf.h - relay.conf and the `-o` options: what they set, each value already checked.
 *
 * Sections: `relay`, `defaults`, `host "ID"`; the keys are those of settings.def.  An option is
 * SECTION.KEY=VALUE, split at the first `=`, then at the last dot before it, with SECTION being
 * `relay`, `defaults` or `host ID`.
 */
#ifndef RELAY_RELAY_CONF_H
#define RELAY_RELAY_CONF_H

#include "relay/report.h"
#include "relay/settings.h"

struct cfg_t;

/* Where a section was first written. */
struct conf_origin {
	const char *option; /* the `-o` option that made it, the caller's; NULL = the file did */
	unsigned line;      /* in the file; 0 = nowhere, it is just not there */
};

struct relay_conf {
	struct cfg_t *tree;
	struct conf_origin defaults;
	struct conf_origin *hosts; /* of each host section, in their order */
	size_t host_count;
};

/*
 * Reads `path` (NULL = no file) and applies the options over it; an option may repeat, the last one
 * wins.  False: fatal entries in the report.  libconfuse keeps its state in globals: never in two
 * threads at once.
 */
bool relay_conf_load(struct relay_conf *conf, const char *path, const char *const *options,
		     size_t option_count, struct report *report);

void relay_conf_fini(struct relay_conf *conf);

/* Each stores the values that are given, leaving the others alone.  False: no memory. */
bool relay_conf_apply_relay(const struct relay_conf *conf, struct relay_settings *relay);
bool relay_conf_apply_defaults(const struct relay_conf *conf, struct host_settings *host);
bool relay_conf_apply_host(const struct relay_conf *conf, size_t index, struct host_settings *host);

/* The id of a host section. */
const char *relay_conf_host_id(const struct relay_conf *conf, size_t index);

#endif
