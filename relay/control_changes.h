/*
 * control_changes.h - how a configuration that was read is answered for: what is wrong with it,
 * what it changes.
 */
#ifndef RELAY_CONTROL_CHANGES_H
#define RELAY_CONTROL_CHANGES_H

#include "relay/control_call.h"
#include "relay/control_load.h"

/* The report as findings of the reply. */
void control_add_findings(struct control_call *call, Relay__Control__Reply *reply,
			  const struct report *report);

/* What the candidate changes, not yet `applied`; NULL: it does not fit. */
Relay__Control__Changes *control_changes(struct control_call *call,
					 const struct control_candidate *candidate);

/* The last answer for a configuration that was refused: FAILED, with what and where. */
void control_answer_refused(struct control_call *call, const struct report *report);

#endif
