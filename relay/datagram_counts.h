/*
 * datagram_counts.h - what a worker counts of its datagrams: closed sets.  Each one that comes is
 * in RECEIVED; a genuine one, of a session or a hello, in its kind; one that was dropped in why.
 * All only ever grow.
 */
#ifndef RELAY_DATAGRAM_COUNTS_H
#define RELAY_DATAGRAM_COUNTS_H

/* Genuine ones, by what they are. */
#define DATAGRAM_KIND_COUNTS(X)                   \
	X(DATAGRAM_COUNT_KIND_HELLO, "hello")     \
	X(DATAGRAM_COUNT_KIND_REQUEST, "request") \
	X(DATAGRAM_COUNT_KIND_CONFIRM, "confirm") \
	X(DATAGRAM_COUNT_KIND_KEEP, "keep_alive") \
	X(DATAGRAM_COUNT_KIND_NOTICE, "notice")   \
	X(DATAGRAM_COUNT_KIND_BYE, "bye")

#define DATAGRAM_DROP_COUNTS(X)                                                           \
	X(DATAGRAM_COUNT_MALFORMED, "malformed") /* header, body, shorter than it says */ \
	X(DATAGRAM_COUNT_TOO_LONG, "too_long")   /* than datagram.size */                 \
	X(DATAGRAM_COUNT_FORGED, "forged")       /* the seal is wrong */                  \
	X(DATAGRAM_COUNT_UNKNOWN_CLIENT, "unknown_client") /* has no key */               \
	X(DATAGRAM_COUNT_REPLAYED, "replayed")             /* came before, or too old */  \
	X(DATAGRAM_COUNT_NEW_SESSION, "new_session")       /* of no session */            \
	X(DATAGRAM_COUNT_NO_ROOM, "no_room") /* memory, or a socket that is full: also of ours */

#define DATAGRAM_OTHER_COUNTS(X)                                                          \
	X(DATAGRAM_COUNT_RECEIVED, "received")                                            \
	X(DATAGRAM_COUNT_SENT, "sent")                                                    \
	X(DATAGRAM_COUNT_RESENT, "resent")                                                \
	X(DATAGRAM_COUNT_GIVEN_UP, "given_up") /* replies and notices nobody confirmed */ \
	X(DATAGRAM_COUNT_BUSY, "busy")                                                    \
	X(DATAGRAM_COUNT_REQUESTS, "requests")   /* that were taken, each once */         \
	X(DATAGRAM_COUNT_REPLIES, "replies")     /* to them, errors too */                \
	X(DATAGRAM_COUNT_PARTS, "parts")         /* of replies and notices, each once */  \
	X(DATAGRAM_COUNT_SESSIONS, "sessions")   /* that began */                         \
	X(DATAGRAM_COUNT_SILENT, "silent")       /* that ended by silence */              \
	X(DATAGRAM_COUNT_NOTICES, "notices")     /* of clients: they are on the disk, */  \
	X(DATAGRAM_COUNT_REFUSED, "refused")     /* or were not taken there */            \
	X(DATAGRAM_COUNT_STORED, "stored")       /* durable replies that went there */    \
	X(DATAGRAM_COUNT_DELIVERED, "delivered") /* came from there, confirmed on the disk */

#define DATAGRAM_COUNTS(X) DATAGRAM_KIND_COUNTS(X) DATAGRAM_DROP_COUNTS(X) DATAGRAM_OTHER_COUNTS(X)

enum datagram_count {
#define X(name, text) name,
	DATAGRAM_COUNTS(X)
#undef X
	DATAGRAM_COUNT_COUNT
};

#define DATAGRAM_KINDS_FIRST DATAGRAM_COUNT_KIND_HELLO
#define DATAGRAM_KINDS_END   DATAGRAM_COUNT_MALFORMED
#define DATAGRAM_DROPS_FIRST DATAGRAM_COUNT_MALFORMED
#define DATAGRAM_DROPS_END   DATAGRAM_COUNT_RECEIVED

/* A word, within its set. */
static inline const char *
datagram_count_name(enum datagram_count count)
{
	static const char *const names[] = {
#define X(name, text) [name] = text,
		DATAGRAM_COUNTS(X)
#undef X
	};

	return names[count];
}

#endif
