/*
 * config_services.h - the services of a configuration: made of the sections `service "NAME"`, each
 * of them checked.
 */
#ifndef RELAY_CONFIG_SERVICES_H
#define RELAY_CONFIG_SERVICES_H

#include "relay/config.h"
#include "relay/relay_conf.h"

/*
 * Adds all services to a configuration whose `relay` is complete.  `serving`: this process is the
 * relay, and has become relay.user long since.  False: a service is refused, and the report says
 * which one and why; what was added is config_services_drop's.
 */
bool config_services_load(struct config *config, const struct relay_conf *conf, bool serving,
			  struct report *report);

/*
 * Only the services, of relay.conf and the options: for a relay that serves, whose settings are in
 * config->relay already and stay the caller's.  As config_services_load otherwise.
 */
bool config_services_read(struct config *config, const struct config_source *source,
			  struct report *report);

void config_services_drop(struct config *config);

/* What one of them owns; zeroed from then on. */
void config_service_fini(struct config_service *service);

#endif
