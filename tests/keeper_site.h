/*
 * keeper_site.h - a directory with a relay.conf of services, for tests of the keeper; what control
 * would make of that file is loaded as control does it.
 */
#ifndef TESTS_KEEPER_SITE_H
#define TESTS_KEEPER_SITE_H

#include <stdio.h>
#include <string.h>

#include "relay/config.h"
#include "relay/service_definition.h"
#include "relay/service_paths.h"
#include "tests/temp_dir.h"

static char keeper_site_control_socket[128];
static char keeper_site_conf[128];
static char keeper_site_hosts[128];
static struct relay_settings keeper_site_settings; /* of the keeper's start */
static struct config_source keeper_site_source;

static inline void
keeper_site_make(void)
{
	temp_dir_make();
	snprintf(keeper_site_conf, sizeof keeper_site_conf, "%s/relay.conf", temp_dir);
	snprintf(keeper_site_control_socket, sizeof keeper_site_control_socket, "%s/control",
		 temp_dir);
	snprintf(keeper_site_hosts, sizeof keeper_site_hosts, "%s/hosts", temp_dir);
	keeper_site_settings = (struct relay_settings){
		.run_dir = temp_dir,
		.socket_dir = keeper_site_hosts,
		.control_socket = keeper_site_control_socket,
	};
	keeper_site_source = (struct config_source){ .conf_file = keeper_site_conf };
	temp_write("hosts.tab", "");
}

/* In one step, as an editor does it: never the same file again. */
static inline void
keeper_site_write(const char *services)
{
	char text[4096];

	snprintf(text, sizeof text,
		 "relay {\n\tsocket_dir = \"%s/hosts\"\n\trun_dir = \"%s\"\n\tstate_dir = \"%s\"\n"
		 "\thosts_file = \"%s/hosts.tab\"\n\thost_id = \"here\"\n\tport = 5663\n}\n%s",
		 temp_dir, temp_dir, temp_dir, temp_dir, services);
	temp_write("relay.conf.new", text);
	cr_assert_eq(rename(temp_path("relay.conf.new"), keeper_site_conf), 0);
}

/* As control has it, with the file as it is now. */
static inline uint64_t
keeper_site_digest(const char *name)
{
	static const struct hosts_accepted none;
	struct config_source source = keeper_site_source;
	struct report report = { .count = 0 };
	struct config config;
	uint64_t digest = 0;

	source.accepted = &none;
	bool good = config_load(&config, &source, &report);
	if (!good)
		report_print(stderr, &report);
	report_fini(&report);
	cr_assert(good);
	for (size_t i = 0; i < config.service_count; i++) {
		if (strcmp(config.services[i].name, name) == 0)
			digest = service_definition_digest(&config.services[i]);
	}
	config_free(&config);
	cr_assert_neq(digest, 0, "no service %s", name);
	return digest;
}

#endif
