/*
 * control_stage.h - a control process without its process: the control socket with everything
 * behind it, no keeper and no workers, one round at a time.
 */
#ifndef TESTS_CONTROL_STAGE_H
#define TESTS_CONTROL_STAGE_H

#include <poll.h>

#include "relay/control.h"
#include "relay/control_server.h"

struct control_stage {
	char dir[64]; /* all its files */
	char socket_path[96];
	char conf_path[96];
	struct config_source source;
	struct config started;
	struct control_options options;
	struct control control;
	struct control_server server;
	struct channel *keeper; /* the keeper's end: what control says is thrown away */
	struct pollfd slots[CONTROL_SERVER_SLOTS + 2];
};

/* `settings` is put into the configuration as it is.  False: it could not be made. */
bool control_stage_init(struct control_stage *stage, const char *settings);
void control_stage_fini(struct control_stage *stage);

/* Waits up to so many milliseconds for something to do, and does it; whether there was something.
 */
bool control_stage_round(struct control_stage *stage, int wait_ms);

/* A connection, non-blocking; -1 = none. */
int control_stage_connect(const struct control_stage *stage);

#endif
