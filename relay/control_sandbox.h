/*
 * control_sandbox.h - which files the control process keeps.
 */
#ifndef RELAY_CONTROL_SANDBOX_H
#define RELAY_CONTROL_SANDBOX_H

#include "relay/config.h"

/* Makes relay.state_dir for the messages, though nothing above it: what is made later, no sandbox
 * lets in. */
void control_make_state(const struct config *started);

/* To be called before there are threads. `started` is the configuration of the start. */
void control_sandbox(const struct config *started, const struct config_source *source);

#endif
