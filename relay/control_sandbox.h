/*
 * control_sandbox.h - which files the control process keeps.
 */
#ifndef RELAY_CONTROL_SANDBOX_H
#define RELAY_CONTROL_SANDBOX_H

#include "relay/config.h"

/* To be called before there are threads. `started` is the configuration of the start. */
void control_sandbox(const struct config *started, const struct config_source *source);

#endif
