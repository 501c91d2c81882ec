/*
 * datagram_counts.h - what a worker counts of its datagrams: a closed set, of which each one that
 * comes is in RECEIVED and in at most one of the dropped ones.
 */
#ifndef RELAY_DATAGRAM_COUNTS_H
#define RELAY_DATAGRAM_COUNTS_H

#define DATAGRAM_COUNTS(X)                                                                       \
	X(DATAGRAM_COUNT_RECEIVED, "received")                                                   \
	X(DATAGRAM_COUNT_MALFORMED, "dropped_malformed")           /* by header, length, body */ \
	X(DATAGRAM_COUNT_FORGED, "dropped_forged")                 /* the seal is wrong */       \
	X(DATAGRAM_COUNT_UNKNOWN_CLIENT, "dropped_unknown_client") /* has no key */              \
	X(DATAGRAM_COUNT_REPLAYED, "dropped_replayed")             /* came before, or too old */ \
	X(DATAGRAM_COUNT_NEW_SESSION, "dropped_new_session")       /* of no session */           \
	X(DATAGRAM_COUNT_NO_ROOM, "dropped_no_room") /* memory, or a socket that is full */      \
	X(DATAGRAM_COUNT_SENT, "sent")                                                           \
	X(DATAGRAM_COUNT_RESENT, "resent")                                                       \
	X(DATAGRAM_COUNT_GIVEN_UP, "given_up") /* replies and notices nobody confirmed */        \
	X(DATAGRAM_COUNT_BUSY, "busy")                                                           \
	X(DATAGRAM_COUNT_REQUESTS, "requests") /* that were taken, each once */                  \
	X(DATAGRAM_COUNT_SESSIONS, "sessions") /* that began */

enum datagram_count {
#define X(name, text) name,
	DATAGRAM_COUNTS(X)
#undef X
	DATAGRAM_COUNT_COUNT
};

#endif
