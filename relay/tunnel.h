/*
 * tunnel.h - one connection of a client to a gateway, and its connection to the local lond: TLS on
 * the one side, the plain bytes on the other, one to one.
 *
 *   client's socket -> receive -> TLS -> to_lond -> send -> lond's socket
 *                   <- send <- output of TLS <- receive <-
 *
 * What waits to be sent to a side has a bound: above it nothing more is read from the other one.
 */
#ifndef RELAY_TUNNEL_H
#define RELAY_TUNNEL_H

#include "relay/buffer.h"
#include "relay/gateway.h"
#include "relay/tls.h"

#define TUNNEL_STATES(X)                                                                 \
	X(TUNNEL_HANDSHAKE, "handshake")                                                 \
	X(TUNNEL_CONNECTING, "connecting") /* to the local lond */                       \
	X(TUNNEL_OPEN, "open")                                                           \
	X(TUNNEL_ENDING, "ending")   /* the client is given its last words, and time for \
					them */                                          \
	X(TUNNEL_CLOSING, "closing") /* waits for its operations to end */

enum tunnel_state {
#define X(name, text) name,
	TUNNEL_STATES(X)
#undef X
};

/* Of what comes from a side. */
enum tunnel_flow {
	TUNNEL_FLOWS,
	TUNNEL_EBBS, /* its end has come; the last bytes are on their way */
	TUNNEL_DRY,  /* the end was passed on, too */
};

/* How a side is let go of. */
enum tunnel_parting {
	TUNNEL_STAYS,
	TUNNEL_PARTS,
	TUNNEL_RESETS,
};

struct tunnel_side {
	struct tunnel *tunnel;
	int fd; /* -1 = none (yet, or any more) */
	enum tunnel_flow flow;
	enum tunnel_parting parting;
	struct uring_op recv;
	struct uring_op writable;
	struct uring_send send;
};

struct tunnel {
	LIST_ENTRY(tunnel) entry;
	TAILQ_ENTRY(tunnel) dirty_entry;
	bool dirty; /* may have output at the end of this turn */
	bool asked; /* the last bytes were the client's: it waits for an answer */
	struct gateway *gateway;
	enum tunnel_state state;
	enum tunnel_end end;  /* in ENDING and CLOSING */
	uint64_t accepted_at; /* ns, as uring_now() */
	uint64_t since;       /* of the state, or the last bytes if it is open */
	struct tls_session *tls;
	struct tunnel_side client;
	struct tunnel_side lond;
	struct buffer to_lond;
	struct uring_op connect;
	union resolve_address address; /* of the local lond; the connect works on it */
	uint32_t tried;                /* addresses that were begun with */
	uint64_t try_until;            /* ns: then the next one is due, or the end */
	bool try_over;                 /* it was: the connect is being cancelled */
	struct uring_timer timer;
};

/* Takes over the connection; without memory it is closed, and those who come next wait. */
void tunnel_accept(struct gateway *gateway, int fd);

/* At the end of a turn, for a dirty one. */
void tunnel_flush(struct tunnel *tunnel);

/* Ends it for that reason; what the client and the local lond see of it follows from the reason. */
void tunnel_finish(struct tunnel *tunnel, enum tunnel_end end);

/* Its clocks may be due earlier: by other settings, or because one end of it has come.  Also when
 * its gateway leaves: then it ends as soon as it is quiet. */
void tunnel_on_change(struct tunnel *tunnel);

const char *tunnel_state_text(enum tunnel_state state);

#endif
