/*
 * link_reason.h - why a link ended: a closed set, for statistics and logs.
 */
#ifndef RELAY_LINK_REASON_H
#define RELAY_LINK_REASON_H

#define LINK_REASONS(X)                                                                            \
	X(LINK_REASON_IDLE, "idle")                           /* our idle clock */                 \
	X(LINK_REASON_DRAINED, "drained")                     /* by an operator */                 \
	X(LINK_REASON_RETIRED, "retired")                     /* another took its place */         \
	X(LINK_REASON_STOPPED, "stopped")                     /* its host left, or its worker */   \
	X(LINK_REASON_KILLED, "killed")                       /* by an operator */                 \
	X(LINK_REASON_PEER_CLOSED, "peer_closed")             /* in order, once it was ready */    \
	X(LINK_REASON_RESET, "reset")                         /* an error of its socket */         \
	X(LINK_REASON_CONNECT_FAILED, "connect_failed")       /* refused, unreachable */           \
	X(LINK_REASON_CONNECT_TIMEOUT, "connect_timeout")     /* nobody answered */                \
	X(LINK_REASON_HANDSHAKE_FAILED, "handshake_failed")   /* the peer ended or spoilt it */    \
	X(LINK_REASON_HANDSHAKE_TIMEOUT, "handshake_timeout") /* connected, but silent */          \
	X(LINK_REASON_REPLY_TIMEOUT, "reply_timeout")                                              \
	X(LINK_REASON_DISORDER, "disorder")                 /* a reply without a request */        \
	X(LINK_REASON_TOO_LONG, "too_long")                 /* a reply beyond line_max */          \
	X(LINK_REASON_NO_MEMORY, "no_memory")               /* of ours */                          \
	X(LINK_REASON_TLS_UNTRUSTED, "tls_untrusted")       /* its certificate is not of our ca */ \
	X(LINK_REASON_TLS_WRONG_NAME, "tls_wrong_name")     /* nor for the name expected, */       \
	X(LINK_REASON_TLS_EXPIRED, "tls_expired")           /* or not valid now */                 \
	X(LINK_REASON_TLS_REFUSED, "tls_refused")           /* the peer does not accept ours */    \
	X(LINK_REASON_TLS_PROTOCOL, "tls_protocol")         /* no TLS 1.3, or spoilt */            \
	X(LINK_REASON_TLS_CLOSED_EARLY, "tls_closed_early") /* ended without saying so */          \
	X(LINK_REASON_TLS_HANDSHAKE_CLOSED, "tls_handshake_closed") /* before TLS was there: */    \
	X(LINK_REASON_TLS_HANDSHAKE_RESET, "tls_handshake_reset")   /* by an end, by an error */

enum link_reason {
#define X(name, text) name,
	LINK_REASONS(X)
#undef X
	LINK_REASON_COUNT
};

const char *link_reason_text(enum link_reason reason);

#endif
