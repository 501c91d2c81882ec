/*
 * config_datagram.h - the sections `datagram` and `webpager` of a configuration: what is wrong with
 * them beyond single values, and the clients' keys.
 */
#ifndef RELAY_CONFIG_DATAGRAM_H
#define RELAY_CONFIG_DATAGRAM_H

#include "relay/config.h"
#include "relay/listen_address.h"
#include "relay/relay_conf.h"

/*
 * Checks the sections of a configuration whose `relay` is complete, and reads the keys.  False:
 * something is refused, and the report says what; what was read is config_datagram_drop's.
 */
bool config_datagram_load(struct config *config, const struct relay_conf *conf,
			  struct report *report);

/* Wipes the keys: whoever does not send them on has no use for them. */
void config_datagram_drop(struct config *config);

/* The addresses of datagram.listen, all of them good; returns how many there are. */
size_t config_datagram_addresses(const struct relay_settings *relay,
				 struct listen_address addresses[SETTINGS_DATAGRAM_LISTEN_MAX]);

#endif
