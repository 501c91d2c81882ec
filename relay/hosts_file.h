/*
 * hosts_file.h - hosts.tab as a list of usable hosts.
 */
#ifndef RELAY_HOSTS_FILE_H
#define RELAY_HOSTS_FILE_H

#include "relay/config.h"
#include "relay/text_file.h"

/*
 * Fills hosts and host_count of an otherwise prepared configuration, which has none yet, from the
 * text; `path` is what findings call it.  Port and settings of each host are left 0.  Lines that
 * cannot be hosts are reported and left out.  False: the file was refused as a whole (fatal entry),
 * the hosts read so far stay for hosts_file_drop or config_free.
 */
bool hosts_file_parse(struct config *config, const struct text_file *file, const char *path,
		      struct report *report);

/* Back to no hosts at all. */
void hosts_file_drop(struct config *config);

/* Frees the strings of one host. */
void hosts_file_free_host(struct config_host *host);

#endif
