/*
 * msg_relay_stage.h - a relay for one client of the message plane, as small as the format allows:
 * what the client's library is tested against.  No socket, no clock.
 *
 * A request `N:LEN` is answered by LEN bytes that depend on N (stage_reply()), any other by itself.
 */
#ifndef TESTS_MSG_RELAY_STAGE_H
#define TESTS_MSG_RELAY_STAGE_H

#include "tests/fake_random.h"
#include "wire/datagram_parts.h"
#include "wire/datagram_seal.h"
#include "wire/datagram_window.h"
#include "wire/notice.h"

#define STAGE_OUTBOX  512
#define STAGE_NOTICES 64
#define STAGE_TOKENS  4096

struct stage_sent {
	uint64_t number;
	uint64_t next_ms;
	int notice; /* of notices[]; -1: a reply */
	size_t len;
	uint8_t bytes[DATAGRAM_SIZE_DEFAULT];
};

struct stage_notice {
	uint8_t id[NOTICE_ID_SIZE];
	bool is_gone;   /* confirmed */
	int parts_left; /* in this session; 0: is not on its way */
	size_t len;     /* encoded */
	uint8_t bytes[NOTICE_SIZE_MAX];
};

struct msg_relay {
	uint64_t client;
	const struct datagram_cipher *cipher; /* NULL: unsealed */
	struct fake_random random;
	unsigned busy_permille; /* of requests are put off */
	uint32_t resend_ms;
	void (*send)(void *context, const uint8_t *bytes, size_t len);
	void *context;

	uint64_t session, begun; /* and the hello that asked for it */
	uint64_t offered, hello; /* likewise, of what it has only offered */
	uint64_t number;
	struct datagram_once once;
	bool is_online;
	struct stage_sent outbox[STAGE_OUTBOX]; /* number 0: free */
	struct stage_notice notices[STAGE_NOTICES];
	size_t notice_count;

	/* Over all sessions. */
	unsigned runs[STAGE_TOKENS]; /* by N */
};

/* Forgets all sessions, as a restart does; notices stay. */
void stage_restart(struct msg_relay *relay);
void stage_take(struct msg_relay *relay, uint8_t *bytes, size_t len, uint64_t now_ms);
void stage_tick(struct msg_relay *relay, uint64_t now_ms);
uint64_t stage_due_ms(const struct msg_relay *relay);
/* Puts a notice into its store. */
void stage_store(struct msg_relay *relay, struct wire_span text);
/* The byte at `at` of the reply to N. */
uint8_t stage_reply(uint64_t n, size_t at);

#endif
