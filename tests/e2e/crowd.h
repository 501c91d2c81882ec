/*
 * crowd.h - many clients of the message plane in one process, who check all that they are told.
 *
 *     crowd.c          options, the loop, the end
 *     crowd_member.c   one client: its socket, its requests, what it is answered
 *     crowd_ledger.c   every notice: accepted, shown, acknowledged, and never again
 *     crowd_pager.c    one that sends notices by the webpager socket
 */
#ifndef TESTS_E2E_CROWD_H
#define TESTS_E2E_CROWD_H

#include "relay/msg/session.h"
#include "tests/fake_random.h"
#include "wire/datagram.h"
#include "wire/notice.h"

#include <netinet/in.h>

#define CROWD_MEMBERS   256
#define CROWD_HOSTS     8
#define CROWD_NOTICES   262144u
#define CROWD_DELIVERED 256 /* to one member, not acknowledged yet */
#define CROWD_FIRST     0x100u

struct crowd_options {
	struct sockaddr_storage target;
	socklen_t target_len;
	const char *hosts[CROWD_HOSTS];
	unsigned host_count;
	unsigned members;
	unsigned requests;       /* of each; 0: until USR1 */
	unsigned window;         /* of each at a time */
	unsigned pause_ms;       /* between two of one member, on average */
	unsigned notices, large; /* of 1,000 moves and replies */
	unsigned lose;           /* of 1,000 datagrams either way; the others keep their order */
	const char *pager;
	const char *keys;
	unsigned resend_ms, tries;
	uint64_t seed;
};

struct crowd_counts {
	unsigned answered, lost, unsent, other, wrong, sessions;
};

extern struct crowd_options options;
extern struct crowd_counts counts;
extern struct fake_random chance;

uint64_t crowd_clock_ms(void);

/* --- a member */

struct crowd_delivered {
	uint64_t session, number;
	uint32_t notice;
};

struct crowd_member {
	uint64_t id;
	int fd;
	struct session *session;
	unsigned made, open;
	uint64_t next_ms;           /* of its next move */
	bool is_last_open, is_done; /* its last request was answered */
	struct crowd_delivered delivered[CROWD_DELIVERED];
	unsigned delivered_count;
};

void member_init(struct crowd_member *member, uint64_t id);
void member_fini(struct crowd_member *member);
/* Reads, acts and tells; `is_ending`: makes nothing new but a last request, until it is answered.
 */
void member_work(struct crowd_member *member, uint64_t now_ms, bool is_ending);
uint64_t member_due_ms(struct crowd_member *member);

/* --- the ledger */

struct crowd_totals {
	unsigned made, accepted, shown, acknowledged;
	unsigned missing; /* accepted, not shown */
	unsigned twice;   /* shown again, or to somebody else, or another text */
	unsigned again;   /* sent to the client though its confirm was acknowledged */
};

/* false: the ledger is full. */
bool ledger_make(uint64_t to, uint8_t id[NOTICE_ID_SIZE], uint32_t *notice);
size_t ledger_text(uint32_t notice, char *text, size_t size);
/* Which one; false: none of ours. */
bool ledger_find(const uint8_t id[NOTICE_ID_SIZE], uint32_t *notice);
void ledger_accepted(uint32_t notice);
void ledger_shown(uint64_t to, const struct relay_msg_event *event);
/* Looks at a datagram before the session takes it. */
void ledger_tap(struct crowd_member *member, const uint8_t *bytes, size_t len);
struct crowd_totals ledger_totals(void);

/* --- the pager */

void pager_init(void);
int pager_fd(void);
void pager_work(uint64_t now_ms, bool is_ending);
bool pager_is_idle(void);

#endif
