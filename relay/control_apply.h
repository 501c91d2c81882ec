/*
 * control_apply.h - a table of hosts that was sent, and how a change of the configuration is
 * answered.
 */
#ifndef RELAY_CONTROL_APPLY_H
#define RELAY_CONTROL_APPLY_H

#include "relay/control.h"
#include "relay/control_call.h"
#include "relay/control_load.h"

/* A file of storage_save() was written, or not. */
void control_on_saved(struct control *control, uint64_t token, int error);

/* The report as findings of the reply; they live in the call's memory. */
void control_add_findings(struct control_call *call, Relay__Control__Reply *reply,
			  const struct report *report);

/* What the candidate changes, not yet `applied`; NULL: it does not fit. */
Relay__Control__Changes *control_changes(struct control_call *call,
					 const struct control_candidate *candidate);

/* The last answer for a configuration that was refused: FAILED, with what and where. */
void control_answer_refused(struct control_call *call, const struct report *report);

#endif
