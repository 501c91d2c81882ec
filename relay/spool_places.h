/*
 * spool_places.h - the inside of spool_ask.c: where a message is, and what is known of it.
 */
#ifndef RELAY_SPOOL_PLACES_H
#define RELAY_SPOOL_PLACES_H

#include "relay/spool_ask.h"
#include "relay/spool_internal.h"

/* One question while it is answered. */
struct spool_asking {
	struct spool *spool;
	const struct spool_ask *ask;
	struct spool_time now;
	struct spool_view *view;
	int dirs[SPOOL_PLACE_COUNT]; /* -1 = it is not there */
};

/* A message that a name stands for. */
struct spool_found {
	enum spool_place place;
	struct spool_stamp stamp;
	struct spool_key key;
	const char *host; /* its id; NULL = none in the table */
};

/* Fills `dirs`; what went wrong is in the view. */
void spool_places_open(struct spool_asking *asking);
void spool_places_close(struct spool_asking *asking);

/* Whether a name in that place is a message at all, and whose. */
bool spool_is_message(const struct spool_asking *asking, enum spool_place place, const char *name,
		      const char **host);

bool spool_find_in(const struct spool_asking *asking, enum spool_place place, const char *name,
		   struct spool_found *found);

/* The message that is asked for.  A name may be in two places: `first` counts. */
bool spool_find_name(const struct spool_asking *asking, enum spool_place first,
		     struct spool_found *found);

bool spool_is_sending(const struct spool_asking *asking, const struct spool_found *found);

/* Its failure, while that keeps it waiting; else NULL. */
struct spool_failure *spool_backoff_of(const struct spool_asking *asking,
				       const struct spool_found *found);

void spool_describe(const struct spool_asking *asking, const char *name,
		    const struct spool_found *found, struct spool_message *message);

#endif
