/*
 * channel_datagram.h - what the processes say to each other for the message plane: parts of the
 * messages of channel.h.
 *
 * A message is `committed` when it is on the disk.  The worker says accepted or confirmed to a
 * client only after COMMITTED.
 *
 * Tokens are the worker's, never used again while it lives.  Each has one answer, COMMITTED or
 * REFUSED.  When a new control process comes (CHANNEL_CONTROL) the worker sends it every token that
 * is open, and an ONLINE for each client that is; the ids make a repeated commit harmless.  Control
 * then begins to send what waits for these clients anew: a NOTICE may come again.
 */
#ifndef RELAY_CHANNEL_DATAGRAM_H
#define RELAY_CHANNEL_DATAGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/datagram_settings.h"
#include "relay/limits.h"

#define CHANNEL_ID_SIZE 16u
/* Bytes of a notice's memfd; of one with a reply: reply_max. */
#define CHANNEL_NOTICE_MAX 16384u
/* NOTICEs of one client that it has not confirmed, at most. */
#define CHANNEL_NOTICES_OPEN_MAX 8u

/* What the store holds for a client, and confirms end.  On the disk as these numbers. */
enum channel_stored {
	CHANNEL_STORED_NOTICE = 1, /* its id is that of the notice */
	CHANNEL_STORED_REPLY = 2,  /* of session and number, 8 bytes each, big-endian */
};

/* K -> W: one UDP socket of this worker, bound; it is the worker's for as long as it lives, and the
 * keeper's too.  All sockets come before the channel to control. */
struct channel_datagram_socket {
	uint32_t number; /* of the address in datagram.listen, from 0 */
	uint32_t count;  /* how many addresses there are */
	uint32_t family; /* AF_INET or AF_INET6 */
	uint32_t worker; /* this one's number, and how many workers share the clients */
	uint32_t workers;
	bool any; /* bound to all addresses: it tells to which of them a datagram came */
};

/* K -> W: the end of a channel to another worker.  Again with a new one when that was restarted:
 * then the one before has ended. */
struct channel_peer {
	uint32_t number;
};

/* C -> W: a host whose home is elsewhere.  HOST_REMOVE ends it as it ends a host; HOST_ADD of the
 * same index replaces it; it is part of a sync. */
struct channel_elsewhere {
	uint32_t index;
	uint32_t worker; /* the (first) home */
	char id[HOST_ID_MAX + 1];
};

/* C -> W: the memfd holds `count` of struct datagram_key, sorted by client.  0: there are no keys,
 * datagrams are not sealed, and no memfd comes.  From now on only these clients are known. */
struct channel_keys {
	uint32_t count;
};

/* C -> W: something that waits in the store for a client of this worker.  The memfd has an encoded
 * notice (wire/notice.h), or the line of a reply. */
struct channel_notice {
	uint64_t client;
	uint64_t session; /* of a reply: what it answers; else 0 */
	uint64_t number;
	uint64_t length; /* bytes in the memfd */
	uint32_t kind;   /* enum channel_stored */
	uint8_t id[CHANNEL_ID_SIZE];
};

/*
 * W -> C: ACCEPT, the memfd has an encoded notice of `client` with its id and time; STORE_REPLY,
 * the memfd has the line of a durable reply that nobody confirmed.
 */
struct channel_accept {
	uint64_t token;
	uint64_t client; /* ACCEPT: who sends it; STORE_REPLY: whom it is for */
	uint64_t session;
	uint64_t number;
	uint64_t length; /* bytes in the memfd */
};

/* W -> C: the client has confirmed what came by NOTICE. */
struct channel_confirmed {
	uint64_t token;
	uint64_t client;
	uint32_t kind; /* enum channel_stored */
	uint8_t id[CHANNEL_ID_SIZE];
};

/* Why something was not committed; the worker makes an error of it. */
#define CHANNEL_REFUSALS(X)                                                                       \
	X(CHANNEL_REFUSED_MALFORMED, "malformed")                                                 \
	X(CHANNEL_REFUSED_TOO_LONG, "too_long")                                                   \
	X(CHANNEL_REFUSED_UNKNOWN_CLIENT, "unknown_client") /* it has no key */                   \
	X(CHANNEL_REFUSED_FULL, "store_full")               /* a bound, or no room on the disk */ \
	X(CHANNEL_REFUSED_FAILED, "store_failed")           /* the disk, or the id is taken */    \
	X(CHANNEL_REFUSED_BUSY, "busy")                     /* too much is under way: try again */

enum channel_refusal {
#define X(name, text) name,
	CHANNEL_REFUSALS(X)
#undef X
};

/* C -> W: COMMITTED, REFUSED. */
struct channel_answer {
	uint64_t token;
	uint32_t why; /* REFUSED: enum channel_refusal; else 0 */
};

/* W -> C: ONLINE, a client said hello, or what waits for it is to be brought anew; OFFLINE, it said
 * bye or was silent for too long. */
struct channel_presence {
	uint64_t client;
	uint64_t session;
	uint64_t since_us;    /* ONLINE: since when; OFFLINE: last seen.  Since 1970 */
	uint32_t address_len; /* ONLINE: 4 or 16; 0 = none */
	uint32_t port;
	uint8_t address[16];
};

#endif
