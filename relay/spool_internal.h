/*
 * spool_internal.h - what spool.c, spool_scan.c and spool_ask.c share.
 */
#ifndef RELAY_SPOOL_INTERNAL_H
#define RELAY_SPOOL_INTERNAL_H

#include "relay/spool.h"
#include "relay/spool_backoff.h"
#include "relay/spool_list.h"

struct spool {
	char *path;
	int dir; /* as of the last scan; -1 = none */
	struct spool_options options;
	struct spool_hosts hosts;
	struct spool_list list;
	struct spool_backoff backoff;
	struct spool_sending sending;
	uint64_t rescan_ms; /* monotonic: a scan then finds what this one had to leave; UINT64_MAX:
			       never */
	size_t turn;        /* which hosts come first when there are too many */
};

struct spool_key spool_key_of(const char *name, const struct spool_stamp *stamp);

/* A file from the future is as old as can be: a clock was set. */
uint64_t spool_age_ms(struct spool_time now, int64_t mtime_ns);

/* How long until a file may be looked at; 0 = now. */
uint64_t spool_unsettled_ms(const struct spool *spool, struct spool_time now,
			    const struct spool_stamp *stamp);

/* A scan is wanted by then. */
void spool_rescan_after(struct spool *spool, struct spool_time now, uint64_t ms);

/* How long until something is due or to be scanned for; UINT64_MAX = never. */
uint64_t spool_wait_ms(const struct spool *spool, struct spool_time now);

#endif
