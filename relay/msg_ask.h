/*
 * msg_ask.h - relay-msg request, relay-msg send: one thing asked of the relay, and its answer.
 */
#ifndef RELAY_MSG_ASK_H
#define RELAY_MSG_ASK_H

#include "relay/msg_args.h"

/* Each: the exit status; what went wrong was said. */
int msg_ask_request(struct msg_arguments *arguments, struct relay_msg *client);
int msg_ask_send(struct msg_arguments *arguments, struct relay_msg *client);

#endif
