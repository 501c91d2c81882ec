/*
 * control_messages.h - the message plane in the control process: tokens of workers against orders
 * to the message store, clients that are online and what waits for them, the webpager.
 *
 *   ACCEPT, STORE_REPLY, CONFIRMED -> order -> (committed) -> COMMITTED or REFUSED
 *   ONLINE -> what the store holds, oldest first, a few NOTICEs at a time -> CONFIRMED -> the next
 *
 * Nothing is said before the commit.  Nothing here outlives the process: workers send a new one all
 * of their open tokens, and who is online.
 *
 *   control_messages.c  orders, tokens, settings and keys for workers
 *   control_presence.c  clients, and the delivery of what waits for them
 *   control_messages_verbs.c  `online list`, `messages list / drop`
 *   control_webpager.c  the socket that takes notices
 *   control_messages_stats.c  what is counted here, and how it is told
 *
 * Part of struct control.
 */
#ifndef RELAY_CONTROL_MESSAGES_H
#define RELAY_CONTROL_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "relay/channel.h"
#include "relay/control_disk.h"
#include "relay/message_order.h"
#include "wire/notice.h"

struct control;
struct control_call;
struct control_messages_call;

enum {
	CONTROL_ORDERS_MAX = 512,      /* under way in the storage */
	CONTROL_MESSAGES_WORKERS = 64, /* CONTROL_WORKERS_MAX */
};

enum control_order_kind {
	CONTROL_ORDER_FREE,
	CONTROL_ORDER_TOKEN, /* a worker waits for the answer */
	CONTROL_ORDER_NEXT,  /* for a client that is online */
	CONTROL_ORDER_PAGE,  /* the webpager's */
	CONTROL_ORDER_VERB,  /* a call of an operator */
	CONTROL_ORDER_OTHER, /* nobody waits for it */
};

/* Who sent a page: where the answer goes. */
struct control_pager_name {
	socklen_t len; /* 0: nowhere */
	struct sockaddr_un address;
};

struct control_order {
	enum control_order_kind kind;
	uint32_t use;    /* told in the storage's token: an answer to an older use is nobody's */
	uint32_t worker; /* TOKEN */
	uint32_t life;   /* TOKEN: of that worker */
	uint64_t token;  /* TOKEN: the worker's; VERB: its own */
	uint64_t client; /* NEXT */
	uint64_t session;
	uint64_t cursor;
	struct control_pager_name pager; /* PAGE */
};

struct control_stored {
	uint32_t kind; /* enum channel_stored */
	uint8_t id[CHANNEL_ID_SIZE];
};

struct control_client {
	uint64_t id;                            /* first: the key of the tree */
	LIST_ENTRY(control_client) entry;       /* of its worker */
	TAILQ_ENTRY(control_client) want_entry; /* while `wanting` */
	uint32_t worker;
	uint64_t session;
	uint64_t since_us;
	uint64_t cursor;   /* in the store: what lies before it was sent */
	uint64_t pause_ms; /* since the store fails to read it; 0 = it does not */
	uint64_t again_at; /* ms: not before; with a pause */
	bool wanting;      /* in the list of those whose store is to be looked at */
	bool reading;      /* that is under way */
	bool more;         /* something may wait for it behind the cursor */
	uint64_t waiting;  /* messages in the store, as far as we were told */
	uint32_t open_count;
	struct control_stored open[CHANNEL_NOTICES_OPEN_MAX]; /* sent, not confirmed */
	uint32_t address_len;
	uint32_t port;
	uint8_t address[16];
};

LIST_HEAD(control_client_list, control_client);
TAILQ_HEAD(control_client_queue, control_client);

/* A page that was taken off the socket. */
struct control_page {
	struct control_pager_name pager;
	struct message message;
	size_t name_len, text_len;
	char name[MESSAGE_NAME_MAX];
	char text[NOTICE_TEXT_MAX];
};

struct control_webpager {
	int fd;       /* -1 = there is none */
	bool holding; /* `page` waits for room in the storage */
	struct control_page page;
	uint64_t accepted, malformed;
	uint64_t refused[NOTICE_STORE_FAILED + 1]; /* by enum notice_fault */
	uint64_t said_at; /* ms: the last line about malformed ones; 0 = none yet */
	uint64_t unsaid;
};

/* What the store was asked for and answered, and what it holds. */
struct control_store_counts {
	uint64_t notices, replies, repeated;
	uint64_t confirmed, dropped, expired;
	uint64_t refused[MESSAGE_DENIED + 1]; /* by enum message_status */
	uint64_t commits;
	struct message_totals totals;
	enum message_status trouble; /* DONE, or why nothing can be kept */
	bool changed;                /* the totals are to be asked for again, */
	uint64_t totals_at;          /* not before (ms) */
};

struct control_seen {
	uint64_t client;
	int64_t at_ms;
};

struct control_messages {
	bool on;
	bool bounds_told; /* the storage knows the bounds as they are */
	uint64_t told;    /* bit N: worker N knows settings and keys as they are */
	uint32_t use;
	uint32_t lives[CONTROL_MESSAGES_WORKERS]; /* of workers: counts up when one goes */
	struct control_order orders[CONTROL_ORDERS_MAX];
	void *clients; /* tsearch(3) of control_client */
	uint32_t client_count;
	struct control_client_list of_worker[CONTROL_MESSAGES_WORKERS];
	struct control_client_queue wanting;
	struct control_seen *seen; /* not yet ordered */
	size_t seen_count, seen_cap;
	uint64_t expire_at;       /* ms */
	uint64_t retry_at;        /* ms: who waits is looked at again; 0 = no need */
	uint64_t crowded;         /* clients for whom there was no room, not yet said */
	uint64_t crowded_said_at; /* ms; 0 = never */
	struct control_webpager webpager;
	struct control_store_counts store;
	struct control_disk disk; /* calls of operators, that wait for the store */
};

/* Once, before the storage is made. */
void control_messages_init(struct control *control);

/* The configuration in force has changed. */
void control_messages_apply(struct control *control);

/* More of what is to be told and ordered; and when to come again. */
void control_messages_run(struct control *control, uint64_t now_ms);
uint64_t control_messages_deadline(const struct control *control);

/* The worker is to be told all again: a sync begins. */
void control_messages_untell(struct control *control, uint32_t worker);

/* The worker is another one, or gone: its clients are offline. */
void control_messages_forget_worker(struct control *control, uint32_t worker);

/* false: the message is not about the message plane; `fd` stays the caller's in any case. */
bool control_messages_on_worker(struct control *control, uint32_t worker,
				const struct channel_message *message, int fd);

/* The storage has answered. */
void control_messages_on_view(struct control *control, uint64_t token,
			      const struct message_view *view);

/* Whether there is such a client, as far as keys tell. */
bool control_messages_knows(const struct control *control, uint64_t client);

/* --- between the files of the message plane */

/*
 * Orders; `what` says who waits.  0, or the negative errno of storage_message(): -ENOBUFS is room
 * that is not there now.
 */
int control_messages_order(struct control *control, const struct control_order *what,
			   const struct message_order *order);

/* Sealed: whoever gets it has what was sent.  -1: no memory or descriptor. */
int control_messages_memfd(const char *name, const void *bytes, size_t len);

/* --- control_messages_stats.c */

void control_store_count(struct control_messages *messages, const struct message_view *view);
/* Asks for the totals, at most once a second, when they may have changed. */
void control_store_run(struct control *control, uint64_t now_ms);

/* --- control_presence.c */

void control_presence_online(struct control *control, uint32_t worker,
			     const struct channel_presence *presence);
void control_presence_offline(struct control *control, uint32_t worker,
			      const struct channel_presence *presence);
void control_presence_forget_worker(struct control *control, uint32_t worker);

/* Something was committed for the client, perhaps once more; something of it was confirmed. */
void control_presence_wake(struct control *control, uint64_t client, bool is_new);
void control_presence_confirmed(struct control *control, const struct message *message,
				bool was_there);

/* Messages were removed, nobody knows whose: what waits is counted anew. */
void control_presence_recount(struct control *control);

/* What was read for a client; one that has another session by now is not meant. */
void control_presence_on_page(struct control *control, const struct control_order *order,
			      const struct message_view *view);
void control_presence_run(struct control *control, uint64_t now_ms);
struct control_client *control_presence_find(const struct control *control, uint64_t client);

/* --- control_webpager.c */

/* Takes the descriptor over. */
void control_webpager_open(struct control *control, int fd);
int control_webpager_fd(const struct control *control); /* -1: not to be read now */
void control_webpager_read(struct control *control, uint64_t now_ms);
void control_webpager_on_view(struct control *control, const struct control_order *order,
			      const struct message_view *view);

#endif
