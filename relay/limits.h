/*
 * limits.h - the bounds of the worker that are not settings, and how they relate to each other.
 */
#ifndef RELAY_LIMITS_H
#define RELAY_LIMITS_H

#include <assert.h>

/* sun_path is 108 bytes with its NUL: no host id can be longer than what fits into a socket path.
 */
#define HOST_ID_MAX 107

/* One-shot accepts armed on one listener. */
#define HOST_ACCEPTS_MAX 4

/* Pipelined input kept for a client whose request is under way; above it the relay stops reading
 * from it. */
#define CLIENT_IN_HIGH (64u * 1024)

/* Unsent replies of a client above which its next request waits. */
#define CLIENT_OUT_HIGH (64u * 1024)

/* Waiting output of a link above which it takes no further request. */
#define LINK_OUT_HIGH (256u * 1024)

/* Reconnect backoff, doubling, jittered. */
#define RECONNECT_MIN_MS 50u
#define RECONNECT_MAX_MS 30000u

/* A link that lived this long, or was sent a request, was a good one: its end starts no backoff. */
#define LINK_GOOD_MS 1000u

/* How often accepting is tried again after descriptors or memory ran out. */
#define ACCEPT_PAUSE_MS 100u

/* When new listeners are looked at once more, and the last time. */
#define LOOK_AGAIN_MS      100u
#define LOOK_AGAIN_LAST_MS 1000u

/* Hosts of one worker's table. */
#define HOSTS_MAX 65536u

/* Messages of the channel that are handled in one turn. */
#define CHANNEL_MESSAGES_PER_TURN 64

/* How long a worker whose keeper is gone finishes what is under way. */
#define ORPHAN_STOP_MS 1000u

/* Lines a worker may log per second; the rest is counted. */
#define LOG_LINES_PER_SECOND 100u

static_assert(RECONNECT_MIN_MS < RECONNECT_MAX_MS, "backoff grows");

#endif
