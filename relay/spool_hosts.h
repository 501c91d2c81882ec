/*
 * spool_hosts.h - the table of hosts that may have delayed messages, and which of them a file name
 * is for.
 */
#ifndef RELAY_SPOOL_HOSTS_H
#define RELAY_SPOOL_HOSTS_H

#include <stddef.h>
#include <stdint.h>

#define SPOOL_NO_HOST SIZE_MAX

struct spool_host {
	const char *id;
	uint32_t index;    /* the caller's name for it, unique in the table */
	uint64_t line_max; /* bytes of its longest command, without LF and without `encrypt:` */
};

/* Owned copies.  Zeroed = empty. */
struct spool_hosts {
	struct spool_host *hosts; /* in the order of their ids */
	uint32_t *by_index;       /* positions in hosts, in the order of their indexes */
	char *ids;
	size_t count;
};

/* Copies the table into *hosts, which must be empty.  0 or -ENOMEM (then it stays empty). */
int spool_hosts_init(struct spool_hosts *hosts, const struct spool_host *from, size_t count);
void spool_hosts_fini(struct spool_hosts *hosts);

/*
 * The position of the host that a file name `<anything>.<id>` is for, or SPOOL_NO_HOST.  The id is
 * compared as it is; of several that match, the longest wins.  Names that begin with a dot are for
 * nobody: writers hide unfinished files so.
 */
size_t spool_hosts_match(const struct spool_hosts *hosts, const char *name);

/* The position of the host with this index, or SPOOL_NO_HOST. */
size_t spool_hosts_find(const struct spool_hosts *hosts, uint32_t index);

#endif
