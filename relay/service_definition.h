/*
 * service_definition.h - what of a service's configuration the keeper acts on, and a digest of it.
 *
 * Control and keeper read relay.conf each for itself.  By the digest they see whether both mean the
 * same; it protects nothing, for what is done is in any case what the keeper has read.
 */
#ifndef RELAY_SERVICE_DEFINITION_H
#define RELAY_SERVICE_DEFINITION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "relay/config.h"

/* A public socket. */
struct service_definition_socket {
	const char *path; /* the service's; NULL = it has none */
	uint32_t mode;
	uid_t uid; /* by whose rights it is made; OWNER_NOBODY_UID: the relay's */
};

/* `extended`: the one on which signals are forwarded. */
struct service_definition_socket service_definition_socket(const struct config_service *service,
							   bool extended);

/* Of its name, command, user, sockets and start_timeout. */
uint64_t service_definition_digest(const struct config_service *service);

#endif
