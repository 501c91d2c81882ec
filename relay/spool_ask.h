/*
 * spool_ask.h - the operator's side of the delayed messages: what is there, one message to look at,
 * and keeping one from being sent.
 *
 * A message is in one of three places: the directory itself (waiting for its turn), `held/` (kept
 * until it is released, also over restarts) and `bad/` (never sent; for people).  It is only ever
 * moved between them: nothing here deletes, or puts one file over another.  Like all of the spool
 * it belongs to the storage thread.
 */
#ifndef RELAY_SPOOL_ASK_H
#define RELAY_SPOOL_ASK_H

#include "relay/limits.h"
#include "relay/spool.h"

/* Messages of one page. */
#define SPOOL_PAGE_MAX 1000u
/* Bytes of a line that are shown. */
#define SPOOL_SHOW_MAX (1024u * 1024)

enum spool_verb {
	SPOOL_LIST,
	SPOOL_SHOW,
	SPOOL_HOLD,
	SPOOL_FREE, /* from held/, or from its backoff */
	SPOOL_DROP, /* to bad/ */
};

/* In the order of a list. */
enum spool_place {
	SPOOL_PLACE_QUEUE,
	SPOOL_PLACE_HELD,
	SPOOL_PLACE_BAD,
	SPOOL_PLACE_COUNT,
};

struct spool_ask {
	enum spool_verb verb;
	bool dry_run;            /* only looks whether it could be done */
	char name[NAME_MAX + 1]; /* LIST: what is behind this one, in `place`; "" = all */
	enum spool_place place;  /* LIST */
	char host[NAME_MAX + 1]; /* LIST: only its messages; "" = of all */
	size_t page;             /* LIST: 1 .. SPOOL_PAGE_MAX */
};

#define SPOOL_STATES(X)                   \
	X(SPOOL_STATE_WAITING, "waiting") \
	X(SPOOL_STATE_SENDING, "sending") \
	X(SPOOL_STATE_BACKOFF, "backoff") \
	X(SPOOL_STATE_HELD, "held")       \
	X(SPOOL_STATE_BAD, "bad")

enum spool_state {
#define X(name, text) name,
	SPOOL_STATES(X)
#undef X
};

const char *spool_state_text(enum spool_state state);

#define SPOOL_OUTCOMES(X)                                                     \
	X(SPOOL_OUTCOME_DONE, "done")                                         \
	X(SPOOL_OUTCOME_ALREADY, "already so")                                \
	X(SPOOL_OUTCOME_NOT_FOUND, "no such delayed message")                 \
	X(SPOOL_OUTCOME_SENDING, "being sent")                                \
	X(SPOOL_OUTCOME_WRITING, "being written; try again in a few seconds") \
	X(SPOOL_OUTCOME_NO_HOST, "its host is not in the table")              \
	X(SPOOL_OUTCOME_BAD, "set aside in bad/")                             \
	X(SPOOL_OUTCOME_ERROR, "cannot be done")

enum spool_outcome {
#define X(name, text) name,
	SPOOL_OUTCOMES(X)
#undef X
};

const char *spool_outcome_text(enum spool_outcome outcome);

struct spool_message {
	char name[NAME_MAX + 1]; /* any bytes but NUL and '/' */
	char host[NAME_MAX + 1]; /* "" = of none in the table */
	enum spool_place place;
	enum spool_state state;
	uint64_t bytes; /* of the file */
	uint64_t age_ms;
	uint32_t attempts; /* that failed */
	uint64_t next_ms;  /* BACKOFF */
};

struct spool_view {
	enum spool_outcome outcome;
	int error;             /* OUTCOME_ERROR: a negative errno */
	char to[NAME_MAX + 1]; /* HOLD, FREE, DROP: its name now; "" = it was not moved */
	bool more;             /* LIST: there is another page */
	size_t count;          /* LIST; SHOW: 1 or 0 */
	char *line;            /* SHOW: the first SPOOL_SHOW_MAX bytes of it, without LF */
	size_t line_len;
	struct spool_message messages[];
};

/* Does it.  NULL: no memory, and nothing was done. */
struct spool_view *spool_ask(struct spool *spool, const struct spool_ask *ask,
			     struct spool_time now);
void spool_view_free(struct spool_view *view);

/* Whether it can be the name of a delayed message. */
bool spool_name_valid(const char *name);

#endif
