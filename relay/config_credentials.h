/*
 * config_credentials.h - reads the files of certificates and keys that a configuration names.
 */
#ifndef RELAY_CONFIG_CREDENTIALS_H
#define RELAY_CONFIG_CREDENTIALS_H

#include "relay/config.h"

/*
 * Reads the files of all gateways and of the hosts with tls = require, each set once, and numbers
 * them.  As for `serving`, and for false: config_tls_load.
 */
bool config_credentials_load(struct config *config, bool serving, struct report *report);

void config_credentials_drop(struct config *config);

#endif
