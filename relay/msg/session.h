/*
 * session.h - a client's side of the message plane as a state machine: datagrams and time in,
 * datagrams and events out (wire/DATAGRAM.md).
 *
 * Knows no socket and no clock; all times are milliseconds of a clock of the caller's that never
 * goes back.  What is sent and what is random comes through struct session_world, so that a test
 * can play both by a seed.
 *
 *     session.c          the session itself: hello, keep-alive, silence, time
 *     session_open.c     requests and notices of this client, from asked to ended
 *     session_receive.c  what comes from the relay
 *     session_arrived.c  notices and late replies: joined, shown once, confirmed when taken
 *     session_send.c     datagrams on their way, and what they confirm
 */
#ifndef RELAY_MSG_SESSION_H
#define RELAY_MSG_SESSION_H

#include "relay/msg.h"
#include "wire/datagram_seal.h"
#include "wire/datagram_window.h"

#include <stdbool.h>

#define SESSION_OPEN_MAX 1024
#define SESSION_NEVER    UINT64_MAX

struct session;

struct session_settings {
	uint64_t client;
	const uint8_t *key; /* NULL: unsealed */
	uint32_t resend_first_ms;
	uint32_t resend_max_ms;
	uint32_t tries;
	uint32_t timeout_ms;
	uint32_t size;
	uint32_t reply_max;
	uint32_t open_max;
};

struct session_world {
	void *context;
	void (*send)(void *context, const uint8_t *bytes, size_t len);
	void (*random)(void *context, void *bytes, size_t len);
};

/* NULL: no memory.  Settings were checked by the caller. */
struct session *session_new(const struct session_settings *settings,
			    const struct session_world *world, uint64_t now_ms);
/* Says bye, if there is a session. */
void session_free(struct session *session);

/* A datagram came.  It is opened in place. */
void session_take(struct session *session, uint8_t *bytes, size_t len, uint64_t now_ms);

/* Does what is due. */
void session_tick(struct session *session, uint64_t now_ms);

/* When session_tick() is to be called at the latest. */
uint64_t session_due_ms(struct session *session);

/*
 * The next event; what the last one showed is let go and confirmed.  only_id != 0: nothing but
 * the end of this request.  False: there is none, and all confirms that were owed have been sent.
 */
bool session_next(struct session *session, uint64_t only_id, struct relay_msg_event *event,
		  uint64_t now_ms);

/* As relay_msg_request() and relay_msg_send(). */
int session_request(struct session *session, struct wire_span host, struct wire_span line,
		    bool is_durable, uint64_t now_ms, uint64_t *id);
int session_notice(struct session *session, uint64_t to, struct wire_span text,
		   const uint8_t notice[RELAY_MSG_ID_SIZE], uint64_t now_ms, uint64_t *id);

size_t session_unconfirmed(const struct session *session);

#endif
