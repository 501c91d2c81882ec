/*
 * msg_args.h - the command line of relay-msg.
 */
#ifndef RELAY_MSG_ARGS_H
#define RELAY_MSG_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/msg.h"
#include "relay/msg_page.h"

/* Texts are views into argv. */
struct msg_arguments {
	struct relay_msg_options options;
	uint8_t key[RELAY_MSG_KEY_SIZE];
	const char *key_file;
	struct msg_page page;
	unsigned flags;
	uint64_t count;
	int timeout_ms; /* -1: not said */
	int operand_count;
	char **operands;
};

/*
 * Fills *arguments with what was said, and with defaults.  True: go on; false: that was all, with
 * *status as the exit status - it was not understood, and that was said, or help was asked for.
 */
bool msg_args_parse(struct msg_arguments *arguments, int argc, char **argv, int *status);

/* 1 to 16 hexadecimal digits, not 0. */
bool msg_parse_client(const char *text, uint64_t *client);

/* Says what cannot be, and how it is used.  The exit status. */
int msg_usage(const char *what);

#endif
