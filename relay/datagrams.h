/*
 * datagrams.h - the message plane inside a worker: its UDP sockets, the sessions of its clients,
 * their requests, and what is sent to them until they confirm it (wire/DATAGRAM.md).
 *
 *   socket -> receive -> session -> inquiry -> host ...     the line of a request
 *                            |         '----> parcel        its reply, in parts
 *                            '-- outbox: parcels, resent until confirmed or given up -> socket
 *
 * Who has not proven himself costs an offer in a table of fixed size and no memory else.
 */
#ifndef RELAY_DATAGRAMS_H
#define RELAY_DATAGRAMS_H

#include "relay/channel.h"
#include "relay/datagram_cookie.h"
#include "relay/datagram_counts.h"
#include "relay/host.h"
#include "relay/settings.h"
#include "uring/dgram.h"
#include "wire/datagram_keys.h"
#include "wire/datagram_parts.h"
#include "wire/datagram_seal.h"
#include "wire/datagram_window.h"

/* Sessions offered to who has not answered yet; the oldest of four makes room for a new one.  What
 * is remembered is what a hello that comes again is told; an offer also holds without that. */
#define DATAGRAM_OFFERS 4096u
/* So long an offer may begin: what was recorded is of no use for long. */
#define DATAGRAM_OFFER_MS 60000u
/* Buckets remembered of sessions that ended. */
#define DATAGRAM_LEFTOVERS 4096u
/* Received datagrams that wait for their turn. */
#define DATAGRAM_BUFFERS 256u
/* Bytes of these buffers at most: with long datagrams there are fewer. */
#define DATAGRAM_BUFFERS_BYTES (8u * 1024 * 1024)
/* Parts of one client on their way: what its socket is expected to hold. */
#define DATAGRAM_FLIGHT_MAX 64u
/* Bytes of replies kept for one client, beyond which its requests are told to come later. */
#define DATAGRAM_OUTBOX_MAX (4u * 1024 * 1024)
/* A request that runs counts for no more than this: most replies are much shorter than the longest.
 */
#define DATAGRAM_REPLY_SHARE (DATAGRAM_OUTBOX_MAX / 32)
#define DATAGRAM_NAMES       1024u
/* Datagrams of a request or notice that are known again by their nonces: the last ones. */
#define DATAGRAM_COPIES 4u
/* What control has to write down; each may have a descriptor. */
#define DATAGRAM_TOKENS_MAX 256u
/* Commits that a session remembers, to say so again. */
/* What found no room in the channel to control is told after this time. */
#define DATAGRAM_TELL_MS 10u
/* Requests at another worker, and of another worker here. */
#define DATAGRAM_PEER_MAX 256u
#define DATAGRAM_PEERS    64u /* as many as there can be workers */

struct datagrams;
struct session;
struct parcel;
struct inquiry;
struct peer;
struct token;
struct remain;
TAILQ_HEAD(token_list, token);
TAILQ_HEAD(remain_list, remain);
TAILQ_HEAD(session_list, session);
TAILQ_HEAD(parcel_list, parcel);
TAILQ_HEAD(inquiry_list, inquiry);

struct plane_socket {
	struct uring_op recv;
	struct uring_timer again; /* armed: the receive had failed */
	struct datagrams *plane;
	struct dgram_batch *batch; /* NULL until the settings are known */
	int fd;                    /* -1: none */
	bool any;                  /* bound to all addresses */
};

/* Where a client is, and how it is spoken to. */
struct route {
	struct plane_socket *socket;
	union dgram_address address;
	struct dgram_local local; /* that was asked, of a socket that has all addresses */
	const struct datagram_cipher *cipher; /* NULL: not sealed */
	size_t came; /* bytes of what is answered; SIZE_MAX: the address is proven */
};

/* A session that a hello was answered with. */
struct offer {
	uint64_t client; /* 0: none */
	uint64_t session;
	uint64_t hello; /* its random number; 0: forgotten */
	uint64_t made;  /* counts up: the lowest one is the oldest; 0: forgotten */
	uint64_t made_at;
	uint32_t receive_max;
	uint32_t socket;
	union dgram_address address;
	struct dgram_local local; /* of what begins it */
};

/* What a session that ended left in its bucket. */
struct leftover {
	uint64_t client;
	uint64_t tokens;
	uint64_t tokens_at;
	uint64_t
	    begun; /* of all clients of this place: when the latest offer that began was made */
};

/* A host whose home is another worker. */
struct elsewhere {
	uint32_t worker;
	bool synced;
	char id[HOST_ID_MAX + 1];
};

/* Something that control was asked to write down. */
struct token {
	TAILQ_ENTRY(token) entry;
	enum channel_type type; /* ACCEPT, STORE_REPLY or CONFIRMED */
	uint64_t number;
	uint64_t client;
	uint64_t session;
	uint64_t about; /* number of the client's notice or request */
	uint64_t length;
	int memfd;                 /* -1: none */
	bool told;                 /* to the control process of now */
	unsigned slot;             /* of ACCEPT */
	uint32_t kind;             /* of CONFIRMED: enum channel_stored */
	struct datagram_seen seen; /* likewise: the numbers that the client confirmed */
	uint8_t id[CHANNEL_ID_SIZE];
};

/* A durable reply that nobody confirmed, until there is a token for it. */
struct remain {
	TAILQ_ENTRY(remain) entry;
	uint64_t client;
	uint64_t session;
	uint64_t number;
	struct buffer bytes;
	size_t block;
};

/* The channel to another worker. */
struct peer {
	struct datagrams *plane;
	struct port *port;
	uint64_t origin; /* never used again, so that an answer cannot go to its successor */
	uint32_t number;
	uint32_t asked;              /* by us, without an answer */
	uint32_t serving;            /* asked by it */
	struct inquiry_list waiting; /* that it has */
};

struct datagrams {
	struct worker *worker;
	struct datagram_settings settings; /* size 0: not known yet */
	bool keys_known;
	bool receiving;
	struct datagram_key *keys; /* NULL: datagrams are not sealed */
	uint32_t keys_count;
	struct plane_socket sockets[SETTINGS_DATAGRAM_LISTEN_MAX];
	struct session **table; /* by client id, chained */
	uint32_t table_size;    /* a power of two */
	uint32_t sessions_count;
	struct session_list sessions; /* who was silent for longest comes first */
	struct session_list gone;     /* ended; control takes them for online still */
	struct uring_timer presence;
	struct uring_timer tell; /* armed: control is to be told more */
	struct token_list tokens;
	uint32_t tokens_count;
	struct remain_list remains; /* oldest first; their memory is of the worker's budget */
	struct offer *offers;
	uint64_t offers_made;
	struct leftover *leftovers; /* by a hash of the client, the last one there */
	uint64_t salt;              /* of the tables' hash: unknown outside */
	struct datagram_cookie_keys cookies;
	uint32_t inquiries;                 /* under way */
	struct peer *peers[DATAGRAM_PEERS]; /* by number; NULL: none */
	uint64_t last_origin;
	uint64_t last_token;
	struct elsewhere **elsewhere; /* by the host's index; NULL: none */
	uint32_t elsewhere_cap;
	uint32_t names[DATAGRAM_NAMES]; /* by a hash: the index that such a host had */
	uint8_t random[4096];
	size_t random_left;
};

/* Beginnings of the nonces that one number came with; 0: none. */
struct copies {
	uint32_t next;
	uint32_t marks[DATAGRAM_COPIES];
};

/* A client that has proven itself, and its session. */
struct session {
	struct datagrams *plane;
	struct session *next; /* of the table's chain */
	TAILQ_ENTRY(session) entry;
	uint64_t client;
	uint64_t id;
	uint64_t hello;
	uint64_t seen_at; /* when it last said something new */
	uint64_t since_us;
	bool told;          /* control knows that it is online */
	uint64_t missed_at; /* something out of the store was given up; 0 = nothing was */
	uint64_t again_at;  /* when control was told so last */
	struct datagram_window committed; /* our numbers whose confirm is on the disk */
	struct datagram_cipher cipher;
	struct route route;
	uint32_t size; /* of a datagram, either way */
	uint32_t parts_in_flight;
	uint64_t next_number;
	struct datagram_once once;
	struct parcel *answers[DATAGRAM_OPEN_MAX]; /* of slots that are answered */
	struct copies copies[DATAGRAM_OPEN_MAX];   /* of slots that run or are answered */
	struct inquiry_list inquiries;             /* one for each slot that runs; oldest first */
	struct parcel_list outbox;                 /* in the order in which they are sent */
	bool held;                                 /* inquiries wait for room in the outbox */
	uint32_t outbox_count;
	uint64_t outbox_bytes;
	uint64_t tokens; /* of the bucket, in billionths of a request */
	uint64_t tokens_at;
	size_t block; /* bytes of this */
};

/* A request of a client, from its datagram to its reply. */
struct inquiry {
	struct request request;
	TAILQ_ENTRY(inquiry) entry;
	struct datagrams *plane;
	struct session *session; /* NULL: it ended meanwhile */
	struct host *host;       /* waits for it before it leaves; NULL: it is elsewhere */
	struct peer *peer;       /* that has it; NULL: none */
	TAILQ_ENTRY(inquiry) peer_entry;
	uint64_t token; /* with the peer */
	int memfd;      /* likewise; the line, then the reply */
	uint32_t index; /* of the host */
	bool durable;
	uint64_t client;
	uint64_t session_id;
	bool waits; /* for the client's one before it */
	uint64_t since;
	unsigned slot;
	uint64_t number;
	struct buffer line; /* while it waits */
	struct buffer reply;
	size_t block;
};

/* Something for a client that it has to confirm. */
struct parcel {
	TAILQ_ENTRY(parcel) entry;
	struct session *session;
	struct uring_timer timer; /* to send again what is not confirmed */
	struct buffer bytes;
	struct datagram_split split;
	uint64_t one;      /* the number of the only part */
	uint64_t *numbers; /* of each part, once sent; PART_CONFIRMED */
	size_t numbers_block;
	uint32_t first; /* parts before this one are confirmed, */
	uint32_t sent;  /* and those from this one on not sent yet */
	uint32_t left;  /* not confirmed */
	uint32_t tries;
	uint32_t repeats; /* how often it was sent because it was asked for again */
	uint64_t sent_at; /* when a part of it was sent last */
	uint64_t backoff_ms;
	uint64_t about;  /* 0: the number of its first part */
	int slot;        /* whose answer this is; -1: none */
	bool durable;    /* goes to the store if nobody confirms it */
	uint32_t stored; /* enum channel_stored: it comes from there; 0: it does not */
	uint8_t id[CHANNEL_ID_SIZE];
	struct datagram_seen confirmed; /* of the last 64 numbers of its parts */
	uint8_t kind;
	uint8_t flags;
	uint8_t code;
	size_t block;
};

#define PART_CONFIRMED UINT64_MAX

/* --- the plane (datagrams.c) */

/* What the ring of a worker needs to receive datagrams of `size` bytes; 0 = it receives none. */
void datagrams_ring(struct uring_options *ring, uint32_t size);
/* For the worker: nothing happens, and no memory is taken, before there is a socket. */
bool datagrams_on_keeper(struct worker *worker, const struct channel_message *message, int fd);
bool datagrams_on_control(struct worker *worker, const struct channel_message *message, int fd);
/* There is a new control process, which knows nothing yet. */
void datagrams_on_new_control(struct datagrams *plane);
/* The turn's end: everything that is ready leaves. */
void datagrams_flush(struct datagrams *plane);
/* Receives no more; replies that are under way still leave. */
void datagrams_stop(struct datagrams *plane);
/* Says bye to everybody, when nothing is under way any more.  true = the ring has nothing of it. */
bool datagrams_end(struct datagrams *plane);
void datagrams_free(struct datagrams *plane);

void datagrams_count(struct datagrams *plane, enum datagram_count what);
void datagrams_random(struct datagrams *plane, void *bytes, size_t len);
uint64_t datagrams_random_id(struct datagrams *plane);
/* Where a client's place in a table is: not to be foreseen. */
uint64_t datagrams_mix(const struct datagrams *plane, uint64_t client);
/* Control was told not everything: soon again. */
void datagrams_tell_later(struct datagrams *plane);
void datagrams_on_tell(struct uring_timer *timer);

/* --- receiving (datagram_receive.c) */

void plane_on_dgram(struct plane_socket *socket, struct dgram *dgram);

/* --- sending (datagram_send.c) */

/* What is sent: a header, in which seal and side are added, and the body behind it. */
struct letter {
	struct datagram_header header;
	struct wire_span prefix;
	struct wire_span body;
};

/* To an address; not if it is longer than what came from one that is not proven. */
void route_send(const struct route *route, const struct letter *letter);
/* An answer without a body and a number: error and busy. */
void route_error(const struct route *route, const struct datagram_header *to,
		 enum datagram_code code);
void route_busy(const struct route *route, const struct datagram_header *to);
void route_welcome(const struct route *route, const struct datagram_header *to, uint64_t session,
		   uint32_t size);
/* In a session: fills in who, session and seen. */
void session_send(struct session *session, struct letter *letter);
/* Takes the next number; 0: the client would not know it from an old one. */
uint64_t session_number(struct session *session);
void session_send_bare(struct session *session, enum datagram_kind kind, uint64_t about);

/* --- sessions (datagram_session.c) */

struct session *session_find(const struct datagrams *plane, uint64_t client);
/* Begins what was offered.  NULL without room. */
struct session *session_begin(struct datagrams *plane, const struct offer *offer);
void session_end(struct session *session, bool say_bye);
void session_end_all(struct datagrams *plane, bool say_bye);
/* Nobody is to hear any more of those that ended. */
void sessions_forget_gone(struct datagrams *plane);
/* It said something new. */
void session_seen(struct session *session);
/* Something out of the store was given up: it is taken up again at the client's next keep-alive, or
 * at anything else that it says after a while. */
void session_missed(struct session *session);
void session_take_up(struct session *session, bool is_keep_alive);
/* Whether the bucket has room for one more request. */
bool session_may_ask(struct session *session);
void session_on_presence(struct uring_timer *timer);
void session_watch(struct datagrams *plane);

/* What it left, or another client of the same place. */
struct leftover *leftover_of(const struct datagrams *plane, uint64_t client);

/* --- offers (datagram_offer.c) */

/* An offer for this hello: the same one as before, if it is remembered. */
const struct offer *offer_make(struct datagrams *plane, const struct offer *wanted);
/* The offer began: it does so once, and what this client was offered before is void. */
void offer_use(struct datagrams *plane, const struct offer *offer);
/* The offer of this session to this address, on this socket.  False: there is none. */
bool offer_find(const struct datagrams *plane, uint64_t client, uint64_t session,
		const struct route *route, struct offer *found);

/* --- requests (datagram_request.c) */

void session_on_request(struct session *session, const struct datagram *datagram);
/* There is room in the outbox again: what was held back goes on. */
void inquiry_resume(struct session *session);
/* The session ends: requests of it that run go on for nobody. */
void inquiry_orphan_all(struct session *session);

/* --- what comes again (datagram_repeat.c) */

/* Whether this number of the client's did not come before. */
bool session_is_new(const struct session *session, uint64_t number);
bool session_has_slot(const struct session *session);
/* The slot of a request or notice that is new; there is one. */
unsigned session_take_slot(struct session *session, const struct datagram *datagram);
/* A request or notice that came before. */
void session_on_repeat(struct session *session, const struct datagram *datagram);

/* --- answers of others to requests (datagram_request.c) */

/* What has this slot was not done after all: busy, and the number is new again. */
void session_refuse(struct session *session, uint64_t number, unsigned slot);
/* Who asked elsewhere gets his answer.  FINE: the reply is in inquiry->reply. */
void inquiry_conclude(struct inquiry *inquiry, enum datagram_code code);
/* It was refused before it was run: the client may ask again. */
void inquiry_refuse(struct inquiry *inquiry);

/* --- hosts of other workers (datagram_peer.c) */

void peer_attach(struct datagrams *plane, uint32_t number, struct channel *channel);
/* A reply of an errand for another worker. */
void peer_tell(struct worker *worker, uint64_t origin, const struct channel_message *reply);
/* Hands the line to the host's home.  false = it has no room, or is not there. */
bool peer_ask(struct inquiry *inquiry, const struct elsewhere *where, struct wire_span line);
bool peer_has_room(const struct datagrams *plane, uint32_t worker);
void peer_forget(struct inquiry *inquiry);
void peers_close(struct datagrams *plane);
void peers_free(struct datagrams *plane);

void elsewhere_set(struct datagrams *plane, const struct channel_elsewhere *message);
void elsewhere_drop(struct worker *worker, uint32_t index);
void elsewhere_sync(struct worker *worker, bool end);
const struct elsewhere *elsewhere_find(const struct datagrams *plane, struct wire_span name,
				       uint32_t *index);

/* --- the store (datagram_store.c) */

void session_on_notice(struct session *session, const struct datagram *datagram);
void session_say_confirmed(struct session *session, const struct datagram_seen *seen);
/* Takes the line, if it has to wait. */
void store_reply(struct datagrams *plane, uint64_t client, uint64_t session, uint64_t number,
		 struct buffer *line);
void store_confirm(const struct parcel *parcel);
void store_on_notice(struct datagrams *plane, const struct channel_notice *notice, int memfd);
void store_on_answer(struct datagrams *plane, const struct channel_answer *answer, bool committed);
/* Tells control of those that it does not know. */
void tokens_tell(struct datagrams *plane);
/* Control knows of none; or there shall be none. */
void tokens_forget(struct datagrams *plane, bool told_too);

/* --- the outbox (datagram_outbox.c) */

/*
 * Sends what is in `bytes` (taken, as it is) until it is confirmed.  NULL without memory: then
 * `bytes` is released.  With a code there are none.
 */
struct parcel *parcel_new(struct session *session, const struct parcel *what, struct buffer *bytes);
void parcel_free(struct parcel *parcel);
/* Sends again what is not confirmed: the client asked a second time.  Not too soon or too often. */
void parcel_repeat(struct parcel *parcel);
/* What the client has seen. */
void outbox_on_seen(struct session *session, const struct datagram_seen *seen);
void outbox_pump(struct session *session);
void outbox_end(struct session *session);

#endif
