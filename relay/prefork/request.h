/*
 * request.h - reads a call from its socket: signalling byte, three descriptors, length, message.
 *
 * Whatever a caller sends or leaves out costs at most PREFORK_MESSAGE_MAX bytes, three descriptors
 * and the time allowed.  Reads not one byte more than the call has.
 */
#ifndef RELAY_PREFORK_REQUEST_H
#define RELAY_PREFORK_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#define PREFORK_MESSAGE_MAX (16u * 1024u * 1024u)

enum prefork_outcome {
	PREFORK_WHOLE,
	PREFORK_GONE, /* the caller left: there is nobody to tell */
	PREFORK_BAD,  /* broke the protocol, or was too slow; `fault` says how */
};

struct prefork_request {
	int fds[3]; /* close-on-exec; -1 = none */
	char *bytes;
	size_t length;
	const char *fault;
};

/*
 * `call` may be blocking or not.  Unless the outcome is PREFORK_WHOLE nothing is kept.  The bytes
 * are to be freed by the caller, the descriptors are his to close.
 */
__attribute__((warn_unused_result)) enum prefork_outcome
prefork_request_read(int call, int64_t patience_ms, struct prefork_request *request);

/* Closes the descriptors that are there. */
void prefork_request_close(struct prefork_request *request);

#endif
