/*
 * message.h - the message of a call, taken apart where it lies:
 *
 *   { NAME=value NUL }*  NUL  { argument NUL }*
 *
 * Never copies or changes a byte; makes one vector of pointers, like those of execve(2).
 */
#ifndef RELAY_PREFORK_MESSAGE_H
#define RELAY_PREFORK_MESSAGE_H

#include <stddef.h>

/* More strings than any kernel takes in one execve(2): bounds the vector, to 8 MiB. */
#define PREFORK_STRINGS_MAX (1024u * 1024u)

struct prefork_message {
	char **environment; /* NULL behind the last, as all the rest in one piece of malloc() */
	char **argv;        /* the same piece */
	int argc;
};

/*
 * `bytes` stay the caller's, and are what the vectors point into.  0, or: -EBADMSG, not such a
 * message; -E2BIG, too many strings; -ENOMEM.  The empty string may be missing, as may all
 * arguments.
 */
__attribute__((warn_unused_result)) int prefork_message_decode(char *bytes, size_t length,
							       struct prefork_message *message);

#endif
