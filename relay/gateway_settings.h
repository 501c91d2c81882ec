/*
 * gateway_settings.h - what can be set per gateway: made by the configuration.  The strings and
 * lists belong to the structure.
 */
#ifndef RELAY_GATEWAY_SETTINGS_H
#define RELAY_GATEWAY_SETTINGS_H

#include <stdint.h>

/* Of the texts NULL = unset; a list ends with NULL. */
struct gateway_settings {
	char **listen; /* addresses on which TLS is taken */
	char *connect; /* where the plain bytes go */
	char **allow;  /* names of those who may come in */
	char *ca;
	char *cert;
	char *key;
	uint32_t clients_max;          /* links that are open at a time */
	uint64_t handshake_timeout_ms; /* from the accept to the end of the handshake */
	uint64_t connect_timeout_ms;   /* to the local lond */
	uint64_t idle_timeout_ms;      /* without a byte either way */
	uint64_t drain_timeout_ms;     /* for its links when it is removed */
	uint64_t ticket_time_ms;       /* keys of tickets are replaced this often */
};

#endif
