/*
 * datagram.h - the datagrams of the message plane: header, kinds, bodies (DATAGRAM.md).
 *
 *   header 56 [ nonce 24 ] body [ tag 16 ]        nonce and tag only if sealed
 *
 * Pure: decoders give views into the caller's bytes, encoders fill a bounded output.  Nothing here
 * knows a key: a sealed datagram is opened (datagram_open() of datagram_seal.h, in place) between
 * datagram_look() and the decoder of its body.
 *
 * Reading:  datagram_look(), [datagram_open()], datagram_TYPE_get()
 * Writing:  datagram_begin(), datagram_TYPE_put(), datagram_end(), [datagram_seal()]
 *
 * All numbers are big-endian.
 */
#ifndef WIRE_DATAGRAM_H
#define WIRE_DATAGRAM_H

#include "wire/wire.h"

#define DATAGRAM_VERSION     1
#define DATAGRAM_HEADER_SIZE 56
#define DATAGRAM_NONCE_SIZE  24
#define DATAGRAM_TAG_SIZE    16
#define DATAGRAM_KEY_SIZE    32
#define DATAGRAM_SEAL_SIZE   (DATAGRAM_NONCE_SIZE + DATAGRAM_TAG_SIZE)
/* Bodies of hello and welcome are equally long: no answer to a hello is longer than it. */
#define DATAGRAM_HELLO_BODY     32
#define DATAGRAM_CONFIRMED_BODY 16
/* In front of the bytes of a part. */
#define DATAGRAM_PART_PREFIX 4
/* In front of the line of a reply out of the store. */
#define DATAGRAM_STORED_PREFIX 16
/* Bounds of a whole datagram; a relay and a client agree on something in between. */
#define DATAGRAM_SIZE_MIN     576
#define DATAGRAM_SIZE_DEFAULT 1232
#define DATAGRAM_SIZE_MAX     65507
#define DATAGRAM_HOST_MAX     255
/* How far numbers without an answer may be apart: no more are remembered. */
#define DATAGRAM_SPAN_MAX 1024
/* The most that parts are joined to. */
#define DATAGRAM_JOINED_MAX (16u * 1024 * 1024)

/* --- what may be said */

/* Who sends a datagram; the flag DATAGRAM_RELAY says it on the wire. */
enum datagram_side {
	DATAGRAM_OF_CLIENT,
	DATAGRAM_OF_RELAY,
};

#define DATAGRAM_SEALED 0x01 /* nonce and tag are there, the body is encrypted */
/* Of a request: a reply that nobody confirms goes to the store.  Of a reply: it was there. */
#define DATAGRAM_DURABLE 0x02
#define DATAGRAM_LAST    0x04 /* the last part */
#define DATAGRAM_RELAY   0x80 /* from relay to client */

#define DATAGRAM_BY_CLIENT 1
#define DATAGRAM_BY_RELAY  2
#define DATAGRAM_BY_BOTH   3

/* Enumerator, number, name, who sends it, flags that it may have beside SEALED and RELAY. */
#define DATAGRAM_KINDS(X)                                                                  \
	X(DATAGRAM_HELLO, 1, "hello", DATAGRAM_BY_CLIENT, 0)                               \
	X(DATAGRAM_WELCOME, 2, "welcome", DATAGRAM_BY_RELAY, 0)                            \
	X(DATAGRAM_REQUEST, 3, "request", DATAGRAM_BY_CLIENT, DATAGRAM_DURABLE)            \
	X(DATAGRAM_REPLY, 4, "reply", DATAGRAM_BY_RELAY, DATAGRAM_LAST | DATAGRAM_DURABLE) \
	X(DATAGRAM_CONFIRM, 5, "confirm", DATAGRAM_BY_CLIENT, 0)                           \
	X(DATAGRAM_CONFIRMED, 6, "confirmed", DATAGRAM_BY_RELAY, 0)                        \
	X(DATAGRAM_BUSY, 7, "busy", DATAGRAM_BY_RELAY, 0)                                  \
	X(DATAGRAM_KEEP_ALIVE, 8, "keep-alive", DATAGRAM_BY_BOTH, 0)                       \
	X(DATAGRAM_NOTICE, 9, "notice", DATAGRAM_BY_BOTH, DATAGRAM_LAST)                   \
	X(DATAGRAM_ACCEPTED, 10, "accepted", DATAGRAM_BY_RELAY, 0)                         \
	X(DATAGRAM_BYE, 11, "bye", DATAGRAM_BY_BOTH, 0)                                    \
	X(DATAGRAM_ERROR, 12, "error", DATAGRAM_BY_RELAY, 0)

enum datagram_kind {
#define X(kind, number, name, by, flags) kind = (number),
	DATAGRAM_KINDS(X)
#undef X
};

#define DATAGRAM_KIND_MAX DATAGRAM_ERROR

/*
 * The code of an error, and of a reply without a line; 0 everywhere else.  By what a client has to
 * do: NEW_SESSION says hello again and ends what is unanswered; all others speak of one number.
 */
#define DATAGRAM_CODES(X)                                                                  \
	X(DATAGRAM_FINE, 0, "fine")                                                        \
	X(DATAGRAM_NEW_SESSION, 1, "new_session")       /* no such session (any more) */   \
	X(DATAGRAM_BAD_VERSION, 2, "version")           /* this version is not spoken */   \
	X(DATAGRAM_MALFORMED, 3, "malformed")           /* not well-formed, not run */     \
	X(DATAGRAM_NOT_ALLOWED, 4, "not_allowed")       /* this client may not do that */  \
	X(DATAGRAM_UNKNOWN_HOST, 5, "unknown_host")     /* in no table of hosts */         \
	X(DATAGRAM_TOO_LONG, 6, "too_long")             /* request, or its reply */        \
	X(DATAGRAM_CON_LOST, 7, "con_lost")             /* may have been run; no answer */ \
	X(DATAGRAM_FORGOTTEN, 8, "forgotten")           /* number too old; not run now */  \
	X(DATAGRAM_UNKNOWN_CLIENT, 9, "unknown_client") /* the target of a notice */       \
	X(DATAGRAM_STORE_FULL, 10, "store_full")        /* the notice was not accepted */  \
	X(DATAGRAM_STORE_FAILED, 11, "store_failed")    /* likewise: the disk, or no store */

enum datagram_code {
#define X(code, number, name) code = (number),
	DATAGRAM_CODES(X)
#undef X
};

#define DATAGRAM_CODE_MAX DATAGRAM_STORE_FAILED

/* Why bytes are refused: finer than the codes, for counters and tests. */
#define DATAGRAM_FAULTS(X)                                                        \
	X(DATAGRAM_OK, "no fault")                                                \
	X(DATAGRAM_BAD_SHORT, "shorter than its header, or than its kind may be") \
	X(DATAGRAM_BAD_LONG, "longer than allowed")                               \
	X(DATAGRAM_BAD_CLIENT, "client id 0")                                     \
	X(DATAGRAM_BAD_SPEECH, "another version")                                 \
	X(DATAGRAM_BAD_KIND, "unknown kind")                                      \
	X(DATAGRAM_BAD_SIDE, "not what this side sends")                          \
	X(DATAGRAM_BAD_FLAGS, "flags that its kind does not have")                \
	X(DATAGRAM_BAD_FIELD, "a field of the header has no such value here")     \
	X(DATAGRAM_BAD_BODY, "malformed body")                                    \
	X(DATAGRAM_BAD_PART, "the part fits no whole")                            \
	X(DATAGRAM_BAD_SEAL, "wrong tag")                                         \
	X(DATAGRAM_NOT_SEALED, "not sealed, or sealed where no key is")

enum datagram_fault {
#define X(fault, text) fault,
	DATAGRAM_FAULTS(X)
#undef X
};

/* Names are those of the tables; "unknown" for what is in none.  Never NULL. */
const char *datagram_kind_name(uint8_t kind);
const char *datagram_code_name(uint8_t code);
const char *datagram_fault_text(enum datagram_fault fault);

/* The code to answer with, where an answer is allowed at all. */
enum datagram_code datagram_fault_code(enum datagram_fault fault);

/* --- header */

/*
 * What the sender has received: `top`, and of the 64 numbers below it those whose bit is set (bit 0
 * is top - 1).  top == 0: nothing (yet).  Any received number may stand as `top`.
 */
struct datagram_seen {
	uint64_t top;
	uint64_t bits;
};

/* Whether `number` is among what was received. */
static inline bool
datagram_seen_has(const struct datagram_seen *seen, uint64_t number)
{
	uint64_t below = seen->top - number - 1;

	if (number == 0 || number > seen->top)
		return false;
	return number == seen->top || (below < 64 && (seen->bits >> below & 1) != 0);
}

/* Whether it speaks of no number below 1. */
bool datagram_seen_valid(const struct datagram_seen *seen);

struct datagram_header {
	uint64_t client;
	uint8_t kind;   /* enum datagram_kind */
	uint8_t flags;  /* DATAGRAM_SEALED ... */
	uint8_t code;   /* enum datagram_code; of error and reply */
	uint32_t value; /* part of reply and notice; of busy: milliseconds until to try again */
	uint64_t session;
	uint64_t number; /* of this datagram, from 1 up; of hello: a random number, not 0 */
	/* The number which this answers; of a notice or a reply from the store: of its first part.
	 */
	uint64_t about;
	struct datagram_seen seen;
};

/* A datagram that was looked at. */
struct datagram {
	struct datagram_header header;
	size_t body_at;        /* where the body begins in the datagram */
	struct wire_span body; /* still encrypted, if sealed and not opened */
};

/* Only the client id; false if there are not 8 bytes.  (Whose key, before all else.) */
bool datagram_client(uint64_t *client, struct wire_span bytes);

/* What is expected of a datagram that comes. */
struct datagram_terms {
	enum datagram_side from;
	bool is_sealed; /* exactly if there are keys */
	size_t size_max;
};

/*
 * Judges header and lengths; kinds without a body are found well-formed altogether.  On anything
 * but DATAGRAM_OK *datagram is untouched.  Of a sealed one nothing is to be believed yet.
 */
WIRE_MUST_CHECK enum datagram_fault datagram_look(struct datagram *datagram, struct wire_span bytes,
						  const struct datagram_terms *terms);

/*
 * Whether an answer of `answer_len` bytes may go to an address that has not proven itself, which
 * sent `came_len`.
 */
static inline bool
datagram_may_answer(size_t answer_len, size_t came_len)
{
	return answer_len <= came_len;
}

/*
 * Appends the header and, if DATAGRAM_SEALED is set, leaves room for the nonce.  The body goes
 * behind it.  What of the header its kind does not have must be 0.
 */
void datagram_begin(struct wire_out *out, const struct datagram_header *header);

/* Behind the body: appends room for the tag, if sealed. */
void datagram_end(struct wire_out *out, const struct datagram_header *header);

/* A datagram without a body, from begin to end. */
void datagram_put_bare(struct wire_out *out, const struct datagram_header *header);

/* --- bodies */

struct datagram_hello {
	uint32_t receive_max; /* the longest datagram that the client takes */
};

struct datagram_welcome {
	uint32_t size_max;      /* the longest datagram either side may send in this session */
	uint32_t reply_max;     /* the longest reply, joined */
	uint32_t keep_alive_ms; /* silent for longer: offline */
	uint32_t open_max;      /* requests and notices of the client without an answer */
	uint32_t span_max;      /* numbers between the oldest of these and the newest */
};

struct datagram_request {
	struct wire_span host; /* 1 to DATAGRAM_HOST_MAX bytes */
	struct wire_span line; /* without LF; any other byte may be in it */
};

/* A part of a reply or a notice; datagram_parts.h makes and joins them. */
struct datagram_part {
	uint32_t total;  /* bytes of the whole */
	uint32_t offset; /* where these bytes belong in it */
	struct wire_span bytes;
	bool is_last;
};

/* Each asserts that it is of its kind. */
WIRE_MUST_CHECK enum datagram_fault datagram_hello_get(struct datagram_hello *hello,
						       const struct datagram *datagram);
WIRE_MUST_CHECK enum datagram_fault datagram_welcome_get(struct datagram_welcome *welcome,
							 const struct datagram *datagram);
WIRE_MUST_CHECK enum datagram_fault datagram_request_get(struct datagram_request *request,
							 const struct datagram *datagram);
WIRE_MUST_CHECK enum datagram_fault datagram_confirmed_get(struct datagram_seen *confirmed,
							   const struct datagram *datagram);
/* Of a reply that has no code, and of a notice.  `total_max` bounds the whole.  Parts of a client's
 * notice: there is one. */
WIRE_MUST_CHECK enum datagram_fault
datagram_part_get(struct datagram_part *part, const struct datagram *datagram, uint32_t total_max);

void datagram_hello_put(struct wire_out *out, const struct datagram_hello *hello);
void datagram_welcome_put(struct wire_out *out, const struct datagram_welcome *welcome);
void datagram_request_put(struct wire_out *out, const struct datagram_request *request);
void datagram_confirmed_put(struct wire_out *out, const struct datagram_seen *confirmed);
/* Of the part only total and bytes are written: header value and LAST flag are the caller's. */
void datagram_part_put(struct wire_out *out, const struct datagram_part *part);

/* A reply out of the store, joined: what it answered then, and its line. */
struct datagram_stored {
	uint64_t session;
	uint64_t number;
	struct wire_span line;
};

WIRE_MUST_CHECK enum datagram_fault datagram_stored_get(struct datagram_stored *stored,
							struct wire_span whole);
void datagram_stored_put(struct wire_out *out, const struct datagram_stored *stored);

/* The longest line that a request to a host of this name can carry in a datagram of `size`. */
size_t datagram_line_max(size_t size, size_t host_len, bool is_sealed);

/* --- numbers on the wire */

static inline void
datagram_put_u32(uint8_t bytes[static 4], uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static inline void
datagram_put_u64(uint8_t bytes[static 8], uint64_t value)
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
}

static inline uint32_t
datagram_get_u32(const uint8_t bytes[static 4])
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 8 | bytes[i];
	return value;
}

static inline uint64_t
datagram_get_u64(const uint8_t bytes[static 8])
{
	return (uint64_t)datagram_get_u32(bytes) << 32 | datagram_get_u32(bytes + 4);
}

#endif
