/*
 * config_places.h - whether others could write where the relay's sockets, files and settings lie.
 */
#ifndef RELAY_CONFIG_PLACES_H
#define RELAY_CONFIG_PLACES_H

#include <stdbool.h>

#include "relay/config.h"
#include "relay/report.h"

/*
 * Looks at the places of a configuration whose settings and services are there.  False, with a
 * fatal entry for each: anybody may write to relay.conf (`conf_file`; NULL: there is none), to a
 * directory that is written to, or to one that holds a socket.  What is missing is for others to
 * say, but for a directory that is a setting: a warning.
 */
bool config_places_check(const struct config *config, const char *conf_file, struct report *report);

#endif
