/*
 * control_delayed_verbs.h - the operator's questions about delayed messages.
 */
#ifndef RELAY_CONTROL_DELAYED_VERBS_H
#define RELAY_CONTROL_DELAYED_VERBS_H

#include "relay/control.h"

struct spool_view;

/* The storage's answer; NULL = it had no memory. */
void control_on_delayed_view(struct control *control, uint64_t token,
			     const struct spool_view *view);

#endif
