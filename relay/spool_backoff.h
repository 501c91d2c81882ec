/*
 * spool_backoff.h - which files failed, how often, and when they are due again.  In memory only:
 * after a restart every file is due.
 */
#ifndef RELAY_SPOOL_BACKOFF_H
#define RELAY_SPOOL_BACKOFF_H

#include <stddef.h>
#include <stdint.h>

/* A file that was replaced or written again has another key: it starts anew. */
struct spool_key {
	uint64_t name; /* hash of the file name */
	uint64_t inode;
	int64_t mtime_ns;
};

struct spool_failure {
	struct spool_key key;
	uint64_t due_ms;
	uint32_t failures;
	uint32_t seen; /* by the scan under way */
};

struct spool_backoff {
	struct spool_failure *records; /* sorted by key */
	size_t count;
	size_t max;
	uint64_t min_ms; /* after the first failure; doubles */
	uint64_t max_ms;
};

/* Keeps `max` files in mind; of more, the one that is due first is forgotten, which is then merely
 * tried early. */
int spool_backoff_init(struct spool_backoff *backoff, size_t max, uint64_t min_ms, uint64_t max_ms);
void spool_backoff_fini(struct spool_backoff *backoff);

/* The file's record, or NULL if it has none.  Valid until the next call that changes anything. */
struct spool_failure *spool_backoff_find(const struct spool_backoff *backoff,
					 const struct spool_key *key);

/* One more failure at now_ms. */
void spool_backoff_fail(struct spool_backoff *backoff, const struct spool_key *key,
			uint64_t now_ms);

/* Its failures count no more: it is due. */
void spool_backoff_forget(struct spool_backoff *backoff, const struct spool_key *key);

/* A scan marks the records of the files that it sees (`seen`); the end of it drops all others. */
void spool_backoff_begin(struct spool_backoff *backoff);
void spool_backoff_end(struct spool_backoff *backoff);

/* The first due time after now_ms, or UINT64_MAX. */
uint64_t spool_backoff_next(const struct spool_backoff *backoff, uint64_t now_ms);

#endif
