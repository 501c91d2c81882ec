/*
 * msg_listen.h - relay-msg listen: notices and late replies, written as they come.
 */
#ifndef RELAY_MSG_LISTEN_H
#define RELAY_MSG_LISTEN_H

#include "relay/msg_args.h"

/* The exit status; what went wrong was said. */
int msg_listen(struct msg_arguments *arguments, struct relay_msg *client);

#endif
