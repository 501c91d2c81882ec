/*
 * ctl_top.h - `relayctl top`: hosts and workers on the whole screen, asked for anew each second.
 */
#ifndef RELAY_CTL_TOP_H
#define RELAY_CTL_TOP_H

#include "relay/control_client.h"

/*
 * Until q, or until the daemon refuses (*code); client->error says why.  A daemon that goes, once
 * it has answered, is asked for again at `path` until it is back.  The terminal is put back before
 * it returns and before a signal ends the program.
 */
enum control_client_result ctl_top_run(struct control_client *client, const char *path,
				       uint64_t timeout_ms, Relay__Control__Code *code);

#endif
