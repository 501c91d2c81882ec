/*
 * control_load.h - a configuration that was read, on its way to be the one in force.
 */
#ifndef RELAY_CONTROL_LOAD_H
#define RELAY_CONTROL_LOAD_H

#include "relay/config_diff.h"
#include "relay/control.h"

/* Beside the one in force; zeroed = none. */
struct control_candidate {
	struct config next;
	struct config_diff diff;            /* from the one in force */
	char restart[CONFIG_DIFF_TEXT_MAX]; /* what waits for a restart; "" = nothing */
};

/*
 * Reads everything; `table` stands for the file with the hosts (NULL: the one that is to be in
 * force).  False: refused, there are fatal entries and no candidate.  The diff is good until the
 * next configuration is taken over.
 */
bool control_read(struct control *control, const struct config_table *table,
		  struct control_candidate *candidate, struct report *report);

void control_candidate_fini(struct control_candidate *candidate);

/* Makes it the one in force, and the candidate empty. */
void control_take(struct control *control, struct control_candidate *candidate);

/*
 * What follows a reading of all files: it is logged, counted and told to who listens, and the
 * candidate is taken over; NULL: it was refused.  The report stays the caller's.
 */
void control_load_end(struct control *control, struct control_candidate *candidate,
		      const struct report *report);

/* For the statistics, and told to who listens. */
void control_count_load(struct control *control, bool good);

/* Tokens of storage_save(); 0 is the status file's. */
enum control_save {
	CONTROL_SAVE_STATUS,
	CONTROL_SAVE_NOTE,         /* which table was accepted */
	CONTROL_SAVE_APPLIED,      /* these two belong to `hosts apply`: the table, */
	CONTROL_SAVE_APPLIED_NOTE, /* and the note of it; */
	CONTROL_SAVE_BACK,         /* what was in its place, when it is not taken over */
};

/* Writes the note; 0, or a negative errno if nothing will be written. */
int control_save_accepted(struct control *control, uint64_t token,
			  const struct hosts_accepted *accepted);
void control_on_note_saved(struct control *control, int error);

#endif
