/*
 * relay_conf.h - relay.conf and the `-o` options: what they set, each value already checked.
 *
 * Sections: `relay`, `control`, `exporter`, `datagram`, `webpager`, `defaults`, `host "ID"`,
 * `service "NAME"`, `gateway "NAME"`; the keys are those of settings.def.  An option is
 * SECTION.KEY=VALUE, split at the first `=`, then at the last dot before it, with SECTION being
 * `relay`, `host ID` and so on. A list in it has commas between its texts: `service
 * hello.command=perl,/srv/hello.pl` (setting_list_split).
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
	const char *path; /* the caller's; NULL = no file */
	struct conf_origin defaults;
	struct conf_origin datagram;
	struct conf_origin webpager;
	struct conf_origin *hosts; /* of each host section, in their order */
	size_t host_count;
	struct conf_origin *services; /* likewise */
	size_t service_count;
	struct conf_origin *gateways; /* likewise */
	size_t gateway_count;
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
bool relay_conf_apply_defaults(const struct relay_conf *conf, struct host_section *host);
bool relay_conf_apply_host(const struct relay_conf *conf, size_t index, struct host_section *host);

bool relay_conf_apply_service(const struct relay_conf *conf, size_t index,
			      struct service_settings *service);
bool relay_conf_apply_gateway(const struct relay_conf *conf, size_t index,
			      struct gateway_settings *gateway);

/* The id of a host section; the name of a service or gateway section, as it was written. */
const char *relay_conf_host_id(const struct relay_conf *conf, size_t index);
const char *relay_conf_service_name(const struct relay_conf *conf, size_t index);
const char *relay_conf_gateway_name(const struct relay_conf *conf, size_t index);

/* Adds a finding about a section, under the name of the file or the option that it comes from. */
void relay_conf_say(const struct relay_conf *conf, struct conf_origin origin,
		    enum report_severity severity, const char *text, struct report *report);

#endif
