/*
 * hosts_file.h - hosts.tab as a list of usable hosts.
 */
#ifndef RELAY_HOSTS_FILE_H
#define RELAY_HOSTS_FILE_H

#include "relay/config.h"

/*
 * Fills hosts and host_count of an otherwise prepared configuration from relay.hosts_file; port and
 * settings of each host are left 0.  Lines that cannot be hosts are reported and left out.  False:
 * the file was refused as a whole (fatal entry), the hosts read so far stay for config_free.
 */
bool hosts_file_load(struct config *config, struct report *report);

/* Frees the strings of one host. */
void hosts_file_free_host(struct config_host *host);

#endif
