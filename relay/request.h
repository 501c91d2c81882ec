/*
 * request.h - one request line on its way to a peer and its reply back.
 *
 * Lives in its owner (today: a client's exchange).  From host_submit() returning HOST_TAKEN until
 * done() it belongs to the host; done() comes exactly once, and never from inside host_submit().
 *
 *   IDLE -> QUEUED -> IN_FLIGHT -> IDLE      (QUEUED is skipped when a link has room)
 *             ^----------'  only while none of its bytes were given to a socket
 */
#ifndef RELAY_REQUEST_H
#define RELAY_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "relay/buffer.h"

#define REQUEST_STATES(X)           \
	X(REQUEST_IDLE, "idle")     \
	X(REQUEST_QUEUED, "queued") \
	X(REQUEST_IN_FLIGHT, "in_flight")

enum request_state {
#define X(name, text) name,
	REQUEST_STATES(X)
#undef X
};

/* How it ended.  All between the first and the last are `con_lost` for a client. */
#define REQUEST_RESULTS(X)                        \
	X(REQUEST_ANSWERED, "answered")           \
	X(REQUEST_LINK_LOST, "link_lost")         \
	X(REQUEST_REPLY_TIMEOUT, "reply_timeout") \
	X(REQUEST_QUEUE_TIMEOUT, "queue_timeout") \
	X(REQUEST_HOST_DOWN, "host_down")         \
	X(REQUEST_OVERLOAD, "overload")           \
	X(REQUEST_TOO_LONG, "too_long")           \
	X(REQUEST_STOPPED, "stopped")             \
	X(REQUEST_CLIENT_GONE, "client_gone") /* before a link took it */

enum request_result {
#define X(name, text) name,
	REQUEST_RESULTS(X)
#undef X
	REQUEST_RESULT_COUNT
};

struct host;
struct link;
struct request;

typedef void request_done(struct request *request, enum request_result result);

TAILQ_HEAD(request_list, request);

struct request {
	TAILQ_ENTRY(request) entry; /* of the host's queue or the link's requests in flight */
	request_done *done;         /* set by the owner */
	struct buffer *reply;       /* set by the owner: an answer is appended here, LF included */
	struct link *link;          /* while IN_FLIGHT */
	struct buffer body;         /* while QUEUED: the line, without LF */
	uint64_t asked;             /* when its host got it; 0 = no client's, not counted */
	uint64_t since;             /* when it was queued; from the send on: when it was sent */
	uint64_t out_start;         /* while IN_FLIGHT: its bytes in the link's output stream, */
	uint64_t out_end;           /* [out_start, out_end) */
	enum request_state state;
	bool encrypted; /* went out as an enc: frame */
};

const char *request_state_text(enum request_state state);
const char *request_result_text(enum request_result result);

#endif
