/*
 * spool_sending.h - the delayed messages that are being sent: which file each came from, and its
 * line.
 */
#ifndef RELAY_SPOOL_SENDING_H
#define RELAY_SPOOL_SENDING_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/spool_backoff.h"
#include "relay/spool_file.h"

/* Messages being sent at the same time. */
#define SPOOL_SENDING_MAX 256u

struct spool_slot {
	uint64_t token; /* never 0, never used twice by a process; 0 = the slot is free */
	uint32_t host;  /* index */
	int fd;         /* the line; owned */
	size_t len;
	struct spool_key key;
	struct spool_stamp stamp;
	char name[NAME_MAX + 1];
	char host_id[NAME_MAX + 1]; /* the table may change meanwhile */
};

/* Zeroed = empty. */
struct spool_sending {
	struct spool_slot slots[SPOOL_SENDING_MAX];
	uint64_t bytes; /* of the lines */
	uint64_t last_token;
};

bool spool_sending_is_full(const struct spool_sending *sending);
bool spool_sending_has_host(const struct spool_sending *sending, uint32_t host);
bool spool_sending_has_file(const struct spool_sending *sending, const struct spool_key *key);

/* Takes the line over; the rest of the slot is the caller's to fill.  There must be room. */
struct spool_slot *spool_sending_add(struct spool_sending *sending, struct spool_line *line);

/* NULL if the token is unknown. */
struct spool_slot *spool_sending_find(struct spool_sending *sending, uint64_t token);

/* Closes the line. */
void spool_sending_end(struct spool_sending *sending, struct spool_slot *slot);

void spool_sending_fini(struct spool_sending *sending);

#endif
