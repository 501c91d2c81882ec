/*
 * msg.h - librelay-msg: a client of relayd's message plane.  It asks hosts by datagram, sends
 * notices to other clients and receives its own.
 *
 * No thread, no signal, no hidden wait: one descriptor to poll and one function to call,
 * relay_msg_next().  Link with -lrelay-msg.  An object is for one thread at a time, and
 * for the process that opened it: one forked from it may close it, which says nothing to the
 * relay; asking and reading events is -EPERM there.
 *
 * A request is run at most once.  It is sent again until it is answered or given up, but only
 * within the session in which it was first sent: when a session ends, what is unanswered ends as
 * con_lost.
 */
#ifndef RELAY_MSG_H
#define RELAY_MSG_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RELAY_MSG_KEY_SIZE 32
#define RELAY_MSG_ID_SIZE  16
#define RELAY_MSG_TEXT_MAX 8192

struct relay_msg;

/* What is 0 means its default. */
struct relay_msg_options {
	/* `ADDRESS:PORT`, `[ADDRESS]:PORT`, numbers alone: no name is looked up.  Needed. */
	const char *address;
	/* Who this client is.  Needed. */
	uint64_t client;
	/* RELAY_MSG_KEY_SIZE bytes, copied; NULL: unsealed, which relayd takes on loopback only. */
	const uint8_t *key;
	/* Milliseconds until the first repeat; each wait is twice the one before.  1000. */
	uint32_t resend_first_ms;
	/* But at most so long.  10000. */
	uint32_t resend_max_ms;
	/* Times that a datagram is sent which the relay does not say it has received.  5. */
	uint32_t tries;
	/* A request that is received, or put off as busy, is waited for so long.  330000. */
	uint32_t timeout_ms;
	/* The longest datagram that is taken, 576 to 65507.  1232. */
	uint32_t size;
	/* The longest reply that is taken; all that are being joined use four times as much.  1
	 * MiB. */
	uint32_t reply_max;
	/* Requests and notices that are held, under way or waiting for it, up to 1024.  256. */
	uint32_t open_max;
};

/* How a request or a notice of this client ended.  X(enumerator, name) */
#define RELAY_MSG_OUTCOMES(X)                                                                   \
	X(RELAY_MSG_ANSWERED, "answered")                                                       \
	X(RELAY_MSG_ACCEPTED, "accepted") /* the notice is committed to the store */            \
	/* It was not run, nor was the notice taken. */                                         \
	X(RELAY_MSG_UNREACHABLE, "unreachable") /* never sent: there was no session */          \
	X(RELAY_MSG_BUSY, "busy")               /* the relay put it off until the time ended */ \
	X(RELAY_MSG_UNKNOWN_HOST, "unknown_host")                                               \
	X(RELAY_MSG_UNKNOWN_CLIENT, "unknown_client")                                           \
	X(RELAY_MSG_NOT_ALLOWED, "not_allowed")                                                 \
	X(RELAY_MSG_MALFORMED, "malformed")                                                     \
	X(RELAY_MSG_STORE_FULL, "store_full")                                                   \
	X(RELAY_MSG_STORE_FAILED, "store_failed")                                               \
	/* Nobody here knows whether it was. */                                                 \
	X(RELAY_MSG_TOO_LONG, "too_long") /* the request (was not run) or the reply (was) */    \
	X(RELAY_MSG_CON_LOST, "con_lost")                                                       \
	X(RELAY_MSG_FORGOTTEN, "forgotten")                                                     \
	X(RELAY_MSG_GIVEN_UP, "given_up") /* no answer in time */

enum relay_msg_outcome {
#define X(outcome, name) outcome,
	RELAY_MSG_OUTCOMES(X)
#undef X
};

enum relay_msg_what {
	RELAY_MSG_ONLINE = 1, /* a session began: notices will come */
	RELAY_MSG_OFFLINE,    /* it ended; another one is asked for */
	RELAY_MSG_ANSWER,     /* request or notice `id` ended */
	RELAY_MSG_NOTICE,     /* one came */
	RELAY_MSG_LATE,       /* the reply to a durable request of an earlier session */
};

struct relay_msg_event {
	enum relay_msg_what what;
	enum relay_msg_outcome outcome; /* of ANSWER */
	uint64_t id;                    /* of ANSWER: what relay_msg_request() gave */
	/* Of ONLINE, ANSWER (0: was never sent) and LATE: where the request stood. */
	uint64_t session, number;
	/* The reply or the text; not terminated; valid until the next call. */
	const uint8_t *bytes;
	size_t length;
	/* Of NOTICE. */
	uint8_t notice[RELAY_MSG_ID_SIZE];
	uint64_t from;    /* client; 0: by the webpager */
	uint64_t time_ms; /* since 1970, when the relay took it */
	/* Names that webpager senders gave themselves, not terminated, else empty. */
	const char *sender, *mail;
	size_t sender_length, mail_length;
};

/*
 * Makes a client, which asks for a session from the first relay_msg_next() on.  0, or a negative
 * errno and *client is NULL: -EINVAL for options that cannot be, others of the system.
 */
__attribute__((warn_unused_result)) int relay_msg_open(struct relay_msg **client,
						       const struct relay_msg_options *options);

/* Says bye if there is a session, and frees.  NULL is allowed. */
void relay_msg_close(struct relay_msg *client);

/* Becomes readable when relay_msg_next() has something to do.  Only to be polled. */
int relay_msg_descriptor(const struct relay_msg *client);

/*
 * Does what there is to do, without waiting.  1: *event is one; call again.  0: nothing more now.
 * Negative errno: the system refused.
 *
 * What an event of the kinds NOTICE and LATE brought, and the reply to a durable request, is
 * confirmed to the relay by the call after the one that returned it: who must not lose it writes
 * it down before.  A notice that is repeated is shown once, as long as this object lives and up to
 * 1,024 notices back; what came before a restart of the program, only its own records can tell, by
 * `notice`.
 */
__attribute__((warn_unused_result)) int relay_msg_next(struct relay_msg *client,
						       struct relay_msg_event *event);

/* The same, but waits for an event: up to timeout_ms, for ever if it is negative. */
__attribute__((warn_unused_result)) int
relay_msg_wait(struct relay_msg *client, struct relay_msg_event *event, int timeout_ms);

/* The same, for the end of request or notice `id` alone: other events stay, unconfirmed. */
__attribute__((warn_unused_result)) int relay_msg_wait_for(struct relay_msg *client, uint64_t id,
							   struct relay_msg_event *event,
							   int timeout_ms);

#define RELAY_MSG_DURABLE 1u /* the relay keeps a reply that cannot be delivered */

/*
 * Asks `host` (1 to 255 bytes) by a line without LF.  The answer comes as an event with this *id.
 * -EAGAIN: open_max are held; -EMSGSIZE: does not fit a datagram; -EINVAL, -ENOMEM.
 */
__attribute__((warn_unused_result)) int relay_msg_request(struct relay_msg *client,
							  const char *host, const void *line,
							  size_t length, unsigned flags,
							  uint64_t *id);

/*
 * Asks and waits for the answer: timeout_ms as in relay_msg_wait().  1: *event is the answer; 0:
 * the time is over, the request goes on as *id.  Other events stay for relay_msg_next().
 */
__attribute__((warn_unused_result)) int relay_msg_ask(struct relay_msg *client, const char *host,
						      const void *line, size_t length,
						      struct relay_msg_event *event, uint64_t *id,
						      int timeout_ms);

/*
 * Sends a notice of 1 to RELAY_MSG_TEXT_MAX bytes without NUL to a client; it must fit a datagram.
 * `notice` is its id: random and never 0, the same again for the same notice.  The event is an
 * ANSWER.
 */
__attribute__((warn_unused_result)) int relay_msg_send(struct relay_msg *client, uint64_t to,
						       const void *text, size_t length,
						       const uint8_t notice[RELAY_MSG_ID_SIZE],
						       uint64_t *id);

/* Notices and late replies that were confirmed, but not acknowledged by the relay yet. */
size_t relay_msg_unconfirmed(const struct relay_msg *client);

/* Never NULL. */
const char *relay_msg_outcome_name(enum relay_msg_outcome outcome);

/*
 * Reads the key of *client, or of the only client if it is 0, from a file of lines `ID KEY`.
 * -EPERM: others may read it, or the group change it; -ENOENT: no file, or no such client in it;
 * -EINVAL: no key file.
 */
__attribute__((warn_unused_result)) int relay_msg_read_key(const char *path, uint64_t *client,
							   uint8_t key[RELAY_MSG_KEY_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
