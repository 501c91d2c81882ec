/*
 * session_state.h - what the files of the session share, and nobody else sees.
 */
#ifndef RELAY_MSG_SESSION_STATE_H
#define RELAY_MSG_SESSION_STATE_H

#include "relay/msg/session.h"
#include "wire/datagram_parts.h"
#include "wire/notice.h"

#include <sys/queue.h>

#define SESSION_JOINS      16   /* notices and late replies at a time; a relay sends 8 notices */
#define SESSION_REMEMBERED 1024 /* of them, after they were taken */
#define SESSION_OWED       64   /* numbers to be confirmed by the next datagram */
#define SESSION_UNACKED    64   /* confirms that the relay has not acknowledged */

enum session_phase {
	SESSION_GREETING, /* says hello until it is welcome */
	SESSION_ESTABLISHED,
};

/* A whole of parts that is being received. */
struct session_join {
	struct datagram_join join;
	uint8_t *whole; /* NULL: nothing has come; the marks are behind the bytes */
	size_t memory;
};

#define OPEN_STATES(X)                                        \
	X(OPEN_WAITING) /* has no number: nothing was sent */ \
	X(OPEN_SENT)                                          \
	X(OPEN_BUSY) /* sent, and put off */                  \
	X(OPEN_ENDED)

enum open_state {
#define X(state) state,
	OPEN_STATES(X)
#undef X
};

/* A request or a notice of this client. */
struct session_open {
	TAILQ_ENTRY(session_open) next;
	enum open_state state;
	uint8_t kind; /* DATAGRAM_REQUEST or DATAGRAM_NOTICE */
	bool is_durable;
	bool is_received; /* says the relay */
	bool is_loose;    /* was put off, but a copy of it may yet be run */
	uint64_t id;
	uint64_t session, number; /* where it was first sent */
	uint64_t deadline_ms;
	uint64_t next_ms; /* to be sent again */
	uint32_t tries;
	uint8_t *body; /* as it is sent */
	size_t body_len;
	struct session_join reply;
	uint64_t held; /* number to be confirmed when the event is taken */
	enum relay_msg_outcome outcome;
};

TAILQ_HEAD(session_opens, session_open);

/* A notice or a late reply. */
struct session_arrived {
	struct session_join parts;
	uint8_t kind;
	bool is_whole;
	uint64_t session;
	uint64_t first;  /* number of the first part */
	uint64_t held;   /* number of the part that completed it */
	uint64_t serial; /* order of completion, or of the first part */
};

struct session_unacked {
	uint64_t number;
	uint32_t tries;
};

struct session {
	struct session_settings settings;
	struct session_world world;
	struct datagram_cipher cipher;
	enum session_phase phase;

	uint64_t hello;    /* the random number of this greeting */
	uint64_t hello_ms; /* when it is said next */
	uint32_t hello_tries;
	enum datagram_code hello_code; /* why the relay refuses it, if it said so */

	uint64_t id; /* of the session */
	struct datagram_welcome terms;
	uint64_t number;           /* the last that was used */
	struct datagram_window in; /* of the relay's numbers */
	uint64_t heard_ms;
	uint64_t fresh_ms; /* when a new number was last sent */

	struct session_opens waiting, sent, ended;
	size_t open_count, sent_count;
	uint64_t last_id;
	struct session_open *shown;

	struct session_arrived arrived[SESSION_JOINS];
	struct session_arrived *shown_arrived;
	uint64_t serial;
	size_t join_memory;
	uint8_t remembered[SESSION_REMEMBERED][NOTICE_ID_SIZE];
	size_t remembered_count;

	uint64_t owed[SESSION_OWED];
	size_t owed_count;
	struct session_unacked unacked[SESSION_UNACKED];
	size_t unacked_count;
	uint64_t unacked_ms;

	bool tell_online, tell_offline;
	uint8_t *out; /* settings.size bytes */
};

/* session.c */
/* The session is over: ends what was sent as con_lost, and greets anew at `hello_ms`. */
void session_end(struct session *s, uint64_t now_ms, uint64_t hello_ms);
void session_begin(struct session *s, uint64_t id, const struct datagram_welcome *terms,
		   uint64_t now_ms);
/* first * 2^tries, at most the longest, with jitter of a quarter either way. */
uint64_t session_backoff(struct session *s, uint32_t tries);
uint64_t session_below(struct session *s, uint64_t below);

/* session_open.c */
void open_end(struct session *s, struct session_open *open, enum relay_msg_outcome outcome);
void open_free(struct session *s, struct session_open *open);
struct session_open *open_find(struct session *s, uint64_t number);
void open_tick(struct session *s, uint64_t now_ms);
/* Ends all that have no answer; those never sent only if `all`. */
void open_end_all(struct session *s, bool all, enum relay_msg_outcome outcome);
/* The relay has received these. */
void open_on_seen(struct session *s, const struct datagram_seen *seen);
uint64_t open_due_ms(const struct session *s);
enum relay_msg_outcome open_outcome_of(uint8_t code);

/* session_arrived.c */
enum datagram_joined join_take(struct session *s, struct session_join *join,
			       const struct datagram_part *part, uint32_t index);
void join_clear(struct session *s, struct session_join *join);
void arrived_take(struct session *s, const struct datagram *datagram);
bool arrived_show(struct session *s, struct relay_msg_event *event);
void arrived_release(struct session *s, uint64_t now_ms);
/* Drops repeats of it from now on. */
void arrived_remember(struct session *s, const uint8_t id[NOTICE_ID_SIZE]);
void arrived_drop_incomplete(struct session *s);
void arrived_fini(struct session *s);

/* session_receive.c */
/* The confirms that the relay has not acknowledged are sent again, and given up in the end. */
void unacked_tick(struct session *s, uint64_t now_ms);

/* session_send.c */
void send_hello(struct session *s);
/* A number of this client's, if the span allows one. */
bool send_fresh(struct session *s, uint8_t kind, uint64_t now_ms);
void send_open(struct session *s, const struct session_open *open);
/* Whether another number may be used: what the relay has not received stays in its window. */
bool send_has_number(const struct session *s);
/* This number came and is to be confirmed. */
void send_owe(struct session *s, uint64_t number);
void send_owed(struct session *s, uint64_t now_ms);

#endif
