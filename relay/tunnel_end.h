/*
 * tunnel_end.h - how tunnels of a gateway end.  The texts are names of metrics too.
 */
#ifndef RELAY_TUNNEL_END_H
#define RELAY_TUNNEL_END_H

#define TUNNEL_ENDS(X)                                                                        \
	X(TUNNEL_FINISHED, "finished")   /* both sides said that they send no more */         \
	X(TUNNEL_UNTRUSTED, "untrusted") /* up to CLOSED_EARLY: what TLS found wrong */       \
	X(TUNNEL_WRONG_NAME, "wrong_name")                                                    \
	X(TUNNEL_EXPIRED, "expired")                                                          \
	X(TUNNEL_REFUSED, "refused") /* the client does not accept our certificate */         \
	X(TUNNEL_PROTOCOL, "protocol")                                                        \
	X(TUNNEL_CLOSED_EARLY, "closed_early") /* the stream ended without the word for it */ \
	X(TUNNEL_HANDSHAKE_TIMEOUT, "handshake_timeout")                                      \
	X(TUNNEL_CONNECT_FAILED, "connect_failed") /* to the local lond */                    \
	X(TUNNEL_CONNECT_TIMEOUT, "connect_timeout")                                          \
	X(TUNNEL_RESET, "reset")           /* by the client */                                \
	X(TUNNEL_LOND_RESET, "lond_reset") /* by the local lond */                            \
	X(TUNNEL_IDLE, "idle")                                                                \
	X(TUNNEL_NO_MEMORY, "no_memory")                                                      \
	X(TUNNEL_STOPPED, "stopped") /* the gateway leaves, or the worker stops */

enum tunnel_end {
#define X(name, text) name,
	TUNNEL_ENDS(X)
#undef X
	TUNNEL_END_COUNT
};

const char *tunnel_end_text(enum tunnel_end end);

#endif
