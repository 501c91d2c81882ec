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

/* Words why a link ended. */
#define LINK_WHY_SIZE 160

/* How often accepting is tried again after descriptors or memory ran out. */
#define ACCEPT_PAUSE_MS 100u

/* When a new worker looks for connections that it was not woken for: so long after its start, then
 * four times as long, up to the bound.  Of listeners that it shares it goes on with that, every so
 * often. */
#define LOOK_MIN_MS    20u
#define LOOK_MAX_MS    5000u
#define LOOK_SHARED_MS 1000u

/* Hosts of one worker's table. */
#define HOSTS_MAX 65536u

/* Messages of the channel that are handled in one turn. */
#define CHANNEL_MESSAGES_PER_TURN 64

/* Services of one worker's table. */
#define SERVICES_MAX 4096u

/* Clients of one service whose request is not complete, and calls that wait for a slot of it.  With
 * as many, accepting pauses: the next ones wait in the listen queue. */
#define CALLS_COLLECTING_MAX 1024u
#define CALLS_WAITING_MAX    1024u

/* Then the client that has been at its request longest, and at least so long, makes room for who
 * waits in the listen queue. */
#define CALLS_COLLECTING_FAIR_MS 1000u

/* Descriptors of a call at most: two connections and what its caller passes. */
#define CALL_FDS 5u

/* Bytes of a request read at a time, and of one client in a turn. */
#define CALL_READ_MAX (64u * 1024)
#define CALL_TURN_MAX (256u * 1024)

/* A service whose listen queue is full, or that has too many descriptors on their way to it, is
 * tried again after this time; one that does not accept after the other, unless control knows of a
 * better one before. */
#define SERVICE_BUSY_MS  10u
#define SERVICE_RETRY_MS 1000u

/* Numbers of a service that nobody waits for are told so often at most. */
#define SERVICE_TELL_MS 100u

/* How long a worker whose keeper is gone finishes what is under way. */
#define ORPHAN_STOP_MS 1000u

/* Lines a worker may log per second; the rest is counted. */
#define LOG_LINES_PER_SECOND 100u

static_assert(RECONNECT_MIN_MS < RECONNECT_MAX_MS, "backoff grows");

#endif
