/*
 * control_apply.h - a table of hosts that was sent, on its way to be the one in force.
 */
#ifndef RELAY_CONTROL_APPLY_H
#define RELAY_CONTROL_APPLY_H

#include "relay/control.h"
#include "relay/control_call.h"

/* A file of storage_save() was written, or not. */
void control_on_saved(struct control *control, uint64_t token, int error);

/* The applied table that is in force, while its file may hold another one; NULL: its file does not.
 */
const struct text_file *control_apply_covers(const struct control *control);

/* --- control_apply_wait.c */

/* Answers when keeper and workers were told of the configuration in force, and a link to each
 * address that it changed is ready; at the latest when the call is due; at once if the call does
 * not wait.  What the reply points to is the call's. */
void control_answer_when_told(struct control_call *call, Relay__Control__Reply *reply);

/* Once a round: answers who waits for the workers to be told. */
void control_apply_run(struct control *control);

#endif
