/*
 * stats.h - the statistics of a worker in memory that the keeper makes, the worker writes and
 * control reads without asking. They outlive a crash of the worker.
 */
#ifndef RELAY_STATS_H
#define RELAY_STATS_H

#include "relay/worker.h"

/* A memfd of the right size, all zero; its descriptor or a negative errno. */
int stats_create(void);

/* Maps it; NULL if that fails or it is no memfd of ours.  `writable` for the worker. */
struct worker_stats *stats_map(int fd, bool writable);

void stats_unmap(struct worker_stats *stats);

#endif
