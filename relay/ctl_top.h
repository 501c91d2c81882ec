/*
 * ctl_top.h - `relayctl top`: hosts and workers on the whole screen, asked for anew each second.
 */
#ifndef RELAY_CTL_TOP_H
#define RELAY_CTL_TOP_H

#include "relay/control_client.h"

/*
 * Until q, or until the daemon fails (the result) or refuses (*code); client->error says why.  The
 * terminal is put back before it returns and before a signal ends the program.
 */
enum control_client_result ctl_top_run(struct control_client *client, uint64_t timeout_ms,
				       Relay__Control__Code *code);

#endif
