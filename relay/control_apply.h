/*
 * control_apply.h - a table of hosts that was sent, on its way to be the one in force.
 */
#ifndef RELAY_CONTROL_APPLY_H
#define RELAY_CONTROL_APPLY_H

#include "relay/control.h"

/* A file of storage_save() was written, or not. */
void control_on_saved(struct control *control, uint64_t token, int error);

/* Once a round: answers who waits for the workers to be told. */
void control_apply_run(struct control *control);

#endif
